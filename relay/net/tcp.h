// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a WebSocket viewer's socket is told and asked.

// What is behind waits with the relay, where it can still be dropped, not in the kernel. TRUE: BBR,
// which was wanted, paces it; else it keeps the system's congestion control.
gboolean relay_tcp_tune(int fd, gboolean bbr);

// Bytes that were sent and are not acknowledged.
gsize relay_tcp_unsent(int fd);
