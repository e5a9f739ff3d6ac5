// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/share.h"

// The schools that watch, by the names in their viewers' tokens: how their viewers follow, what
// their lines are seen to carry, what has become of them so far. A school once seen is kept, so
// that its counters never go back.

// A county has 500 schools, and on open days ten times as many viewers; a name is a token's, so
// only who has the key can make more. Those beyond are counted as one, under RELAY_SCHOOL_OTHERS.
#define RELAY_SCHOOLS_MAX 4096
#define RELAY_SCHOOL_OTHERS "…"

typedef enum {
    RELAY_OVER_RTP,
    RELAY_OVER_WS,
    RELAY_OVER_MULTICAST,
    RELAY_OVERS,
} RelayOver;

// What is seen of a line. Of each: 0, not known.
typedef struct {
    gint64 passes_bps; // bits a second that passed, so more may
    gboolean full;     // no more did
    gint64 round_ns;   // there and back
    gint64 loss_ppm;   // of what was sent; 0: none or not known
} RelayLineNews;

typedef struct {
    const char *name; // "": of viewers whose token names none
    // Relaxed atomics, written by every thread that has viewers of it.
    guint states[RELAY_OVERS][RELAY_VIEWER_STATES]; // viewers now
    guint64 moves[2];                               // of them, so far: down, up
    guint64 units_dropped, viewers_gone, refused, bytes;
    // What the viewer says who told last.
    gint64 line_bps, round_ns, loss_ppm, told_ns;
    guint line_full;
    RelayPool pool; // of limits.school_kbps
} RelaySchool;

typedef struct _RelaySchools RelaySchools;

// What may be sent to all viewers together, and to those of one school; 0: no bound.
RelaySchools *relay_schools_new(gint64 total_max_bps, gint64 school_max_bps);
void relay_schools_free(RelaySchools *schools);

// The school of that name (NULL: of those without), borrowed for the registry's life. Any thread;
// takes a lock, so once for each viewer that comes.
RelaySchool *relay_schools_find(RelaySchools *schools, const char *name);

// The schools seen so far, borrowed likewise, in a new array. Takes the lock.
GPtrArray *relay_schools_all(RelaySchools *schools);
const RelayPool *relay_schools_total(const RelaySchools *schools);

// An empty share for a viewer of `school`. `exempt`, for recorders and relays: it belongs to no
// school's line, and is never refused.
RelayShare relay_schools_share(RelaySchools *schools, RelaySchool *school, gboolean exempt);

// Any thread, no lock; `school` NULL: nobody's.

// One of its viewers is in this state, no longer, or another way.
void relay_school_come(RelaySchool *school, RelayOver over, RelayViewerState state);
void relay_school_leave(RelaySchool *school, RelayOver over, RelayViewerState state);
void relay_school_change(RelaySchool *school, RelayOver over, RelayViewerState from,
                         RelayViewerState to);
// One was given another rendition.
void relay_school_moved(RelaySchool *school, gboolean up);
// A viewer tells of its line; what it does not know stays.
void relay_school_tell(RelaySchool *school, const RelayLineNews *news, gint64 now_ns);
