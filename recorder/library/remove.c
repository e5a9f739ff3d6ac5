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

#define NOTE_BYTES_MAX (64u << 10) // a note of a lesson with all of its streams is a tenth of it
#define NOTES_RESERVED_BYTES (64 << 10) // some hundred notes

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

static char *deletions_path(const char *data)
{
    return g_build_filename(data, "deletions.jsonl", NULL);
}

void shelf_deletions_reserve(const char *data)
{
    g_autofree char *path = deletions_path(data);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    // A disk that is full already has what an earlier start kept, or nothing.
    if (end >= 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, end, NOTES_RESERVED_BYTES) != 0)
        tk_debug("no room is kept in %s: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
}

static char *deletion_line(const RecLesson *lesson, const char *folder, const char *by,
                           const char *reason)
{
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
    return g_strconcat(text, "\n", NULL);
}

// A line that a crash tore must not take the next one with it.
static gboolean torn(int fd, off_t bytes)
{
    char last;
    return bytes > 0 && pread(fd, &last, 1, bytes - 1) == 1 && last != '\n';
}

static gboolean deletion_note(const char *data, const RecLesson *lesson, const char *folder,
                              const char *by, const char *reason, GError **error)
{
    g_autofree char *path = deletions_path(data);
    g_autofree char *line = deletion_line(lesson, folder, by, reason);
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    off_t before = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    gboolean ok = before >= 0 && (!torn(fd, before) || rec_write_all(fd, "\n", 1)) &&
                  rec_write_all(fd, line, strlen(line)) && fsync(fd) == 0;
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot note the deletion in %s: %s", path,
                    g_strerror(errno));
    ok = ok && rec_folder_sync(data, error);
    // What is not deleted must not be noted.
    if (!ok && before >= 0 && ftruncate(fd, before) != 0)
        tk_warning("%s ends with a line that does not hold: %s", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

static gboolean line_names(const char *line, gsize length, const char *id)
{
    g_autoptr(json_t) note = tk_json_parse(line, length, NOTE_BYTES_MAX, NULL);
    return note && g_strcmp0(tk_json_string(note, "id", NULL), id) == 0;
}

gboolean shelf_was_deleted(const char *data, const char *id)
{
    g_autofree char *path = deletions_path(data);
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    const char *at = file ? g_mapped_file_get_contents(file) : NULL;
    const char *end = at ? at + g_mapped_file_get_length(file) : NULL, *found;

    while (at && (found = memmem(at, (gsize)(end - at), id, strlen(id)))) {
        const char *line = found, *next = memchr(found, '\n', (gsize)(end - found));
        while (line > at && line[-1] != '\n')
            line--;
        // A last line without its end was torn, and the deletion never answered.
        if (next && line_names(line, (gsize)(next - line), id))
            return TRUE;
        at = next;
    }
    return FALSE;
}

// From here on it is on its way out: at the next start a folder of that name is removed if its
// deletion was noted, and else put back.
static gboolean put_aside(const char *folder, const char *leaving, gboolean *ret_there,
                          GError **error)
{
    g_autofree char *month = g_path_get_dirname(folder);

    *ret_there = g_rename(folder, leaving) == 0;
    if (!*ret_there && errno != ENOENT) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot remove %s: %s", folder,
                    g_strerror(errno));
        return FALSE;
    }
    return !*ret_there || rec_folder_sync(month, error);
}

gboolean shelf_remove(const char *data, ShelfIndex *index, const RecLesson *lesson, const char *by,
                      const char *reason, GError **error)
{
    g_autofree char *folder = rec_folder_path(data, lesson->id);
    g_autofree char *leaving = g_strconcat(folder, SHELF_DELETED_SUFFIX, NULL);
    g_autoptr(GError) unindexed = NULL;
    gboolean there;

    if (!put_aside(folder, leaving, &there, error) ||
        !deletion_note(data, lesson, there ? leaving : folder, by, reason, error)) {
        if (there && g_rename(leaving, folder) != 0)
            tk_warning("%s is put back at the next start: %s", leaving, g_strerror(errno));
        return FALSE;
    }
    // First: a full disk has room for the index to change then.
    if (there)
        shelf_folder_remove(leaving);
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id}, "recording deleted: %s", reason);
    if (!shelf_index_remove(index, lesson->id, &unindexed))
        tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = lesson->id},
               "%s; it is listed until the next start", unindexed->message);
    return TRUE;
}
