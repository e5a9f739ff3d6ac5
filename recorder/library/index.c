// SPDX-License-Identifier: MIT
#include "recorder/library/index.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "recorder/library/find.h"
#include "recorder/library/search.h"

#include <glib/gstdio.h>
#include <string.h>

#define VERSION 4
#define CHECKED_BYTES_MAX (64 << 20)

const char *const shelf_facet_names[SHELF_FACETS] = {"subject", "grade", "teacher", "school"};

struct _ShelfIndex {
    sqlite3 *db;
    ShelfColumns *columns;
    sqlite3_stmt *put, *put_text, *remove, *remove_text, *get, *newest;
};

// `context` joins what people write as one word: 高一数学函数的单调性, 数学高一.
static const char schema[] =
    "CREATE TABLE recording(no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " state INTEGER NOT NULL, started_ns INTEGER NOT NULL, subject TEXT, grade TEXT, teacher TEXT,"
    " school TEXT, stamp TEXT, document TEXT NOT NULL);"
    "CREATE INDEX recording_columns ON recording(started_ns, subject, grade, teacher, school, "
    "name);"
    "CREATE INDEX recording_name ON recording(name, started_ns);"
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
         " document, stamp) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
         " ON CONFLICT(id) DO UPDATE SET name=?2, state=?3, started_ns=?4, subject=?5, grade=?6,"
         " teacher=?7, school=?8, document=?9, stamp=?10 RETURNING no"},
        {&index->put_text,
         "INSERT INTO words(rowid, title, unit, teacher, school, subject, grade, description,"
         " context) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"},
        {&index->remove_text,
         "DELETE FROM words WHERE rowid = (SELECT no FROM recording WHERE id = ?1)"},
        {&index->remove, "DELETE FROM recording WHERE id = ?1 RETURNING no"},
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
    shelf_columns_free(index->columns);
    g_free(index);
}

// What is wrong with the file itself; all else (no room, no right, an error of the disk) may be
// gone at the next try.
static gboolean is_damage(sqlite3 *db)
{
    int code = sqlite3_errcode(db) & 0xff;
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

// Reads every page, so only while that is quick; a large index that is damaged says so in use.
static gboolean database_good(ShelfIndex *index, gboolean *ret_damaged, GError **error)
{
    sqlite3_stmt *check = NULL;
    gint64 bytes = number_of(index, "PRAGMA page_count") * number_of(index, "PRAGMA page_size");
    if (bytes > CHECKED_BYTES_MAX)
        return TRUE;
    gboolean told =
        sqlite3_prepare_v2(index->db, "PRAGMA quick_check(1)", -1, &check, NULL) == SQLITE_OK &&
        sqlite3_step(check) == SQLITE_ROW;
    gboolean good = told && g_strcmp0((const char *)sqlite3_column_text(check, 0), "ok") == 0;
    *ret_damaged = told ? !good : is_damage(index->db);
    if (!told)
        fail(index, "check", error);
    else if (!good)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "the library's index is damaged");
    sqlite3_finalize(check);
    return good;
}

// Reads recording_columns alone, in the order of its recordings' beginnings.
static gboolean columns_load(ShelfIndex *index, GError **error)
{
    sqlite3_stmt *all = NULL;
    const char *values[SHELF_COLUMNS];
    int code = sqlite3_prepare_v2(index->db,
                                  "SELECT no, started_ns, subject, grade, teacher, school, name"
                                  " FROM recording ORDER BY started_ns",
                                  -1, &all, NULL);

    index->columns = shelf_columns_new();
    while (code == SQLITE_OK && sqlite3_step(all) == SQLITE_ROW) {
        for (int i = 0; i < SHELF_COLUMNS; i++)
            values[i] = (const char *)sqlite3_column_text(all, i + 2);
        shelf_columns_put(index->columns, sqlite3_column_int64(all, 0),
                          sqlite3_column_int64(all, 1), values);
    }
    if (code == SQLITE_OK)
        code = sqlite3_reset(all);
    sqlite3_finalize(all);
    return code == SQLITE_OK || fail(index, "read what is counted", error);
}

// The schema and all that stands on it.
static gboolean content_open(ShelfIndex *index, gboolean look, gboolean *ret_fresh,
                             gboolean *ret_damaged, GError **error)
{
    gint64 version = number_of(index, "PRAGMA user_version");
    if (version < 0) {
        *ret_damaged = is_damage(index->db);
        return fail(index, "read", error);
    }
    *ret_fresh = version == 0;
    if (version != VERSION && (look || version != 0)) {
        *ret_damaged = TRUE;
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the library's index is of another version");
        return FALSE;
    }
    if (version == 0 && !run(index, schema, error))
        return FALSE;
    if (!prepare_all(index, error)) {
        // A table that is not there is no trouble of the disk's.
        *ret_damaged = is_damage(index->db) || sqlite3_errcode(index->db) == SQLITE_ERROR;
        return FALSE;
    }
    if (!database_good(index, ret_damaged, error))
        return FALSE;
    if (!columns_load(index, error)) {
        *ret_damaged = is_damage(index->db);
        return FALSE;
    }
    return TRUE;
}

// `look`: nothing is made or changed. *ret_damaged: it is no use to try this file again.
static ShelfIndex *open_once(const char *path, gboolean look, gboolean *ret_fresh,
                             gboolean *ret_damaged, GError **error)
{
    g_autoptr(ShelfIndex) index = g_new0(ShelfIndex, 1);
    int flags = look ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

    *ret_damaged = FALSE;
    if (sqlite3_open_v2(path, &index->db, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(index->db, 5000) != SQLITE_OK) {
        fail(index, "open", error);
        return NULL;
    }
    // What a power cut takes from the index is found again in the folders, by the stamps.
    if (!run(index,
             look ? "PRAGMA cache_size=-16384;"
                  : "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384;",
             error)) {
        *ret_damaged = is_damage(index->db);
        return NULL;
    }
    if (!shelf_search_register(index->db, error) ||
        !content_open(index, look, ret_fresh, ret_damaged, error))
        return NULL;
    return g_steal_pointer(&index);
}

static gboolean put_aside(const char *path, GError **error)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (gsize i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        g_autofree char *from = g_strconcat(path, suffixes[i], NULL);
        g_autofree char *to = g_strconcat(path, ".damaged", suffixes[i], NULL);
        if (g_file_test(from, G_FILE_TEST_EXISTS) && g_rename(from, to) != 0) {
            g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot put %s aside", from);
            return FALSE;
        }
    }
    return TRUE;
}

static char *path_of(const char *data)
{
    return g_build_filename(data, "library.sqlite", NULL);
}

ShelfIndex *shelf_index_open(const char *data, gboolean *ret_fresh, GError **error)
{
    g_autofree char *path = path_of(data);
    g_autoptr(GError) why = NULL;
    gboolean damaged;
    ShelfIndex *index = open_once(path, FALSE, ret_fresh, &damaged, &why);

    if (index)
        return index;
    if (!damaged) {
        g_propagate_error(error, g_steal_pointer(&why));
        return NULL;
    }
    tk_warning("%s; it is put aside and made anew from the folders", why->message);
    return put_aside(path, error) ? open_once(path, FALSE, ret_fresh, &damaged, error) : NULL;
}

ShelfIndex *shelf_index_open_memory(GError **error)
{
    gboolean fresh, damaged;
    return open_once(":memory:", FALSE, &fresh, &damaged, error);
}

ShelfIndex *shelf_index_look(const char *data, GError **error)
{
    g_autofree char *path = path_of(data);
    gboolean fresh, damaged;
    ShelfIndex *index = open_once(path, TRUE, &fresh, &damaged, error);
    if (!index)
        g_prefix_error(error,
                       "cannot look into %s, which the recorder makes when it starts: ", path);
    return index;
}

gboolean shelf_index_clear(ShelfIndex *index, GError **error)
{
    if (!run(index, "BEGIN; DELETE FROM recording; DELETE FROM words; COMMIT;", error))
        return FALSE;
    shelf_columns_clear(index->columns);
    return TRUE;
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

gboolean shelf_index_put(ShelfIndex *index, const RecLesson *lesson, const char *stamp,
                         GError **error)
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
    bind_text(put, 10, stamp);
    gboolean ok = sqlite3_step(put) == SQLITE_ROW;
    gint64 no = ok ? sqlite3_column_int64(put, 0) : 0;
    if (!ok)
        fail(index, "put a recording", error);
    sqlite3_reset(put);
    ok = ok && put_words(index, lesson, no, error);
    if (!run(index, ok ? "RELEASE put" : "ROLLBACK TO put; RELEASE put", ok ? error : NULL))
        return FALSE;
    if (ok)
        shelf_columns_put(index->columns, no, lesson->started_ns,
                          (const char *[]){info->subject, info->grade, info->teacher, info->school,
                                           lesson->name});
    return ok;
}

gboolean shelf_index_remove(ShelfIndex *index, const char *id, GError **error)
{
    bind_text(index->remove_text, 1, id);
    bind_text(index->remove, 1, id);
    if (!step_done(index, index->remove_text, "forget words", error))
        return FALSE;
    gboolean ok = sqlite3_step(index->remove) == SQLITE_ROW;
    if (ok)
        shelf_columns_remove(index->columns, sqlite3_column_int64(index->remove, 0));
    ok = sqlite3_reset(index->remove) == SQLITE_OK;
    return ok || fail(index, "forget a recording", error);
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
    GHashTable *ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(
        index->db, "SELECT id, iif(state = ?1, ifnull(stamp, ''), '') FROM recording", -1,
        &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_int(statement, 1, REC_STATE_CLOSED);
    while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        g_hash_table_insert(ids, g_strdup((const char *)sqlite3_column_text(statement, 0)),
                            g_strdup((const char *)sqlite3_column_text(statement, 1)));
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

gboolean shelf_index_find(ShelfIndex *index, const ShelfFilter *filter, ShelfPage *ret,
                          GError **error)
{
    return shelf_find(index->db, index->columns, filter, ret, error);
}
