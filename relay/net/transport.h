// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// The Transport header (RFC 2326 section 12.39).
typedef struct {
    gboolean interleaved;
    gboolean feedback;                // RTP/AVPF (RFC 4585)
    guint8 rtp_channel, rtcp_channel; // interleaved
    RelayAddress rtp, rtcp;           // UDP: always at the peer's own address
} RelayTransport;

// The first offered transport that this relay speaks. A destination that the header names is not
// believed. `track` gives the channels where the client leaves them open. FALSE: none.
gboolean relay_transport_choose(const char *header, const RelayAddress *peer, guint track,
                                RelayTransport *ret) G_GNUC_WARN_UNUSED_RESULT;

// "Transport: …\r\n" of the answer. Newly allocated.
char *relay_transport_header(const RelayTransport *transport, guint16 rtp_port, gboolean record);
