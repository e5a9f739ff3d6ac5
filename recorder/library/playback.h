// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/api.h"

// A recording, also one that is going on, as HLS. Everything stands under /hls/GRANT/ID/ (grant.h)
// and may be kept by any cache: playlists for a moment, segments for as long as the grant holds.

// How long a cache may give out the same playlist while the lesson runs, s: half of a segment, so
// that it adds little to the delay; and how much longer while it fetches the next.
#define SHELF_PLAYLIST_AGE_S 1
#define SHELF_PLAYLIST_STALE_S 2
// Of a lesson that is over it changes only when it is healed, or goes on.
#define SHELF_PLAYLIST_CLOSED_AGE_S 30
#define SHELF_SEGMENT_AGE_S 86400

// The address of a recording's multivariant playlist, or of a stream's playlist. Newly allocated.
char *shelf_playback_address(const ShelfApi *api, const RecLesson *lesson, const char *stream);

// `parts`: what stands behind /hls/.
ShelfReply *shelf_playback_handle(const ShelfApi *api, const ShelfRequest *request,
                                  char *const *parts);

// Sends who was let in to the multivariant playlist.
ShelfReply *shelf_playback_redirect(const ShelfApi *api, const RecLesson *lesson);
