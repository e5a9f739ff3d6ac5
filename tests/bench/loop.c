// SPDX-License-Identifier: MIT
#include "tests/bench/loop.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256

void load_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

struct _LoadLoop {
    int fd;
    gboolean quit;
    struct epoll_event events[EVENTS_MAX];
    int count, next; // of this round
};

LoadLoop *load_loop_new(void)
{
    LoadLoop *loop = g_new0(LoadLoop, 1);
    loop->fd = epoll_create1(EPOLL_CLOEXEC);
    return loop;
}

void load_loop_free(LoadLoop *loop)
{
    if (!loop)
        return;
    close(loop->fd);
    g_free(loop);
}

static void control(LoadLoop *loop, LoadWatch *watch, int operation, guint32 events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->fd, operation, watch->fd, &event) < 0)
        load_die("epoll_ctl: %s", g_strerror(errno));
}

void load_loop_add(LoadLoop *loop, LoadWatch *watch, guint32 events)
{
    control(loop, watch, EPOLL_CTL_ADD, events);
}

void load_loop_change(LoadLoop *loop, LoadWatch *watch, guint32 events)
{
    control(loop, watch, EPOLL_CTL_MOD, events);
}

void load_loop_close(LoadLoop *loop, LoadWatch *watch)
{
    if (watch->fd < 0)
        return;
    close(watch->fd);
    watch->fd = -1;
    for (int i = loop->next; i < loop->count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

void load_loop_run(LoadLoop *loop)
{
    while (!loop->quit) {
        loop->count = epoll_wait(loop->fd, loop->events, EVENTS_MAX, -1);
        for (loop->next = 0; loop->next < loop->count;) {
            struct epoll_event *event = &loop->events[loop->next++];
            LoadWatch *watch = event->data.ptr;
            if (watch)
                watch->on_ready(watch->user, event->events);
        }
    }
}

void load_loop_quit(LoadLoop *loop)
{
    loop->quit = TRUE;
}

static struct timespec span(gint64 ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

void load_timer_start(LoadLoop *loop, LoadWatch *watch, gint64 period_ns)
{
    watch->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct itimerspec when = {.it_interval = span(period_ns), .it_value = span(period_ns)};
    timerfd_settime(watch->fd, 0, &when, NULL);
    load_loop_add(loop, watch, EPOLLIN);
}

void load_timer_set(LoadWatch *watch, gint64 at_ns)
{
    struct itimerspec when = {.it_value = span(at_ns)};
    timerfd_settime(watch->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void load_timer_read(LoadWatch *watch)
{
    guint64 count;
    if (read(watch->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        load_die("timer: %s", g_strerror(errno));
}

static gint64 clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

gint64 load_now_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

gint64 load_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
