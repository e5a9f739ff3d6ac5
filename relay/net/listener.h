// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/hosts.h"

// A listening TCP socket on the main loop.
typedef struct _RelayListener RelayListener;

// `on_accept` gets a non-blocking descriptor that it owns. Port 0: any free one. Connections that
// `hosts` (borrowed) refuses get `refusal` (borrowed) and are closed.
RelayListener *
relay_listener_new(const char *host, guint16 port, RelayHosts *hosts, const char *refusal,
                   void (*on_accept)(gpointer user, int fd, const RelayAddress *peer),
                   gpointer user, GError **error);
void relay_listener_free(RelayListener *listener);
guint16 relay_listener_port(const RelayListener *listener);
