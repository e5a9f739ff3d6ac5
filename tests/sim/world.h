// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/line_rate.h"
#include "relay/core/pacer.h"
#include "relay/core/repair.h"
#include "relay/core/stream_rate.h"
#include "relay/core/web_viewer.h"
#include "tests/sim/player.h"
#include "tests/sim/source.h"

// The relay's core put together as relay/net does it (rtp_viewer.c, web_feed.c, ingest.c), between
// a made-up sender and made-up viewers, in steps of a millisecond. What must hold at any time is
// checked at every step; who breaks it is named with the seed.

typedef enum { VIEWER_UDP, VIEWER_TCP, VIEWER_WEB } ViewerKind;

// A sort of viewer.
typedef struct {
    const char *name;
    ViewerKind kind;
    guint count;
    NetSpec down, up;   // UDP
    gint64 rate_bps;    // TCP, WebSocket: what it reads; 0: nothing
    guint stalls_ms;    // TCP, WebSocket: reads nothing for so long, every 9 s
    guint buffer_ms;    // UDP: of its player
    guint ask_every_ms; // 0: 80 ms, as our player
    guint join_ms, join_within_ms;
    guint away_ms;    // WebSocket: goes away for so long every 5 s, and resumes where it was
    gboolean bad;     // may be dropped and cut off, and is left out of the second run
    gboolean storms;  // asks for everything all the time
    double left_over; // share of its packets that may be missing when they are due
} Role;

// What became of one packet that a viewer was sent.
typedef struct {
    guint64 number;
    gint64 due_ms, came_ms, answered_ms;
} Fate;
#define FATES 2048 // per track: more than a player's buffer

// A TCP connection with somebody who reads at his own rate.
typedef struct {
    GArray *units; // of RelayUnit *, referenced; from `next` on not read yet
    guint next;
    gsize queued;  // bytes
    double credit; // bytes that it may read
} Pipe;

typedef struct {
    gint64 due_ms;
    guint64 number;
    guint track;
} Due;

typedef struct _World World;

typedef struct {
    World *world;
    const Role *role;
    guint id;
    gboolean present, over; // over: was cut off
    NetLine down, up;
    NetRandom random;
    gint64 join_ms;
    // the relay's side
    RelayViewer place;
    RelayPacer pacer;
    RelayLineRate rate;
    gsize round_bytes;
    gboolean pending;
    gint64 due_ms; // when its pacer lets it go on
    RelayRepairSpan spans[RELAY_INPUT_TRACKS_MAX];
    RelayRepairLine line;
    RelayRepair *repair;
    guint16 again_sequences[RELAY_INPUT_TRACKS_MAX];
    RelayWebViewer web;
    gint64 reported_ms;
    double allowance, asked_bytes; // that its repairs may have now, and wait for
    gint64 asked_ms;
    guint64 last_position, last_chunk; // last sent
    gboolean began, gap_told, init_sent;
    // the way over TCP
    Pipe pipe;
    // the viewer's side
    Player player;
    gboolean live;
    gint64 began_ms, began_at_ms; // when the first packet would come, and when the relay got it
    Fate *fates[RELAY_INPUT_TRACKS_MAX];
    GArray *due; // of Due, in the order of sending;
    guint due_next;
    guint64 sent, lost, missing, resent, drops, told; // packets; chunks told
    GArray *hashes;                                   // guint64 for each second: what came when
    guint64 hash;
} Viewer;

struct _World {
    guint32 seed;
    gint64 now_ms;
    NetWheel *wheel;
    Source source;
    NetLine back; // from the relay to the sender
    RelayInput *input;
    RelayHistory *history;
    RelayRepairIndex *index;
    RelayWebFeed *web;
    Viewer *viewers;
    guint count, tcp;
    gboolean fresh;
    RelayStreamRate rate;
    gint64 need_bps;
    // what has come out of the input
    guint64 highest[RELAY_INPUT_TRACKS_MAX];
    guint32 ssrc[RELAY_INPUT_TRACKS_MAX], timestamp[RELAY_INPUT_TRACKS_MAX];
    gint64 arrived_ns[RELAY_INPUT_TRACKS_MAX];
    guint64 chunks;
    gint64 decoded[RELAY_INPUT_TRACKS_MAX]; // end of the last sample, ticks
    guint steps[RELAY_INPUT_TRACKS_MAX];    // samples that do not follow on the one before
    gsize units_before;                     // of other worlds
    gboolean repairs;
};

// Histories small enough to be filled in a short lesson.
#define WORLD_HISTORY_NS (6 * G_GINT64_CONSTANT(1000000000))
#define WORLD_HISTORY_BYTES (384 << 10)

// `line` of the sender and back. `roles` end with one without a name; borrowed.
World *world_new(const NetSpec *line, const Role *roles, gboolean with_bad, guint32 seed);
void world_free(World *world);
void world_step(World *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

// viewer.c
void viewer_init(Viewer *viewer, World *world, const Role *role, guint id);
void viewer_clear(Viewer *viewer);
void viewer_join(Viewer *viewer);
void viewer_leave(Viewer *viewer);
// RTP: what may leave now; `fresh`: packets have come in.
void viewer_serve(Viewer *viewer, gboolean fresh);
void viewer_chunk_came(Viewer *viewer); // WebSocket
void viewer_step(Viewer *viewer);       // its own side, each millisecond

// Fails the test with the seed, who and when.
void world_fail(const World *world, const Viewer *viewer, const char *what) G_GNUC_NORETURN;
#define require(world, viewer, holds)                                                              \
    do {                                                                                           \
        if (!(holds))                                                                              \
            world_fail(world, viewer, #holds);                                                     \
    } while (0)
