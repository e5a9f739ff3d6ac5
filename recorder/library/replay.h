// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/hls.h"

// The streams that were asked for lately: their indexes are read once, and then only what has been
// added. One thread at a time.
typedef struct _ShelfReplay ShelfReplay;

// A lesson of 45 minutes takes about 40 KiB here.
#define SHELF_REPLAY_TRACKS_MAX 256

typedef struct {
    ShelfPlaylist *playlist;
    guint64 media_bytes; // that the index speaks of
} ShelfTrack;

ShelfReplay *shelf_replay_new(void);
void shelf_replay_free(ShelfReplay *replay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfReplay, shelf_replay_free)

// What <folder>/<stream>.index says now. Borrowed until the next call.
const ShelfTrack *shelf_replay_track(ShelfReplay *replay, const char *folder, const char *stream,
                                     GError **error);
