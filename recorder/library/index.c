// SPDX-License-Identifier: MIT
#include "recorder/library/index.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "recorder/library/search.h"

#include <glib/gstdio.h>
#include <string.h>

#define VERSION 3
#define CHECKED_BYTES_MAX (64 << 20)

const char *const shelf_facet_names[SHELF_FACETS] = {"subject", "grade", "teacher", "school"};

struct _ShelfIndex {
    sqlite3 *db;
    sqlite3_stmt *put, *put_text, *remove, *remove_text, *get, *newest;
};

// `context` joins what people write as one word: 高一数学函数的单调性, 数学高一.
static const char schema[] =
    "CREATE TABLE recording(no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " state INTEGER NOT NULL, started_ns INTEGER NOT NULL, subject TEXT, grade TEXT, teacher TEXT,"
    " school TEXT, document TEXT NOT NULL);"
    "CREATE INDEX recording_started ON recording(started_ns);"
    "CREATE INDEX recording_name ON recording(name, started_ns);"
    "CREATE INDEX recording_subject ON recording(subject, started_ns);"
    "CREATE INDEX recording_grade ON recording(grade, started_ns);"
    "CREATE INDEX recording_teacher ON recording(teacher, started_ns);"
    "CREATE INDEX recording_school ON recording(school, started_ns);"
    "CREATE VIRTUAL TABLE words USING fts5(title, unit, teacher, school, subject, grade,"
    " description, context, tokenize='tongke', prefix='1');"
    "PRAGMA user_version=" G_STRINGIFY(VERSION) ";";

static gboolean fail(ShelfIndex *index, const char *what, GError **error)
{
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "the library's index: cannot %s: %s", what,
                sqlite3_errmsg(index->db));
    return FALSE;
}

static gboolean run(ShelfIndex *index, const char *sql, GError **error)
{
    if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(index, "run a statement", error);
    return TRUE;
}

static gint64 number_of(ShelfIndex *index, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    gint64 value = -1;
    if (sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static gboolean prepare_all(ShelfIndex *index, GError **error)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&index->put,
         "INSERT INTO recording(id, name, state, started_ns, subject, grade, teacher, school,"
         " document) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
         " ON CONFLICT(id) DO UPDATE SET name=?2, state=?3, started_ns=?4, subject=?5, grade=?6,"
         " teacher=?7, school=?8, document=?9 RETURNING no"},
        {&index->put_text,
         "INSERT INTO words(rowid, title, unit, teacher, school, subject, grade, description,"
         " context) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&index->remove_text,
         "DELETE FROM words WHERE rowid = (SELECT no FROM recording WHERE id = ?1)"},
        {&index->remove, "DELETE FROM recording WHERE id = ?1"},
        {&index->get, "SELECT document FROM recording WHERE id = ?1"},
        {&index->newest,
         "SELECT document FROM recording WHERE name = ?1 ORDER BY started_ns DESC LIMIT 1"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        if (sqlite3_prepare_v3(index->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                               all[i].statement, NULL) != SQLITE_OK)
            return fail(index, "prepare", error);
    return TRUE;
}

void shelf_index_free(ShelfIndex *index)
{
    if (!index)
        return;
    sqlite3_stmt *all[] = {index->put,         index->put_text, index->remove,
                           index->remove_text, index->get,      index->newest};
    for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
        sqlite3_finalize(all[i]);
    sqlite3_close(index->db);
    g_free(index);
}

// Reads every page, so only while that is quick; a large index that is damaged says so in use.
static gboolean database_good(ShelfIndex *index)
{
    sqlite3_stmt *check = NULL;
    gint64 bytes = number_of(index, "PRAGMA page_count") * number_of(index, "PRAGMA page_size");
    gboolean good =
        bytes > CHECKED_BYTES_MAX ||
        (sqlite3_prepare_v2(index->db, "PRAGMA quick_check(1)", -1, &check, NULL) == SQLITE_OK &&
         sqlite3_step(check) == SQLITE_ROW &&
         g_strcmp0((const char *)sqlite3_column_text(check, 0), "ok") == 0);
    sqlite3_finalize(check);
    return good;
}

static ShelfIndex *open_once(const char *path, gboolean *ret_fresh, GError **error)
{
    g_autoptr(ShelfIndex) index = g_new0(ShelfIndex, 1);
    if (sqlite3_open_v2(path, &index->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
            SQLITE_OK ||
        sqlite3_busy_timeout(index->db, 5000) != SQLITE_OK) {
        fail(index, "open", error);
        return NULL;
    }
    // The folders are the truth: what a power cut takes from the index is found again in them.
    if (!run(index, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384;",
             error) ||
        !shelf_search_register(index->db, error))
        return NULL;
    gint64 version = number_of(index, "PRAGMA user_version");
    *ret_fresh = version == 0;
    if (version != 0 && version != VERSION) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the library's index is of another version");
        return NULL;
    }
    if (version == 0 && !run(index, schema, error))
        return NULL;
    if (!prepare_all(index, error))
        return NULL;
    if (!database_good(index)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the library's index is damaged");
        return NULL;
    }
    return g_steal_pointer(&index);
}

ShelfIndex *shelf_index_open(const char *data, gboolean *ret_fresh, GError **error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    g_autofree char *path = g_build_filename(data, "library.sqlite", NULL);
    g_autoptr(GError) why = NULL;
    ShelfIndex *index = open_once(path, ret_fresh, &why);

    if (index)
        return index;
    tk_warning("%s; it is put aside and made anew from the folders", why->message);
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *from = g_strconcat(path, suffixes[i], NULL);
        g_autofree char *to = g_strconcat(path, ".damaged", suffixes[i], NULL);
        if (g_file_test(from, G_FILE_TEST_EXISTS) && g_rename(from, to) != 0) {
            g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot put %s aside", from);
            return NULL;
        }
    }
    return open_once(path, ret_fresh, error);
}

gboolean shelf_index_clear(ShelfIndex *index, GError **error)
{
    return run(index, "BEGIN; DELETE FROM recording; DELETE FROM words; COMMIT;", error);
}

gboolean shelf_index_begin(ShelfIndex *index, GError **error)
{
    return run(index, "BEGIN", error);
}

gboolean shelf_index_commit(ShelfIndex *index, GError **error)
{
    return run(index, "COMMIT", error);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(statement, at, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(statement, at);
}

static gboolean step_done(ShelfIndex *index, sqlite3_stmt *statement, const char *what,
                          GError **error)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW || fail(index, what, error);
}

static gboolean put_words(ShelfIndex *index, const RecLesson *lesson, gint64 no, GError **error)
{
    const TkLessonInfo *info = lesson->info;
    const char *grade = info->grade ? info->grade : "",
               *subject = info->subject ? info->subject : "";
    const char *title = info->title ? info->title : "";
    g_autofree char *context =
        g_strdup_printf("%s%s%s %s%s%s", grade, subject, title, subject, grade, title);
    const char *columns[] = {info->title,   info->unit,  info->teacher,     info->school,
                             info->subject, info->grade, info->description, context};

    bind_text(index->remove_text, 1, lesson->id);
    if (!step_done(index, index->remove_text, "forget words", error))
        return FALSE;
    sqlite3_bind_int64(index->put_text, 1, no);
    for (int i = 0; i < (int)G_N_ELEMENTS(columns); i++)
        bind_text(index->put_text, i + 2, columns[i]);
    return step_done(index, index->put_text, "put words", error);
}

gboolean shelf_index_put(ShelfIndex *index, const RecLesson *lesson, GError **error)
{
    g_autofree char *document = rec_lesson_dump(lesson);
    const TkLessonInfo *info = lesson->info;
    sqlite3_stmt *put = index->put;

    if (!run(index, "SAVEPOINT put", error))
        return FALSE;
    bind_text(put, 1, lesson->id);
    bind_text(put, 2, lesson->name);
    sqlite3_bind_int(put, 3, lesson->state);
    sqlite3_bind_int64(put, 4, lesson->started_ns);
    bind_text(put, 5, info->subject);
    bind_text(put, 6, info->grade);
    bind_text(put, 7, info->teacher);
    bind_text(put, 8, info->school);
    bind_text(put, 9, document);
    gboolean ok = sqlite3_step(put) == SQLITE_ROW;
    gint64 no = ok ? sqlite3_column_int64(put, 0) : 0;
    if (!ok)
        fail(index, "put a recording", error);
    sqlite3_reset(put);
    ok = ok && put_words(index, lesson, no, error);
    if (!run(index, ok ? "RELEASE put" : "ROLLBACK TO put; RELEASE put", ok ? error : NULL))
        return FALSE;
    return ok;
}

gboolean shelf_index_remove(ShelfIndex *index, const char *id, GError **error)
{
    bind_text(index->remove_text, 1, id);
    bind_text(index->remove, 1, id);
    return step_done(index, index->remove_text, "forget words", error) &&
           step_done(index, index->remove, "forget a recording", error);
}

static RecLesson *document_parse(sqlite3_stmt *statement, int column, GError **error)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return rec_lesson_parse(text ? text : "", (gsize)sqlite3_column_bytes(statement, column),
                            error);
}

static RecLesson *get_one(ShelfIndex *index, sqlite3_stmt *get, const char *key, GError **error)
{
    RecLesson *lesson = NULL;
    bind_text(get, 1, key);
    int code = sqlite3_step(get);
    if (code == SQLITE_ROW)
        lesson = document_parse(get, 0, error);
    else if (code == SQLITE_DONE)
        g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND, "there is no recording %s", key);
    else
        fail(index, "read a recording", error);
    sqlite3_reset(get);
    return lesson;
}

RecLesson *shelf_index_get(ShelfIndex *index, const char *id, GError **error)
{
    return get_one(index, index->get, id, error);
}

RecLesson *shelf_index_newest(ShelfIndex *index, const char *name, GError **error)
{
    return get_one(index, index->newest, name, error);
}

GHashTable *shelf_index_ids(ShelfIndex *index, GError **error)
{
    GHashTable *ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    sqlite3_stmt *statement = NULL;
    int code =
        sqlite3_prepare_v2(index->db, "SELECT id, state FROM recording", -1, &statement, NULL);

    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        g_hash_table_insert(ids, g_strdup((const char *)sqlite3_column_text(statement, 0)),
                            GINT_TO_POINTER(sqlite3_column_int(statement, 1) + 1));
        code = SQLITE_OK;
    }
    if (code != SQLITE_DONE) {
        fail(index, "list", error);
        g_clear_pointer(&ids, g_hash_table_unref);
    }
    sqlite3_finalize(statement);
    return ids;
}

GPtrArray *shelf_index_older(ShelfIndex *index, gint64 before_ns, guint limit, gint64 *at,
                             GError **error)
{
    g_autoptr(GPtrArray) lessons = g_ptr_array_new_with_free_func((GDestroyNotify)rec_lesson_free);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(index->db,
                                  "SELECT no, document FROM recording WHERE no > ?1 AND"
                                  " started_ns < ?2 AND state = ?3 ORDER BY no LIMIT ?4",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(statement, 1, *at);
        sqlite3_bind_int64(statement, 2, before_ns);
        sqlite3_bind_int(statement, 3, REC_STATE_CLOSED);
        sqlite3_bind_int64(statement, 4, limit);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            RecLesson *lesson = document_parse(statement, 1, NULL);
            *at = sqlite3_column_int64(statement, 0);
            if (lesson)
                g_ptr_array_add(lessons, lesson);
        }
    }
    gboolean ok = code == SQLITE_DONE || fail(index, "list old recordings", error);
    sqlite3_finalize(statement);
    return ok ? g_steal_pointer(&lessons) : NULL;
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

// The FROM and WHERE of a filter; `bindings` collects the values of its question marks in order.
static char *filter_sql(const ShelfFilter *filter, const char *expression, GPtrArray *bindings)
{
    const char *const values[SHELF_FACETS] = {filter->subject, filter->grade, filter->teacher,
                                              filter->school};
    GString *sql = g_string_new(" FROM recording");

    if (expression) {
        g_string_append(sql, " JOIN words ON words.rowid = recording.no WHERE words MATCH ?");
        g_ptr_array_add(bindings, g_strdup(expression));
    } else {
        g_string_append(sql, " WHERE 1");
    }
    for (guint i = 0; i < SHELF_FACETS; i++) {
        if (!values[i] || !*values[i])
            continue;
        g_string_append_printf(sql, " AND recording.%s = ?", shelf_facet_names[i]);
        g_ptr_array_add(bindings, g_strdup(values[i]));
    }
    if (filter->name && *filter->name) {
        g_string_append(sql, " AND recording.name = ?");
        g_ptr_array_add(bindings, g_strdup(filter->name));
    }
    if (filter->lesson) {
        g_string_append(sql, " AND ? IN (recording.name, recording.id)");
        g_ptr_array_add(bindings, g_strdup(filter->lesson));
    }
    if (filter->from_ns)
        g_string_append_printf(sql, " AND started_ns >= %" G_GINT64_FORMAT, filter->from_ns);
    if (filter->to_ns)
        g_string_append_printf(sql, " AND started_ns < %" G_GINT64_FORMAT, filter->to_ns);
    return g_string_free(sql, FALSE);
}

static sqlite3_stmt *filter_prepare(ShelfIndex *index, const char *before, const char *where,
                                    const char *after, const GPtrArray *bindings, GError **error)
{
    g_autofree char *sql = g_strconcat(before, where, after, NULL);
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(index->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        fail(index, "search", error);
        return NULL;
    }
    for (guint i = 0; i < bindings->len; i++)
        bind_text(statement, (int)i + 1, bindings->pdata[i]);
    return statement;
}

static gboolean find_lessons(ShelfIndex *index, const ShelfFilter *filter, gboolean ranked,
                             const char *where, const GPtrArray *bindings, ShelfPage *page,
                             GError **error)
{
    g_autofree char *order = g_strdup_printf(
        " ORDER BY %sstarted_ns DESC, recording.no DESC LIMIT %u OFFSET %u",
        ranked ? "bm25(words, 10, 4, 4, 2, 3, 3, 1, 5), " : "", filter->limit, filter->offset);
    sqlite3_stmt *statement =
        filter_prepare(index, "SELECT document", where, order, bindings, error);
    int code;

    if (!statement)
        return FALSE;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        RecLesson *lesson = document_parse(statement, 0, NULL);
        if (lesson)
            g_ptr_array_add(page->lessons, lesson);
    }
    if (code != SQLITE_DONE)
        fail(index, "search", error);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static gboolean find_facet(ShelfIndex *index, const char *column, const char *where,
                           const GPtrArray *bindings, GArray *facets, GError **error)
{
    g_autofree char *select = g_strdup_printf("SELECT recording.%s, count(*)", column);
    g_autofree char *group =
        g_strdup_printf(" AND recording.%s IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %d",
                        column, SHELF_FACET_VALUES_MAX);
    sqlite3_stmt *statement = filter_prepare(index, select, where, group, bindings, error);
    int code;

    if (!statement)
        return FALSE;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        ShelfFacet facet = {g_strdup((const char *)sqlite3_column_text(statement, 0)),
                            (guint)sqlite3_column_int64(statement, 1)};
        g_array_append_val(facets, facet);
    }
    if (code != SQLITE_DONE)
        fail(index, "count", error);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static gint facet_compare(gconstpointer a, gconstpointer b)
{
    const ShelfFacet *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : strcmp(x->value, y->value);
}

// What a search finds is gone through once for the total and all facets: finding it again for each
// of them costs more than counting here.
static gboolean find_counts(ShelfIndex *index, const char *where, const GPtrArray *bindings,
                            ShelfPage *page, GError **error)
{
    sqlite3_stmt *statement = filter_prepare(
        index, "SELECT recording.subject, recording.grade, recording.teacher, recording.school",
        where, "", bindings, error);
    GHashTable *counts[SHELF_FACETS];
    int code;

    if (!statement)
        return FALSE;
    for (guint i = 0; i < SHELF_FACETS; i++)
        counts[i] = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        page->total++;
        for (guint i = 0; i < SHELF_FACETS; i++) {
            const char *value = (const char *)sqlite3_column_text(statement, (int)i);
            void *count = value ? g_hash_table_lookup(counts[i], value) : NULL;
            if (value)
                g_hash_table_insert(counts[i], g_strdup(value),
                                    GUINT_TO_POINTER(GPOINTER_TO_UINT(count) + 1));
        }
    }
    if (code != SQLITE_DONE)
        fail(index, "count", error);
    sqlite3_finalize(statement);
    for (guint i = 0; i < SHELF_FACETS; i++) {
        GHashTableIter iter;
        void *value, *count;
        g_hash_table_iter_init(&iter, counts[i]);
        while (g_hash_table_iter_next(&iter, &value, &count)) {
            ShelfFacet facet = {g_strdup(value), GPOINTER_TO_UINT(count)};
            g_array_append_val(page->facets[i], facet);
        }
        g_hash_table_unref(counts[i]);
        g_array_sort(page->facets[i], facet_compare);
        if (page->facets[i]->len > SHELF_FACET_VALUES_MAX)
            g_array_set_size(page->facets[i], SHELF_FACET_VALUES_MAX);
    }
    return code == SQLITE_DONE;
}

// Without words the columns' own indexes count.
static gboolean list_counts(ShelfIndex *index, const char *where, const GPtrArray *bindings,
                            ShelfPage *page, GError **error)
{
    sqlite3_stmt *count = filter_prepare(index, "SELECT count(*)", where, "", bindings, error);
    if (!count)
        return FALSE;
    gboolean ok = sqlite3_step(count) == SQLITE_ROW || fail(index, "count", error);
    page->total = (guint)sqlite3_column_int64(count, 0);
    sqlite3_finalize(count);
    for (guint i = 0; ok && i < SHELF_FACETS; i++)
        ok = find_facet(index, shelf_facet_names[i], where, bindings, page->facets[i], error);
    return ok;
}

gboolean shelf_index_find(ShelfIndex *index, const ShelfFilter *filter, ShelfPage *ret,
                          GError **error)
{
    g_auto(ShelfPage)
        page = {.lessons = g_ptr_array_new_with_free_func((GDestroyNotify)rec_lesson_free)};
    g_autoptr(GPtrArray) bindings = g_ptr_array_new_with_free_func(g_free);
    gboolean asked = filter->query && *filter->query;
    g_autofree char *expression = asked ? shelf_search_expression(filter->query) : NULL;

    for (guint i = 0; i < SHELF_FACETS; i++) {
        page.facets[i] = g_array_new(FALSE, FALSE, sizeof(ShelfFacet));
        g_array_set_clear_func(page.facets[i], facet_clear);
    }
    // A query of punctuation alone finds nothing.
    if (!asked || expression) {
        g_autofree char *where = filter_sql(filter, expression, bindings);
        gboolean ok =
            (expression ? find_counts : list_counts)(index, where, bindings, &page, error) &&
            find_lessons(index, filter, expression != NULL, where, bindings, &page, error);
        if (!ok)
            return FALSE;
    }
    *ret = page;
    memset(&page, 0, sizeof page);
    return TRUE;
}
