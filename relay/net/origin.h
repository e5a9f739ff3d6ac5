// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Without a key the loopback address is the door. A web page from elsewhere, shown in a browser on
// this machine, must not come in by it: neither under its own name (Origin, RFC 6454) nor under a
// name of its own that was made to mean this machine (DNS rebinding shows in Host).

// `origin`, `host`: the headers, NULL when absent. `changes`: the request changes something, or
// opens a WebSocket (which has no other check of origin).
gboolean relay_origin_trusted(const char *origin, const char *host, gboolean changes,
                              gboolean door_is_open);
