// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

#include "common/base/clock.h"

// A school hears of its viewers' lines so often.
#define TELL_EVERY_NS (5 * TK_NS_PER_S)

static RelayViewerState state_of(const RelayRtpViewer *v)
{
    return relay_rendition_state(v->course.place.state, v->choice.at);
}

static void look_at_line(const RelayRtpViewer *v, RelayLineNews *ret)
{
    const RelayLineRate *rate = &v->rate;
    RelayTcpLine line = {0};
    if (v->spec.link) {
        relay_link_look(v->spec.link, &line);
        *ret = (RelayLineNews){line.passes_bps, v->waits, line.round_ns, line.loss_ppm};
        return;
    }
    // A ceiling is what once did not pass; while nothing more has, that is the line.
    gboolean full = rate->ceiling_bps && rate->ceiling_bps <= rate->proven_bps * 3 / 2;
    *ret = (RelayLineNews){.passes_bps = rate->proven_bps, .full = full};
    if (v->line.known) {
        ret->round_ns = v->line.rtt_ns;
        ret->loss_ppm = (gint64)v->line.loss * 1000000 / (256 * RELAY_REPAIR_SMOOTH);
    }
}

static void count_bytes(RelayRtpViewer *v)
{
    guint32 octets = 0; // of 32 bits, as reports have them
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        octets += v->octets[track];
    relay_stat_add(v->spec.school->bytes, octets - v->told_octets);
    v->told_octets = octets;
}

void relay_rtp_viewer_count_in(RelayRtpViewer *viewer)
{
    viewer->counted = state_of(viewer);
    relay_school_come(viewer->spec.school, RELAY_OVER_RTP, viewer->counted);
}

void relay_rtp_viewer_count(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    RelayViewerState state = state_of(v);
    RelayLineNews news;
    relay_school_change(v->spec.school, RELAY_OVER_RTP, v->counted, state);
    v->counted = state;
    if (!v->spec.school || now_ns - v->told_ns < TELL_EVERY_NS)
        return;
    v->told_ns = now_ns;
    look_at_line(v, &news);
    relay_school_tell(v->spec.school, &news, now_ns);
    count_bytes(v);
}

void relay_rtp_viewer_count_out(RelayRtpViewer *viewer)
{
    relay_school_leave(viewer->spec.school, RELAY_OVER_RTP, viewer->counted);
    if (viewer->spec.school)
        count_bytes(viewer);
}

static void count_line(const RelayRtpViewer *v, RelayFanoutLines *lines)
{
    guint64 rate_bps = (guint64)v->rate.rate_bps;
    lines->states[state_of(v)]++;
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
