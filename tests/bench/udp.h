// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/loop.h"

// A pair of UDP sockets on loopback, the first for media, the second for RTCP.
typedef struct {
    LoadLoop *loop;
    LoadWatch watch, rtcp;
    guint port; // even
    gboolean asleep;
    void (*on_packet)(void *user, const guint8 *data, gsize size, gint64 at_ns);
    void (*on_rtcp)(void *user, const guint8 *data, gsize size, gint64 at_ns); // NULL: not read
    void *user;
} LoadUdp;

// `gro`: the kernel may give several packets at once. Ends the program when there are no ports.
void load_udp_open(LoadUdp *udp, gboolean gro);
void load_udp_close(LoadUdp *udp);
// No more reading.
void load_udp_sleep(LoadUdp *udp);
