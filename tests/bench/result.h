// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/options.h"
#include "tests/bench/viewer.h"

// CPU time and memory of a process at the two ends of what is measured.
typedef struct {
    guint pid; // 0: none
    gint64 cpu_ns[2], rss_bytes[2];
} LoadWatched;

typedef struct {
    const LoadOptions *options;
    const LoadTally *tally;
    LoadViewer **viewers;
    guint viewers_count;
    LoadCourse **courses;
    LoadWatched watched, own;
    const char *failure; // the run could not be made; or NULL
} LoadRun;

// Whether the viewer got what was sent in the measured time.
gboolean load_result_whole(const LoadRun *run, const LoadViewer *viewer);

// Prints the JSON; gives the exit status.
int load_result_print(const LoadRun *run);
