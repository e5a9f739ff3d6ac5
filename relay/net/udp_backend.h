// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>
#include <sys/socket.h>

// The ways of giving datagrams to the kernel, the cheapest first; each falls back to the next.
typedef struct {
    const char *name;
    gboolean trains; // takes messages of several datagrams of one size, marked with UDP_SEGMENT
    // Whether this kernel lets `fd` do it.
    gboolean (*works)(int fd);
    // Sends in order. How many messages went, at least one; or the first one's negative errno.
    int (*send)(int fd, struct mmsghdr *messages, guint count);
} RelayUdpBackend;

// "auto": the first that works. One that is named has to work. NULL: error set.
const RelayUdpBackend *relay_udp_backend_choose(const char *name, int fd, GError **error);

// What takes over when the kernel refuses `backend` after all; NULL after the last.
const RelayUdpBackend *relay_udp_backend_next(const RelayUdpBackend *backend);
