// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"
#include "relay/core/repair.h"
#include "relay/core/viewer.h"
#include "relay/net/link.h"
#include "relay/net/schools.h"
#include "relay/net/stream.h"
#include "relay/net/udp_batch.h"

// The RTP viewers of one packet worker: every stream's recent packets, and who gets them. All on
// the worker's thread.

typedef struct _RelayFanout RelayFanout;
typedef struct _RelayRtpViewer RelayRtpViewer;

// `index` is the worker's slot in RelayStream.feeds; `pacing`: whether viewers over UDP are sent to
// no faster than their lines carry. Adds its tick to the worker.
RelayFanout *relay_fanout_new(RelayWorker *worker, guint index, RelayUdp *udp,
                              gint64 history_span_ns, gsize history_bytes_max, gboolean pacing);
// After the worker has stopped.
void relay_fanout_free(RelayFanout *fanout);

void relay_fanout_open(RelayFanout *fanout, RelayStream *stream);
// Ends its viewers with reason "ended".
void relay_fanout_close(RelayFanout *fanout, RelayStream *stream);

// Takes over the references in `units`.
void relay_fanout_push(RelayFanout *fanout, RelayStream *stream, RelayUnit **units, guint count);

void relay_fanout_set_clock(RelayFanout *fanout, RelayStream *stream, guint track,
                            const RelayTrackClock *clock);

// Where one track of a viewer goes.
typedef struct {
    gboolean enabled;
    RelayAddress rtp, rtcp;           // UDP
    guint8 rtp_channel, rtcp_channel; // interleaved
    gboolean rtx; // what it asks for comes as RFC 4588 retransmission, not as it was
} RelayViewerTrack;

typedef struct {
    gboolean interleaved;
    gboolean group;  // a multicast group: nothing is ever heard of it
    RelayLink *link; // interleaved: borrowed until leave; UDP: NULL
    RelayViewerTrack tracks[RELAY_INPUT_TRACKS_MAX];
    // It goes on with these sequence numbers as far as the history has them: a relay that was cut
    // off.
    gboolean resumes;
    guint16 resume[RELAY_INPUT_TRACKS_MAX];
    // It gets renditions of the stream when its line carries no more.
    gboolean moves;
    RelaySchool *school; // whose it is; NULL: a group's
    RelayShare share;    // of what may be sent, empty
    // The viewer is over ("ended", "timeout", "too-slow"): called once, from the tick; leave it
    // then.
    void (*on_gone)(gpointer user, const char *reason);
    gpointer user;
} RelayViewerSpec;

// NULL when the stream is not (any longer) open here, or the limits leave no room (*ret_full).
// Sending begins with the next tick.
RelayRtpViewer *relay_fanout_join(RelayFanout *fanout, RelayStream *stream,
                                  const RelayViewerSpec *spec, gboolean *ret_full);
void relay_fanout_leave(RelayFanout *fanout, RelayRtpViewer *viewer);

// What the first packet of a track will be (RFC 2326 section 12.33). FALSE: not known yet.
gboolean relay_rtp_viewer_first(const RelayRtpViewer *viewer, guint track, guint16 *ret_sequence,
                                guint32 *ret_timestamp);

// The viewer was heard of: a receiver report, a request.
void relay_rtp_viewer_heard(RelayRtpViewer *viewer, gint64 now_ns);
// The viewer, one over UDP, reports and asks about a track.
void relay_rtp_viewer_asked(RelayRtpViewer *viewer, guint track, const RelayQuestion *question);
// Its packets come from another port than it said (NAT): send there, from the newest keyframe on.
void relay_rtp_viewer_redirect(RelayRtpViewer *viewer, guint track, gboolean rtcp,
                               const RelayAddress *address);
// Its tracks' clocks are told with the next round, out of turn.
void relay_rtp_viewer_report(RelayRtpViewer *viewer);
// Its link has room again.
void relay_rtp_viewer_room(RelayRtpViewer *viewer);

// How its viewers' lines are, as of the last half second.
typedef struct {
    guint states[RELAY_VIEWER_STATES]; // viewers in each
    guint64 narrow;                    // over UDP, whose line carries less than the stream
    guint64 least_bps;                 // the slowest of them all; 0: nobody
} RelayFanoutLines;

typedef struct {
    guint viewers;
    RelayFanoutLines lines;
    guint64 units_dropped, viewers_gone;
    guint64 moves[2]; // of viewers between renditions: down, up
    RelayRepairStats repair;
    RelayUdpStats udp;
} RelayFanoutStats;

// Any thread.
void relay_fanout_stats(const RelayFanout *fanout, RelayFanoutStats *ret);
