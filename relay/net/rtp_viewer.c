// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "common/media/rtp.h"

// How long a viewer over UDP may be silent: twice the minute that Session promises would be longer
// than anybody watches an empty screen, less would hit players that report every 30 s.
#define VIEWER_SILENCE_NS (75 * TK_NS_PER_S)
#define REPORT_INTERVAL_NS (2 * TK_NS_PER_S)
// Who is to be moved waits for a key frame of another stream.
#define TURN_STEP_NS (10 * TK_NS_PER_MS)
// Among so many of the newest are enough that it has got.
#define TRY_UNITS_MAX 256

RelayRtpViewer *relay_rtp_viewer_new(RelayFeed *home, const RelayViewerSpec *spec)
{
    RelayRtpViewer *v = g_new0(RelayRtpViewer, 1);
    v->fanout = home->fanout;
    v->home = v->feed = v->now.feed = home;
    v->spec = *spec;
    v->share = spec->share;
    v->heard_ns = relay_worker_now_ns(v->fanout->worker);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        v->again_sequences[track] = (guint16)g_random_int();
    relay_rendition_begin(&v->choice, RELAY_RENDITION_MAIN, v->heard_ns);
    relay_line_rate_init(&v->rate, relay_packet_feed_need_bps(&home->packets), v->heard_ns);
    if (spec->group)
        v->rate.rate_bps = RELAY_LINE_RATE_GROUP_BPS;
    relay_pacer_init(&v->pacer, relay_line_rate_bps(&v->rate), RELAY_PACER_TRAIN_MIN_BYTES,
                     v->heard_ns);
    if (spec->link && spec->moves)
        relay_link_keep_short(spec->link);
    return v;
}

void relay_rtp_viewer_free(gpointer viewer)
{
    RelayRtpViewer *v = viewer;
    relay_repair_free(v->now.repair);
    relay_repair_free(v->before.repair);
    g_free(v);
}

static gboolean may_send(RelayRtpViewer *v, gboolean urgent, gint64 now_ns)
{
    return !v->fanout->pacing ||
           (urgent ? relay_pacer_urgent(&v->pacer, now_ns) : relay_pacer_ready(&v->pacer, now_ns));
}

static void batch_unit(RelayRtpViewer *v, const guint8 *header, RelayUnit *unit)
{
    relay_udp_batch_add(v->fanout->batch, &v->spec.tracks[unit->track].rtp, header, unit);
    relay_pacer_spend(&v->pacer, unit->bytes);
    v->round_bytes += unit->bytes;
}

static gboolean send_unit(RelayRtpViewer *v, RelayUnit *unit, gint64 now_ns)
{
    const RelayViewerTrack *track = &v->spec.tracks[unit->track];
    guint8 buffer[TK_RTP_HEADER_BYTES];
    if (!track->enabled)
        return TRUE;
    const guint8 *header =
        relay_outgoing_header(&v->course.tracks[unit->track], v->course.feed, unit, buffer);
    if (v->spec.link) {
        if (!relay_link_put_unit(v->spec.link, track->rtp_channel, header, unit))
            return FALSE;
    } else {
        if (!may_send(v, relay_follower_is_ahead(&v->course, unit), now_ns))
            return FALSE;
        batch_unit(v, header, unit);
    }
    relay_repair_span_add(&v->now.spans[unit->track], unit->number);
    v->packets[unit->track]++;
    v->octets[unit->track] += unit->bytes - TK_RTP_HEADER_BYTES;
    return TRUE;
}

// What may leave now; sound goes ahead of what may not.
static void send_media(RelayRtpViewer *v, gint64 now_ns)
{
    RelayUnit *unit;
    v->waits = FALSE;
    while (!v->waits && (unit = relay_follower_next(&v->course, now_ns))) {
        if (send_unit(v, unit, now_ns))
            relay_follower_sent(&v->course, unit);
        else
            v->waits = v->spec.link || !relay_follower_part(&v->course);
    }
}

static void put_report(RelayFanout *f, const RelayRtpViewer *v, guint track, gint64 wall_ns)
{
    const RelayTrackClock *clock = &v->home->packets.clocks[track];
    gint64 elapsed_ns = wall_ns - clock->wall_ns;
    guint32 timestamp = clock->rtp_timestamp +
                        (guint32)(elapsed_ns * (gint64)clock->identity.clock_rate / TK_NS_PER_S);
    g_byte_array_set_size(f->report, 0);
    tk_rtcp_put_sender_report(f->report, clock->identity.ssrc, tk_clock_ntp_from_wall(wall_ns),
                              timestamp, v->packets[track], v->octets[track]);
    tk_rtcp_put_sdes(f->report, clock->identity.ssrc, v->home->stream->lesson_id);
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
    RelayFanout *f = v->fanout;
    gint64 wall_ns = tk_clock_wall_ns();
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        const RelayViewerTrack *to = &v->spec.tracks[track];
        if (!to->enabled || !v->home->packets.clocks[track].known)
            continue;
        put_report(f, v, track, wall_ns);
        send_report(f, v, track);
        v->reported_ns = now_ns;
    }
    if (v->reported_ns == now_ns)
        relay_line_rate_mark(&v->rate, (guint32)(tk_clock_ntp_from_wall(wall_ns) >> 16), now_ns);
}

// FALSE: what was sent under its number was another one's.
static gboolean send_again(RelayRtpViewer *v, RelayMending *m, RelayUnit *unit)
{
    guint8 buffer[TK_RTP_HEADER_BYTES];
    RelayOutgoing *outgoing = &v->course.tracks[unit->track];
    if (!relay_outgoing_knows(outgoing, &m->feed->packets, unit))
        return FALSE;
    const guint8 *header = relay_outgoing_header(outgoing, &m->feed->packets, unit, buffer);
    if (v->spec.tracks[unit->track].rtx) {
        unit = relay_repair_rtx(unit, header, v->again_sequences[unit->track]++);
        g_ptr_array_add(v->fanout->retransmissions, unit);
        header = NULL;
    }
    batch_unit(v, header, unit);
    return TRUE;
}

// Whether what is lost is waiting to go again.
static gboolean send_repairs(RelayRtpViewer *v, RelayMending *m, gint64 now_ns)
{
    RelayUnit *unit;
    while (m->repair &&
           (unit = relay_repair_next(m->repair, m->feed->packets.index, m->feed->packets.history,
                                     now_ns)) &&
           may_send(v, (unit->flags & RELAY_UNIT_SOUND) != 0, now_ns)) {
        gboolean sent = send_again(v, m, unit);
        relay_repair_done(m->repair);
        if (sent)
            relay_stat_add(v->fanout->repair.resent, 1);
    }
    return m->repair && relay_repair_waiting(m->repair);
}

// Nothing from before is of any use; of the sound, if that goes its own way, all still is.
static void forget_repairs(RelayRtpViewer *v)
{
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        if (track != RELAY_SOUND_TRACK || !v->course.parted)
            v->now.spans[track] = (RelayRepairSpan){0};
    if (v->now.repair)
        relay_repair_forget(v->now.repair);
    relay_rtp_viewer_forget_before(v);
}

void relay_rtp_viewer_forget_before(RelayRtpViewer *viewer)
{
    relay_repair_free(viewer->before.repair);
    viewer->before = (RelayMending){0};
}

// Packets that it has got go once more where it is of use to know whether more would pass.
static gboolean try_more(RelayRtpViewer *v, gint64 now_ns)
{
    gint64 left = v->fanout->pacing ? relay_line_rate_try(&v->rate, now_ns) : 0;
    if (!left)
        return FALSE;
    const RelayHistory *history = v->feed->packets.history;
    guint64 at = v->course.place.position, tail = relay_history_tail(history);
    for (guint64 end = MAX(tail, at - MIN(at, TRY_UNITS_MAX)); left > 0 && at > end;) {
        RelayUnit *unit = relay_history_at(history, --at);
        const RelayRepairSpan *span = &v->now.spans[unit->track];
        // While it had the sound alone pictures passed that are none of its.
        if (relay_outgoing_is_before(&v->course.tracks[unit->track], unit))
            continue;
        if (!v->spec.tracks[unit->track].enabled || !span->first || unit->number < span->first ||
            unit->number > span->last ||
            (v->course.no_picture && !(unit->flags & RELAY_UNIT_SOUND)))
            continue;
        if (send_again(v, &v->now, unit))
            left -= unit->bytes;
    }
    return TRUE;
}

static gint64 need_of(const RelayRtpViewer *v)
{
    return v->course.no_picture ? relay_packet_feed_sound_bps(&v->feed->packets)
                                : v->feed->need_bps;
}

// Sends what the pacer lets go. When to come back: G_MAXINT64 if nothing waits.
static gint64 serve_udp(RelayRtpViewer *v, gint64 now_ns)
{
    gint64 due_ns = G_MAXINT64;
    v->round_bytes = 0;
    relay_line_rate_need(&v->rate, need_of(v));
    relay_pacer_set_rate(&v->pacer, relay_line_rate_bps(&v->rate));
    gboolean repairing = send_repairs(v, &v->before, now_ns);
    repairing |= send_repairs(v, &v->now, now_ns);
    send_media(v, now_ns);
    gboolean asks = !v->waits && !repairing && try_more(v, now_ns);
    if (v->fanout->pacing)
        asks |= relay_line_rate_sent(&v->rate, v->round_bytes, v->waits, now_ns) ||
                relay_line_rate_curious(&v->rate, now_ns);
    if (asks)
        g_ptr_array_add(v->fanout->asking, v);
    if (repairing)
        due_ns = now_ns + PACING_STEP_NS;
    if (v->waits)
        due_ns = MIN(due_ns, MAX(relay_pacer_due_ns(&v->pacer), now_ns + PACING_STEP_NS));
    return due_ns;
}

// Dropping comes after everything else that can be done for it.
static const RelayViewerLimits *limits_of(const RelayRtpViewer *v)
{
    gboolean patient = v->spec.moves && v->choice.at != RELAY_RENDITION_AUDIO;
    return patient ? &v->fanout->patient : &v->fanout->limits;
}

gint64 relay_rtp_viewer_serve(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    gint64 due_ns = G_MAXINT64; // over TCP it says when it has room
    guint64 lost = relay_follower_judge(&v->course, limits_of(v), now_ns);
    if (lost) {
        relay_stat_add(v->fanout->units_dropped, lost);
        if (v->spec.school)
            relay_stat_add(v->spec.school->units_dropped, lost);
        forget_repairs(v);
    }
    if (v->course.aim.feed)
        relay_rtp_viewer_turn(v, now_ns);
    // Players put picture and sound in step by the first reports: they go ahead of the media.
    if (v->reported_ns == 0)
        relay_rtp_viewer_tell_clocks(v, now_ns);
    if (v->spec.link) {
        send_media(v, now_ns);
        relay_link_flush(v->spec.link);
    } else {
        due_ns = serve_udp(v, now_ns);
    }
    return v->course.aim.feed ? MIN(due_ns, now_ns + TURN_STEP_NS) : due_ns;
}

static const char *verdict(const RelayRtpViewer *v, gint64 now_ns)
{
    if (v->course.place.state == RELAY_VIEWER_GONE)
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
        if (!to->enabled || !v->home->packets.clocks[track].known)
            continue;
        put_report(f, v, track, tk_clock_wall_ns());
        tk_rtcp_put_bye(f->report, v->home->packets.clocks[track].identity.ssrc);
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
    relay_rtp_viewer_count(viewer, now_ns);
    if (!viewer->spec.moves)
        relay_share_keep(&viewer->share, viewer->home->need_bps);
    if (now_ns > viewer->before_until_ns)
        relay_rtp_viewer_forget_before(viewer);
    if (reason)
        say_gone(viewer->fanout, viewer, reason); // it is no more
    else if (wants_report(viewer, now_ns))
        relay_rtp_viewer_tell_clocks(viewer, now_ns);
}

void relay_rtp_viewer_end(RelayRtpViewer *viewer)
{
    say_bye(viewer->fanout, viewer);
    say_gone(viewer->fanout, viewer, "ended");
}

// The track's timestamp at the moment that is `reference`'s time on another track.
static guint32 timestamp_in_step(const RelayFeed *feed, guint track, const RelayUnit *reference)
{
    const RelayTrackClock *from = &feed->packets.clocks[reference->track],
                          *to = &feed->packets.clocks[track];
    gint64 since = (gint32)(reference->rtp_timestamp - from->rtp_timestamp);
    gint64 wall_ns = from->wall_ns + since * TK_NS_PER_S / from->identity.clock_rate;
    return to->rtp_timestamp +
           (guint32)((wall_ns - to->wall_ns) * (gint64)to->identity.clock_rate / TK_NS_PER_S);
}

gboolean relay_rtp_viewer_first(const RelayRtpViewer *viewer, guint track, guint16 *ret_sequence,
                                guint32 *ret_timestamp)
{
    const RelayFeed *feed = viewer->feed;
    if (viewer->course.aim.feed) // it may begin elsewhere
        return FALSE;
    guint64 at = viewer->course.place.position, head = relay_history_head(feed->packets.history);
    const RelayUnit *start = relay_history_at(feed->packets.history, at);
    for (; at < head; at++) {
        const RelayUnit *unit = relay_history_at(feed->packets.history, at);
        if (unit->track != track)
            continue;
        *ret_sequence = (guint16)unit->number;
        *ret_timestamp = unit->rtp_timestamp;
        // Both tracks' times must mean the same moment, or players start them apart.
        if (start->track != track && feed->packets.clocks[track].known &&
            feed->packets.clocks[start->track].known)
            *ret_timestamp = timestamp_in_step(feed, track, start);
        return TRUE;
    }
    return FALSE;
}

void relay_rtp_viewer_heard(RelayRtpViewer *viewer, gint64 now_ns)
{
    viewer->heard_ns = now_ns;
}

// What a question, in the viewer's numbers, asks of one feed, in that feed's.
static void pick_numbers(const RelayRtpViewer *v, guint track, const RelayFeed *feed,
                         const RelayQuestion *question, RelayQuestion *ret)
{
    const RelayPacketFeed *of;
    guint64 number;
    *ret = *question;
    ret->count = 0;
    for (guint i = 0; i < question->count; i++)
        if (relay_outgoing_find(&v->course.tracks[track], question->sequences[i], &of, &number) &&
            of == &feed->packets)
            ret->sequences[ret->count++] = (guint16)number;
}

static void ask(RelayRtpViewer *v, RelayMending *m, guint track, const RelayQuestion *question,
                guint64 position, gint64 now_ns)
{
    RelayFanout *f = v->fanout;
    if (!m->repair)
        m->repair = relay_repair_new(now_ns);
    RelayRepairStats before = *relay_repair_stats(m->repair);
    relay_repair_ask(m->repair, m->feed->packets.index, m->feed->packets.history, track,
                     &m->spans[track], position, &v->line, question, m->feed->need_bps, now_ns);
    const RelayRepairStats *after = relay_repair_stats(m->repair);
    relay_stat_add(f->repair.asked, after->asked - before.asked);
    relay_stat_add(f->repair.unanswered, after->unanswered - before.unanswered);
    v->feed->pending = TRUE;
}

void relay_rtp_viewer_asked(RelayRtpViewer *viewer, guint track, const RelayQuestion *question)
{
    RelayRtpViewer *v = viewer;
    const RelayTrackClock *clock = &v->home->packets.clocks[track];
    RelayQuestion part;
    gint64 now_ns = relay_worker_now_ns(v->fanout->worker);
    v->heard_ns = now_ns;
    if (v->spec.link || !v->spec.tracks[track].enabled ||
        (clock->known && clock->identity.ssrc != question->ssrc))
        return;
    relay_repair_line_note(&v->line, question);
    if (question->reported)
        relay_line_rate_report(&v->rate, question, now_ns);
    pick_numbers(v, track, v->now.feed, question, &part);
    if (part.count)
        ask(v, &v->now, track, &part, relay_follower_position(&v->course, track), now_ns);
    if (part.count == question->count || !v->before.feed)
        return;
    pick_numbers(v, track, v->before.feed, question, &part);
    if (part.count) // all that it was sent of that feed is behind it
        ask(v, &v->before, track, &part, G_MAXUINT64, now_ns);
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
    relay_follower_restart(&viewer->course);
    forget_repairs(viewer);
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
