// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/web_feed.h"

// What one WebSocket viewer gets, in which order (docs/protocol.md section 4). One thread.

typedef struct {
    RelayWebFeed *home;    // what was asked for; it tells the lesson's state
    RelayWebFeed *feed;    // what is sent: `home`, or a rendition of it
    RelayViewer place;     // in `feed`
    guint64 begun;         // position at which it came to `feed`
    guint state_seen;      // serial of the state last sent
    const RelayUnit *init; // last sent; a key, never followed
    gboolean init_named;   // its text has been sent
    gboolean moved;        // to another rendition, which it has not been told yet
    guint64 expected;      // number of the chunk that would follow; 0 = any will do
    guint64 lost_from;     // of the rendition before, down to `lost_to`: never sent, and not told
    guint64 lost_to;       // yet; 0: nothing
    RelayRenditionChoice choice;
    gint64 report_behind_ns; // how far behind the viewer was by its last report
} RelayWebViewer;

// `from` 0: at the newest keyframe. `feed` outlives the viewer.
void relay_web_viewer_init(RelayWebViewer *viewer, RelayWebFeed *feed, guint64 from);

typedef enum {
    RELAY_WEB_NOTHING, // for now
    RELAY_WEB_TEXT,
    RELAY_WEB_BINARY,
    RELAY_WEB_OVER, // the lesson is over and the viewer has all of it
    RELAY_WEB_TOO_SLOW,
} RelayWebNext;

// Applies the policy for slow viewers at `now_ns`; returns how many units this viewer loses now.
guint64 relay_web_viewer_judge(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                               gint64 now_ns);

// What a viewer says of itself (docs/protocol.md section 4).
typedef struct {
    gint64 here_ns; // media time up to which the media has come to it
} RelayReport;
// Hostile input: FALSE for all that is no report.
gboolean relay_report_parse(const char *text, gsize bytes, RelayReport *ret);
// The best rendition that a viewer wants. Hostile input, too.
gboolean relay_wish_parse(const char *text, gsize bytes, RelayRendition *ret);

// Evidence of how much of what was sent has arrived: by its own report, or by what the kernel still
// holds of it. Return how many units this viewer loses now.
guint64 relay_web_viewer_take_report(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                                     const RelayReport *report, gint64 now_ns);
guint64 relay_web_viewer_take_unsent(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                                     gsize bytes, gint64 now_ns);
// How long ago the oldest came in that has not come to the viewer, when `bytes` are under way.
gint64 relay_web_viewer_behind_ns(const RelayWebViewer *viewer, gsize bytes, gint64 now_ns);

// Moves the viewer to a rendition of its home, so that the media goes on where it is: a step up at
// a keyframe, a step down with what that takes of the last keyframe on once more. Of who was set
// forward the sound alone goes on from where it was sent it. FALSE: not now.
gboolean relay_web_viewer_move(RelayWebViewer *viewer, RelayRendition to, gint64 now_ns);

// What to send next; it counts as sent. *ret_message is a new reference for TEXT and BINARY.
RelayWebNext relay_web_viewer_next(RelayWebViewer *viewer, RelayUnit **ret_message);

// Whether relay_web_viewer_next may have something now. Cheap.
gboolean relay_web_viewer_has_more(const RelayWebViewer *viewer);
