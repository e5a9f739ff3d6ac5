// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Whether this machine can encode a rendition beside the stream that it is made of: judged by the
// pictures that found no room before either encoder. That stream wins. Embedded, all zero at first.
typedef struct {
    gint64 since_ns, rests_until_ns; // monotonic; 0 = never
    guint64 leader_dropped, own_dropped;
    guint rests;
} CapYield;

typedef enum {
    CAP_YIELD_NOTHING,
    CAP_YIELD_SHORT,  // the rendition itself lacks pictures: tell
    CAP_YIELD_REST,   // its leader does: make none for a while
    CAP_YIELD_RESUME, // try again
} CapYieldVerdict;

#define CAP_YIELD_WINDOW_S 5 // between two verdicts
#define CAP_YIELD_SHARE 10   // one picture in so many is too much
#define CAP_YIELD_REST_S 30  // twice as long each time
#define CAP_YIELD_RESTS_MAX 5

// The counts are those since the beginning. To be called from time to time.
CapYieldVerdict cap_yield_judge(CapYield *yield, gint64 now_ns, guint64 leader_dropped,
                                guint64 own_dropped, guint fps);
// The last rest's length.
guint cap_yield_rest_s(const CapYield *yield);
