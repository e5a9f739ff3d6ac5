// SPDX-License-Identifier: MIT
#include "recorder/library/columns.h"

// Ten times the largest library that is thought of.
#define NO_MAX 10000000

typedef struct {
    gint64 started_ns;
    guint32 values[SHELF_COLUMNS]; // places in the column's words; 0 = none
    gboolean there;
} Row;

typedef struct {
    GHashTable *places; // word → its place
    GPtrArray *words;   // borrowed from the table; [0] is NULL
} Dictionary;

struct _ShelfColumns {
    GArray *rows; // by number
    Dictionary dictionaries[SHELF_COLUMNS];
};

ShelfColumns *shelf_columns_new(void)
{
    ShelfColumns *columns = g_new0(ShelfColumns, 1);
    columns->rows = g_array_new(FALSE, TRUE, sizeof(Row));
    for (guint i = 0; i < SHELF_COLUMNS; i++) {
        columns->dictionaries[i].places =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        columns->dictionaries[i].words = g_ptr_array_new();
        g_ptr_array_add(columns->dictionaries[i].words, NULL);
    }
    return columns;
}

void shelf_columns_free(ShelfColumns *columns)
{
    if (!columns)
        return;
    g_array_unref(columns->rows);
    for (guint i = 0; i < SHELF_COLUMNS; i++) {
        g_hash_table_unref(columns->dictionaries[i].places);
        g_ptr_array_unref(columns->dictionaries[i].words);
    }
    g_free(columns);
}

static guint32 place_of(const Dictionary *dictionary, const char *word)
{
    return word ? GPOINTER_TO_UINT(g_hash_table_lookup(dictionary->places, word)) : 0;
}

static guint32 place_make(Dictionary *dictionary, const char *word)
{
    guint32 place = place_of(dictionary, word);
    if (place || !word)
        return place;
    char *own = g_strdup(word);
    place = dictionary->words->len;
    g_ptr_array_add(dictionary->words, own);
    g_hash_table_insert(dictionary->places, own, GUINT_TO_POINTER(place));
    return place;
}

void shelf_columns_put(ShelfColumns *columns, gint64 no, gint64 started_ns,
                       const char *const values[SHELF_COLUMNS])
{
    if (no < 1 || no > NO_MAX)
        return;
    if (no >= columns->rows->len)
        g_array_set_size(columns->rows, (guint)no + 1);
    Row *row = &g_array_index(columns->rows, Row, no);
    row->there = TRUE;
    row->started_ns = started_ns;
    for (guint i = 0; i < SHELF_COLUMNS; i++)
        row->values[i] = place_make(&columns->dictionaries[i], values[i]);
}

void shelf_columns_remove(ShelfColumns *columns, gint64 no)
{
    if (no >= 1 && no < columns->rows->len)
        g_array_index(columns->rows, Row, no).there = FALSE;
}

void shelf_columns_clear(ShelfColumns *columns)
{
    g_array_set_size(columns->rows, 0);
}

// A filter in places instead of words.
typedef struct {
    gboolean asked[SHELF_COLUMNS], only;
    guint32 places[SHELF_COLUMNS], only_place;
    const ShelfColumnsFilter *filter;
} Sieve;

static gboolean passes(const Sieve *sieve, const Row *row, gint64 no)
{
    if (!row->there)
        return FALSE;
    for (guint i = 0; i < SHELF_COLUMNS; i++)
        if (sieve->asked[i] && (sieve->places[i] == 0 || row->values[i] != sieve->places[i]))
            return FALSE;
    if (sieve->only && no != sieve->filter->only_no &&
        (sieve->only_place == 0 || row->values[SHELF_COLUMN_NAME] != sieve->only_place))
        return FALSE;
    return (!sieve->filter->from_ns || row->started_ns >= sieve->filter->from_ns) &&
           (!sieve->filter->to_ns || row->started_ns < sieve->filter->to_ns);
}

static void select_one(const ShelfColumns *columns, const Sieve *sieve, gint64 no, GArray *matches)
{
    if (no < 1 || no >= columns->rows->len)
        return;
    const Row *row = &g_array_index(columns->rows, Row, no);
    if (!passes(sieve, row, no))
        return;
    ShelfMatch match = {.started_ns = row->started_ns, .no = (guint32)no};
    g_array_append_val(matches, match);
}

void shelf_columns_select(const ShelfColumns *columns, const ShelfColumnsFilter *filter,
                          const GArray *nos, GArray *matches)
{
    Sieve sieve = {.filter = filter, .only = filter->only_name != NULL};

    for (guint i = 0; i < SHELF_COLUMNS; i++) {
        sieve.asked[i] = filter->values[i] && *filter->values[i];
        sieve.places[i] = place_of(&columns->dictionaries[i], filter->values[i]);
    }
    sieve.only_place = place_of(&columns->dictionaries[SHELF_COLUMN_NAME], filter->only_name);
    // Mostly the newest have the largest numbers: then there is little to sort.
    if (!nos)
        for (guint no = columns->rows->len; no-- > 1;)
            select_one(columns, &sieve, no, matches);
    for (guint i = 0; nos && i < nos->len; i++)
        select_one(columns, &sieve, g_array_index(nos, gint64, i), matches);
}

static gint match_compare(gconstpointer a, gconstpointer b)
{
    const ShelfMatch *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? 1 : -1;
    if (x->started_ns != y->started_ns)
        return x->started_ns < y->started_ns ? 1 : -1;
    return x->no < y->no ? 1 : x->no > y->no ? -1 : 0;
}

void shelf_matches_sort(GArray *matches)
{
    for (guint i = 1; i < matches->len; i++)
        if (match_compare(&g_array_index(matches, ShelfMatch, i - 1),
                          &g_array_index(matches, ShelfMatch, i)) > 0) {
            g_array_sort(matches, match_compare);
            return;
        }
}

void shelf_columns_count(const ShelfColumns *columns, guint column, const GArray *matches,
                         void (*func)(void *user, const char *value, guint count), void *user)
{
    const GPtrArray *words = columns->dictionaries[column].words;
    g_autofree guint *counts = g_new0(guint, words->len);

    for (guint i = 0; i < matches->len; i++) {
        guint32 no = g_array_index(matches, ShelfMatch, i).no;
        counts[g_array_index(columns->rows, Row, no).values[column]]++;
    }
    for (guint place = 1; place < words->len; place++)
        if (counts[place])
            func(user, words->pdata[place], counts[place]);
}
