// SPDX-License-Identifier: MIT
#include "client/capture/feed.h"

#include "client/peer/peer.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#define BACKOFF_MAX_S 15

static void feed_close(CapFeed *feed)
{
    g_clear_pointer(&feed->source, cap_source_free);
    feed->ready = FALSE;
}

static gboolean on_retry(gpointer data)
{
    CapFeed *feed = data;

    feed->retry = 0;
    cap_feed_open(feed);
    return G_SOURCE_REMOVE;
}

void cap_feed_lost(CapFeed *feed, const char *reason)
{
    guint pause_s = client_backoff_s(feed->failures++, BACKOFF_MAX_S);
    g_autofree char *what = cap_source_spec_describe(&feed->spec);

    g_free(feed->reason);
    feed->reason = g_strdup(reason);
    feed_close(feed);
    if (!feed->lost_ns)
        feed->lost_ns = tk_clock_monotonic_ns();
    tk_warning("%s: %s lost: %s: %s; next try in %u s", feed->stream, feed->what, what,
               feed->reason, pause_s);
    if (!feed->retry)
        feed->retry = g_timeout_add_seconds(pause_s, on_retry, feed);
    if (feed->events.on_lost)
        feed->events.on_lost(feed->user);
}

static void on_source_lost(void *user, const GError *error)
{
    cap_feed_lost(user, client_error_sentence(error));
}

static void on_source_ready(void *user)
{
    CapFeed *feed = user;

    feed->ready = TRUE;
    if (feed->events.on_ready)
        feed->events.on_ready(feed->user);
}

static void on_source_end(void *user)
{
    CapFeed *feed = user;

    if (feed->format.loop)
        cap_feed_reopen(feed);
    else if (feed->events.on_end)
        feed->events.on_end(feed->user);
}

void cap_feed_open(CapFeed *feed)
{
    const CapSourceEvents events = {on_source_ready, on_source_lost, on_source_end};
    g_autoptr(GError) error = NULL;

    feed->started = feed->spec.kind != CAP_SOURCE_FILE;
    feed->opened_ns = tk_clock_monotonic_ns();
    feed->source = cap_source_new(&feed->spec, &feed->format, &feed->outputs, feed->clock,
                                  feed->base_time, &events, feed, &error);
    if (!feed->source || !cap_source_open(feed->source, &error))
        cap_feed_lost(feed, error->message);
}

void cap_feed_reopen(CapFeed *feed)
{
    feed_close(feed);
    cap_feed_open(feed);
}

void cap_feed_start(CapFeed *feed, GstClockTime at)
{
    g_autoptr(GError) error = NULL;

    feed->started = TRUE;
    feed->opened_ns = tk_clock_monotonic_ns();
    if (!cap_source_start(feed->source, at, &error))
        cap_feed_lost(feed, error->message);
}

void cap_feed_flows(CapFeed *feed)
{
    feed->failures = 0;
    if (feed->lost_ns)
        tk_info("%s: %s is back after %.1f s", feed->stream, feed->what,
                (double)(tk_clock_monotonic_ns() - feed->lost_ns) / (double)TK_NS_PER_S);
    feed->lost_ns = 0;
    g_clear_pointer(&feed->reason, g_free);
}

void cap_feed_clear(CapFeed *feed)
{
    g_clear_handle_id(&feed->retry, g_source_remove);
    feed_close(feed);
    cap_source_spec_clear(&feed->spec);
    g_clear_pointer(&feed->reason, g_free);
}
