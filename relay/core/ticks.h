// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/clock.h"

// Between a track's ticks and nanoseconds, to the nearest, without overflow for any time that a
// lesson can have. `rate`: ticks a second, not 0.

// floor(value * multiplier / divisor + 1/2) for multiplier, divisor <= 10^9.
static inline gint64 relay_ticks_scale(gint64 value, gint64 multiplier, gint64 divisor)
{
    gint64 whole = value / divisor, rest = value % divisor;
    if (rest < 0) {
        rest += divisor;
        whole--;
    }
    return whole * multiplier + (rest * multiplier + divisor / 2) / divisor;
}

static inline gint64 relay_ticks_to_ns(gint64 ticks, guint32 rate)
{
    return relay_ticks_scale(ticks, TK_NS_PER_S, rate);
}

static inline gint64 relay_ticks_from_ns(gint64 ns, guint32 rate)
{
    return relay_ticks_scale(ns, rate, TK_NS_PER_S);
}
