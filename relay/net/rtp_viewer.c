// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtcp.h"

// How long a viewer over UDP may be silent: twice the minute that Session promises would be longer
// than anybody watches an empty screen, less would hit players that report every 30 s.
#define VIEWER_SILENCE_NS (75 * TK_NS_PER_S)
#define REPORT_INTERVAL_NS (2 * TK_NS_PER_S)

void relay_rtp_viewer_free(gpointer viewer)
{
    RelayRtpViewer *v = viewer;
    relay_repair_free(v->repair);
    g_free(v);
}

static gboolean may_send(const RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
    return !f->pacing || relay_pacer_ready(&v->pacer, now_ns);
}

static void batch_unit(RelayFanout *f, RelayRtpViewer *v, RelayUnit *unit)
{
    relay_udp_batch_add(f->batch, &v->spec.tracks[unit->track].rtp, unit);
    relay_pacer_spend(&v->pacer, unit->bytes);
    v->round_bytes += unit->bytes;
}

static gboolean send_unit(RelayFanout *f, RelayRtpViewer *v, RelayUnit *unit, gint64 now_ns)
{
    const RelayViewerTrack *track = &v->spec.tracks[unit->track];
    if (!track->enabled)
        return TRUE;
    if (v->spec.link) {
        if (!relay_link_put_unit(v->spec.link, track->rtp_channel, unit))
            return FALSE;
    } else {
        if (!may_send(f, v, now_ns))
            return FALSE;
        batch_unit(f, v, unit);
    }
    relay_repair_span_add(&v->spans[unit->track], unit->number);
    v->packets[unit->track]++;
    v->octets[unit->track] += unit->bytes - 12;
    return TRUE;
}

static void put_report(RelayFanout *f, const RelayRtpViewer *v, guint track, gint64 wall_ns)
{
    const RelayTrackClock *clock = &v->feed->clocks[track];
    gint64 elapsed_ns = wall_ns - clock->wall_ns;
    guint32 timestamp = clock->rtp_timestamp +
                        (guint32)(elapsed_ns * (gint64)clock->identity.clock_rate / TK_NS_PER_S);
    g_byte_array_set_size(f->report, 0);
    tk_rtcp_put_sender_report(f->report, clock->identity.ssrc, tk_clock_ntp_from_wall(wall_ns),
                              timestamp, v->packets[track], v->octets[track]);
    tk_rtcp_put_sdes(f->report, clock->identity.ssrc, v->feed->stream->lesson_id);
}

static void send_report(RelayFanout *f, const RelayRtpViewer *v, guint track)
{
    const RelayViewerTrack *to = &v->spec.tracks[track];
    if (!v->spec.link)
        relay_udp_send_rtcp(f->udp, &to->rtcp, f->report);
    else if (relay_link_put_bytes(v->spec.link, to->rtcp_channel, f->report->data, f->report->len))
        relay_link_flush(v->spec.link);
}

void relay_rtp_viewer_tell_clocks(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    RelayFanout *f = v->feed->fanout;
    gint64 wall_ns = tk_clock_wall_ns();
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        const RelayViewerTrack *to = &v->spec.tracks[track];
        if (!to->enabled || !v->feed->clocks[track].known)
            continue;
        put_report(f, v, track, wall_ns);
        send_report(f, v, track);
        v->reported_ns = now_ns;
    }
    if (v->reported_ns == now_ns)
        relay_line_rate_mark(&v->rate, (guint32)(tk_clock_ntp_from_wall(wall_ns) >> 16), now_ns);
}

// Whether what is lost is waiting to go again.
static gboolean send_repairs(RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
    const RelayFeed *feed = v->feed;
    RelayUnit *unit;
    while (v->repair && may_send(f, v, now_ns) &&
           (unit = relay_repair_next(v->repair, feed->index, feed->history, now_ns))) {
        if (v->spec.tracks[unit->track].rtx) {
            unit = relay_repair_rtx(v->repair, unit);
            g_ptr_array_add(f->retransmissions, unit);
        }
        batch_unit(f, v, unit);
        relay_repair_done(v->repair);
        relay_stat_add(f->repair.resent, 1);
    }
    return v->repair && relay_repair_waiting(v->repair);
}

static void forget_repairs(RelayRtpViewer *v)
{
    memset(v->spans, 0, sizeof v->spans);
    if (v->repair)
        relay_repair_forget(v->repair);
}

// Sends what the link has room for.
static void serve_link(RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
    RelayUnit *unit;
    while ((unit = relay_viewer_next(&v->place, v->feed->history)) && send_unit(f, v, unit, now_ns))
        relay_viewer_advance(&v->place);
    relay_link_flush(v->spec.link);
}

// Sends what the pacer lets go. When to come back: G_MAXINT64 if nothing waits.
static gint64 serve_udp(RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
    RelayUnit *unit;
    gint64 due_ns = G_MAXINT64;
    v->round_bytes = 0;
    relay_line_rate_need(&v->rate, v->feed->need_bps);
    relay_pacer_set_rate(&v->pacer, relay_line_rate_bps(&v->rate));
    gboolean repairing = send_repairs(f, v, now_ns);
    while ((unit = relay_viewer_next(&v->place, v->feed->history)) && send_unit(f, v, unit, now_ns))
        relay_viewer_advance(&v->place);
    if (f->pacing && (relay_line_rate_sent(&v->rate, v->round_bytes, unit != NULL, now_ns) ||
                      relay_line_rate_curious(&v->rate, now_ns)))
        g_ptr_array_add(f->asking, v);
    if (repairing)
        due_ns = now_ns + PACING_STEP_NS;
    if (unit)
        due_ns = MIN(due_ns, MAX(relay_pacer_due_ns(&v->pacer), now_ns + PACING_STEP_NS));
    return due_ns;
}

gint64 relay_rtp_viewer_serve(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    RelayFanout *f = v->feed->fanout;
    guint64 lost = relay_viewer_judge(&v->place, v->feed->history, &f->limits, now_ns);
    if (lost) {
        relay_stat_add(f->units_dropped, lost);
        forget_repairs(v);
    }
    // Players put picture and sound in step by the first reports: they go ahead of the media.
    if (v->reported_ns == 0)
        relay_rtp_viewer_tell_clocks(v, now_ns);
    if (!v->spec.link)
        return serve_udp(f, v, now_ns);
    serve_link(f, v, now_ns);
    return G_MAXINT64; // it says when it has room
}

static const char *verdict(const RelayRtpViewer *v, gint64 now_ns)
{
    if (v->place.state == RELAY_VIEWER_GONE)
        return "too-slow";
    if (!v->spec.link && !v->spec.group && now_ns - v->heard_ns > VIEWER_SILENCE_NS)
        return "timeout";
    return NULL;
}

// A group's members learn it from their connections alone: when both tell of it within a moment,
// GStreamer's rtspsrc ends two times at once and sometimes hangs.
static void say_bye(RelayFanout *f, const RelayRtpViewer *v)
{
    if (v->spec.group)
        return;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        const RelayViewerTrack *to = &v->spec.tracks[track];
        if (!to->enabled || !v->feed->clocks[track].known)
            continue;
        put_report(f, v, track, tk_clock_wall_ns());
        tk_rtcp_put_bye(f->report, v->feed->clocks[track].identity.ssrc);
        send_report(f, v, track);
    }
}

static void say_gone(RelayFanout *f, RelayRtpViewer *v, const char *reason)
{
    if (v->gone)
        return;
    v->gone = TRUE;
    relay_stat_add(f->viewers_gone, 1);
    v->spec.on_gone(v->spec.user, reason);
}

static gboolean wants_report(const RelayRtpViewer *v, gint64 now_ns)
{
    if (v->spec.link)
        return now_ns - v->reported_ns >= REPORT_INTERVAL_NS;
    return relay_line_rate_curious(&v->rate, now_ns) ||
           (now_ns - v->reported_ns >= REPORT_INTERVAL_NS &&
            !relay_line_rate_expects(&v->rate, now_ns));
}

void relay_rtp_viewer_tend(RelayRtpViewer *viewer, gint64 now_ns)
{
    const char *reason = verdict(viewer, now_ns);
    if (reason)
        say_gone(viewer->feed->fanout, viewer, reason);
    else if (wants_report(viewer, now_ns))
        relay_rtp_viewer_tell_clocks(viewer, now_ns);
}

void relay_rtp_viewer_end(RelayRtpViewer *viewer)
{
    say_bye(viewer->feed->fanout, viewer);
    say_gone(viewer->feed->fanout, viewer, "ended");
}

// The track's timestamp at the moment that is `reference`'s time on another track.
static guint32 timestamp_in_step(const RelayFeed *feed, guint track, const RelayUnit *reference)
{
    const RelayTrackClock *from = &feed->clocks[reference->track], *to = &feed->clocks[track];
    gint64 since = (gint32)(reference->rtp_timestamp - from->rtp_timestamp);
    gint64 wall_ns = from->wall_ns + since * TK_NS_PER_S / from->identity.clock_rate;
    return to->rtp_timestamp +
           (guint32)((wall_ns - to->wall_ns) * (gint64)to->identity.clock_rate / TK_NS_PER_S);
}

gboolean relay_rtp_viewer_first(const RelayRtpViewer *viewer, guint track, guint16 *ret_sequence,
                                guint32 *ret_timestamp)
{
    const RelayFeed *feed = viewer->feed;
    guint64 at = viewer->place.position, head = relay_history_head(feed->history);
    const RelayUnit *start = relay_history_at(feed->history, at);
    for (; at < head; at++) {
        const RelayUnit *unit = relay_history_at(feed->history, at);
        if (unit->track != track)
            continue;
        *ret_sequence = (guint16)unit->number;
        *ret_timestamp = unit->rtp_timestamp;
        // Both tracks' times must mean the same moment, or players start them apart.
        if (start->track != track && feed->clocks[track].known && feed->clocks[start->track].known)
            *ret_timestamp = timestamp_in_step(feed, track, start);
        return TRUE;
    }
    return FALSE;
}

void relay_rtp_viewer_heard(RelayRtpViewer *viewer, gint64 now_ns)
{
    viewer->heard_ns = now_ns;
}

void relay_rtp_viewer_asked(RelayRtpViewer *viewer, guint track, const RelayQuestion *question)
{
    RelayRtpViewer *v = viewer;
    RelayFeed *feed = v->feed;
    RelayFanout *f = feed->fanout;
    gint64 now_ns = relay_worker_now_ns(f->worker);
    v->heard_ns = now_ns;
    if (v->spec.link || !v->spec.tracks[track].enabled ||
        (feed->clocks[track].known && feed->clocks[track].identity.ssrc != question->ssrc))
        return;
    relay_repair_line_note(&v->line, question);
    if (question->reported)
        relay_line_rate_report(&v->rate, question, now_ns);
    if (question->count == 0)
        return;
    if (!v->repair)
        v->repair = relay_repair_new(g_random_int(), now_ns);
    RelayRepairStats before = *relay_repair_stats(v->repair);
    relay_repair_ask(v->repair, feed->index, feed->history, track, &v->spans[track],
                     v->place.position, &v->line, question, feed->need_bps, now_ns);
    const RelayRepairStats *after = relay_repair_stats(v->repair);
    relay_stat_add(f->repair.asked, after->asked - before.asked);
    relay_stat_add(f->repair.unanswered, after->unanswered - before.unanswered);
    feed->pending = TRUE;
}

void relay_rtp_viewer_redirect(RelayRtpViewer *viewer, guint track, gboolean rtcp,
                               const RelayAddress *address)
{
    RelayViewerTrack *to = &viewer->spec.tracks[track];
    if (rtcp) {
        to->rtcp = *address;
        return;
    }
    to->rtp = *address;
    forget_repairs(viewer);
    relay_viewer_init(&viewer->place, viewer->feed->history);
    relay_rtp_viewer_room(viewer);
}

void relay_rtp_viewer_report(RelayRtpViewer *viewer)
{
    viewer->reported_ns = 0;
    viewer->feed->pending = TRUE;
}

void relay_rtp_viewer_room(RelayRtpViewer *viewer)
{
    viewer->feed->pending = TRUE;
}
