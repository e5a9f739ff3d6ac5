// SPDX-License-Identifier: MIT
#include "relay/core/pacer.h"

#include "common/base/clock.h"

void relay_pacer_init(RelayPacer *pacer, gint64 rate_bps, gint64 depth_bytes, gint64 now_ns)
{
    *pacer = (RelayPacer){
        .rate_bps = rate_bps, .depth = depth_bytes, .tokens = depth_bytes, .filled_ns = now_ns};
}

static gint64 bytes_in(const RelayPacer *pacer, gint64 span_ns)
{
    return span_ns * (pacer->rate_bps / 8) / TK_NS_PER_S;
}

void relay_pacer_set_rate(RelayPacer *pacer, gint64 rate_bps)
{
    pacer->rate_bps = rate_bps;
    pacer->depth = MAX(bytes_in(pacer, RELAY_PACER_TRAIN_NS), RELAY_PACER_TRAIN_MIN_BYTES);
}

gboolean relay_pacer_ready(RelayPacer *pacer, gint64 now_ns)
{
    // A pause longer than a second fills any bucket; the clamp keeps the product in range.
    gint64 earned = bytes_in(pacer, CLAMP(now_ns - pacer->filled_ns, 0, TK_NS_PER_S));
    if (earned > 0) {
        gint64 depth = pacer->depth;
        if (pacer->waiting)
            depth = MAX(depth, bytes_in(pacer, RELAY_PACER_LATE_NS));
        pacer->tokens = MIN(pacer->tokens + earned, depth);
        pacer->filled_ns = now_ns;
    }
    pacer->waiting = pacer->tokens <= 0;
    return !pacer->waiting;
}

gboolean relay_pacer_urgent(RelayPacer *pacer, gint64 now_ns)
{
    return relay_pacer_ready(pacer, now_ns) ||
           pacer->tokens > -bytes_in(pacer, RELAY_PACER_DEBT_NS);
}

gint64 relay_pacer_due_ns(const RelayPacer *pacer)
{
    return pacer->filled_ns + (1 - pacer->tokens) * 8 * TK_NS_PER_S / MAX(pacer->rate_bps, 1) + 1;
}

void relay_pacer_spend(RelayPacer *pacer, gsize bytes)
{
    pacer->tokens -= (gint64)bytes;
}
