// SPDX-License-Identifier: MIT
#include "tests/sim/net.h"

NetRandom net_random(guint32 seed, guint32 stream)
{
    return (NetRandom){(guint64)seed << 32 | stream};
}

// SplitMix64.
static guint64 next(NetRandom *random)
{
    guint64 z = random->state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
    return z ^ z >> 31;
}

double net_random_double(NetRandom *random)
{
    return (double)(next(random) >> 11) / (double)(G_GUINT64_CONSTANT(1) << 53);
}

guint net_random_below(NetRandom *random, guint limit)
{
    return (guint)(net_random_double(random) * limit);
}

NetLine net_line(const NetSpec *spec, guint32 seed, guint32 stream)
{
    return (NetLine){.spec = spec, .random = net_random(seed, stream), .rate_bps = spec->rate_bps};
}

static gboolean loses(NetLine *line)
{
    const NetSpec *s = line->spec;
    if (s->burst <= 1)
        return net_random_double(&line->random) < s->loss;
    // Two states; in the bad one all is lost. It is left after `burst` packets in the mean, and
    // entered so often that `loss` of all are in it.
    double leave = 1.0 / s->burst, enter = leave * s->loss / (1 - s->loss);
    double turn = net_random_double(&line->random);
    line->losing = line->losing ? turn >= leave : turn < enter;
    return line->losing;
}

gint64 net_line_put(NetLine *line, gsize bytes, gint64 now_ms)
{
    const NetSpec *s = line->spec;
    double at_ms = (double)now_ms;
    if (loses(line))
        return NET_LOST;
    if (line->rate_bps) {
        double per_ms = (double)line->rate_bps / 8000;
        double start_ms = MAX(line->free_ms, at_ms);
        if ((start_ms - at_ms) * per_ms + (double)bytes > (double)s->buffer_bytes)
            return NET_LOST;
        at_ms = line->free_ms = start_ms + (double)bytes / per_ms;
    }
    guint jitter_ms = s->jitter_ms ? net_random_below(&line->random, s->jitter_ms) : 0;
    return MAX((gint64)at_ms + s->delay_ms + jitter_ms, now_ms + 1);
}

struct _NetWheel {
    GArray *slots[NET_HORIZON_MS]; // of NetEvent; NULL until used
};

NetWheel *net_wheel_new(void)
{
    return g_new0(NetWheel, 1);
}

void net_wheel_free(NetWheel *wheel)
{
    for (guint i = 0; i < NET_HORIZON_MS; i++) {
        GArray *slot = wheel->slots[i];
        for (guint j = 0; slot && j < slot->len; j++)
            g_clear_pointer(&g_array_index(slot, NetEvent, j).bytes, g_bytes_unref);
        g_clear_pointer(&wheel->slots[i], g_array_unref);
    }
    g_free(wheel);
}

void net_wheel_put(NetWheel *wheel, const NetEvent *event, gint64 at_ms)
{
    GArray **slot = &wheel->slots[at_ms % NET_HORIZON_MS];
    if (!*slot)
        *slot = g_array_new(FALSE, FALSE, sizeof(NetEvent));
    g_array_append_vals(*slot, event, 1);
}

void net_wheel_turn(NetWheel *wheel, gint64 now_ms)
{
    GArray *slot = wheel->slots[now_ms % NET_HORIZON_MS];
    for (guint i = 0; slot && i < slot->len; i++) {
        NetEvent event = g_array_index(slot, NetEvent, i);
        event.arrive(event.to, &event, now_ms);
        g_clear_pointer(&event.bytes, g_bytes_unref);
    }
    if (slot)
        g_array_set_size(slot, 0);
}
