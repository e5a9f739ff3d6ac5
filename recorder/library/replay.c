// SPDX-License-Identifier: MIT
#include "recorder/library/replay.h"

#include <glib/gstdio.h>

typedef struct {
    ShelfTrack track;
    GArray *tail;  // the last entry, if any: what comes must lie behind it
    guint64 inode; // of the index
    guint64 at;    // it has been read so far
    guint64 used;  // when it was last asked for, counted
} Known;

struct _ShelfReplay {
    GHashTable *known; // path of the index → Known
    guint64 asked;
};

static void known_free(void *data)
{
    Known *known = data;
    shelf_playlist_free(known->track.playlist);
    g_array_unref(known->tail);
    g_free(known);
}

ShelfReplay *shelf_replay_new(void)
{
    ShelfReplay *replay = g_new0(ShelfReplay, 1);
    replay->known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, known_free);
    return replay;
}

void shelf_replay_free(ShelfReplay *replay)
{
    if (!replay)
        return;
    g_hash_table_unref(replay->known);
    g_free(replay);
}

static void oldest_drop(ShelfReplay *replay)
{
    GHashTableIter iter;
    const char *oldest = NULL;
    void *path, *known;
    guint64 used = G_MAXUINT64;

    g_hash_table_iter_init(&iter, replay->known);
    while (g_hash_table_iter_next(&iter, &path, &known)) {
        if (((Known *)known)->used < used) {
            used = ((Known *)known)->used;
            oldest = path;
        }
    }
    if (oldest)
        g_hash_table_remove(replay->known, oldest);
}

static Known *known_add(ShelfReplay *replay, const char *path, guint64 inode)
{
    Known *known = g_new0(Known, 1);
    known->track.playlist = shelf_playlist_new();
    known->tail = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    known->inode = inode;
    g_hash_table_replace(replay->known, g_strdup(path), known);
    if (g_hash_table_size(replay->known) > SHELF_REPLAY_TRACKS_MAX)
        oldest_drop(replay);
    return known;
}

static gboolean known_grow(Known *known, const char *path, GError **error)
{
    guint had = known->tail->len;

    if (!rec_index_read(path, known->tail, &known->at, NULL, error))
        return FALSE;
    guint fresh = known->tail->len - had;
    if (fresh == 0)
        return TRUE;
    shelf_playlist_add(known->track.playlist, &g_array_index(known->tail, RecEntry, had), fresh);
    RecEntry last = g_array_index(known->tail, RecEntry, known->tail->len - 1);
    known->track.media_bytes = last.offset + last.bytes;
    // The rest of the array is of no more use.
    g_array_unref(known->tail);
    known->tail = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_array_append_val(known->tail, last);
    return TRUE;
}

const ShelfTrack *shelf_replay_track(ShelfReplay *replay, const char *folder, const char *stream,
                                     GError **error)
{
    g_autofree char *path = rec_stream_path(folder, stream, "index");
    Known *known = g_hash_table_lookup(replay->known, path);
    GStatBuf info = {0};
    gboolean there = g_stat(path, &info) == 0;

    // Salvage replaces the file; a disk that refused a write makes it shorter.
    if (known && (!there || known->inode != info.st_ino || known->at > (guint64)info.st_size)) {
        g_hash_table_remove(replay->known, path);
        known = NULL;
    }
    guint64 before = known ? known->at : 0;
    gboolean fresh = !known;
    if (!known)
        known = known_add(replay, path, info.st_ino);
    known->used = ++replay->asked;
    if ((guint64)info.st_size != known->at || fresh) {
        gboolean ok = known_grow(known, path, error);
        // Nothing that goes on from there although there is more: it was cut back and written anew.
        if (ok && !fresh && known->at == before) {
            known = known_add(replay, path, info.st_ino);
            known->used = replay->asked;
            ok = known_grow(known, path, error);
        }
        if (!ok) {
            g_hash_table_remove(replay->known, path);
            return NULL;
        }
    }
    return &known->track;
}
