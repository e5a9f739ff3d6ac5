// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// Who is behind a datagram on the one UDP pair: a table from address and port to an owner's track,
// for the RTP and the RTCP socket each. An owner says its ports over RTSP before it sends anything.
// When nothing comes from there but something from another port of the same host, a NAT stands in
// between: that port is taken for the said one until a packet does come from where it was said to.
// Of several owners behind one NAT nobody can tell whose such a port is: then it is nobody's.

typedef struct _RelayEndpoints RelayEndpoints;

typedef enum {
    RELAY_ENDPOINT_SENDER,
    RELAY_ENDPOINT_VIEWER,
} RelayEndpointKind;

typedef struct {
    gpointer owner;
    RelayEndpointKind kind; // what the owner is
    guint track;
    gboolean moved; // from this datagram on the owner is to be reached at its address: tell it
} RelayEndpoint;

RelayEndpoints *relay_endpoints_new(void);
void relay_endpoints_free(RelayEndpoints *endpoints);

// Replaces what `owner` (a key, never followed) had for that track: at most 4 entries each. FALSE:
// one of the two is somebody else's, and nothing changes.
gboolean relay_endpoints_add(RelayEndpoints *endpoints, RelayEndpointKind kind, gpointer owner,
                             guint track, const RelayAddress *rtp,
                             const RelayAddress *rtcp) G_GNUC_WARN_UNUSED_RESULT;
void relay_endpoints_remove(RelayEndpoints *endpoints, gpointer owner);

// FALSE: of nobody known.
gboolean relay_endpoints_find(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                              RelayEndpoint *ret);

// Whose a datagram of nobody known may be: the one owner at that host who has tracks of which
// nothing has come yet to that socket. `track` is the one that was said first; *ret_silent has a
// bit for each. FALSE: there is none, or more than one.
gboolean relay_endpoints_guess(const RelayEndpoints *endpoints, gboolean rtcp,
                               const RelayAddress *address, RelayEndpoint *ret, guint *ret_silent);
// It is: from now on `address` is that track's, one of which nothing has come yet.
void relay_endpoints_move(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                          gconstpointer owner, guint track);
