// SPDX-License-Identifier: MIT
#include "relay/net/web_loop.h"

#include <ev.h>

#include "common/base/clock.h"

// Letters that may wait: several seconds of 40 lessons' chunks.
#define MAILBOX_LIMIT 4096
#define TICK_S 5.0

struct _RelayWebLoop {
    struct ev_loop *native;
    ev_async bell;
    RelayMailbox *mailbox;
    ev_timer clock;
    RelayAudience *audience;
    GThread *thread;
    gboolean quit;
};

static void ring(gpointer data)
{
    RelayWebLoop *loop = data;
    ev_async_send(loop->native, &loop->bell);
}

static void rung(struct ev_loop *native, ev_async *bell, int events)
{
    RelayWebLoop *loop = bell->data;
    relay_mailbox_run(loop->mailbox, loop->audience);
}

static void tick(struct ev_loop *native, ev_timer *clock, int events)
{
    relay_audience_tick(((RelayWebLoop *)clock->data)->audience, tk_clock_monotonic_ns());
}

RelayWebLoop *relay_web_loop_new(RelayAudience *audience)
{
    RelayWebLoop *loop = g_new0(RelayWebLoop, 1);
    loop->audience = audience;
    loop->mailbox = relay_mailbox_new(MAILBOX_LIMIT, ring, loop);
    loop->native = ev_loop_new(EVFLAG_AUTO);
    if (!loop->native)
        g_error("libev has no event loop");
    ev_async_init(&loop->bell, rung);
    loop->bell.data = loop;
    ev_async_start(loop->native, &loop->bell);
    ev_timer_init(&loop->clock, tick, TICK_S, TICK_S);
    loop->clock.data = loop;
    ev_timer_start(loop->native, &loop->clock);
    return loop;
}

static gpointer run(gpointer data)
{
    RelayWebLoop *loop = data;
    while (!loop->quit)
        ev_run(loop->native, EVRUN_ONCE);
    return NULL;
}

void relay_web_loop_start(RelayWebLoop *loop)
{
    loop->thread = g_thread_new("web", run, loop);
}

static void quit(gpointer owner, gpointer data)
{
    ((RelayWebLoop *)data)->quit = TRUE;
}

void relay_web_loop_stop(RelayWebLoop *loop)
{
    if (!loop->thread)
        return;
    relay_mailbox_post(loop->mailbox, quit, loop);
    g_thread_join(g_steal_pointer(&loop->thread));
    relay_web_loop_settle(loop);
}

void relay_web_loop_settle(RelayWebLoop *loop)
{
    while (relay_mailbox_run(loop->mailbox, loop->audience))
        ;
}

void relay_web_loop_free(RelayWebLoop *loop)
{
    if (!loop)
        return;
    ev_loop_destroy(loop->native);
    relay_mailbox_free(loop->mailbox);
    g_free(loop);
}

RelayMailbox *relay_web_loop_mailbox(RelayWebLoop *loop)
{
    return loop->mailbox;
}

gpointer relay_web_loop_native(RelayWebLoop *loop)
{
    return loop->native;
}
