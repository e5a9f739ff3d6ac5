// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <sys/socket.h>

// A peer's IP address and port.
typedef struct {
    socklen_t bytes; // of `to`; 0 = none
    struct sockaddr_storage to;
} RelayAddress;

// As a GHashTable key: family, address and port.
guint relay_address_hash(gconstpointer address);
gboolean relay_address_equal(gconstpointer a, gconstpointer b);

gboolean relay_address_same_host(const RelayAddress *a, const RelayAddress *b);
gboolean relay_address_is_loopback(const RelayAddress *address);
guint16 relay_address_port(const RelayAddress *address);
RelayAddress relay_address_with_port(const RelayAddress *address, guint16 port);

// "127.0.0.1", "::1". Newly allocated.
char *relay_address_host_text(const RelayAddress *address);
// "127.0.0.1:8000", "[::1]:8000". Newly allocated.
char *relay_address_text(const RelayAddress *address);

// A numeric host with a port put in.
gboolean relay_address_parse(const char *host, guint16 port, RelayAddress *ret,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

// The port that a bound socket has.
guint16 relay_address_bound_port(int fd);
