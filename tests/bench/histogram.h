// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// How long things took, to 3 %: 32 steps to each doubling.
#define LOAD_HISTOGRAM_STEPS (60 * 32)

typedef struct {
    guint64 counts[LOAD_HISTOGRAM_STEPS];
    guint64 total;
} LoadHistogram;

void load_histogram_add(LoadHistogram *histogram, gint64 ns); // negative: counted as 0

// The value that `share` (0..1) of all do not exceed; 0 when there are none.
gint64 load_histogram_at(const LoadHistogram *histogram, double share);
