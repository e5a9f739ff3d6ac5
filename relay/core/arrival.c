// SPDX-License-Identifier: MIT
#include "relay/core/arrival.h"

#include "relay/core/decode.h"
#include "relay/core/ticks.h"
#include "relay/core/video_config.h"

void relay_arrival_anchor(RelayTimeline *timeline, guint track, const RelayHold *hold)
{
    guint32 rate = timeline->tracks[track].clock_rate;
    const RelayHeldFrame *first = relay_hold_first(hold, track);
    RelayVideoConfig config;
    if (!first || !first->config || !relay_video_config_parse(first->config, &config))
        return;
    RelayDecode decode;
    relay_decode_start(&decode, config.sps.reorder_frames);
    gint64 usual = relay_ticks_from_ns(config.frame_ns, rate);
    gint64 origin = (gint64)relay_timeline_extend(timeline, track, first->frame.rtp_timestamp);
    gint64 least_ns = G_MAXINT64, least_at = 0;
    for (const GList *l = hold->frames.head; l; l = l->next) {
        const RelayHeldFrame *held = l->data;
        if (held->track != track)
            continue;
        gint64 at = (gint64)relay_timeline_extend(timeline, track, held->frame.rtp_timestamp);
        gint64 sent = relay_decode_next(&decode, at, held->frame.key, usual, G_MININT64);
        gint64 late_ns = held->wall_ns - relay_ticks_to_ns(sent - origin, rate);
        if (late_ns < least_ns)
            least_at = sent;
        least_ns = MIN(least_ns, late_ns);
    }
    gint64 wall_ns = least_ns + relay_ticks_to_ns(least_at - origin, rate);
    relay_timeline_anchor(timeline, track, (guint64)least_at, wall_ns);
}
