// SPDX-License-Identifier: MIT
#include "tests/bench/histogram.h"

void load_histogram_add(LoadHistogram *histogram, gint64 ns)
{
    guint64 value = ns < 0 ? 0 : (guint64)ns;
    guint step = (guint)value;
    if (value >= 32) {
        guint shift = 58 - (guint)__builtin_clzll(value); // leaves the first bit and five more
        step = (shift + 1) * 32 + ((guint)(value >> shift) & 31);
    }
    histogram->counts[MIN(step, LOAD_HISTOGRAM_STEPS - 1)]++;
    histogram->total++;
}

gint64 load_histogram_at(const LoadHistogram *histogram, double share)
{
    guint64 wanted = (guint64)(share * (double)histogram->total), seen = 0;
    for (guint step = 0; step < LOAD_HISTOGRAM_STEPS && histogram->total; step++) {
        seen += histogram->counts[step];
        if (histogram->counts[step] && seen >= wanted)
            return step < 32 ? step : (gint64)(32 + step % 32) << (step / 32 - 1);
    }
    return 0;
}
