// SPDX-License-Identifier: MIT
#include "recorder/library/head.h"

#include "common/base/log.h"
#include "recorder/library/check.h"
#include "recorder/library/download.h"

// More than a day of chunks; a longer index is not one of ours.
#define ENTRIES_MAX 2000000

static GArray *entries_load(const char *folder, const char *stream, GError **error)
{
    g_autofree char *path = rec_stream_path(folder, stream, "index");
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    guint64 at = 0;
    if (!rec_index_read(path, entries, &at, NULL, error))
        return NULL;
    g_array_set_size(entries, MIN(entries->len, ENTRIES_MAX));
    return g_steal_pointer(&entries);
}

static guint64 entries_bytes(const GArray *entries)
{
    if (entries->len == 0)
        return 0;
    const RecEntry *last = &g_array_index(entries, RecEntry, entries->len - 1);
    return last->offset + last->bytes;
}

GBytes *shelf_head_load(const char *folder, const char *stream, guint64 media_bytes)
{
    g_autofree char *path = rec_stream_path(folder, stream, "head");
    g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, NULL);
    if (!file || !shelf_download_head_fits((const guint8 *)g_mapped_file_get_contents(file),
                                           g_mapped_file_get_length(file), media_bytes))
        return NULL;
    return g_mapped_file_get_bytes(file);
}

GBytes *shelf_head_make(const char *folder, const char *stream, guint64 media_bytes, gboolean keep,
                        GError **error)
{
    g_autofree char *media_path = rec_stream_path(folder, stream, "mp4");
    g_autofree char *path = rec_stream_path(folder, stream, "head");
    g_autoptr(GArray) entries = entries_load(folder, stream, error);
    g_autoptr(GMappedFile) file = entries ? g_mapped_file_new(media_path, FALSE, error) : NULL;
    g_autoptr(GError) why = NULL;

    if (!file)
        return NULL;
    const RecEntry *first = (const RecEntry *)entries->data;
    const guint8 *media = (const guint8 *)g_mapped_file_get_contents(file);
    guint64 bytes = MIN(entries_bytes(entries), media_bytes);
    bytes = MIN(bytes, g_mapped_file_get_length(file));
    g_autoptr(GBytes) head = shelf_download_head(first, entries->len, media, bytes, error);
    if (!head)
        return NULL;
    if (!shelf_head_check(head, first, entries->len, media, bytes, error)) {
        g_prefix_error(error, "the head of %s is wrong: ", media_path);
        return NULL;
    }
    gsize size;
    const char *data = g_bytes_get_data(head, &size);
    if (keep && !rec_file_replace(path, data, size, &why))
        tk_warning("%s; it is made anew for each download", why->message);
    return g_steal_pointer(&head);
}
