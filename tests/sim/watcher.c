// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

// Streams of randomness: the studio has the first ones.
#define RANDOM_FIRST 16
#define RANDOM_EACH 4
#define STEP_WITHIN_MS 1000

// Each step of a walk is a factor of up to so much.
#define WALK_FACTOR 3.0

static void walk(Watcher *w)
{
    const Crowd *c = w->crowd;
    gint64 at_ms = 0;
    double rate_bps = (double)c->down.rate_bps;
    for (guint i = 0; i < LINE_STEPS_MAX; i++) {
        at_ms += c->walks_every_ms / 2 + net_random_below(&w->random, c->walks_every_ms / 2);
        double factor = 1 + net_random_double(&w->random) * (WALK_FACTOR - 1);
        rate_bps = net_random_below(&w->random, 2) ? rate_bps * factor : rate_bps / factor;
        rate_bps = CLAMP(rate_bps, (double)c->walks_from, (double)c->walks_to);
        w->steps[w->steps_count++] = (LineStep){at_ms, (gint64)rate_bps};
    }
}

void watcher_init(Watcher *watcher, Hall *hall, const Crowd *crowd, guint id)
{
    Watcher *w = watcher;
    guint32 stream = RANDOM_FIRST + RANDOM_EACH * id;
    w->hall = hall;
    w->crowd = crowd;
    w->id = id;
    w->random = net_random(hall->seed, stream);
    w->down = net_line(&crowd->down, hall->seed, stream + 1);
    w->up = net_line(&crowd->up, hall->seed, stream + 2);
    tcp_line_init(&w->tcp, crowd->down.delay_ms, crowd->down.loss, hall->seed, stream + 3);
    w->join_ms = 1 + net_random_below(&w->random, crowd->join_within_ms + 1);
    w->moves = g_array_new(FALSE, FALSE, sizeof(Move));
    w->sounds = g_array_new(FALSE, TRUE, sizeof(gint32));
    w->rate_bps = crowd->down.rate_bps;
    for (guint i = 0; i < G_N_ELEMENTS(crowd->steps) && crowd->steps[i].at_ms; i++) {
        w->steps[i] = crowd->steps[i];
        w->steps[i].at_ms += net_random_below(&w->random, STEP_WITHIN_MS);
        w->steps_count++;
    }
    if (crowd->walks_every_ms)
        walk(w);
    rtp_check_init(&w->rtp);
}

void watcher_clear(Watcher *watcher)
{
    Watcher *w = watcher;
    if (w->crowd->kind == WATCHER_WEB)
        web_watcher_leave(w);
    else
        rtp_watcher_leave(w);
    tcp_line_clear(&w->tcp, (GDestroyNotify)relay_unit_unref);
    rtp_check_clear(&w->rtp);
    g_array_unref(w->moves);
    g_array_unref(w->sounds);
}

void watcher_moved(Watcher *watcher, RelayRendition to)
{
    Watcher *w = watcher;
    Move move = {w->hall->now_ms, w->at, to};
    if (to == w->at)
        return;
    g_array_append_val(w->moves, move);
    w->at = to;
}

void watcher_heard(Watcher *watcher, guint frame)
{
    GArray *sounds = watcher->sounds;
    if (frame >= sounds->len)
        g_array_set_size(sounds, frame + 1);
    gint32 *came = &g_array_index(sounds, gint32, frame);
    if (!*came)
        *came = (gint32)watcher->hall->now_ms;
}

static void follow_plan(Watcher *w)
{
    if (w->step < w->steps_count && w->hall->now_ms >= w->steps[w->step].at_ms)
        w->rate_bps = w->steps[w->step++].rate_bps;
    w->down.rate_bps = w->tcp.rate_bps = w->rate_bps;
}

void watcher_step(Watcher *watcher)
{
    Watcher *w = watcher;
    if (w->over)
        return;
    follow_plan(w);
    if (w->crowd->kind == WATCHER_WEB) {
        if (w->hall->now_ms == w->join_ms)
            web_watcher_join(w);
        if (w->present)
            web_watcher_step(w);
    } else {
        if (w->hall->now_ms == w->join_ms)
            rtp_watcher_join(w);
        if (w->present)
            rtp_watcher_step(w);
    }
}
