// SPDX-License-Identifier: MIT
#include "relay/net/fanout.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "relay/core/line_rate.h"
#include "relay/core/pacer.h"

// How long a viewer over UDP may be silent: twice the minute that Session promises would be longer
// than anybody watches an empty screen, less would hit players that report every 30 s.
#define VIEWER_SILENCE_NS (75 * TK_NS_PER_S)
#define REPORT_INTERVAL_NS (2 * TK_NS_PER_S)
#define HOUSEKEEPING_NS (TK_NS_PER_S / 2)
// Viewers that wait for their pacers are served together, so often: shorter than a train.
#define PACING_STEP_NS (RELAY_PACER_TRAIN_NS / 4)
#define HISTORY_UNITS_MAX 65536

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

static void viewer_free(gpointer data)
{
    RelayRtpViewer *v = data;
    relay_repair_free(v->repair);
    g_free(v);
}

static void feed_free(gpointer data)
{
    RelayFeed *feed = data;
    feed->stream->feeds[feed->fanout->index] = NULL;
    relay_history_free(feed->history);
    relay_repair_index_free(feed->index);
    relay_stream_unref(feed->stream);
    g_ptr_array_unref(feed->viewers);
    g_free(feed);
}

// Until a whole group of pictures has passed: what the history holds, over a
// second at least.
static gint64 need_of(const RelayFeed *feed)
{
    guint64 tail = relay_history_tail(feed->history), head = relay_history_head(feed->history);
    if (feed->rate.bps || tail == head)
        return feed->rate.bps;
    gint64 span_ns = relay_history_at(feed->history, head - 1)->arrived_ns -
                     relay_history_at(feed->history, tail)->arrived_ns;
    gint64 bits = (gint64)relay_history_bytes(feed->history) * 8;
    return (gint64)((double)bits * TK_NS_PER_S / (double)MAX(span_ns, TK_NS_PER_S));
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

static void report(RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
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

static gint64 serve(RelayFanout *f, RelayRtpViewer *v, gint64 now_ns)
{
    guint64 lost = relay_viewer_judge(&v->place, v->feed->history, &f->limits, now_ns);
    if (lost) {
        relay_stat_add(f->units_dropped, lost);
        forget_repairs(v);
    }
    // Players put picture and sound in step by the first reports: they go ahead of the media.
    if (v->reported_ns == 0)
        report(f, v, now_ns);
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

static void count_line(const RelayRtpViewer *v, RelayFanoutLines *lines)
{
    guint64 rate_bps = (guint64)v->rate.rate_bps;
    lines->states[v->place.state]++;
    if (v->spec.link)
        return;
    lines->narrow += v->rate.rate_bps < v->rate.need_bps;
    lines->least_bps = lines->least_bps ? MIN(lines->least_bps, rate_bps) : rate_bps;
}

static void count_lines(RelayFanout *f)
{
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

static void keep_house(RelayFanout *f, RelayFeed *feed, gint64 now_ns)
{
    for (guint i = feed->viewers->len; i-- > 0;) { // leaving removes by swapping in the last
        RelayRtpViewer *v = feed->viewers->pdata[i];
        const char *reason = verdict(v, now_ns);
        if (reason)
            say_gone(f, v, reason);
        else if (wants_report(v, now_ns))
            report(f, v, now_ns);
    }
}

static void serve_feed(RelayFanout *f, RelayFeed *feed, gint64 now_ns)
{
    feed->pending = FALSE;
    feed->due_ns = G_MAXINT64;
    feed->need_bps = need_of(feed);
    for (guint i = 0; i < feed->viewers->len; i++) {
        gint64 due_ns = serve(f, feed->viewers->pdata[i], now_ns);
        feed->due_ns = MIN(feed->due_ns, due_ns);
    }
}

// The batch borrows from viewers and histories: it is gone before either
// changes.
static void flush(RelayFanout *f, gint64 now_ns)
{
    relay_udp_batch_flush(f->batch);
    g_ptr_array_set_size(f->retransmissions, 0);
    for (guint i = 0; i < f->asking->len; i++)
        report(f, f->asking->pdata[i], now_ns);
    g_ptr_array_set_size(f->asking, 0);
}

static gint64 tick(gpointer user, gint64 now_ns)
{
    RelayFanout *f = user;
    gint64 due_ns = G_MAXINT64;
    for (guint i = 0; i < f->feeds->len; i++) {
        RelayFeed *feed = f->feeds->pdata[i];
        if (feed->pending || now_ns >= feed->due_ns)
            serve_feed(f, feed, now_ns);
        due_ns = MIN(due_ns, feed->due_ns);
    }
    flush(f, now_ns);
    if (now_ns >= f->housekeeping_ns) {
        f->housekeeping_ns = now_ns + HOUSEKEEPING_NS;
        for (guint i = 0; i < f->feeds->len; i++)
            keep_house(f, f->feeds->pdata[i], now_ns);
        count_lines(f);
    }
    return MIN(due_ns, f->housekeeping_ns);
}

RelayFanout *relay_fanout_new(RelayWorker *worker, guint index, RelayUdp *udp,
                              gint64 history_span_ns, gsize history_bytes_max, gboolean pacing)
{
    RelayFanout *f = g_new0(RelayFanout, 1);
    f->worker = worker;
    f->index = index;
    f->udp = udp;
    f->batch = relay_udp_batch_new(udp);
    f->retransmissions = g_ptr_array_new_with_free_func((GDestroyNotify)relay_unit_unref);
    f->asking = g_ptr_array_new();
    f->pacing = pacing;
    f->history_span_ns = history_span_ns;
    f->history_bytes_max = history_bytes_max;
    f->limits = RELAY_VIEWER_LIMITS_DEFAULT;
    f->feeds = g_ptr_array_new_with_free_func(feed_free);
    f->report = g_byte_array_new();
    relay_worker_add_tick(worker, tick, f);
    return f;
}

void relay_fanout_free(RelayFanout *fanout)
{
    if (!fanout)
        return;
    g_ptr_array_unref(fanout->feeds);
    relay_udp_batch_free(fanout->batch);
    g_ptr_array_unref(fanout->retransmissions);
    g_ptr_array_unref(fanout->asking);
    g_byte_array_unref(fanout->report);
    g_free(fanout);
}

void relay_fanout_open(RelayFanout *fanout, RelayStream *stream)
{
    RelayFeed *feed = g_new0(RelayFeed, 1);
    feed->fanout = fanout;
    feed->stream = relay_stream_ref(stream);
    feed->history =
        relay_history_new(fanout->history_span_ns, fanout->history_bytes_max, HISTORY_UNITS_MAX);
    feed->index = relay_repair_index_new();
    feed->viewers = g_ptr_array_new_with_free_func(viewer_free);
    stream->feeds[fanout->index] = feed;
    g_ptr_array_add(fanout->feeds, feed);
}

void relay_fanout_close(RelayFanout *fanout, RelayStream *stream)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (!feed)
        return;
    for (guint i = feed->viewers->len; i-- > 0;) {
        say_bye(fanout, feed->viewers->pdata[i]);
        say_gone(fanout, feed->viewers->pdata[i], "ended");
    }
    g_ptr_array_remove_fast(fanout->feeds, feed);
}

void relay_fanout_push(RelayFanout *fanout, RelayStream *stream, RelayUnit **units, guint count)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    for (guint i = 0; i < count; i++) {
        if (feed) {
            relay_repair_index_note(feed->index, units[i], relay_history_head(feed->history));
            relay_stream_rate_note(&feed->rate, units[i]);
            relay_history_push(feed->history, units[i]);
        } else {
            relay_unit_unref(units[i]);
        }
    }
    if (feed)
        feed->pending = TRUE;
}

void relay_fanout_set_clock(RelayFanout *fanout, RelayStream *stream, guint track,
                            const RelayTrackClock *clock)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (feed)
        feed->clocks[track] = *clock;
}

// The first packet at or behind the numbers that a resuming viewer names; head when there is none.
static guint64 resume_position(const RelayHistory *history, const RelayViewerSpec *spec)
{
    guint64 at = relay_history_tail(history), head = relay_history_head(history);
    for (; at < head; at++) {
        const RelayUnit *unit = relay_history_at(history, at);
        if ((gint16)((guint16)unit->number - spec->resume[unit->track]) >= 0)
            break;
    }
    return at;
}

RelayRtpViewer *relay_fanout_join(RelayFanout *fanout, RelayStream *stream,
                                  const RelayViewerSpec *spec)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (!feed)
        return NULL;
    RelayRtpViewer *v = g_new0(RelayRtpViewer, 1);
    v->feed = feed;
    v->spec = *spec;
    v->heard_ns = relay_worker_now_ns(fanout->worker);
    if (spec->resumes)
        relay_viewer_init_at(&v->place, resume_position(feed->history, spec));
    else
        relay_viewer_init(&v->place, feed->history);
    relay_line_rate_init(&v->rate, need_of(feed), v->heard_ns);
    if (spec->group)
        v->rate.rate_bps = RELAY_LINE_RATE_GROUP_BPS;
    relay_pacer_init(&v->pacer, relay_line_rate_bps(&v->rate), RELAY_PACER_TRAIN_MIN_BYTES,
                     v->heard_ns);
    g_ptr_array_add(feed->viewers, v);
    feed->pending = TRUE;
    relay_stat_add(fanout->viewers, 1);
    return v;
}

void relay_fanout_leave(RelayFanout *fanout, RelayRtpViewer *viewer)
{
    relay_stat_add(fanout->viewers, -1u);
    g_ptr_array_remove_fast(viewer->feed->viewers, viewer);
}

// The track's timestamp at the moment that is `reference`'s time on another
// track.
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
        // Both tracks' times must mean the same moment, or players start them
        // apart.
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

void relay_fanout_stats(const RelayFanout *fanout, RelayFanoutStats *ret)
{
    const RelayUdpStats *udp = relay_udp_batch_stats(fanout->batch);
    *ret = (RelayFanoutStats){.viewers = relay_stat_get(fanout->viewers),
                              .lines = {.narrow = relay_stat_get(fanout->lines.narrow),
                                        .least_bps = relay_stat_get(fanout->lines.least_bps)},
                              .units_dropped = relay_stat_get(fanout->units_dropped),
                              .viewers_gone = relay_stat_get(fanout->viewers_gone),
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
