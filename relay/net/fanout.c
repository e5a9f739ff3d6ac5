// SPDX-License-Identifier: MIT
#include "relay/net/fanout_part.h"

#include "common/base/clock.h"

#define HOUSEKEEPING_NS (TK_NS_PER_S / 2)
#define HISTORY_UNITS_MAX 65536

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

gint64 relay_feed_need(const RelayFeed *feed)
{
    guint64 tail = relay_history_tail(feed->history), head = relay_history_head(feed->history);
    if (feed->rate.bps || tail == head)
        return feed->rate.bps;
    gint64 span_ns = relay_history_at(feed->history, head - 1)->arrived_ns -
                     relay_history_at(feed->history, tail)->arrived_ns;
    gint64 bits = (gint64)relay_history_bytes(feed->history) * 8;
    return (gint64)((double)bits * TK_NS_PER_S / (double)MAX(span_ns, TK_NS_PER_S));
}

static void keep_house(RelayFeed *feed, gint64 now_ns)
{
    for (guint i = feed->viewers->len; i-- > 0;) // leaving removes by swapping in the last
        relay_rtp_viewer_tend(feed->viewers->pdata[i], now_ns);
}

static void serve_feed(RelayFeed *feed, gint64 now_ns)
{
    feed->pending = FALSE;
    feed->due_ns = G_MAXINT64;
    feed->need_bps = relay_feed_need(feed);
    for (guint i = 0; i < feed->viewers->len; i++) {
        gint64 due_ns = relay_rtp_viewer_serve(feed->viewers->pdata[i], now_ns);
        feed->due_ns = MIN(feed->due_ns, due_ns);
    }
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
    for (guint i = 0; i < f->feeds->len; i++) {
        RelayFeed *feed = f->feeds->pdata[i];
        if (feed->pending || now_ns >= feed->due_ns)
            serve_feed(feed, now_ns);
        due_ns = MIN(due_ns, feed->due_ns);
    }
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
    feed->viewers = g_ptr_array_new_with_free_func(relay_rtp_viewer_free);
    stream->feeds[fanout->index] = feed;
    g_ptr_array_add(fanout->feeds, feed);
}

void relay_fanout_close(RelayFanout *fanout, RelayStream *stream)
{
    RelayFeed *feed = stream->feeds[fanout->index];
    if (!feed)
        return;
    for (guint i = feed->viewers->len; i-- > 0;)
        relay_rtp_viewer_end(feed->viewers->pdata[i]);
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
    relay_line_rate_init(&v->rate, relay_feed_need(feed), v->heard_ns);
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
