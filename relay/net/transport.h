// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// The Transport header (RFC 2326 section 12.39).
typedef enum {
    RELAY_TRANSPORT_UDP,
    RELAY_TRANSPORT_TCP,
    RELAY_TRANSPORT_MULTICAST,
} RelayTransportKind;

const char *relay_transport_word(RelayTransportKind kind); // borrowed, static

typedef struct {
    RelayTransportKind kind;
    gboolean feedback;                // RTP/AVPF (RFC 4585)
    guint8 rtp_channel, rtcp_channel; // TCP
    RelayAddress rtp, rtcp;           // UDP: always at the peer's own address; multicast: the
    guint8 ttl;                       // group's, and how far it goes, which the caller puts in
} RelayTransport;

// The first offered transport that this relay speaks, multicast only where `multicast` says so. A
// destination, a port or a ttl of a group that the header names is not believed. `track` gives the
// channels where the client leaves them open. FALSE: none.
gboolean relay_transport_choose(const char *header, const RelayAddress *peer, guint track,
                                gboolean multicast, RelayTransport *ret) G_GNUC_WARN_UNUSED_RESULT;

// The kind of all those of the `count` that are set up. FALSE: none is, or they are of two kinds.
gboolean relay_transport_common(const RelayTransport *transports, const gboolean *set_up,
                                guint count, RelayTransportKind *ret_kind);

// "Transport: …\r\n" of the answer. Newly allocated.
char *relay_transport_header(const RelayTransport *transport, guint16 rtp_port, gboolean record);

// The UDP ports that the answer to a SETUP names (server_port), at the address `peer`.
gboolean relay_transport_read_server(const char *header, const RelayAddress *peer,
                                     RelayAddress *ret_rtp,
                                     RelayAddress *ret_rtcp) G_GNUC_WARN_UNUSED_RESULT;
