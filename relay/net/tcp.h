// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a viewer's TCP socket is told and asked.

// Sends again soon after a line stood still, where the kernel can be told.
void relay_tcp_insist(int fd);
// For WebSocket. What is behind waits with the relay, where it can still be dropped, not in the
// kernel. TRUE: BBR, which was wanted, paces it; else it keeps the system's congestion control.
gboolean relay_tcp_tune(int fd, gboolean bbr);

// What the kernel has seen of the line. Of each: 0, nothing yet.
typedef struct {
    gint64 passes_bps; // bits a second that lately passed
    gint64 round_ns;   // there and back
    gint64 loss_ppm;   // of all that was sent, what went again
} RelayTcpLine;
void relay_tcp_look(int fd, RelayTcpLine *ret);
// BBR forgets what it has learnt and finds its rate anew: it raises an old one by a quarter in
// eight round trips.
void relay_tcp_hurry(int fd);

// Bytes that were sent and are not acknowledged.
gsize relay_tcp_unsent(int fd);
