// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// Segments begin at a keyframe and last at least this long: tongke-capture's keyframes are 2 s
// apart, give or take a picture. They are shorter only before a gap, a change of the initialisation
// segment or the end.
#define SHELF_HLS_SEGMENT_NS (1900 * G_GINT64_CONSTANT(1000000))

// The target duration of every playlist, so that it never changes (RFC 8216 section 6.2.1). A
// sender whose keyframes are further apart has its segments cut between them.
#define SHELF_HLS_TARGET_S 4
#define SHELF_HLS_LONGEST_NS (4400 * G_GINT64_CONSTANT(1000000))

// What is nearer to the end than this stands in each playlist, also in a delta (RFC 8216bis section
// 6.2.5.1: six target durations at least).
#define SHELF_HLS_SKIP_UNTIL_S (6 * SHELF_HLS_TARGET_S)

// A stream as HLS (RFC 8216, fragmented MP4), kept as its segments: it grows with the recording.
// Each is a stretch of <stream>.mp4 and named after its content, so that no name ever means two
// things and healing changes only the names of what it changes.
typedef struct _ShelfPlaylist ShelfPlaylist;

ShelfPlaylist *shelf_playlist_new(void);
void shelf_playlist_free(ShelfPlaylist *playlist);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfPlaylist, shelf_playlist_free)

// The next pieces of the media, in order. Borrowed for the call.
void shelf_playlist_add(ShelfPlaylist *playlist, const RecEntry *entries, guint count);

// Whether there is a segment to name yet. `closed` as below.
gboolean shelf_playlist_filled(const ShelfPlaylist *playlist, gboolean closed);

// The media playlist. `started_ns`: wall-clock time of media time zero (0: dates are left out).
// `closed`: with its end, else only the segments that are whole. `delta`: what has long stood in it
// is left out (EXT-X-SKIP). Newly allocated.
char *shelf_playlist_text(const ShelfPlaylist *playlist, gint64 started_ns, gboolean closed,
                          gboolean delta);

// Where the initialisation segment or segment of that name stands in <stream>.mp4.
gboolean shelf_playlist_find(const ShelfPlaylist *playlist, gboolean closed, const char *name,
                             guint64 *ret_offset, guint64 *ret_bytes) G_GNUC_WARN_UNUSED_RESULT;

// The multivariant playlist with one variant, <name>/playlist.m3u8: how many bits a second it
// takes, and which codecs by `mime` (may be NULL). A size of 0: sound alone. The library records no
// renditions. Newly allocated.
char *shelf_multivariant_text(const ShelfPlaylist *playlist, gboolean closed, const char *name,
                              const char *mime, guint width, guint height);
