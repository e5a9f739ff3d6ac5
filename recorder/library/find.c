// SPDX-License-Identifier: MIT
#include "recorder/library/find.h"

#include "common/base/error.h"
#include "recorder/library/search.h"

#include <string.h>

// Weights are kept as whole numbers.
#define WEIGHT_STEPS 1e6

// Numbers that are sieved in one go.
#define BATCH 4096

static gboolean fail(sqlite3 *db, GError **error)
{
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "the library's index: cannot search: %s",
                sqlite3_errmsg(db));
    return FALSE;
}

static void facet_clear(void *data)
{
    g_free(((ShelfFacet *)data)->value);
}

void shelf_page_clear(ShelfPage *page)
{
    g_clear_pointer(&page->lessons, g_ptr_array_unref);
    for (guint i = 0; i < SHELF_FACETS; i++)
        g_clear_pointer(&page->facets[i], g_array_unref);
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql, const char *text, gint64 from,
                             GError **error)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(db, error);
        return NULL;
    }
    sqlite3_bind_text(statement, 1, text, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 2, from);
    return statement;
}

// The numbers from `from` on of those in which the words stand, the largest first.
static sqlite3_stmt *numbers_of(sqlite3 *db, const char *expression, gint64 from, GError **error)
{
    return prepare(
        db, "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid >= ?2 ORDER BY rowid DESC",
        expression, from, error);
}

// Ends the statement that gave `code` at last.
static gboolean finish(sqlite3 *db, sqlite3_stmt *statement, int code, GError **error)
{
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW || fail(db, error);
}

// What the words and the sieve let through. *ret_found: what the words did, as far as was looked.
static gboolean matches_find(sqlite3 *db, const ShelfColumns *columns, const char *expression,
                             const ShelfColumnsFilter *sieve, GArray *matches, guint *ret_found,
                             GError **error)
{
    sqlite3_stmt *statement = numbers_of(db, expression, 1, error);
    g_autoptr(GArray) numbers = g_array_sized_new(FALSE, FALSE, sizeof(gint64), BATCH);
    int code = SQLITE_ROW;

    if (!statement)
        return FALSE;
    *ret_found = 0;
    while (code == SQLITE_ROW && matches->len < SHELF_FIND_MAX) {
        g_array_set_size(numbers, 0);
        while (numbers->len < BATCH && (code = sqlite3_step(statement)) == SQLITE_ROW) {
            gint64 no = sqlite3_column_int64(statement, 0);
            g_array_append_val(numbers, no);
        }
        *ret_found += numbers->len;
        shelf_columns_select(columns, sieve, numbers, matches);
    }
    g_array_set_size(matches, MIN(matches->len, SHELF_FIND_MAX));
    return finish(db, statement, code, error);
}

// number → its weight among the found, the better the larger.
static gboolean weights_of(sqlite3 *db, const char *expression, GHashTable *weights, GError **error)
{
    sqlite3_stmt *statement =
        prepare(db,
                "SELECT rowid, -bm25(words, 10, 4, 4, 2, 3, 3, 1, 5) FROM words"
                " WHERE words MATCH ?1 AND rowid >= ?2",
                expression, 1, error);
    int code;

    if (!statement)
        return FALSE;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        g_hash_table_insert(weights, GUINT_TO_POINTER((guint)sqlite3_column_int64(statement, 0)),
                            GUINT_TO_POINTER((guint)CLAMP(
                                sqlite3_column_double(statement, 1) * WEIGHT_STEPS, 0, G_MAXINT)));
    return finish(db, statement, code, error);
}

// The numbers from `from` on.
static gboolean titles_of(sqlite3 *db, const char *titled, gint64 from, GHashTable *titles,
                          GError **error)
{
    sqlite3_stmt *statement = numbers_of(db, titled, from, error);
    int code;

    if (!statement)
        return FALSE;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        g_hash_table_insert(titles, GUINT_TO_POINTER((guint)sqlite3_column_int64(statement, 0)),
                            GUINT_TO_POINTER(1));
    return finish(db, statement, code, error);
}

// `matches` as they were found, the largest number first; `found`: how many the words did; `titled`
// finds those in whose titles all words stand.
static gboolean matches_rank(sqlite3 *db, const char *words, const char *titled, guint found,
                             GArray *matches, GError **error)
{
    g_autoptr(GHashTable) ranks = g_hash_table_new(NULL, NULL);
    if (matches->len == 0)
        return TRUE;
    gint64 from = g_array_index(matches, ShelfMatch, matches->len - 1).no;
    if (!(found <= SHELF_FIND_WEIGHED_MAX ? weights_of(db, words, ranks, error)
                                          : titles_of(db, titled, from, ranks, error)))
        return FALSE;
    for (guint i = 0; i < matches->len; i++) {
        ShelfMatch *match = &g_array_index(matches, ShelfMatch, i);
        match->rank =
            GPOINTER_TO_UINT(g_hash_table_lookup(ranks, GUINT_TO_POINTER((guint)match->no)));
    }
    return TRUE;
}

// The words of the query (`where`: "title : " or ""), and those of the facets in their columns: few
// rows are looked at then. The sieve has the last word.
static char *narrowed(const ShelfFilter *filter, const char *where, const char *expression)
{
    const char *const values[SHELF_FACETS] = {filter->subject, filter->grade, filter->teacher,
                                              filter->school};
    GString *out = g_string_new(NULL);
    g_string_append_printf(out, "%s(%s)", where, expression);
    for (guint i = 0; i < SHELF_FACETS; i++) {
        g_autofree char *words =
            values[i] && *values[i] ? shelf_search_expression(values[i]) : NULL;
        if (words)
            g_string_append_printf(out, " AND %s : (%s)", shelf_facet_names[i], words);
    }
    return g_string_free(out, FALSE);
}

// The number of the recording of that id; 0: there is none.
static gint64 number_of_id(sqlite3 *db, const char *id)
{
    sqlite3_stmt *statement =
        prepare(db, "SELECT no FROM recording WHERE id = ?1 AND no >= ?2", id, 1, NULL);
    gint64 no =
        statement && sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return no;
}

static void facet_add(void *user, const char *value, guint count)
{
    ShelfFacet facet = {g_strdup(value), count};
    g_array_append_val((GArray *)user, facet);
}

static gint facet_compare(gconstpointer a, gconstpointer b)
{
    const ShelfFacet *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->value, y->value);
}

static void count(const ShelfColumns *columns, const GArray *matches, ShelfPage *page)
{
    page->total = matches->len;
    for (guint i = 0; i < SHELF_FACETS; i++) {
        shelf_columns_count(columns, i, matches, facet_add, page->facets[i]);
        g_array_sort(page->facets[i], facet_compare);
        if (page->facets[i]->len > SHELF_FACET_VALUES_MAX)
            g_array_set_size(page->facets[i], SHELF_FACET_VALUES_MAX);
    }
}

static gboolean page_fill(sqlite3 *db, const GArray *matches, const ShelfFilter *filter,
                          ShelfPage *page, GError **error)
{
    sqlite3_stmt *get = NULL;
    int code =
        sqlite3_prepare_v2(db, "SELECT document FROM recording WHERE no = ?1", -1, &get, NULL);
    guint end = MIN(matches->len, filter->offset + filter->limit);

    for (guint i = filter->offset; code == SQLITE_OK && i < end; i++) {
        sqlite3_bind_int64(get, 1, g_array_index(matches, ShelfMatch, i).no);
        code = sqlite3_step(get);
        if (code == SQLITE_ROW) {
            RecLesson *lesson = rec_lesson_parse((const char *)sqlite3_column_text(get, 0),
                                                 (gsize)sqlite3_column_bytes(get, 0), NULL);
            if (lesson)
                g_ptr_array_add(page->lessons, lesson);
        }
        code = sqlite3_reset(get);
    }
    sqlite3_finalize(get);
    return code == SQLITE_OK || fail(db, error);
}

static gboolean find(sqlite3 *db, const ShelfColumns *columns, const ShelfFilter *filter,
                     const char *expression, ShelfPage *page, GError **error)
{
    const ShelfColumnsFilter sieve = {
        .values = {filter->subject, filter->grade, filter->teacher, filter->school, filter->name},
        .from_ns = filter->from_ns,
        .to_ns = filter->to_ns,
        .only_name = filter->lesson,
        .only_no = filter->lesson ? number_of_id(db, filter->lesson) : 0};
    g_autoptr(GArray) matches = g_array_new(FALSE, FALSE, sizeof(ShelfMatch));
    g_autofree char *words = expression ? narrowed(filter, "", expression) : NULL;
    g_autofree char *titled = expression ? narrowed(filter, "title : ", expression) : NULL;
    guint found;

    if (!words)
        shelf_columns_select(columns, &sieve, NULL, matches);
    else if (!matches_find(db, columns, words, &sieve, matches, &found, error) ||
             !matches_rank(db, words, titled, found, matches, error))
        return FALSE;
    shelf_matches_sort(matches);
    count(columns, matches, page);
    return page_fill(db, matches, filter, page, error);
}

gboolean shelf_find(sqlite3 *db, const ShelfColumns *columns, const ShelfFilter *filter,
                    ShelfPage *ret, GError **error)
{
    g_auto(ShelfPage)
        page = {.lessons = g_ptr_array_new_with_free_func((GDestroyNotify)rec_lesson_free)};
    gboolean asked = filter->query && *filter->query;
    g_autofree char *expression = asked ? shelf_search_expression(filter->query) : NULL;

    for (guint i = 0; i < SHELF_FACETS; i++) {
        page.facets[i] = g_array_new(FALSE, FALSE, sizeof(ShelfFacet));
        g_array_set_clear_func(page.facets[i], facet_clear);
    }
    // A query of punctuation alone finds nothing.
    if ((!asked || expression) && !find(db, columns, filter, expression, &page, error))
        return FALSE;
    *ret = page;
    memset(&page, 0, sizeof page);
    return TRUE;
}
