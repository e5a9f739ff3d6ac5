// SPDX-License-Identifier: MIT
#pragma once

#include "client/capture/source.h"

// A source that is opened again when it is lost, after 1, 2, 4 … 15 s. Embedded.

// Each may be NULL.
typedef struct {
    // A file stands at its first picture.
    void (*on_ready)(void *user);
    // It has been logged, and the next try is set.
    void (*on_lost)(void *user);
    // A file that does not loop is over.
    void (*on_end)(void *user);
} CapFeedEvents;

typedef struct {
    // To be filled in before it is opened:
    const char *stream, *what; // "main"; "picture", "sound"; borrowed
    CapSourceSpec spec;        // `where` is the feed's own; kind NONE: nothing to open
    CapSourceFormat format;
    CapSourceOutputs outputs;
    GstClock *clock; // borrowed
    GstClockTime base_time;
    CapFeedEvents events;
    void *user;

    // To be read:
    CapSource *source; // NULL: lost
    gboolean ready, started;
    gint64 opened_ns, lost_ns; // monotonic; lost_ns 0 = not lost
    char *reason;              // why it is lost

    guint failures, retry;
} CapFeed;

void cap_feed_open(CapFeed *feed);
void cap_feed_reopen(CapFeed *feed);
// A file's first picture is due at clock time `at`.
void cap_feed_start(CapFeed *feed, GstClockTime at);
// Its first buffer has come.
void cap_feed_flows(CapFeed *feed);
void cap_feed_lost(CapFeed *feed, const char *reason);
void cap_feed_clear(CapFeed *feed);
