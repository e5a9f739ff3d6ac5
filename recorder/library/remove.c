// SPDX-License-Identifier: MIT
#include "recorder/library/remove.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void shelf_folder_remove(const char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (rec_file_is_ours(name) && g_unlink(path) != 0)
            tk_warning("cannot remove %s: %s", path, g_strerror(errno));
    }
    if (g_rmdir(folder) != 0)
        tk_warning("%s is left with files that are not the recorder's: %s", folder,
                   g_strerror(errno));
}

static json_t *streams_json(const RecLesson *lesson, const char *folder)
{
    json_t *streams = json_array();
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        g_autofree char *path = rec_stream_path(folder, stream->name, "index");
        g_autoptr(GMappedFile) index = g_mapped_file_new(path, FALSE, NULL);
        json_t *object = json_object();
        tk_json_set_string(object, "name", stream->name);
        tk_json_set_int(object, "size_bytes", (gint64)stream->size_bytes);
        if (index) {
            g_autoptr(GBytes) bytes = g_mapped_file_get_bytes(index);
            g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
            tk_json_set_string(object, "index_sha256", sum);
        }
        json_array_append_new(streams, object);
    }
    return streams;
}

static gboolean deletion_note(const char *data, const RecLesson *lesson, const char *folder,
                              const char *by, const char *reason, GError **error)
{
    g_autofree char *path = g_build_filename(data, "deletions.jsonl", NULL);
    g_autoptr(json_t) note = json_object();
    tk_json_set_time(note, "time", tk_clock_wall_ns());
    tk_json_set_string(note, "id", lesson->id);
    tk_json_set_string(note, "name", lesson->name);
    tk_json_set_string(note, "title", lesson->info->title);
    tk_json_set_time(note, "started", lesson->started_ns);
    tk_json_set_string(note, "reason", reason);
    tk_json_set_string(note, "by", by);
    json_object_set_new(note, "streams", streams_json(lesson, folder));
    g_autofree char *text = tk_json_dump(note);
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    gboolean ok = fd >= 0 && rec_write_all(fd, line, strlen(line)) && fsync(fd) == 0;
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot note the deletion in %s: %s", path,
                    g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok && rec_folder_sync(data, error);
}

gboolean shelf_remove(const char *data, ShelfIndex *index, const RecLesson *lesson, const char *by,
                      const char *reason, GError **error)
{
    g_autofree char *folder = rec_folder_path(data, lesson->id);
    g_autofree char *leaving = g_strconcat(folder, SHELF_DELETED_SUFFIX, NULL);

    // The note comes first: a deletion without one must not happen, the other way round it may.
    if (!deletion_note(data, lesson, folder, by, reason, error))
        return FALSE;
    if (g_rename(folder, leaving) != 0 && errno != ENOENT) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot remove %s: %s", folder,
                    g_strerror(errno));
        return FALSE;
    }
    if (!shelf_index_remove(index, lesson->id, error))
        return FALSE;
    shelf_folder_remove(leaving);
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id}, "recording deleted: %s", reason);
    return TRUE;
}
