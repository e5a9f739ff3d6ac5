// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/follower.h"
#include "relay/core/line_rate.h"
#include "relay/core/pacer.h"
#include "relay/core/rendition.h"
#include "relay/net/fanout.h"

// What the fan-out is made of, for the files that it is written in: fanout.c has the feeds and the
// round, rtp_viewer.c serves one viewer, rtp_move.c moves it, fanout_stats.c counts.

// Viewers that wait for their pacers are served together, so often: shorter than a train.
#define PACING_STEP_NS (RELAY_PACER_TRAIN_NS / 4)

typedef struct _RelayFeed RelayFeed;

// What a viewer asks for again of one feed.
typedef struct {
    RelayFeed *feed;     // NULL: none
    RelayRepair *repair; // NULL until it asks
    RelayRepairSpan spans[RELAY_INPUT_TRACKS_MAX];
} RelayMending;

struct _RelayRtpViewer {
    RelayFanout *fanout;
    RelayFeed *home; // of the stream that it asked for
    RelayFeed *feed; // from which it gets its packets: home, or a rendition of it
    RelayViewerSpec spec;
    RelayFollower course; // in `feed`
    RelayRenditionChoice choice;
    RelayRendition aim;  // while course.aim is set
    RelayFeed *guest_of; // counted there
    RelayPacer pacer;
    RelayLineRate rate;
    gsize round_bytes;        // sent in this tick
    gboolean waits;           // more would have left
    RelayMending now, before; // before: of the feed that it came from, for a while
    gint64 before_until_ns;
    guint16 again_sequences[RELAY_INPUT_TRACKS_MAX]; // of the next retransmissions
    RelayRepairLine line;
    gint64 heard_ns, reported_ns;
    guint32 packets[RELAY_INPUT_TRACKS_MAX], octets[RELAY_INPUT_TRACKS_MAX];
    RelayShare share;
    RelayViewerState counted; // in its school
    guint32 told_octets;      // counted there
    gint64 told_ns;           // when it last told of its line there
    gboolean gone;
};

struct _RelayFeed {
    RelayFanout *fanout;
    RelayStream *stream;
    RelayPacketFeed packets;
    RelayCrossing crossing; // to the lesson's main stream
    gint64 crossed_ns;      // when that was last looked for
    GPtrArray *viewers;     // RelayRtpViewer, owned: who asked for it
    GPtrArray *guests;      // RelayRtpViewer, borrowed: others who get it
    gboolean pending;       // somebody has something to send
    gint64 due_ns;          // when somebody may go on
    guint next, left;       // whose turn it is, and how many turns this round has still
    gint64 need_bps;        // the stream's, as far as known
};

struct _RelayFanout {
    RelayWorker *worker;
    guint index;
    RelayUdp *udp;
    RelayUdpBatch *batch;
    GPtrArray *retransmissions; // RelayUnit, in the batch
    GPtrArray *asking;          // RelayRtpViewer, borrowed: a report behind what the batch holds
    gboolean pacing;
    gint64 history_span_ns;
    gsize history_bytes_max;
    RelayViewerLimits limits, patient;
    GPtrArray *feeds; // RelayFeed, owned
    GByteArray *report;
    gint64 housekeeping_ns, judge_ns;
    guint first;   // of the feeds, in this tick
    guint viewers; // relaxed atomics from here on
    RelayFanoutLines lines;
    guint64 units_dropped, viewers_gone;
    guint64 moves[2]; // down, up
    RelayRepairStats repair;
};

// Sends what may leave to the viewer now. When to come back: G_MAXINT64 if nothing waits for time.
gint64 relay_rtp_viewer_serve(RelayRtpViewer *viewer, gint64 now_ns);
// Tells its tracks' clocks.
void relay_rtp_viewer_tell_clocks(RelayRtpViewer *viewer, gint64 now_ns);
// Each half second: it may be over, or want a report.
void relay_rtp_viewer_tend(RelayRtpViewer *viewer, gint64 now_ns);
// Its stream is over.
void relay_rtp_viewer_end(RelayRtpViewer *viewer);
// Not in a place yet, nor in the feed's list.
RelayRtpViewer *relay_rtp_viewer_new(RelayFeed *home, const RelayViewerSpec *spec);
void relay_rtp_viewer_free(gpointer viewer);

// rtp_move.c: between the renditions of a lesson.

// Some times a second: who of the feed's viewers are to be moved.
void relay_feed_judge(RelayFeed *home, gint64 now_ns);
// It comes: takes its share of what may be sent, for the best rendition that there is room for, and
// begins with that. FALSE: for none.
gboolean relay_rtp_viewer_find_room(RelayRtpViewer *viewer, gint64 now_ns);
// Moves the viewer as it is to be, if that can be done now.
void relay_rtp_viewer_turn(RelayRtpViewer *viewer, gint64 now_ns);
// It gets its packets from nowhere else any more. Its feed may be about to go.
void relay_rtp_viewer_go_home(RelayRtpViewer *viewer);
void relay_rtp_viewer_forget_before(RelayRtpViewer *viewer);

// fanout_stats.c
void relay_fanout_count_lines(RelayFanout *fanout);
// What its school is told of it: that it is there, how it follows, that it is no more.
void relay_rtp_viewer_count_in(RelayRtpViewer *viewer);
void relay_rtp_viewer_count(RelayRtpViewer *viewer, gint64 now_ns);
void relay_rtp_viewer_count_out(RelayRtpViewer *viewer);
