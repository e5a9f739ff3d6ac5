// SPDX-License-Identifier: MIT
#include "client/capture/copies.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "client/capture/keep.h"
#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "common/media/cmaf_read.h"

#define LESSON_BYTES_MAX (256u << 10)
#define AROUND_NS (3 * TK_NS_PER_S) // sent beside a stretch: it proves where that stands
#define FRESH_NS (60 * TK_NS_PER_S) // what is newer is not thrown away: it may be being written

static void segment_clear(void *data)
{
    CapSegment *segment = data;
    g_free(segment->path);
    g_free(segment->stream);
}

// <stream>-<wall ms>.mp4
static gboolean segment_name(const char *name, char **ret_stream, gint64 *ret_wall_ns)
{
    const char *dash = strrchr(name, '-');
    if (!dash || strspn(dash + 1, "0123456789") != CAP_KEEP_SEGMENT_DIGITS ||
        strcmp(dash + 1 + CAP_KEEP_SEGMENT_DIGITS, ".mp4") != 0)
        return FALSE;
    g_autofree char *stream = g_strndup(name, (gsize)(dash - name));
    if (!tk_name_stream_valid(stream))
        return FALSE;
    *ret_stream = g_steal_pointer(&stream);
    *ret_wall_ns = g_ascii_strtoll(dash + 1, NULL, 10) * TK_NS_PER_MS;
    return TRUE;
}

static gint by_wall(gconstpointer a, gconstpointer b)
{
    const CapSegment *x = a, *y = b;
    return x->wall_ns < y->wall_ns ? -1 : x->wall_ns > y->wall_ns;
}

GArray *cap_segments_list(const char *folder, const char *stream)
{
    GArray *segments = g_array_new(FALSE, FALSE, sizeof(CapSegment));
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    g_array_set_clear_func(segments, segment_clear);
    while (dir && (name = g_dir_read_name(dir))) {
        CapSegment segment = {0};
        GStatBuf info;
        if (!segment_name(name, &segment.stream, &segment.wall_ns))
            continue;
        segment.path = g_build_filename(folder, name, NULL);
        if ((stream && strcmp(stream, segment.stream) != 0) || g_stat(segment.path, &info) != 0) {
            segment_clear(&segment);
            continue;
        }
        segment.bytes = (guint64)info.st_size;
        g_array_append_val(segments, segment);
    }
    g_array_sort(segments, by_wall);
    return segments;
}

json_t *cap_copy_load(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, CAP_KEEP_FILE, NULL);
    gsize size;
    g_autofree char *text = tk_file_read(path, LESSON_BYTES_MAX, &size, NULL);
    json_t *lesson = text ? tk_json_parse(text, size, LESSON_BYTES_MAX, NULL) : NULL;
    if (lesson && !tk_ulid_valid(tk_json_string(lesson, "id", "")))
        g_clear_pointer(&lesson, json_decref);
    return lesson;
}

gboolean cap_copy_save(const char *folder, const json_t *lesson, GError **error)
{
    g_autofree char *path = g_build_filename(folder, CAP_KEEP_FILE, NULL);
    g_autofree char *text = tk_json_dump(lesson);
    return g_file_set_contents_full(
        path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
}

int cap_copy_lock(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, CAP_KEEP_LOCK, NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **cap_copy_folders(const char *folder)
{
    GPtrArray *paths = g_ptr_array_new();
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir)))
        if (tk_ulid_valid(name))
            g_ptr_array_add(paths, g_build_filename(folder, name, NULL));
    g_ptr_array_sort(paths, by_name);
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(paths, FALSE);
}

// Of all lessons, those first that are to go first.
static GArray *segments_of_all(char *const *folders, guint *ret_delivered)
{
    GArray *all = g_array_new(FALSE, FALSE, sizeof(CapSegment));
    g_array_set_clear_func(all, segment_clear);
    for (guint pass = 0; pass < 2; pass++) {
        for (char *const *folder = folders; *folder; folder++) {
            g_autoptr(json_t) lesson = cap_copy_load(*folder);
            gboolean delivered = strcmp(tk_json_string(lesson, "state", ""), "delivered") == 0;
            if (delivered != (pass == 0))
                continue;
            g_autoptr(GArray) some = cap_segments_list(*folder, NULL);
            for (guint i = 0; i < some->len; i++) {
                CapSegment *segment = &g_array_index(some, CapSegment, i);
                CapSegment taken = {g_steal_pointer(&segment->path),
                                    g_steal_pointer(&segment->stream), segment->wall_ns,
                                    segment->bytes};
                g_array_append_val(all, taken);
            }
        }
        if (pass == 0)
            *ret_delivered = all->len;
    }
    return all;
}

// Another capture's folder is empty, too, before its first keyframe: it holds the lock, or has not
// written lesson.json yet.
static void remove_if_empty(const char *folder)
{
    g_autoptr(GArray) segments = cap_segments_list(folder, NULL);
    g_autofree char *lesson = g_build_filename(folder, CAP_KEEP_FILE, NULL);
    g_autofree char *lock = g_build_filename(folder, CAP_KEEP_LOCK, NULL);
    if (segments->len || !g_file_test(lesson, G_FILE_TEST_EXISTS))
        return;
    int fd = cap_copy_lock(folder);
    if (fd < 0)
        return;
    g_unlink(lesson);
    g_unlink(lock);
    g_rmdir(folder);
    close(fd);
}

void cap_copies_trim(const char *folder, guint64 bytes_max, gint64 oldest_ns)
{
    g_auto(GStrv) folders = cap_copy_folders(folder);
    guint delivered = 0;
    g_autoptr(GArray) all = segments_of_all(folders, &delivered);
    gint64 fresh_ns = tk_clock_wall_ns() - FRESH_NS;
    guint64 total = 0;

    for (guint i = 0; i < all->len; i++)
        total += g_array_index(all, CapSegment, i).bytes;
    for (guint i = 0; i < all->len; i++) {
        const CapSegment *segment = &g_array_index(all, CapSegment, i);
        if ((total <= bytes_max && segment->wall_ns >= oldest_ns) || segment->wall_ns >= fresh_ns)
            continue;
        if (g_unlink(segment->path) == 0)
            total -= segment->bytes;
    }
    for (char **one = folders; *one; one++)
        remove_if_empty(*one);
}

static gint64 chunk_wall_ns(const TkCmafChunk *chunk)
{
    return chunk->ntp ? tk_clock_wall_from_ntp(chunk->ntp) : 0;
}

gboolean cap_copy_extent(const char *folder, const char *stream, gint64 *ret_from_ns,
                         gint64 *ret_to_ns)
{
    g_autoptr(GArray) segments = cap_segments_list(folder, stream);
    gint64 to_ns = 0;

    for (guint s = segments->len; s > 0 && to_ns == 0; s--) {
        const CapSegment *segment = &g_array_index(segments, CapSegment, s - 1);
        g_autoptr(GMappedFile) file = g_mapped_file_new(segment->path, FALSE, NULL);
        gsize size = file ? g_mapped_file_get_length(file) : 0, bytes = 0;
        const guint8 *data = size ? (const guint8 *)g_mapped_file_get_contents(file) : NULL;
        TkCmafChunk chunk = {0};
        for (gsize at = 0; at < size; at += bytes) {
            TkCmafPiece piece = tk_cmaf_piece(data + at, size - at, &chunk, &bytes);
            if (piece == TK_CMAF_CHUNK)
                to_ns = MAX(to_ns, chunk_wall_ns(&chunk));
            else if (piece != TK_CMAF_INIT)
                break;
        }
    }
    if (to_ns == 0)
        return FALSE;
    *ret_from_ns = g_array_index(segments, CapSegment, 0).wall_ns;
    *ret_to_ns = to_ns + 100 * TK_NS_PER_MS; // a chunk's length
    return *ret_to_ns > *ret_from_ns;
}

static void slice_clear(void *data)
{
    g_free(((CapSlice *)data)->path);
}

// The part of one file; from a keyframe on when nothing stands before it.
static void segment_cut(const CapSegment *segment, gint64 from_ns, gint64 to_ns, GArray *slices)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(segment->path, FALSE, NULL);
    gsize size = file ? g_mapped_file_get_length(file) : 0, bytes = 0, init = 0;
    const guint8 *data = size ? (const guint8 *)g_mapped_file_get_contents(file) : NULL;
    gsize begin = 0, end = 0;

    for (gsize at = 0; at < size; at += bytes) {
        TkCmafChunk chunk;
        TkCmafPiece piece = tk_cmaf_piece(data + at, size - at, &chunk, &bytes);
        if (piece == TK_CMAF_INIT && at == 0) {
            init = bytes;
            continue;
        }
        if (piece != TK_CMAF_CHUNK)
            break;
        gint64 wall_ns = chunk_wall_ns(&chunk);
        // The last keyframe before the stretch begins it.
        if (chunk.runs[0].starts_key && wall_ns && (wall_ns <= from_ns || end == 0)) {
            begin = at;
            end = at + bytes;
        }
        if (wall_ns > to_ns)
            break;
        if (end)
            end = at + bytes;
    }
    if (end == 0)
        return;
    CapSlice head = {g_strdup(segment->path), 0, init};
    CapSlice media = {g_strdup(segment->path), begin, end - begin};
    g_array_append_val(slices, head);
    g_array_append_val(slices, media);
}

GArray *cap_copy_cut(const char *folder, const char *stream, gint64 from_ns, gint64 to_ns)
{
    g_autoptr(GArray) segments = cap_segments_list(folder, stream);
    GArray *slices = g_array_new(FALSE, FALSE, sizeof(CapSlice));

    g_array_set_clear_func(slices, slice_clear);
    for (guint i = 0; i < segments->len; i++) {
        const CapSegment *segment = &g_array_index(segments, CapSegment, i);
        gint64 next_ns =
            i + 1 < segments->len ? g_array_index(segments, CapSegment, i + 1).wall_ns : G_MAXINT64;
        if (segment->wall_ns <= to_ns + AROUND_NS && next_ns >= from_ns - AROUND_NS)
            segment_cut(segment, from_ns - AROUND_NS, to_ns + AROUND_NS, slices);
    }
    return slices;
}
