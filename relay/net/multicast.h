// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/conn.h"
#include "relay/net/group_sender.h"
#include "relay/net/handoff.h"

// Multicast inside a LAN: who holds which group. A stream has one group, and one copy goes there,
// from the first PLAY until the last of its sessions is over. Main thread.

typedef struct _RelayMulticast RelayMulticast;
typedef struct _RelayGroup RelayGroup;

typedef struct {
    RelayGroupRange range;
    guint8 ttl;
    RelayAddress interface; // this machine's in the LAN; 0.0.0.0: as the routes say
} RelayMulticastSpec;

// `handoff` is borrowed. Sets up the sending side of `pairs`, one for each packet worker. NULL: no
// such interface, or the pairs are not IPv4.
RelayMulticast *relay_multicast_new(RelayHandoff *handoff, const RelayMulticastSpec *spec,
                                    const RelayUdp *pairs, GError **error);
// After all sessions have let go.
void relay_multicast_free(RelayMulticast *multicast);

// The stream's group, held by one session more. NULL: none is left (TK_ERROR_LIMIT).
RelayGroup *relay_multicast_hold(RelayMulticast *multicast, RelayStream *stream, GError **error);
RelayStream *relay_group_stream(const RelayGroup *group); // borrowed
RelayAddress relay_group_address(const RelayGroup *group, guint track, gboolean rtcp);
guint8 relay_group_ttl(const RelayGroup *group);

// A session that holds the group watches from here on. When the stream ends its connection is
// closed.
void relay_group_watch(RelayGroup *group, RelayConn *conn);
// It neither watches nor holds any longer.
void relay_group_let_go(RelayGroup *group, RelayConn *conn);

typedef struct {
    guint groups, sessions; // that something is sent to, that watch
    guint64 reports, lossy; // of RelayGroupReports
} RelayMulticastStats;

// `multicast` may be NULL.
void relay_multicast_stats(const RelayMulticast *multicast, RelayMulticastStats *ret);
