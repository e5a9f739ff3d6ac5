// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

#include <string.h>

#include "common/base/clock.h"

#define HOUSEKEEPING_NS (TK_NS_PER_S / 2)
#define JUDGE_NS (TK_NS_PER_S / 4)
#define HISTORY_UNITS_MAX 65536
// Viewers served in one go before requests and packets that have come meanwhile are: a millisecond.
#define TURNS 128
// Nobody has got more of a track than there is. What it wants next lies behind the newest number,
// or ahead of it by what was not in order on the way here; so up to 64,511 packets back can be
// meant.
#define RESUME_AHEAD_MAX 1024
// Who can be given less is set forward later.
#define PATIENT_LAG_NS (6 * TK_NS_PER_S)

static void feed_free(gpointer data)
{
    RelayFeed *feed = data;
    feed->stream->feeds[feed->fanout->index] = NULL;
    g_ptr_array_unref(feed->viewers);
    g_ptr_array_unref(feed->guests);
    relay_packet_feed_clear(&feed->packets);
    relay_stream_unref(feed->stream);
    g_free(feed);
}

static void keep_house(RelayFeed *feed, gint64 now_ns)
{
    for (guint i = feed->viewers->len; i-- > 0;) // leaving removes by swapping in the last
        relay_rtp_viewer_tend(feed->viewers->pdata[i], now_ns);
}

static void serve_one(RelayFeed *feed, RelayRtpViewer *viewer, gint64 now_ns)
{
    gint64 due_ns = relay_rtp_viewer_serve(viewer, now_ns);
    feed->due_ns = MIN(feed->due_ns, due_ns);
}

static void serve_next(RelayFeed *feed, gint64 now_ns)
{
    guint home = feed->viewers->len;
    if (feed->next >= home + feed->guests->len)
        feed->next = 0;
    guint i = feed->next++;
    RelayRtpViewer *v = i < home ? feed->viewers->pdata[i] : feed->guests->pdata[i - home];
    if (v->feed == feed)
        serve_one(feed, v, now_ns);
}

// Gives out `turns` at most; returns how many are left of them.
static guint serve_feed(RelayFeed *feed, guint turns, gint64 now_ns)
{
    if (feed->pending || (!feed->left && now_ns >= feed->due_ns)) {
        feed->pending = FALSE;
        feed->due_ns = G_MAXINT64;
        feed->left = feed->viewers->len + feed->guests->len;
        feed->need_bps = relay_packet_feed_need_bps(&feed->packets);
    }
    feed->left = MIN(feed->left, feed->viewers->len + feed->guests->len);
    for (; feed->left && turns; turns--) {
        feed->left--;
        serve_next(feed, now_ns);
        feed->left = MIN(feed->left, feed->viewers->len + feed->guests->len);
    }
    return turns;
}

// The batch borrows from viewers and histories: it is gone before either changes.
static void flush(RelayFanout *f, gint64 now_ns)
{
    relay_udp_batch_flush(f->batch);
    g_ptr_array_set_size(f->retransmissions, 0);
    for (guint i = 0; i < f->asking->len; i++)
        relay_rtp_viewer_tell_clocks(f->asking->pdata[i], now_ns);
    g_ptr_array_set_size(f->asking, 0);
}

static gint64 tick(gpointer user, gint64 now_ns)
{
    RelayFanout *f = user;
    gint64 due_ns = G_MAXINT64;
    guint turns = TURNS;
    gboolean judge = now_ns >= f->judge_ns;
    if (judge)
        f->judge_ns = now_ns + JUDGE_NS;
    for (guint i = 0; i < f->feeds->len; i++) {
        RelayFeed *feed = f->feeds->pdata[(f->first + i) % f->feeds->len];
        if (judge)
            relay_feed_judge(feed, now_ns);
        turns = serve_feed(feed, turns, now_ns);
        due_ns = MIN(due_ns, feed->left ? now_ns : feed->due_ns);
    }
    f->first++; // nobody is the first for ever
    flush(f, now_ns);
    if (now_ns >= f->housekeeping_ns) {
        f->housekeeping_ns = now_ns + HOUSEKEEPING_NS;
        for (guint i = 0; i < f->feeds->len; i++)
            keep_house(f->feeds->pdata[i], now_ns);
        relay_fanout_count_lines(f);
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
    f->limits = f->patient = RELAY_VIEWER_LIMITS_DEFAULT;
    f->patient.lag_max_ns = PATIENT_LAG_NS;
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
    relay_packet_feed_init(&feed->packets, fanout->history_span_ns, fanout->history_bytes_max,
                           HISTORY_UNITS_MAX);
    feed->viewers = g_ptr_array_new_with_free_func(relay_rtp_viewer_free);
    feed->guests = g_ptr_array_new();
    stream->feeds[fanout->index] = feed;
    g_ptr_array_add(fanout->feeds, feed);
}

// Nobody holds on to the feed.
static void let_go(RelayFanout *fanout, const RelayFeed *feed)
{
    for (guint i = 0; i < fanout->feeds->len; i++) {
        const RelayFeed *home = fanout->feeds->pdata[i];
        for (guint j = 0; j < home->viewers->len; j++) {
            RelayRtpViewer *v = home->viewers->pdata[j];
            if (v->feed == feed || v->guest_of == feed || v->course.aim.feed == &feed->packets)
                relay_rtp_viewer_go_home(v);
            if (v->before.feed == feed)
                relay_rtp_viewer_forget_before(v);
        }
    }
}

void relay_fanout_close(RelayFanout *fanout, RelayStream *stream)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (!feed)
        return;
    for (guint i = feed->viewers->len; i-- > 0;)
        relay_rtp_viewer_end(feed->viewers->pdata[i]);
    let_go(fanout, feed);
    g_ptr_array_remove_fast(fanout->feeds, feed);
}

void relay_fanout_push(RelayFanout *fanout, RelayStream *stream, RelayUnit **units, guint count)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    for (guint i = 0; i < count; i++) {
        if (feed)
            relay_packet_feed_push(&feed->packets, units[i]);
        else
            relay_unit_unref(units[i]);
    }
    if (feed)
        feed->pending = TRUE;
}

void relay_fanout_set_clock(RelayFanout *fanout, RelayStream *stream, guint track,
                            const RelayTrackClock *clock)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (feed)
        feed->packets.clocks[track] = *clock;
}

// The newest number of each track; 0 where it has none.
static void find_newest(const RelayHistory *history, guint64 ret[RELAY_INPUT_TRACKS_MAX])
{
    memset(ret, 0, RELAY_INPUT_TRACKS_MAX * sizeof *ret);
    for (guint64 at = relay_history_tail(history); at < relay_history_head(history); at++) {
        const RelayUnit *unit = relay_history_at(history, at);
        ret[unit->track] = MAX(ret[unit->track], unit->number);
    }
}

// The whole number that the 16 bits of the wire mean.
static guint64 unwrap(guint16 wanted, guint64 newest)
{
    guint64 most = newest + RESUME_AHEAD_MAX;
    return most - (guint16)((guint16)most - wanted);
}

// The first packet at or behind the numbers that a resuming viewer names; head when there is none.
static guint64 resume_position(const RelayHistory *history, const RelayViewerSpec *spec)
{
    guint64 at = relay_history_tail(history), head = relay_history_head(history);
    guint64 newest[RELAY_INPUT_TRACKS_MAX];
    find_newest(history, newest);
    for (; at < head; at++) {
        const RelayUnit *unit = relay_history_at(history, at);
        guint track = unit->track;
        if (spec->tracks[track].enabled &&
            unit->number >= unwrap(spec->resume[track], newest[track]))
            break;
    }
    return at;
}

RelayRtpViewer *relay_fanout_join(RelayFanout *fanout, RelayStream *stream,
                                  const RelayViewerSpec *spec, gboolean *ret_full)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    *ret_full = FALSE;
    if (!feed)
        return NULL;
    RelayRtpViewer *v = relay_rtp_viewer_new(feed, spec);
    if (spec->resumes)
        relay_follower_init_at(&v->course, &feed->packets,
                               resume_position(feed->packets.history, spec));
    else
        relay_follower_init(&v->course, &feed->packets, !spec->group);
    if (!relay_rtp_viewer_find_room(v, relay_worker_now_ns(fanout->worker))) {
        *ret_full = TRUE;
        relay_rtp_viewer_free(v);
        return NULL;
    }
    relay_rtp_viewer_count_in(v);
    g_ptr_array_add(feed->viewers, v);
    feed->pending = TRUE;
    relay_stat_add(fanout->viewers, 1);
    return v;
}

void relay_fanout_leave(RelayFanout *fanout, RelayRtpViewer *viewer)
{
    relay_stat_add(fanout->viewers, -1u);
    relay_rtp_viewer_go_home(viewer);
    relay_rtp_viewer_count_out(viewer);
    relay_share_release(&viewer->share);
    viewer->home->pending = TRUE; // who takes its place in the row may have been behind it
    g_ptr_array_remove_fast(viewer->home->viewers, viewer);
}
