// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// Reads datagrams many at a time: several in a call, and several of one sender in one buffer where
// the kernel joins them (UDP_GRO). One thread's.
typedef struct _RelayUdpReceiver RelayUdpReceiver;

// `data` is borrowed for the call. `came_wall_ns`: when the kernel got it, or 0 where the socket
// has no SO_TIMESTAMPNS.
typedef void (*RelayUdpTake)(gpointer user, const RelayAddress *from, const guint8 *data,
                             gsize size, gint64 came_wall_ns);

typedef struct {
    guint64 datagrams; // relaxed atomics
    guint64 buffers;   // that they came in: fewer where the kernel joined them
    guint64 oversized; // dropped
} RelayUdpReceiverStats;

RelayUdpReceiver *relay_udp_receiver_new(void);
void relay_udp_receiver_free(RelayUdpReceiver *receiver);

// Takes what waits at `fd`, in order, but only so much that others on the caller's loop get their
// turn; poll tells whether there is more.
void relay_udp_receive(RelayUdpReceiver *receiver, int fd, RelayUdpTake take, gpointer user);

// Any thread.
void relay_udp_receiver_stats(const RelayUdpReceiver *receiver, RelayUdpReceiverStats *ret);
