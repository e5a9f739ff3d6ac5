// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/rendition.h"

// What must hold of all messages that one viewer is sent over a WebSocket (docs/protocol.md
// section 4): an initialisation segment before what needs it, key frames where something begins,
// media time that goes on across renditions, no sound missing at a move.

typedef struct _Watcher Watcher;

// What an initialisation segment says, by track id - 1.
typedef struct {
    gboolean is_sound[2];
    guint32 timescale[2];
} WebTracks;

typedef struct {
    RelayRendition at;
    gboolean moved;       // nothing of this rendition has come yet
    gboolean named, init; // "init" was told; the segment has come
    gboolean gap;         // chunks are left out
    gboolean up;          // the newest move
    guint64 chunk;        // the newest; 0: none of this rendition yet
    WebTracks tracks;
    gboolean heard, seen; // there were sound, pictures
    guint sound, frame;   // the newest
    gint64 base_ns[2];    // media time of the lesson's first frame, of each kind
    gint64 sent_ns;       // media time up to which it was sent something
    gint64 worst_ns;      // how far times were off
    guint gaps;
} WebCheck;

// A message is sent to the watcher now.
void web_check_sent(Watcher *watcher, const char *data, gsize bytes);

// A message has come. The frames of sound in it, how many and *ret_first; and where its media ends.
// `tracks` are those of the newest initialisation segment that has come.
guint web_check_sounds(WebTracks *tracks, const char *data, gsize bytes, guint *ret_first,
                       gint64 *ret_end_ns);
