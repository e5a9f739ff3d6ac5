// SPDX-License-Identifier: MIT
#include "recorder/archive/heal.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define ORDER_BYTES_MAX (64u << 10)

static gboolean put_in_place(const char *folder, const char *stream, const char *suffix,
                             GError **error)
{
    g_autofree char *path = rec_stream_path(folder, stream, suffix);
    g_autofree char *fresh = g_strconcat(path, ".new", NULL);
    if (g_rename(fresh, path) == 0 || errno == ENOENT) // ENOENT: before the crash
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot put %s in place: %s", fresh,
                g_strerror(errno));
    return FALSE;
}

// What the initialisation segment says of a stream of which no relay ever told.
static void describe(RecStream *stream, const guint8 *media, const RecEntry *entry)
{
    TkCmafInit init = {0};
    if (stream->mime || !tk_cmaf_init_parse(media + entry->offset, entry->bytes, &init))
        return;
    g_autofree char *codecs = tk_cmaf_codecs(init.tracks, init.tracks_count);
    gboolean video = FALSE;
    for (guint i = 0; i < init.tracks_count; i++) {
        if (init.tracks[i].kind != TK_TRACK_VIDEO)
            continue;
        video = TRUE;
        stream->width = init.tracks[i].width;
        stream->height = init.tracks[i].height;
    }
    stream->mime = g_strdup_printf("%s/mp4; codecs=\"%s\"", video ? "video" : "audio", codecs);
    tk_cmaf_init_clear(&init);
}

static gboolean stream_recount(RecLesson *lesson, const char *folder, const char *name,
                               GError **error)
{
    g_autofree char *index = rec_stream_path(folder, name, "index");
    g_autofree char *path = rec_stream_path(folder, name, "mp4");
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, error);
    RecStream *stream = rec_lesson_stream(lesson, name, TRUE);
    guint64 at = 0;

    if (!file || !rec_index_read(index, entries, &at, NULL, error))
        return FALSE;
    if (!stream)
        return TRUE;
    rec_lesson_reset_stream(lesson, stream);
    for (guint i = 0; i < entries->len; i++) {
        const RecEntry *entry = &g_array_index(entries, RecEntry, i);
        rec_lesson_add_entry(lesson, stream, entry);
        if (entry->flags & REC_ENTRY_INIT)
            describe(stream, (const guint8 *)g_mapped_file_get_contents(file), entry);
    }
    return TRUE;
}

static void remove_spent(const char *folder, const char *stream)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    g_autofree char *head = g_strconcat(stream, ".head", NULL);
    g_autofree char *prefix = g_strconcat(stream, ".", NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (strcmp(name, head) == 0 ||
            (g_str_has_prefix(name, prefix) && g_str_has_suffix(name, REC_UPLOAD_SUFFIX)))
            g_unlink(path);
    }
}

static json_t *order_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    gsize size;
    if (!g_file_get_contents(path, &text, &size, error))
        return NULL;
    return tk_json_parse(text, size, ORDER_BYTES_MAX, error);
}

gboolean rec_heal_discard(const char *folder)
{
    static const char *const endings[] = {".mp4.new", ".index.new", ".index.new.new"};
    g_autofree char *order = g_build_filename(folder, REC_HEAL_FILE, NULL);
    g_autoptr(GDir) dir = NULL;
    const char *name;

    if (g_file_test(order, G_FILE_TEST_EXISTS))
        return FALSE;
    dir = g_dir_open(folder, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        for (guint i = 0; i < G_N_ELEMENTS(endings); i++)
            if (g_str_has_suffix(name, endings[i]))
                g_unlink(path);
    }
    return TRUE;
}

gboolean rec_heal_finish(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, REC_HEAL_FILE, NULL);
    const json_t *item;
    size_t i;

    if (rec_heal_discard(folder))
        return TRUE;
    g_autoptr(json_t) order = order_load(path, error);
    const json_t *streams = json_object_get(order, "streams");
    json_array_foreach(streams, i, item)
    {
        const char *name = json_string_value(item);
        if (!name || !tk_name_stream_valid(name))
            continue;
        if (!put_in_place(folder, name, "mp4", error) ||
            !put_in_place(folder, name, "index", error))
            return FALSE;
        remove_spent(folder, name);
    }
    g_autoptr(RecLesson) lesson = order ? rec_lesson_load(folder, error) : NULL;
    if (!lesson || !rec_folder_sync(folder, error))
        return FALSE;
    lesson->started_ns = tk_json_int(order, "started_ns", lesson->started_ns);
    json_array_foreach(streams, i, item)
    {
        if (!stream_recount(lesson, folder, json_string_value(item), error))
            return FALSE;
    }
    if (lesson->ended_ns)
        lesson->ended_ns = MAX(lesson->ended_ns, lesson->started_ns + rec_lesson_end_ns(lesson));
    if (!rec_lesson_save(lesson, folder, error))
        return FALSE;
    g_unlink(path);
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id}, "healed: %u gaps are left",
           rec_lesson_open_gaps(lesson));
    return rec_folder_sync(folder, error);
}

gboolean rec_heal_commit(const char *folder, const RecLesson *lesson, gint64 moved_ns,
                         GError **error)
{
    g_autofree char *path = g_build_filename(folder, REC_HEAL_FILE, NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
    g_autoptr(json_t) order = json_object();
    json_t *streams = json_array();
    const char *name;

    json_object_set_new(order, "streams", streams);
    tk_json_set_int(order, "started_ns", lesson->started_ns - moved_ns);
    while (dir && (name = g_dir_read_name(dir))) {
        if (!g_str_has_suffix(name, ".index.new"))
            continue;
        g_autofree char *stream = g_strndup(name, strlen(name) - strlen(".index.new"));
        json_array_append_new(streams, json_string(stream));
    }
    g_autofree char *text = tk_json_dump(order);
    // The new files' names must be durable before an order that speaks of them.
    if (dir && rec_folder_sync(folder, error) && rec_file_replace(path, text, strlen(text), error))
        return rec_heal_finish(folder, error);
    (void)rec_heal_discard(folder);
    return FALSE;
}
