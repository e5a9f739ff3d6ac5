// SPDX-License-Identifier: MIT
#include "relay/core/pacer.h"

#include "common/base/clock.h"

void relay_pacer_init(RelayPacer *pacer, gint64 rate_bps, gint64 depth_bytes, gint64 now_ns)
{
    *pacer = (RelayPacer){
        .rate_bps = rate_bps, .depth = depth_bytes, .tokens = depth_bytes, .filled_ns = now_ns};
}

gboolean relay_pacer_ready(RelayPacer *pacer, gint64 now_ns)
{
    // A pause longer than a second fills any bucket; the clamp keeps the product in range.
    gint64 elapsed_ns = CLAMP(now_ns - pacer->filled_ns, 0, TK_NS_PER_S);
    gint64 earned = elapsed_ns * (pacer->rate_bps / 8) / TK_NS_PER_S;
    if (earned > 0) {
        pacer->tokens = MIN(pacer->tokens + earned, pacer->depth);
        pacer->filled_ns = now_ns;
    }
    return pacer->tokens > 0;
}

void relay_pacer_spend(RelayPacer *pacer, gsize bytes)
{
    pacer->tokens -= (gint64)bytes;
}
