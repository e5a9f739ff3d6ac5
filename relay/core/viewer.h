// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/history.h"

// One viewer's place in a stream and the one policy for slow ones, the same over UDP, TCP and
// WebSocket. Nothing here waits for a viewer: who cannot follow loses whole stretches that end at a
// keyframe, and at last the connection.
typedef enum {
    RELAY_VIEWER_WAITING,     // nothing to begin with yet: no keyframe in the history
    RELAY_VIEWER_LIVE,        // follows
    RELAY_VIEWER_LOW,         // follows, in a smaller picture (rendition.h)
    RELAY_VIEWER_AUDIO,       // follows by sound alone
    RELAY_VIEWER_CATCHING_UP, // was set forward to a keyframe a short while ago
    RELAY_VIEWER_GONE,        // hopeless; to be closed with a reason
    RELAY_VIEWER_STATES,
} RelayViewerState;

const char *relay_viewer_state_word(RelayViewerState state); // borrowed, static

typedef struct {
    gint64 lag_max_ns; // behind the newest unit by more: set forward
    gint64 settle_ns;  // without a drop for so long: live again
    guint drops_max;   // drops while catching up: gone
} RelayViewerLimits;

// A lesson is worth waiting 3 s for before it is cut; thrice in 30 s means that the line cannot
// carry the stream, but a viewer on a line that stalls for 10 s now and then is kept.
#define RELAY_VIEWER_LIMITS_DEFAULT                                                                \
    ((RelayViewerLimits){.lag_max_ns = 3000000000, .settle_ns = 10000000000, .drops_max = 20})

typedef struct {
    RelayViewerState state;
    gboolean awaits_key; // the next unit sent must carry RELAY_UNIT_KEY
    gboolean lossless;   // resumes by number (a recorder): never set forward while history holds
    guint64 position;    // next unit to send
    guint64 reached;     // units before it have come to the viewer, as far as is known
    guint64 skipped_from, skipped_to; // the last stretch that was not sent
    gboolean held;                    // nothing is sent until what is under way has arrived
    gint64 dropped_at_ns;             // last time it was set forward
    guint drops;                      // since it was last live
    guint64 units_dropped;            // in all
} RelayViewer;

// Begins at the newest keyframe, or waits for the first one. If the stream has been silent for
// longer than a viewer may lag, relay_viewer_judge lets it wait for the next.
void relay_viewer_init(RelayViewer *viewer, const RelayHistory *history);

// Begins at the unit numbered `from`, without loss while the history holds it. Returns how many
// units are missing between `from` and where it really begins.
guint64 relay_viewer_init_from(RelayViewer *viewer, const RelayHistory *history, guint64 from);

// Begins at `position`, held or the head, and is as lossless as one that resumes by number.
void relay_viewer_init_at(RelayViewer *viewer, guint64 position);

// Call before sending: applies the policy at `now_ns`. Returns the number of units that this
// viewer loses now (0 mostly); position then stands at a keyframe, or at head to wait for one.
guint64 relay_viewer_judge(RelayViewer *viewer, const RelayHistory *history,
                           const RelayViewerLimits *limits, gint64 now_ns);

// Evidence from the other end, or from the kernel, at `now_ns`: units before `reached` have come to
// the viewer (more than was sent counts as all). A socket takes megabytes before it says no, so a
// viewer may be far behind while all is sent: then nothing more is sent until it has caught up, and
// it goes on at the newest keyframe. Returns the number of units that it loses now.
guint64 relay_viewer_take_reached(RelayViewer *viewer, const RelayHistory *history,
                                  const RelayViewerLimits *limits, guint64 reached, gint64 now_ns);

// The next unit to send, or NULL. Borrowed until the history changes.
RelayUnit *relay_viewer_next(RelayViewer *viewer, const RelayHistory *history);

// The unit that relay_viewer_next gave has been sent.
static inline void relay_viewer_advance(RelayViewer *viewer)
{
    viewer->position++;
}
