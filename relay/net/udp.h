// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"
#include "relay/net/udp_backend.h"

// The one pair of UDP ports that serves every sender and viewer: RTP on an even port, RTCP on the
// next (RFC 3550 section 11). Each packet worker sends by sockets of its own, all bound to this
// pair; what comes in comes to the first worker's.
typedef struct {
    int rtp_fd, rtcp_fd;
    guint16 port;                   // of RTP
    const RelayUdpBackend *backend; // how RTP leaves; its worker's, atomic for those who read it
} RelayUdp;

#define RELAY_UDP_NONE ((RelayUdp){.rtp_fd = -1, .rtcp_fd = -1})

// Opens `count` pairs on one pair of ports into `pairs`; port 0 finds a free one. `backend`: a
// back-end's name, or "auto". Where the kernel cannot steer what comes in, all workers share the
// first pair's sockets.
gboolean relay_udp_open(RelayUdp *pairs, guint count, const char *host, guint16 port,
                        const char *backend, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void relay_udp_close(RelayUdp *udp);

// Any thread: how the pair sends now.
const RelayUdpBackend *relay_udp_backend(const RelayUdp *udp);

// One RTCP datagram, now.
void relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet);
