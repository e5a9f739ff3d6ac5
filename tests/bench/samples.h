// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/result.h"

// What a long run looks like from time to time: one line of JSON each.

typedef struct _LoadSamples LoadSamples;

// Ends the program when the file cannot be written.
LoadSamples *load_samples_new(const char *path, double every_s);
void load_samples_free(LoadSamples *samples);

// Looks at the watched process when it is time; empties `tally->recent` then. `at_ns`: since the
// measuring began.
void load_samples_step(LoadSamples *samples, const LoadRun *run, LoadTally *tally, gint64 at_ns);
