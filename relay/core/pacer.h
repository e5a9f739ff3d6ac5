// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Token bucket of one viewer: how many bytes may leave now, so that a keyframe or a late join goes
// out as short trains and not as one burst that overflows the buffer of an access line.
typedef struct {
    gint64 rate_bps;  // bits a second
    gint64 depth;     // bytes that may leave at once after a pause
    gint64 tokens;    // bytes; may be negative by less than one packet
    gint64 filled_ns; // monotonic
} RelayPacer;

// Rate until the viewer's link is known better: a classroom line of 4 Mbit/s would take a 60 kB
// keyframe in 120 ms anyway; loopback and LAN viewers should get a two-second history in less.
#define RELAY_PACER_RATE_BPS (24 * 1000 * 1000)
// 10 full packets: shorter than any access buffer, long enough for one segmented send.
#define RELAY_PACER_DEPTH_BYTES 14000

void relay_pacer_init(RelayPacer *pacer, gint64 rate_bps, gint64 depth_bytes, gint64 now_ns);

// Whether a packet may leave at `now_ns`.
gboolean relay_pacer_ready(RelayPacer *pacer, gint64 now_ns);

// `bytes` have left.
void relay_pacer_spend(RelayPacer *pacer, gsize bytes);
