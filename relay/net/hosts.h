// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// How many connections each host has open, so that none takes all of them. A host is an IPv4
// address, or the /64 that one site has of IPv6. This machine itself is not counted: a proxy in
// front brings everybody's connections. One thread.

typedef struct _RelayHosts RelayHosts;

RelayHosts *relay_hosts_new(guint connections_max);
void relay_hosts_free(RelayHosts *hosts);

// `fd`: a connection that was accepted from `peer`; who owns it closes it without a word to here.
// FALSE: one too many, which is logged once and counted.
gboolean relay_hosts_admit(RelayHosts *hosts, const RelayAddress *peer, int fd,
                           gint64 now_ns) G_GNUC_WARN_UNUSED_RESULT;

guint64 relay_hosts_refused(const RelayHosts *hosts);
// Connections, open or not, that it has in mind: 1,024, or twice what was open lately.
guint relay_hosts_remembered(const RelayHosts *hosts);
