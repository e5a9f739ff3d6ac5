// SPDX-License-Identifier: MIT
#include "recorder/scan.h"

#include "common/base/log.h"
#include "common/base/ulid.h"
#include "recorder/archive/heal.h"
#include "recorder/archive/recover.h"
#include "recorder/library/remove.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

// So many puts go into one transaction.
#define BATCH 500

typedef struct {
    const char *data;
    ShelfIndex *index;
    GHashTable *known; // as shelf_index_ids; what is left at the end has no folder
    gboolean all;
    GPtrArray *open; // RecLesson
    RecScanCounts counts;
} Scan;

static gboolean recording_scan(Scan *scan, const char *folder, const char *id, GError **error)
{
    g_autofree char *order = g_build_filename(folder, REC_HEAL_FILE, NULL);
    gboolean healing = g_file_test(order, G_FILE_TEST_EXISTS);
    g_autoptr(GError) unhealed = NULL;
    g_autofree char *stamp = rec_lesson_stamp(folder);
    gboolean same =
        !healing && g_strcmp0(stamp, g_hash_table_lookup(scan->known, id)) == 0 && stamp;
    g_autoptr(GError) why = NULL;
    gboolean changed = FALSE;

    g_hash_table_remove(scan->known, id);
    scan->counts.folders++;
    if (same && !scan->all)
        return TRUE;
    if (!rec_heal_finish(folder, &unhealed))
        tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = id}, "its healing cannot be ended: %s",
               unhealed->message);
    else if (healing) {
        g_free(stamp);
        stamp = rec_lesson_stamp(folder);
    }
    g_autoptr(RecLesson) lesson = rec_recover_lesson(folder, id, FALSE, &changed, &why);
    if (!lesson) {
        scan->counts.failed++;
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id},
               "left out of the library: %s; the folder is left as it is", why->message);
        return TRUE;
    }
    if (changed) {
        gboolean saved = rec_lesson_save(lesson, folder, &why);
        g_free(stamp);
        stamp = saved ? rec_lesson_stamp(folder) : NULL;
        if (!saved)
            tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id}, "put right, but not noted: %s",
                   why->message);
    }
    if (!shelf_index_put(scan->index, lesson, stamp, error))
        return FALSE;
    if (++scan->counts.put % BATCH == 0 &&
        (!shelf_index_commit(scan->index, error) || !shelf_index_begin(scan->index, error)))
        return FALSE;
    if (lesson->state != REC_STATE_CLOSED)
        g_ptr_array_add(scan->open, g_steal_pointer(&lesson));
    return TRUE;
}

// A deletion that was noted is ended. One that was not has never been answered: it did not happen.
static void leaving_settle(const Scan *scan, const char *leaving, const char *id)
{
    g_autofree char *month = g_path_get_dirname(leaving);
    g_autofree char *folder = g_build_filename(month, id, NULL);
    g_autoptr(GError) error = NULL;

    if (shelf_was_deleted(scan->data, id)) {
        shelf_folder_remove(leaving);
        return;
    }
    if (g_rename(leaving, folder) != 0)
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id}, "%s cannot be put back: %s", leaving,
               g_strerror(errno));
    else if (!rec_folder_sync(month, &error))
        tk_warning("%s", error->message);
    else
        tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = id},
               "its deletion was cut off before it was noted: it stays");
}

static char *leaving_id(const char *name)
{
    gsize length = strlen(name) - strlen(SHELF_DELETED_SUFFIX);
    g_autofree char *id =
        g_str_has_suffix(name, SHELF_DELETED_SUFFIX) ? g_strndup(name, length) : NULL;
    return id && tk_ulid_valid(id) ? g_steal_pointer(&id) : NULL;
}

static gboolean month_scan(Scan *scan, const char *path, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *folder = g_build_filename(path, name, NULL);
        g_autofree char *id = leaving_id(name);
        if (id)
            leaving_settle(scan, folder, id);
    }
    // Anew: what was put back is there now.
    if (dir)
        g_dir_rewind(dir);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *folder = g_build_filename(path, name, NULL);
        g_autofree char *id = leaving_id(name);
        if (id)
            continue;
        if (!tk_ulid_valid(name))
            tk_warning("%s is not a recording; it is left alone", folder);
        else if (!recording_scan(scan, folder, name, error))
            return FALSE;
    }
    return TRUE;
}

// Calls itself once: years, then months.
static gboolean folders_scan(Scan *scan, const char *path, gboolean months, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *folder = g_build_filename(path, name, NULL);
        if (strspn(name, "0123456789") != strlen(name))
            tk_warning("%s is not a folder of recordings; it is left alone", folder);
        else if (!(months ? month_scan(scan, folder, error)
                          : folders_scan(scan, folder, TRUE, error)))
            return FALSE;
    }
    return TRUE;
}

static gboolean gone_forget(Scan *scan, GError **error)
{
    GHashTableIter iter;
    void *id;
    g_hash_table_iter_init(&iter, scan->known);
    while (g_hash_table_iter_next(&iter, &id, NULL)) {
        if (!shelf_index_remove(scan->index, id, error))
            return FALSE;
        scan->counts.removed++;
    }
    return TRUE;
}

gboolean rec_scan(const char *data, ShelfIndex *index, gboolean all, RecScanOpenFunc on_open,
                  void *user, RecScanCounts *ret, GError **error)
{
    g_autofree char *lessons = g_build_filename(data, "lessons", NULL);
    g_autoptr(GPtrArray) open = g_ptr_array_new_with_free_func((GDestroyNotify)rec_lesson_free);
    Scan scan = {.data = data, .index = index, .all = all, .open = open};

    scan.known = shelf_index_ids(index, error);
    if (!scan.known)
        return FALSE;
    gboolean ok = shelf_index_begin(index, error) && folders_scan(&scan, lessons, FALSE, error) &&
                  gone_forget(&scan, error) && shelf_index_commit(index, error);
    g_hash_table_unref(scan.known);
    if (!ok)
        return FALSE;
    while (on_open && open->len > 0) {
        RecLesson *lesson = g_ptr_array_steal_index_fast(open, open->len - 1);
        g_autofree char *folder = rec_folder_path(data, lesson->id);
        on_open(lesson, folder, user);
    }
    *ret = scan.counts;
    return TRUE;
}
