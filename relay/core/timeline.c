// SPDX-License-Identifier: MIT
#include "relay/core/timeline.h"

#include "common/media/rtp.h"
#include "relay/core/ticks.h"

// Extended timestamps begin here, so that no step back ends below zero.
#define FIRST_TURN (G_GUINT64_CONSTANT(1) << 40)

void relay_timeline_start(RelayTimeline *timeline, gint64 epoch_wall_ns,
                          const RelayTrackFormat *formats, guint count)
{
    *timeline = (RelayTimeline){.epoch_wall_ns = epoch_wall_ns, .count = count};
    for (guint i = 0; i < count; i++) {
        timeline->tracks[i].clock_rate = formats[i].clock_rate;
        timeline->tracks[i].is_sound = formats[i].kind == TK_TRACK_AUDIO;
    }
}

static guint64 extend(const RelayTimelineTrack *t, guint32 timestamp)
{
    return tk_rtp_unwrap(t->newest, timestamp, 32);
}

static gint64 between_ns(const RelayTimelineTrack *t, guint64 from, guint64 to)
{
    return relay_ticks_to_ns((gint64)(to - from), t->clock_rate);
}

void relay_timeline_packet(RelayTimeline *timeline, guint track, guint32 timestamp, gint64 wall_ns)
{
    RelayTimelineTrack *t = &timeline->tracks[track];
    if (!t->has_packet)
        t->newest = FIRST_TURN + timestamp;
    guint64 at = extend(t, timestamp);
    t->newest = t->has_packet ? MAX(t->newest, at) : at;
    gint64 usual_wall_ns = t->arrival_wall_ns + between_ns(t, t->arrival_timestamp, at);
    if (!t->has_packet || (!t->fixed && wall_ns < usual_wall_ns)) {
        t->arrival_timestamp = at;
        t->arrival_wall_ns = wall_ns;
    }
    t->has_packet = TRUE;
}

guint64 relay_timeline_extend(const RelayTimeline *timeline, guint track, guint32 timestamp)
{
    return extend(&timeline->tracks[track], timestamp);
}

void relay_timeline_anchor(RelayTimeline *timeline, guint track, guint64 at, gint64 wall_ns)
{
    timeline->tracks[track].arrival_timestamp = at;
    timeline->tracks[track].arrival_wall_ns = wall_ns;
}

static void update_skew(RelayTimeline *timeline, gint64 sender_wall_ns, gint64 wall_ns)
{
    gint64 skew_ns = wall_ns - sender_wall_ns;
    if (ABS(skew_ns) <= RELAY_TIMELINE_TRUST_NS)
        timeline->skew_ns = 0;
    else if (!timeline->has_skew || ABS(skew_ns - timeline->skew_ns) > RELAY_TIMELINE_TRUST_NS)
        timeline->skew_ns = skew_ns;
    timeline->has_skew = TRUE;
}

void relay_timeline_report(RelayTimeline *timeline, guint track, guint32 timestamp,
                           gint64 sender_wall_ns, gint64 wall_ns)
{
    RelayTimelineTrack *t = &timeline->tracks[track];
    if (!t->has_packet)
        return;
    update_skew(timeline, sender_wall_ns, wall_ns);
    t->report_timestamp = extend(t, timestamp);
    t->report_wall_ns = sender_wall_ns + timeline->skew_ns;
    t->has_report = TRUE;
}

gboolean relay_timeline_settled(const RelayTimeline *timeline)
{
    for (guint i = 0; i < timeline->count; i++) {
        if (!timeline->tracks[i].has_packet || !timeline->tracks[i].has_report)
            return FALSE;
    }
    return TRUE;
}

static gint64 captured(const RelayTimelineTrack *t, guint64 at)
{
    if (t->has_report)
        return t->report_wall_ns + between_ns(t, t->report_timestamp, at);
    return t->arrival_wall_ns + between_ns(t, t->arrival_timestamp, at);
}

gint64 relay_timeline_captured(const RelayTimeline *timeline, guint track, guint32 timestamp)
{
    const RelayTimelineTrack *t = &timeline->tracks[track];
    return captured(t, extend(t, timestamp));
}

static gint64 media_ns(const RelayTimeline *timeline, const RelayTimelineTrack *t, guint64 at)
{
    return captured(t, at) - timeline->epoch_wall_ns + timeline->moved_ns;
}

gint64 relay_timeline_preview(const RelayTimeline *timeline, guint track, guint32 timestamp)
{
    const RelayTimelineTrack *t = &timeline->tracks[track];
    return media_ns(timeline, t, extend(t, timestamp));
}

void relay_timeline_move(RelayTimeline *timeline, gint64 ns)
{
    timeline->moved_ns += ns;
}

static gint64 ahead_ns(const RelayTimeline *timeline, const RelayTimelineTrack *t, guint64 at,
                       gint64 wall_ns)
{
    gint64 media = relay_ticks_to_ns((gint64)at + t->shift_ticks, t->clock_rate);
    return media - (wall_ns - timeline->epoch_wall_ns);
}

// Another clock stands behind the timestamps from here on: go by arrival, and forget what the old
// one's reports said.
static void fix_again(RelayTimelineTrack *t, guint64 at, gint64 off_ns, gint64 wall_ns)
{
    t->shift_ticks -= relay_ticks_from_ns(off_ns, t->clock_rate);
    t->newest = t->arrival_timestamp = at;
    t->arrival_wall_ns = wall_ns;
    t->has_report = FALSE;
}

// By how much a track's report places its frames later than they are placed.
static gint64 late_ns(const RelayTimeline *timeline, const RelayTimelineTrack *t)
{
    return media_ns(timeline, t, t->report_timestamp) -
           relay_ticks_to_ns((gint64)t->report_timestamp + t->shift_ticks, t->clock_rate);
}

// What a step of the sender's clock between two reports makes is none of our business: it is larger
// than what sound can be off, or over with the next report.
static void follow_pictures(RelayTimeline *timeline, RelayTimelineTrack *t)
{
    const RelayTimelineTrack *other = timeline->count == 2 ? &timeline->tracks[0] : t;
    other = other == t ? &timeline->tracks[timeline->count - 1] : other;
    if (!t->is_sound || other->is_sound || !t->has_report || !other->has_report || !other->fixed)
        return;
    gint64 apart_ns = late_ns(timeline, t) - late_ns(timeline, other);
    t->follows = ABS(apart_ns) < RELAY_TIMELINE_TRUST_NS &&
                 ABS(apart_ns) > (t->follows ? RELAY_TIMELINE_NEAR_NS : RELAY_TIMELINE_APART_NS);
    if (t->follows)
        t->shift_ticks += apart_ns > 0 ? 1 : -1;
}

gint64 relay_timeline_place(RelayTimeline *timeline, guint track, guint32 timestamp, gint64 wall_ns)
{
    RelayTimelineTrack *t = &timeline->tracks[track];
    guint64 at = extend(t, timestamp);
    if (!t->fixed) {
        gint64 media = relay_ticks_from_ns(media_ns(timeline, t, at), t->clock_rate);
        t->shift_ticks = media - (gint64)at;
        t->ahead_ns = ahead_ns(timeline, t, at, wall_ns);
        t->placed_wall_ns = wall_ns;
        t->fixed = TRUE;
    }
    gint64 off_ns = ahead_ns(timeline, t, at, wall_ns) - t->ahead_ns;
    if (ABS(off_ns) > RELAY_TIMELINE_JUMP_NS) {
        fix_again(t, at, off_ns, wall_ns);
    } else {
        gint64 drift_ns = MAX(wall_ns - t->placed_wall_ns, 0) / RELAY_TIMELINE_DRIFT;
        t->ahead_ns += CLAMP(off_ns, -drift_ns, drift_ns);
        follow_pictures(timeline, t);
    }
    t->placed_wall_ns = MAX(t->placed_wall_ns, wall_ns);
    return (gint64)at + t->shift_ticks;
}

gboolean relay_timeline_point(const RelayTimeline *timeline, guint track, gint64 *ret_wall_ns,
                              guint32 *ret_timestamp)
{
    const RelayTimelineTrack *t = &timeline->tracks[track];
    if (!t->has_packet || (!t->has_report && !t->fixed))
        return FALSE;
    *ret_wall_ns = t->has_report ? t->report_wall_ns : t->arrival_wall_ns;
    *ret_timestamp = (guint32)(t->has_report ? t->report_timestamp : t->arrival_timestamp);
    return TRUE;
}
