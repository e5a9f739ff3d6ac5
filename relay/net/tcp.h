// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a WebSocket viewer's socket is told and asked.

// What is behind waits with the relay, where it can still be dropped, not in the kernel. TRUE: BBR,
// which was wanted, paces it; else it keeps the system's congestion control.
gboolean relay_tcp_tune(int fd, gboolean bbr);

// What lately passed, bits a second, as far as the kernel has seen; 0: nothing yet.
gint64 relay_tcp_passes_bps(int fd);
// BBR forgets what it has learnt and finds its rate anew: it raises an old one by a quarter in
// eight round trips.
void relay_tcp_hurry(int fd);

// Bytes that were sent and are not acknowledged.
gsize relay_tcp_unsent(int fd);
