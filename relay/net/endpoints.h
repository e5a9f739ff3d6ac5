// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// Who is behind a datagram on the one UDP pair: a table from address and port to an owner's track,
// for the RTP and the RTCP socket each. An owner announced its ports over RTSP; when its first
// packets come from other ports of the same host (a NAT in between), those take the announced
// ones' place, in the order of its tracks.

typedef struct _RelayEndpoints RelayEndpoints;

typedef struct {
    gpointer owner;
    guint track;
    gboolean moved; // this very datagram has shown a new address: tell the owner
} RelayEndpoint;

RelayEndpoints *relay_endpoints_new(void);
void relay_endpoints_free(RelayEndpoints *endpoints);

// At most 4 entries per owner; `owner` is a key, never followed.
void relay_endpoints_add(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                         gpointer owner, guint track);
void relay_endpoints_remove(RelayEndpoints *endpoints, gpointer owner);

// FALSE: nobody's.
gboolean relay_endpoints_find(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                              RelayEndpoint *ret);
