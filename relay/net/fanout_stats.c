// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

static void count_line(const RelayRtpViewer *v, RelayFanoutLines *lines)
{
    guint64 rate_bps = (guint64)v->rate.rate_bps;
    lines->states[relay_rendition_state(v->course.place.state, v->choice.at)]++;
    if (v->spec.link)
        return;
    lines->narrow += v->rate.rate_bps < v->rate.need_bps;
    lines->least_bps = lines->least_bps ? MIN(lines->least_bps, rate_bps) : rate_bps;
}

void relay_fanout_count_lines(RelayFanout *fanout)
{
    RelayFanout *f = fanout;
    RelayFanoutLines lines = {0};
    for (guint i = 0; i < f->feeds->len; i++) {
        const RelayFeed *feed = f->feeds->pdata[i];
        for (guint j = 0; j < feed->viewers->len; j++)
            count_line(feed->viewers->pdata[j], &lines);
    }
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        relay_stat_set(f->lines.states[i], lines.states[i]);
    relay_stat_set(f->lines.narrow, lines.narrow);
    relay_stat_set(f->lines.least_bps, lines.least_bps);
}

void relay_fanout_stats(const RelayFanout *fanout, RelayFanoutStats *ret)
{
    const RelayUdpStats *udp = relay_udp_batch_stats(fanout->batch);
    *ret = (RelayFanoutStats){
        .viewers = relay_stat_get(fanout->viewers),
        .lines = {.narrow = relay_stat_get(fanout->lines.narrow),
                  .least_bps = relay_stat_get(fanout->lines.least_bps)},
        .units_dropped = relay_stat_get(fanout->units_dropped),
        .viewers_gone = relay_stat_get(fanout->viewers_gone),
        .moves = {relay_stat_get(fanout->moves[0]), relay_stat_get(fanout->moves[1])},
        .repair = {.asked = relay_stat_get(fanout->repair.asked),
                   .resent = relay_stat_get(fanout->repair.resent),
                   .unanswered = relay_stat_get(fanout->repair.unanswered)},
        .udp = {.datagrams = relay_stat_get(udp->datagrams),
                .bytes = relay_stat_get(udp->bytes),
                .trains = relay_stat_get(udp->trains),
                .calls = relay_stat_get(udp->calls),
                .waits = relay_stat_get(udp->waits),
                .refused = relay_stat_get(udp->refused)}};
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        ret->lines.states[i] = relay_stat_get(fanout->lines.states[i]);
}
