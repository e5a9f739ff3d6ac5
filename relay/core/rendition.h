// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/viewer.h"

// Which rendition of a lesson's picture and sound a viewer gets: the best that its line carries,
// sound first. Pure: who moves the viewer asks here, moves it at the next place where that can be
// done (a keyframe), and says so.

typedef enum {
    RELAY_RENDITION_MAIN,
    RELAY_RENDITION_LOW,   // the stream `low`: the same picture, smaller, and the same sound
    RELAY_RENDITION_AUDIO, // the sound alone
    RELAY_RENDITIONS,
} RelayRendition;

#define RELAY_RENDITION_LOW_STREAM "low"
#define RELAY_RENDITION_AUDIO_STREAM "audio"

const char *relay_rendition_word(RelayRendition rendition); // "main" …; borrowed, static
// FALSE: no such word.
gboolean relay_rendition_from_word(const char *word, RelayRendition *ret);

// What each rendition needs, bits a second; 0: there is none now.
typedef struct {
    gint64 need_bps[RELAY_RENDITIONS];
} RelayLadder;

// What is known of a viewer's line now.
typedef struct {
    gint64 behind_ns;  // how long ago the oldest came in that it has not got yet
    gint64 passes_bps; // what has been seen to pass, so more may; 0: nothing is known
    gint64 fails_bps;  // what was lately seen not to pass; 0: nothing
    gint64 full_bps;   // what passes now, when that is all that does; 0: it is not, or not known
} RelayLineSeen;

// A line that loses stands still now and then: what counts is how near the viewer has come at best
// within one or two of these.
#define RELAY_RENDITION_WINDOW_NS (500 * G_GINT64_CONSTANT(1000000))
// Further behind than this, the line does not carry what is sent: less than a player has in store.
#define RELAY_RENDITION_LATE_NS (500 * G_GINT64_CONSTANT(1000000))
// A player that has been given less keeps more in store.
#define RELAY_RENDITION_LATE_WEAK_NS (1000 * G_GINT64_CONSTANT(1000000))
// No further behind than this, it does.
#define RELAY_RENDITION_CLEAN_NS (350 * G_GINT64_CONSTANT(1000000))
// After a step down what is still under way of the better one has to pass first. If the viewer does
// not come nearer for so long, or is late after all of this, it was a step too few.
#define RELAY_RENDITION_SETTLE_NS (1500 * G_GINT64_CONSTANT(1000000))
#define RELAY_RENDITION_SETTLE_MAX_NS (5000 * G_GINT64_CONSTANT(1000000))
// How long the line must carry what it gets before more is tried: at first; where more is known to
// pass; where no more has been seen to; at most, after tries that failed; at most of one who has no
// picture at all.
#define RELAY_RENDITION_PATIENCE_NS (5000 * G_GINT64_CONSTANT(1000000))
#define RELAY_RENDITION_PATIENCE_SURE_NS (3000 * G_GINT64_CONSTANT(1000000))
#define RELAY_RENDITION_PATIENCE_DOUBT_NS (12000 * G_GINT64_CONSTANT(1000000))
#define RELAY_RENDITION_PATIENCE_MAX_NS (60000 * G_GINT64_CONSTANT(1000000))
#define RELAY_RENDITION_PATIENCE_SOUND_NS (12000 * G_GINT64_CONSTANT(1000000))
// A step up that is taken back so soon had failed; one that holds for longer was right.
#define RELAY_RENDITION_FAILED_NS (15000 * G_GINT64_CONSTANT(1000000))

typedef struct {
    RelayRendition at;
    RelayRendition best;             // nothing better: the viewer's wish, or its school's limit
    RelayRendition left;             // had until it came no more; RELAY_RENDITIONS: nothing
    gint64 moved_ns;                 // when it last moved; 0: never
    gint64 raised_ns;                // when it last moved up; 0: never, or that was long ago
    gint64 window_ns, nearest_ns[2]; // since when, and how far behind at least: before, and since
    gint64 clean_ns;                 // since when the line carries what it gets; 0: it does not
    gint64 patience_ns;              // 0: as at first
    gint64 passes_bps, failed_bps;   // seen to pass: lately, and when a try last failed
    gint64 least_behind_ns, improved_ns; // since it last moved, and when
} RelayRenditionChoice;

// A viewer that gets `main` from now on, with the newest keyframe first, and wants nothing better
// than `best`.
void relay_rendition_begin(RelayRenditionChoice *choice, RelayRendition best, gint64 now_ns);

// What the viewer should get: what it gets, or where to move it. Call some times a second.
RelayRendition relay_rendition_judge(RelayRenditionChoice *choice, const RelayLadder *ladder,
                                     const RelayLineSeen *seen, gint64 now_ns);
// Whether `to` is what the viewer had, or less, and got no more because it did not come: its line
// is not in question.
gboolean relay_rendition_returns(const RelayRenditionChoice *choice, RelayRendition to);
// It gets `to` from now on.
void relay_rendition_moved(RelayRenditionChoice *choice, RelayRendition to, gint64 now_ns);

// How a viewer follows, by its place and by what it gets.
RelayViewerState relay_rendition_state(RelayViewerState place, RelayRendition at);
