// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/packet_feed.h"

// From one stream of a lesson to another that shows the same: which of its timestamps means which
// of the other's. Both streams' clocks tell within their senders' precision, and what both have in
// common tells exactly: the same sound, byte for byte, and key frames that were made together.
typedef struct {
    gboolean known;
    guint32 add[RELAY_INPUT_TRACKS_MAX]; // timestamp of the other - timestamp here
} RelayCrossing;

// Clocks that agree with what is known within this do not change it: so much do reports of one
// sender shake.
#define RELAY_CROSSING_SHAKE_NS (30 * G_GINT64_CONSTANT(1000000))
// By how much the two may be wrong against each other for the same sound to be found: two clocks
// that are not believed are placed by when their first reports came in.
#define RELAY_CROSSING_SOUND_NS (400 * G_GINT64_CONSTANT(1000000))
// So near lie key frames that were made together, and no others: half a picture at 25 a second.
#define RELAY_CROSSING_KEY_NS (20 * G_GINT64_CONSTANT(1000000))

// Whether `here` may be a rendition of `there`: the same kinds of tracks at the same clock rates,
// the same kind of sound, and clocks that are known.
gboolean relay_crossing_possible(const RelayPacketFeed *here, const RelayPacketFeed *there);

// Finds it, or brings it up to date. FALSE: it is not possible (any longer).
gboolean relay_crossing_find(RelayCrossing *crossing, const RelayPacketFeed *here,
                             const RelayPacketFeed *there);
