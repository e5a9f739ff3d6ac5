// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"

// From a sender's RTP timestamps (as renumbered) to the lesson's media time and to wall-clock time.
//
// Media time zero is the lesson's epoch for every stream. For each sender and track one relation
//     media ticks = extended timestamp + shift
// is fixed once, so media time has the rhythm of the sender's own clock, without jumps or rounding
// drift. It comes from the sender's reports; without them from when packets arrived. Only where the
// reports say that sound leaves the pictures it follows them, a tick a frame.
//
// `wall_ns` is the receiver's wall clock at the event's arrival. It must not step while a lesson
// lasts (the input derives it from the monotonic clock). Embedded; nothing to clear.

// A sender's clock this near to ours is a disciplined one and is believed as it is, so that streams
// of several senders are in step. Any other is moved to where ours is, so that at least the streams
// that start together are.
#define RELAY_TIMELINE_TRUST_NS (1 * TK_NS_PER_S)
// Frames whose times leave the passage of time by more than this have another clock behind them.
#define RELAY_TIMELINE_JUMP_NS (10 * TK_NS_PER_S)

// Sound that its reports see so far from where the pictures' reports see them (a sound card's clock
// is 500 ppm off, which in six hours makes 11 s) follows until it is as near as that again.
#define RELAY_TIMELINE_APART_NS (10 * TK_NS_PER_MS)
#define RELAY_TIMELINE_NEAR_NS (1 * TK_NS_PER_MS)
// A clock drifts by no more than this share of the time that passes.
#define RELAY_TIMELINE_DRIFT 1000

typedef struct {
    guint32 clock_rate;
    gboolean is_sound, follows;
    gboolean has_packet;
    guint64 newest; // extended timestamp
    // The packet that came with the least delay.
    guint64 arrival_timestamp;
    gint64 arrival_wall_ns;
    // The newest sender report, its time moved to our clock where needed.
    gboolean has_report;
    guint64 report_timestamp;
    gint64 report_wall_ns;
    gboolean fixed;
    gint64 shift_ticks;
    gint64 ahead_ns; // media time over time passed since the epoch; drifts
    gint64 placed_wall_ns;
} RelayTimelineTrack;

typedef struct {
    gint64 epoch_wall_ns;
    gint64 moved_ns; // by which all tracks of this sender stand later than their clock says
    gboolean has_skew;
    gint64 skew_ns; // our clock - sender's clock; 0 while that is trusted
    guint count;
    RelayTimelineTrack tracks[RELAY_INPUT_TRACKS_MAX];
} RelayTimeline;

// A sender begins.
void relay_timeline_start(RelayTimeline *timeline, gint64 epoch_wall_ns,
                          const RelayTrackFormat *formats, guint count);

// A packet came in. Call for each before its frame is placed.
void relay_timeline_packet(RelayTimeline *timeline, guint track, guint32 timestamp, gint64 wall_ns);

// A timestamp made 64-bit, as the track's others; and the moment at which such a one arrived, to go
// by as long as there is no report.
guint64 relay_timeline_extend(const RelayTimeline *timeline, guint track, guint32 timestamp);
void relay_timeline_anchor(RelayTimeline *timeline, guint track, guint64 at, gint64 wall_ns);

// The sender says that `timestamp` was at `sender_wall_ns` by its clock (RFC 3550 section 6.4.1).
// Passed over before the track's first packet.
void relay_timeline_report(RelayTimeline *timeline, guint track, guint32 timestamp,
                           gint64 sender_wall_ns, gint64 wall_ns);

// Whether each track has both.
gboolean relay_timeline_settled(const RelayTimeline *timeline);

// A frame's media time by what is known now, without fixing anything.
gint64 relay_timeline_preview(const RelayTimeline *timeline, guint track, guint32 timestamp);

// Moves this sender's media times; before the first is placed.
void relay_timeline_move(RelayTimeline *timeline, gint64 ns);

// A frame's media time in ticks. Fixes the track's relation at its first call.
gint64 relay_timeline_place(RelayTimeline *timeline, guint track, guint32 timestamp,
                            gint64 wall_ns);

// When that timestamp was, by the freshest report; by arrival without one.
gint64 relay_timeline_captured(const RelayTimeline *timeline, guint track, guint32 timestamp);

// One point of that relation. FALSE while only arrivals are known and nothing is fixed.
gboolean relay_timeline_point(const RelayTimeline *timeline, guint track, gint64 *ret_wall_ns,
                              guint32 *ret_timestamp) G_GNUC_WARN_UNUSED_RESULT;
