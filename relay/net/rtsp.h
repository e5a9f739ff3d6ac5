// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/door.h"
#include "relay/net/lessons.h"
#include "relay/net/multicast.h"

// RTSP signalling (RFC 2326) on the main thread: what a connection may do, and what it becomes.

typedef struct _RelayRtsp RelayRtsp;

typedef struct {
    guint16 rtp_port; // of the UDP pair
    guint connections_max;
    gboolean repair; // viewers are told that they may ask for what they miss
    RelaySchools *schools;
    RelayMulticast *multicast; // NULL: this relay sends to no group
} RelayRtspSpec;

// All borrowed; `spec` is copied.
RelayRtsp *relay_rtsp_new(RelayLessons *lessons, const RelayDoor *door, const RelayRtspSpec *spec);
// After the workers have stopped.
void relay_rtsp_free(RelayRtsp *rtsp);

// A connection was accepted; it will live on `conns`. Takes `fd`.
void relay_rtsp_accept(RelayRtsp *rtsp, RelayConns *conns, int fd, const RelayAddress *peer);
