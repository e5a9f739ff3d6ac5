// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What the system says of another process.

// CPU time of all threads, by the scheduler's clock where the kernel tells it, else in ticks of
// 10 ms; -1: there is no such process.
gint64 load_process_cpu_ns(guint pid);
// Resident memory; -1: there is no such process.
gint64 load_process_rss_bytes(guint pid);
// Open descriptors; -1: there is no such process.
gint load_process_descriptors(guint pid);
