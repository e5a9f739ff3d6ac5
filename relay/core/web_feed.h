// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"
#include "relay/core/viewer.h"

// What the WebSocket viewers of one stream on one web worker get, in which order (docs/protocol.md
// section 4). Knows no socket. One thread.
//
// Messages are units whose payload begins RELAY_WEB_HEADROOM bytes in: the WebSocket header is
// written there, once for all viewers.
#define RELAY_WEB_HEADROOM 16

// A message unit holding a copy of `data`.
RelayUnit *relay_web_message(const void *data, gsize size);

typedef struct _RelayWebFeed RelayWebFeed;

// `owner` is borrowed for the feed's life and handed back by relay_web_feed_owner.
RelayWebFeed *relay_web_feed_new(const char *stream_name, gpointer owner, gint64 history_span_ns,
                                 gsize history_bytes_max);
void relay_web_feed_free(RelayWebFeed *feed);
gpointer relay_web_feed_owner(const RelayWebFeed *feed);

// Copies the piece behind headroom. `format` with an initialisation segment, NULL with a chunk.
void relay_web_feed_push(RelayWebFeed *feed, const RelayUnit *piece,
                         const RelayStreamFormat *format);
guint64 relay_web_feed_oldest(const RelayWebFeed *feed); // number of a chunk; 0: none is held
// `state`: "live", "away", "ended"; "ending": the lesson is over, its last chunks are on their way
// to who watches, and nobody begins any more (nothing is told).
void relay_web_feed_set_state(RelayWebFeed *feed, const char *state, const char *lesson_json);
gboolean relay_web_feed_is_open(const RelayWebFeed *feed); // neither ending nor ended
gboolean relay_web_feed_ended(const RelayWebFeed *feed);

// Who watches: a list of the owner's pointers, kept here so that a chunk finds them at once.
void relay_web_feed_join(RelayWebFeed *feed, gpointer member);
void relay_web_feed_leave(RelayWebFeed *feed, gpointer member);
const GPtrArray *relay_web_feed_members(const RelayWebFeed *feed);

typedef struct {
    RelayViewer place;
    guint state_seen;      // serial of the state last sent
    const RelayUnit *init; // last sent; a key, never followed
    gboolean init_named;   // its text has been sent
    guint64 expected;      // number of the chunk that would follow; 0 = any will do
} RelayWebViewer;

// `from` 0: at the newest keyframe.
void relay_web_viewer_init(RelayWebViewer *viewer, const RelayWebFeed *feed, guint64 from);

typedef enum {
    RELAY_WEB_NOTHING, // for now
    RELAY_WEB_TEXT,
    RELAY_WEB_BINARY,
    RELAY_WEB_OVER, // the lesson is over and the viewer has all of it
    RELAY_WEB_TOO_SLOW,
} RelayWebNext;

// Applies the policy for slow viewers at `now_ns`; returns how many units this viewer loses now.
guint64 relay_web_viewer_judge(RelayWebViewer *viewer, const RelayWebFeed *feed,
                               const RelayViewerLimits *limits, gint64 now_ns);

// What a viewer says of itself (docs/protocol.md section 4).
typedef struct {
    gint64 here_ns; // media time up to which the media has come to it
} RelayReport;
// Hostile input: FALSE for all that is no report.
gboolean relay_report_parse(const char *text, gsize bytes, RelayReport *ret);

// Evidence of how much of what was sent has arrived: by its own report, or by what the kernel still
// holds of it. Return how many units this viewer loses now.
guint64 relay_web_viewer_take_report(RelayWebViewer *viewer, const RelayWebFeed *feed,
                                     const RelayViewerLimits *limits, const RelayReport *report,
                                     gint64 now_ns);
guint64 relay_web_viewer_take_unsent(RelayWebViewer *viewer, const RelayWebFeed *feed,
                                     const RelayViewerLimits *limits, gsize bytes, gint64 now_ns);

// What to send next; it counts as sent. *ret_message is a new reference for TEXT and BINARY.
RelayWebNext relay_web_viewer_next(RelayWebViewer *viewer, RelayWebFeed *feed,
                                   RelayUnit **ret_message);

// Whether relay_web_viewer_next may have something now. Cheap.
gboolean relay_web_viewer_has_more(const RelayWebViewer *viewer, const RelayWebFeed *feed);
