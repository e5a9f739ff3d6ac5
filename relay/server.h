// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/config.h"

// The whole relay, put together. Main thread; needs a running GLib main loop.
typedef struct _RelayServer RelayServer;

// Opens all ports and starts all threads. `config` is borrowed for the server's life.
RelayServer *relay_server_new(const TkConfig *config, GError **error);
// Stops and joins all threads. NULL is fine.
void relay_server_free(RelayServer *server);

// One line for each port: "listening rtsp 127.0.0.1:8554" … Newly allocated.
char *relay_server_addresses(const RelayServer *server);
