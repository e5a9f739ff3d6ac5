// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"
#include "relay/core/repair.h"
#include "relay/core/stream_rate.h"

// A stream's packets as one thread has them: the recent ones, where each of them stands, what time
// they mean, how much they are. Viewers are places in it.
typedef struct {
    RelayHistory *history;
    RelayRepairIndex *index;
    RelayTrackClock clocks[RELAY_INPUT_TRACKS_MAX];
    RelayStreamRate rate, sound; // of all; of the sound
    gboolean configures;         // key frames bring their parameter sets, as far as seen
    gint64 picture_ns, sound_ns; // when the newest of each came in, of a stream of both
} RelayPacketFeed;

// In a stream of both the picture is the first track and the sound the second.
#define RELAY_PICTURE_TRACK 0
#define RELAY_SOUND_TRACK 1

// Bounds: as of relay_history_new.
void relay_packet_feed_init(RelayPacketFeed *feed, gint64 span_ns, gsize bytes_max,
                            guint units_max);
void relay_packet_feed_clear(RelayPacketFeed *feed);

// Takes one reference to `packet`.
void relay_packet_feed_push(RelayPacketFeed *feed, RelayUnit *packet);

// Bits a second that the stream needs. Until a whole group of pictures has passed: what the history
// holds, over a second at least.
gint64 relay_packet_feed_need_bps(const RelayPacketFeed *feed);
// Of its sound alone; 0: not known, or there is nothing beside it.
gint64 relay_packet_feed_sound_bps(const RelayPacketFeed *feed);
// Whether its sound goes on without its pictures.
gboolean relay_packet_feed_is_blind(const RelayPacketFeed *feed);
// When its newest packet came in; G_MININT64: never.
gint64 relay_packet_feed_heard_ns(const RelayPacketFeed *feed);
