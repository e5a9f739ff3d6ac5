// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// A pair of UDP ports for one track that is fetched from another relay: everything of that relay
// comes from one pair, so only its ports here tell the tracks apart. Connected, so that the kernel
// lets nobody else in. Shared by reference; any thread.
typedef struct {
    gint refs;
    int fds[2]; // RTP, RTCP
    guint16 ports[2];
} RelayPorts;

// At the address `local` (its port counts for nothing). NULL: no pair is free.
RelayPorts *relay_ports_new(const RelayAddress *local, GError **error);
// From now on only with `rtp` and `rtcp`; a first packet opens the way through a NAT.
gboolean relay_ports_connect(RelayPorts *ports, const RelayAddress *rtp, const RelayAddress *rtcp,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
RelayPorts *relay_ports_ref(RelayPorts *ports);
void relay_ports_unref(RelayPorts *ports);
