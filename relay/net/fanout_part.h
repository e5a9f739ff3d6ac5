// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/line_rate.h"
#include "relay/core/pacer.h"
#include "relay/core/stream_rate.h"
#include "relay/net/fanout.h"

// What the fan-out is made of, for the files that it is written in: fanout.c has the feeds and the
// round, rtp_viewer.c serves one viewer, fanout_stats.c counts.

// Viewers that wait for their pacers are served together, so often: shorter than a train.
#define PACING_STEP_NS (RELAY_PACER_TRAIN_NS / 4)

typedef struct _RelayFeed RelayFeed;

struct _RelayRtpViewer {
    RelayFeed *feed;
    RelayViewerSpec spec;
    RelayViewer place;
    RelayPacer pacer;
    RelayLineRate rate;
    gsize round_bytes; // sent in this tick
    RelayRepairSpan spans[RELAY_INPUT_TRACKS_MAX];
    RelayRepairLine line;
    RelayRepair *repair; // NULL until it asks
    gint64 heard_ns, reported_ns;
    guint32 packets[RELAY_INPUT_TRACKS_MAX], octets[RELAY_INPUT_TRACKS_MAX];
    gboolean gone;
};

struct _RelayFeed {
    RelayFanout *fanout;
    RelayStream *stream;
    RelayHistory *history;
    RelayRepairIndex *index;
    RelayTrackClock clocks[RELAY_INPUT_TRACKS_MAX];
    GPtrArray *viewers; // RelayRtpViewer, owned
    gboolean pending;   // somebody has something to send
    gint64 due_ns;      // when a pacer lets somebody go on
    RelayStreamRate rate;
    gint64 need_bps; // the stream's, as far as known
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
    RelayViewerLimits limits;
    GPtrArray *feeds; // RelayFeed, owned
    GByteArray *report;
    gint64 housekeeping_ns;
    guint viewers; // relaxed atomics from here on
    RelayFanoutLines lines;
    guint64 units_dropped, viewers_gone;
    RelayRepairStats repair;
};

// Until a whole group of pictures has passed: what the history holds, over a second at least.
gint64 relay_feed_need(const RelayFeed *feed);

// Sends what may leave to the viewer now. When to come back: G_MAXINT64 if nothing waits for time.
gint64 relay_rtp_viewer_serve(RelayRtpViewer *viewer, gint64 now_ns);
// Tells its tracks' clocks.
void relay_rtp_viewer_tell_clocks(RelayRtpViewer *viewer, gint64 now_ns);
// Each half second: it may be over, or want a report.
void relay_rtp_viewer_tend(RelayRtpViewer *viewer, gint64 now_ns);
// Its stream is over.
void relay_rtp_viewer_end(RelayRtpViewer *viewer);
void relay_rtp_viewer_free(gpointer viewer);

void relay_fanout_count_lines(RelayFanout *fanout);
