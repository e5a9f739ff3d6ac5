// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// One thread's events: an epoll with call-backs, and timers as descriptors.

typedef struct _LoadLoop LoadLoop;

// Embedded in whoever waits; `fd` is -1 while it waits for nothing.
typedef struct {
    int fd;
    void (*on_ready)(void *user, guint32 events); // EPOLL… bits
    void *user;
} LoadWatch;

LoadLoop *load_loop_new(void);
void load_loop_free(LoadLoop *loop);

void load_loop_add(LoadLoop *loop, LoadWatch *watch, guint32 events);
void load_loop_change(LoadLoop *loop, LoadWatch *watch, guint32 events);

// Closes the descriptor; the call-back will not come any more, not even in this round.
void load_loop_close(LoadLoop *loop, LoadWatch *watch);

// Until load_loop_quit.
void load_loop_run(LoadLoop *loop);
void load_loop_quit(LoadLoop *loop);

// Calls `on_ready` every `period_ns`; it must call load_timer_read.
void load_timer_start(LoadLoop *loop, LoadWatch *watch, gint64 period_ns);
// Once, at a moment of CLOCK_MONOTONIC.
void load_timer_set(LoadWatch *watch, gint64 at_ns);
void load_timer_read(LoadWatch *watch);

// Says why on standard error and ends the program with status 2.
void load_die(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

// CLOCK_REALTIME, in which stamps and arrivals count, and CLOCK_MONOTONIC, in which one waits.
gint64 load_now_ns(void);
gint64 load_monotonic_ns(void);
