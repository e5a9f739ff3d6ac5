// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/library/api.h"

// The HTTP server of the library: the only file with libsoup's server. It runs on the main loop;
// files are sent in pieces, long work goes to a thread. libsoup 3.2 never closes idle or half-sent
// connections, and never lets go of a kept one that its client has closed; so connections are
// accepted here and carry one request each, which has SHELF_REQUEST_S seconds to arrive whole; a
// reader that takes nothing for SHELF_SEND_S seconds is left.
typedef struct _ShelfServer ShelfServer;

#define SHELF_REQUEST_S 10
#define SHELF_SEND_S 30

typedef struct {
    const char *listen;       // an address of this machine
    guint16 port;             // 0: any that is free
    const char *allow_origin; // origins separated by spaces, "*", or "same-host"; "" = none
    guint connections_max;
    const TkTokenKey *key; // NULL: no door; then only loopback is listened on
} ShelfServerOptions;

// Listens. All pointers are borrowed for the object's life. Beyond loopback without a key:
// TK_ERROR_CONFIG, saying how to make one.
ShelfServer *shelf_server_new(const ShelfServerOptions *options, const ShelfApi *api,
                              GError **error);
void shelf_server_free(ShelfServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfServer, shelf_server_free)

guint16 shelf_server_port(const ShelfServer *server);
guint shelf_server_connections(const ShelfServer *server);
