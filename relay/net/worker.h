// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/mailbox.h"

// A thread with one epoll loop. Whatever lives on it (connections, viewers, the ingest) is touched
// by this thread alone; others post into its mailbox.

typedef struct _RelayWorker RelayWorker;

// A descriptor on the loop; embedded in its owner.
typedef struct _RelayWatch {
    int fd;
    void (*ready)(struct _RelayWatch *watch, guint32 epoll_events);
} RelayWatch;

// Called after every round of events and tasks; returns the monotonic time at which it wants to be
// called again at the latest (G_MAXINT64: no wish).
typedef gint64 (*RelayTick)(gpointer user, gint64 now_ns);

// Not running yet. `name` shows in `ps -L`.
RelayWorker *relay_worker_new(const char *name, GError **error);
// Before start, or on the worker's thread.
void relay_worker_add_tick(RelayWorker *worker, RelayTick tick, gpointer user);
void relay_worker_start(RelayWorker *worker);
// Ends the thread after the tasks posted so far, and runs on the caller's thread what came later.
void relay_worker_stop(RelayWorker *worker);
// After it has stopped: does on this thread what was posted to it since.
void relay_worker_settle(RelayWorker *worker);
// After stop.
void relay_worker_free(RelayWorker *worker);

// Any thread. Tasks get the worker as `owner`.
void relay_worker_post(RelayWorker *worker, RelayTask task, gpointer data);
gboolean relay_worker_offer(RelayWorker *worker, RelayTask task,
                            gpointer data) G_GNUC_WARN_UNUSED_RESULT;

// Runs the task at once when called on the worker's own thread, else posts it.
void relay_worker_do(RelayWorker *worker, RelayTask task, gpointer data);

// Whether the caller runs on this worker's thread.
gboolean relay_worker_is_current(const RelayWorker *worker);

// On the worker's thread (or before start). `watch` is borrowed until unwatch.
gboolean relay_worker_watch(RelayWorker *worker, RelayWatch *watch, guint32 epoll_events,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void relay_worker_rewatch(RelayWorker *worker, RelayWatch *watch, guint32 epoll_events);
// Safe inside ready(), also for another watch of the same round.
void relay_worker_unwatch(RelayWorker *worker, RelayWatch *watch);

// Any thread: processor time that the worker has used; 0 while it does not run.
gint64 relay_worker_cpu_ns(const RelayWorker *worker);

// Monotonic time of this round.
gint64 relay_worker_now_ns(const RelayWorker *worker);
