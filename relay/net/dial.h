// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// A TCP connection being made, on the main thread. (GSocketClient goes on with a try that was
// cancelled until it times out, and so outlives its owner.)
typedef struct _RelayDial RelayDial;

// `fd` is given, non-blocking; -1 when none of the host's addresses answered within `timeout_s`,
// `why` says so. Once, never from inside relay_dial_new; free the dial then or later.
typedef void (*RelayDialDone)(gpointer user, int fd, const char *why);

RelayDial *relay_dial_new(const char *host, guint16 port, guint timeout_s, RelayDialDone done,
                          gpointer user);
// No call-back after it.
void relay_dial_free(RelayDial *dial);
