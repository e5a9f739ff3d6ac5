// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/audience.h"
#include "relay/net/fanout_part.h"
#include "tests/sim/player.h"
#include "tests/sim/rtp_check.h"
#include "tests/sim/studio.h"
#include "tests/sim/tcp_line.h"
#include "tests/sim/web_check.h"

// A lesson in `main`, `low` and the sound alone, through the relay's core as its packet worker and
// its web worker have it (fanout.c, rtp_viewer.c, rtp_move.c; audience.c, audience_view.c), to
// viewers whose lines change. Sockets and clocks are the simulation's (wire.c); a step is a
// millisecond. What must hold at any time is checked at every step.

typedef enum { WATCHER_UDP, WATCHER_TCP, WATCHER_WEB } WatcherKind;

typedef struct {
    gint64 at_ms, rate_bps; // from then on
} LineStep;
#define LINE_STEPS_MAX 32

// A sort of viewer.
typedef struct {
    const char *name;
    WatcherKind kind;
    guint count;
    NetSpec down, up;            // rate: at first; buffer of the narrow place (UDP)
    LineStep steps[8];           // of the way down; each is up to a second later
    gint64 walks_from, walks_to; // or it walks between these rates,
    guint walks_every_ms;        // with a step so often at most
    guint join_within_ms;
    gboolean plain;    // UDP: no retransmission packets (RTP/AVP); WebSocket: no reports
    gboolean left_out; // of the second run
} Crowd;

typedef struct {
    gint64 at_ms;
    RelayRendition from, to;
} Move;

typedef struct _Hall Hall;

struct _Watcher {
    Hall *hall;
    const Crowd *crowd;
    guint id;
    NetRandom random;
    gint64 join_ms;
    gboolean present, over; // over: was cut off
    LineStep steps[LINE_STEPS_MAX];
    guint steps_count, step; // step: the next
    gint64 rate_bps;         // of the way down now
    RelayRendition at;
    GArray *moves; // of Move
    // when each frame of sound came to it: gint32 ms, 0: it has not
    GArray *sounds;
    gint64 pictured_ms; // when a whole picture last came
    guint64 bytes;      // that came
    // over RTP
    RelayRtpViewer *viewer;
    RelayLink *link; // TCP
    RtpCheck rtp;
    guint pictures; // packets of theirs, a step before
    Player player;
    NetLine down, up;
    // over TCP and WebSocket
    TcpLine tcp;
    // over WebSocket
    RelaySocket *socket;
    WebCheck web;
    WebTracks came; // of what has come
    gboolean waits; // for room
    gint64 here_ns; // media time up to which everything has come
};

// One stream's way through the relay.
typedef struct {
    Hall *hall;
    StudioStream stream;
} Way;

struct _Hall {
    guint32 seed;
    gint64 now_ms;
    NetWheel *wheel;
    Studio studio;
    RelayInput *inputs[STUDIO_STREAMS];
    Way ways[STUDIO_STREAMS];
    RelayStream *streams[STUDIO_STREAMS];
    RelayFanout *fanout;
    RelayTick tick; // the fan-out's
    gpointer tick_user;
    gboolean strict; // everybody is looked after every millisecond, whoever else is
    RelayAudience *audience;
    RelayDoor *door;
    RelaySchools *schools;
    Watcher *watchers;
    guint count;
    gsize units_before;
};

// `crowds` end with one without a name; both are borrowed.
Hall *hall_new(const StudioPlan *plan, const Crowd *crowds, gboolean with_all, guint32 seed);
void hall_free(Hall *hall);
void hall_step(Hall *hall);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hall, hall_free)

// Every history's: longer than a viewer that can be given less may lag, and full in a short lesson.
#define HALL_HISTORY_NS (8 * G_GINT64_CONSTANT(1000000000))
#define HALL_HISTORY_BYTES (1100 << 10)
#define HALL_EPOCH_NS (G_GINT64_CONSTANT(1763776800) * 1000000000)

// Fails the test with the seed, who and when.
void hall_fail(const Watcher *watcher, const char *what) G_GNUC_NORETURN;
#define must(watcher, holds)                                                                       \
    do {                                                                                           \
        if (!(holds))                                                                              \
            hall_fail(watcher, #holds);                                                            \
    } while (0)

// watcher.c: what all have.
void watcher_init(Watcher *watcher, Hall *hall, const Crowd *crowd, guint id);
void watcher_clear(Watcher *watcher);
void watcher_step(Watcher *watcher);
void watcher_moved(Watcher *watcher, RelayRendition to);
void watcher_heard(Watcher *watcher, guint frame);

// rtp_watcher.c
void rtp_watcher_join(Watcher *watcher);
void rtp_watcher_leave(Watcher *watcher);
void rtp_watcher_step(Watcher *watcher);
// The relay has sent it a packet (`header` in the place of its own, or NULL) or a report.
void rtp_watcher_sent(Watcher *watcher, const guint8 *header, const RelayUnit *unit);
void rtp_watcher_reported(Watcher *watcher, const guint8 *rtcp, gsize size);

// web_watcher.c
void web_watcher_join(Watcher *watcher);
void web_watcher_leave(Watcher *watcher);
void web_watcher_step(Watcher *watcher);
extern const RelayAudienceSpec web_watcher_spec; // what an audience asks of its sockets

// wire.c: the sockets and clocks that the relay has here.
void wire_use(Hall *hall); // NULL: none
RelayAddress wire_address(Watcher *watcher);
RelayLink *wire_link_new(Watcher *watcher);
void wire_link_free(RelayLink *link);
void wire_link_step(RelayLink *link);
