// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"

// Frames with media times in; initialisation segments and chunks out. Knows no RTP.

// What one WebSocket message and one index entry of a recording hold; below it the cost per
// message grows, above it the delay.
#define RELAY_PACKAGER_CHUNK_NS (100 * TK_NS_PER_MS)
// Of sound alone, for the weakest lines: what stands around it must not cost a quarter as much.
#define RELAY_PACKAGER_SOUND_CHUNK_NS (200 * TK_NS_PER_MS)
// A chunk that does not fill up is given out so long after its time (monotonic).
#define RELAY_PACKAGER_WAIT_NS (100 * TK_NS_PER_MS)
// Sound waits this long for the sender's first picture, then begins without.
#define RELAY_PACKAGER_VIDEO_START_NS (5 * TK_NS_PER_S)
// Sound goes on without pictures (RELAY_UNIT_BLIND) when it has come for this long without any, and
// for three pictures' time.
#define RELAY_PACKAGER_VIDEO_SILENT_NS (1 * TK_NS_PER_S)
// Per track: two of the largest frames.
#define RELAY_PACKAGER_PENDING_BYTES_MAX (8u << 20)

typedef struct _RelayPackager RelayPackager;

typedef struct {
    guint track;
    gint64 presentation;     // media time, ticks of the track
    gint64 captured_wall_ns; // 0: not known
    gboolean key;
    const guint8 *data; // borrowed for the call
    gsize size;
    GBytes *config; // borrowed; decoder configuration from this sample on; NULL: as before
} RelaySample;

// `formats` give the tracks' kinds and clocks for good, `chunk_ns` how long a chunk lasts. `sink`
// is copied; its on_packet is unused.
RelayPackager *relay_packager_new(const RelayTrackFormat *formats, guint count, gint64 chunk_ns,
                                  const RelayInputSink *sink, void *user);
void relay_packager_free(RelayPackager *packager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayPackager, relay_packager_free)

// A sender begins: nothing is given out before its first key frame, and nothing that would have
// been before media time begins.
void relay_packager_start(RelayPackager *packager, const RelayTrackFormat *formats, gint64 now_ns);

// What this sender's pictures bring goes on behind those of the one before: there is no key frame
// to wait for.
void relay_packager_go_on(RelayPackager *packager);

// Where media time may go on: the end of what was given out, nanoseconds.
gint64 relay_packager_end_ns(const RelayPackager *packager);

void relay_packager_push(RelayPackager *packager, const RelaySample *sample, gint64 now_ns);
void relay_packager_tick(RelayPackager *packager, gint64 now_ns);

// Gives out what is pending.
void relay_packager_flush(RelayPackager *packager, gint64 now_ns);

// NULL before the first initialisation segment. Borrowed.
const RelayStreamFormat *relay_packager_format(const RelayPackager *packager);
guint64 relay_packager_chunks(const RelayPackager *packager);
guint64 relay_packager_dropped(const RelayPackager *packager, guint track);
