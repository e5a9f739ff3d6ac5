// SPDX-License-Identifier: MIT
#include "relay/net/worker.h"

#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "relay/net/stream.h"

#define EVENTS_PER_ROUND 128
// Media tasks that may wait: a second of 40 busy lessons.
#define MAILBOX_LIMIT 16384

typedef struct {
    RelayTick tick;
    gpointer user;
} Tick;

struct _RelayWorker {
    char *name;
    int epoll;
    RelayWatch wake; // an eventfd
    RelayMailbox *mailbox;
    GThread *thread; // atomic: any worker asks whether it is this one
    GArray *ticks;
    clockid_t cpu_clock; // its thread's; written before `running`
    gboolean running;    // atomic
    gint64 now_ns;
    gboolean quit;
    struct epoll_event events[EVENTS_PER_ROUND];
    int events_count, events_at;
};

static void wake(gpointer data)
{
    RelayWorker *worker = data;
    guint64 one = 1;
    (void)!write(worker->wake.fd, &one, sizeof one);
}

// Never read: a letter posted after the mailbox was emptied would lose its wake-up with the count.
// Edge-triggered, each write wakes once, and the count does not fill up in centuries.
static void woken(RelayWatch *watch, guint32 epoll_events) {}

RelayWorker *relay_worker_new(const char *name, GError **error)
{
    RelayWorker *w = g_new0(RelayWorker, 1);
    w->name = g_strdup(name);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = (RelayWatch){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = woken};
    w->mailbox = relay_mailbox_new(MAILBOX_LIMIT, wake, w);
    w->ticks = g_array_new(FALSE, FALSE, sizeof(Tick));
    w->now_ns = tk_clock_monotonic_ns();
    if (relay_worker_watch(w, &w->wake, EPOLLIN | EPOLLET, error))
        return w;
    relay_worker_free(w);
    return NULL;
}

void relay_worker_free(RelayWorker *worker)
{
    if (!worker)
        return;
    if (worker->wake.fd >= 0)
        close(worker->wake.fd);
    if (worker->epoll >= 0)
        close(worker->epoll);
    relay_mailbox_free(worker->mailbox);
    g_array_unref(worker->ticks);
    g_free(worker->name);
    g_free(worker);
}

void relay_worker_add_tick(RelayWorker *worker, RelayTick tick, gpointer user)
{
    Tick entry = {tick, user};
    g_array_append_val(worker->ticks, entry);
}

static gint64 run_ticks(RelayWorker *w)
{
    gint64 next = G_MAXINT64;
    for (guint i = 0; i < w->ticks->len; i++) {
        Tick *tick = &g_array_index(w->ticks, Tick, i);
        gint64 wish = tick->tick(tick->user, w->now_ns);
        next = MIN(next, wish);
    }
    return next;
}

static int timeout_ms(gint64 now_ns, gint64 deadline_ns)
{
    if (deadline_ns == G_MAXINT64)
        return -1;
    gint64 ms = (deadline_ns - now_ns + TK_NS_PER_MS - 1) / TK_NS_PER_MS;
    return (int)CLAMP(ms, 0, 60000);
}

static gpointer run(gpointer data)
{
    RelayWorker *w = data;
    gint64 deadline_ns = 0;
    g_atomic_int_set(&w->running, pthread_getcpuclockid(pthread_self(), &w->cpu_clock) == 0);
    while (!w->quit) {
        int timeout = timeout_ms(tk_clock_monotonic_ns(), deadline_ns);
        int count = epoll_wait(w->epoll, w->events, EVENTS_PER_ROUND, timeout);
        w->now_ns = tk_clock_monotonic_ns();
        w->events_count = MAX(count, 0);
        w->events_at = 0;
        // Letters first: what was posted before a packet was asked for is known when it comes.
        relay_mailbox_run(w->mailbox, w);
        for (; w->events_at < w->events_count; w->events_at++) {
            struct epoll_event event = w->events[w->events_at];
            RelayWatch *watch = event.data.ptr;
            if (watch)
                watch->ready(watch, event.events);
        }
        w->events_count = 0;
        deadline_ns = run_ticks(w);
    }
    g_atomic_int_set(&w->running, FALSE);
    return NULL;
}

void relay_worker_start(RelayWorker *worker)
{
    relay_stat_set(worker->thread, g_thread_new(worker->name, run, worker));
}

static void quit(gpointer owner, gpointer data)
{
    ((RelayWorker *)owner)->quit = TRUE;
}

void relay_worker_stop(RelayWorker *worker)
{
    if (!worker->thread)
        return;
    relay_worker_post(worker, quit, NULL);
    g_thread_join(worker->thread);
    relay_stat_set(worker->thread, NULL); // others may ask yet whether they are on it
    relay_worker_settle(worker);
}

void relay_worker_settle(RelayWorker *worker)
{
    while (relay_mailbox_run(worker->mailbox, worker))
        ;
}

void relay_worker_post(RelayWorker *worker, RelayTask task, gpointer data)
{
    relay_mailbox_post(worker->mailbox, task, data);
}

gboolean relay_worker_is_current(const RelayWorker *worker)
{
    return relay_stat_get(worker->thread) == g_thread_self();
}

void relay_worker_do(RelayWorker *worker, RelayTask task, gpointer data)
{
    if (relay_worker_is_current(worker))
        task(worker, data);
    else
        relay_worker_post(worker, task, data);
}

gboolean relay_worker_offer(RelayWorker *worker, RelayTask task, gpointer data)
{
    return relay_mailbox_offer(worker->mailbox, task, data);
}

gboolean relay_worker_watch(RelayWorker *worker, RelayWatch *watch, guint32 epoll_events,
                            GError **error)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = watch};
    if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, watch->fd, &event) == 0)
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "epoll: %s", g_strerror(errno));
    return FALSE;
}

void relay_worker_rewatch(RelayWorker *worker, RelayWatch *watch, guint32 epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = watch};
    epoll_ctl(worker->epoll, EPOLL_CTL_MOD, watch->fd, &event);
}

void relay_worker_unwatch(RelayWorker *worker, RelayWatch *watch)
{
    epoll_ctl(worker->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    for (int i = worker->events_at; i < worker->events_count; i++)
        if (worker->events[i].data.ptr == watch)
            worker->events[i].data.ptr = NULL;
}

gint64 relay_worker_cpu_ns(const RelayWorker *worker)
{
    struct timespec used;
    if (!g_atomic_int_get(&worker->running) || clock_gettime(worker->cpu_clock, &used) != 0)
        return 0;
    return (gint64)used.tv_sec * TK_NS_PER_S + used.tv_nsec;
}

gint64 relay_worker_now_ns(const RelayWorker *worker)
{
    return worker->now_ns;
}
