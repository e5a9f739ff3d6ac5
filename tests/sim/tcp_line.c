// SPDX-License-Identifier: MIT
#include "tests/sim/tcp_line.h"

#define SEGMENT_BYTES 1400
#define WINDOW_MIN_BYTES (10 * SEGMENT_BYTES)
#define SLOWER_AFTER_MS 1000

void tcp_line_init(TcpLine *tcp, guint delay_ms, double loss, guint32 seed, guint32 stream)
{
    *tcp = (TcpLine){.delay_ms = delay_ms, .loss = loss, .random = net_random(seed, stream)};
    tcp->history = g_new0(guint64, TCP_LINE_DELAY_MAX_MS);
    g_queue_init(&tcp->items);
}

void tcp_line_clear(TcpLine *tcp, GDestroyNotify free_message)
{
    TcpItem *item;
    while ((item = g_queue_pop_head(&tcp->items))) {
        free_message(item->message);
        g_free(item);
    }
    g_clear_pointer(&tcp->history, g_free);
}

void tcp_line_write(TcpLine *tcp, gsize bytes, gpointer message)
{
    TcpItem *item = g_new(TcpItem, 1);
    tcp->written += bytes;
    *item = (TcpItem){tcp->written, message};
    g_queue_push_tail(&tcp->items, item);
}

static guint round_ms(const TcpLine *t)
{
    return 2 * t->delay_ms + 2;
}

// What may be under way: twice what the line is taken to hold.
static guint64 window(const TcpLine *t)
{
    return WINDOW_MIN_BYTES + (guint64)(2 * t->window_bps / 8000 * round_ms(t));
}

// An eighth of a round's quarter each millisecond, as fast as eight rounds of a quarter are.
static void learn_window(TcpLine *t, gboolean busy, gint64 now_ms)
{
    if (busy && t->window_bps < (double)t->rate_bps)
        t->window_bps =
            MIN((double)t->rate_bps, t->window_bps + t->window_bps / (32.0 * round_ms(t)) + 100);
    if (t->window_bps <= (double)t->rate_bps)
        t->slower_ms = now_ms;
    else if (busy && now_ms - t->slower_ms > SLOWER_AFTER_MS)
        t->window_bps = (double)t->rate_bps;
}

static void learn_rate(TcpLine *t, gint64 now_ms)
{
    if (now_ms - t->sample_ms < MAX(round_ms(t), 20))
        return;
    gint64 span_ms = now_ms - t->sample_ms;
    gint64 sample_bps = (gint64)(t->acked - t->sample_bytes) * 8000 / span_ms;
    gboolean full = t->busy_ms >= span_ms; // else the application sent no more
    if (full || sample_bps > t->passes_bps)
        t->passes_bps = sample_bps;
    t->sample_ms = now_ms;
    t->sample_bytes = t->acked;
    t->busy_ms = 0;
}

void tcp_line_step(TcpLine *tcp, gint64 now_ms)
{
    TcpLine *t = tcp;
    guint64 room = t->acked + window(t);
    t->sent = MAX(t->sent, MIN(t->written, room));
    guint64 waits = t->sent - t->passed;
    t->credit = waits ? t->credit + (double)t->rate_bps / 8000 : 0;
    guint64 through = MIN((guint64)t->credit, waits);
    t->credit -= (double)through;
    t->passed += through;
    double segments = (double)through / SEGMENT_BYTES;
    if (net_random_double(&t->random) < segments * t->loss)
        t->blocked_ms = MAX(t->blocked_ms, now_ms + t->delay_ms) + round_ms(t);
    t->history[now_ms % TCP_LINE_DELAY_MAX_MS] = t->passed;
    if (now_ms >= t->blocked_ms)
        t->arrived = t->history[(now_ms - t->delay_ms) & (TCP_LINE_DELAY_MAX_MS - 1)];
    t->acked = t->history[(now_ms - 2 * t->delay_ms) & (TCP_LINE_DELAY_MAX_MS - 1)];
    t->busy_ms += waits > 0;
    learn_window(t, waits > 0, now_ms);
    learn_rate(t, now_ms);
}

gpointer tcp_line_read(TcpLine *tcp)
{
    TcpItem *item = g_queue_peek_head(&tcp->items);
    if (!item || item->end > tcp->arrived)
        return NULL;
    gpointer message = item->message;
    g_free(g_queue_pop_head(&tcp->items));
    return message;
}

void tcp_line_hurry(TcpLine *tcp)
{
    tcp->window_bps = MAX(tcp->window_bps, (double)tcp->rate_bps);
}
