// SPDX-License-Identifier: MIT
#include "client/capture/yield.h"

#include "common/base/clock.h"

guint cap_yield_rest_s(const CapYield *yield)
{
    return (guint)CAP_YIELD_REST_S << (CLAMP(yield->rests, 1, CAP_YIELD_RESTS_MAX) - 1);
}

CapYieldVerdict cap_yield_judge(CapYield *yield, gint64 now_ns, guint64 leader_dropped,
                                guint64 own_dropped, guint fps)
{
    CapYieldVerdict verdict = CAP_YIELD_NOTHING;
    gboolean first = !yield->since_ns;

    if (yield->rests_until_ns) {
        if (now_ns < yield->rests_until_ns)
            return CAP_YIELD_NOTHING;
        yield->rests_until_ns = 0;
        verdict = CAP_YIELD_RESUME;
    } else if (!first && now_ns - yield->since_ns < CAP_YIELD_WINDOW_S * TK_NS_PER_S) {
        return CAP_YIELD_NOTHING;
    } else if (!first) {
        guint64 many = MAX(fps * CAP_YIELD_WINDOW_S / CAP_YIELD_SHARE, 1);
        if (leader_dropped - yield->leader_dropped >= many) {
            verdict = CAP_YIELD_REST;
            yield->rests++;
            yield->rests_until_ns = now_ns + cap_yield_rest_s(yield) * TK_NS_PER_S;
        } else if (own_dropped - yield->own_dropped >= many) {
            verdict = CAP_YIELD_SHORT;
        }
    }
    yield->since_ns = now_ns;
    yield->leader_dropped = leader_dropped;
    yield->own_dropped = own_dropped;
    return verdict;
}
