// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Token bucket: how many bytes may leave now, so that a keyframe or a late join goes out as short
// trains and not as one burst that overflows the buffer of an access line.
typedef struct {
    gint64 rate_bps;  // bits a second
    gint64 depth;     // bytes that may leave at once after a pause
    gint64 tokens;    // bytes; may be negative by less than one packet
    gint64 filled_ns; // monotonic
    gboolean waiting; // somebody was told to wait
} RelayPacer;

// How much leaves at once: 5 ms of the rate, so that trains are short where the line is slow and a
// LAN gets a whole frame in one; one packet at least.
#define RELAY_PACER_TRAIN_NS (5 * G_GINT64_CONSTANT(1000000))
#define RELAY_PACER_TRAIN_MIN_BYTES 1500
// Who comes late to somebody who waits has as much to make up for, or a busy relay would be slower
// than its viewers' lines.
#define RELAY_PACER_LATE_NS (100 * G_GINT64_CONSTANT(1000000))

// What is urgent may be so far ahead of the rate: a burst of sound after a stall passes, and a line
// that does not even carry that is not buried in it.
#define RELAY_PACER_DEBT_NS (250 * G_GINT64_CONSTANT(1000000))

void relay_pacer_init(RelayPacer *pacer, gint64 rate_bps, gint64 depth_bytes, gint64 now_ns);
// Another rate from now on, and the depth that goes with it.
void relay_pacer_set_rate(RelayPacer *pacer, gint64 rate_bps);

// Whether a packet may leave at `now_ns`.
gboolean relay_pacer_ready(RelayPacer *pacer, gint64 now_ns);
// Whether one may that is not to wait for what waits: it is owed, up to RELAY_PACER_DEBT_NS.
gboolean relay_pacer_urgent(RelayPacer *pacer, gint64 now_ns);
// When one may, after it was told to wait.
gint64 relay_pacer_due_ns(const RelayPacer *pacer);

// `bytes` have left.
void relay_pacer_spend(RelayPacer *pacer, gsize bytes);
