// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// Segments begin at a keyframe and last at least this long, shorter only before a gap, a change of
// the initialisation segment or the end.
#define SHELF_HLS_SEGMENT_NS (4 * G_GINT64_CONSTANT(1000000000))

// An HLS media playlist (RFC 8216, version 7) over the byte ranges of media.mp4, kept as its
// segments: it grows with the recording.
typedef struct _ShelfPlaylist ShelfPlaylist;

ShelfPlaylist *shelf_playlist_new(void);
void shelf_playlist_free(ShelfPlaylist *playlist);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfPlaylist, shelf_playlist_free)

// The next pieces of the media, in order. Borrowed for the call.
void shelf_playlist_add(ShelfPlaylist *playlist, const RecEntry *entries, guint count);

// `started_ns`: wall-clock time of media time zero (0: dates are left out). `closed`: VOD with its
// end, else EVENT with the segments that are whole. `query` ("?token=…" or "") is appended to each
// URI; it is percent-encoded already. Newly allocated.
char *shelf_playlist_text(const ShelfPlaylist *playlist, gint64 started_ns, gboolean closed,
                          const char *query);
