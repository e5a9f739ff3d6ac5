// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What the relay hands on: one RTP packet or one fMP4 piece, immutable once made, shared by all
// threads and viewers by reference. The count is atomic; everything else is read-only.
typedef enum {
    RELAY_UNIT_KEY = 1 << 0,       // packet: first of a key frame; chunk: begins with a key frame
    RELAY_UNIT_FRAME_END = 1 << 1, // packet: carries the marker
    RELAY_UNIT_INIT = 1 << 2,      // an initialisation segment
    RELAY_UNIT_SOUND = 1 << 3,     // packet: of sound; piece: of the rendition of sound alone
    RELAY_UNIT_CONFIG = 1 << 4,    // packet: of a key frame, and brings its parameter sets
    RELAY_UNIT_BLIND = 1 << 5,     // chunk: of a stream with pictures, and has none
} RelayUnitFlags;

typedef struct {
    gint refs;             // atomic
    guint32 flags;         // RelayUnitFlags
    guint64 number;        // packet: extended sequence as sent out; chunk: mfhd sequence number;
                           // init: the sequence number of the first chunk that needs it
    gint64 arrived_ns;     // monotonic: packet: when it came in; chunk: when it was closed
    gint64 media_ns;       // chunk: media time of its start; packet: 0
    guint32 rtp_timestamp; // packet: as sent out
    guint32 track;         // packet: index of its track
    guint32 bytes;
    guint8 data[]; // `bytes` of them
} RelayUnit;

// A new unit with one reference and room for `bytes`, contents undefined, other members zero.
RelayUnit *relay_unit_new(gsize bytes);

// Any thread. unref takes NULL.
RelayUnit *relay_unit_ref(RelayUnit *unit);
void relay_unit_unref(RelayUnit *unit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayUnit, relay_unit_unref)
