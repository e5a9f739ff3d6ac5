// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"
#include "relay/net/address.h"

// The one pair of UDP ports that serves every sender and viewer: RTP on an even port, RTCP on the
// next (RFC 3550 section 11).
typedef struct {
    int rtp_fd, rtcp_fd;
    guint16 port;  // of RTP
    gint segments; // whether UDP_SEGMENT works; atomic: several threads send through the pair
} RelayUdp;

// Port 0 finds a free pair.
gboolean relay_udp_open(RelayUdp *udp, const char *host, guint16 port,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
void relay_udp_close(RelayUdp *udp);

// One RTCP datagram, now.
void relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet);

// RTP that goes out in one round; one per sending thread. Consecutive packets of equal size to one
// address leave as one UDP_SEGMENT train, trains for several addresses in one sendmmsg; single
// datagrams where the kernel refuses segmentation.
typedef struct _RelayUdpBatch RelayUdpBatch;

typedef struct {
    guint64 datagrams, bytes, calls; // relaxed atomics
    guint64 refused;                 // datagrams that the kernel would not take: lost
} RelayUdpStats;

RelayUdpBatch *relay_udp_batch_new(RelayUdp *udp);
void relay_udp_batch_free(RelayUdpBatch *batch);
// Both are borrowed until flush: nothing is counted or copied per viewer.
void relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const RelayUnit *unit);
void relay_udp_batch_flush(RelayUdpBatch *batch);
// Borrowed; any thread may read it with relay_stat_get.
const RelayUdpStats *relay_udp_batch_stats(const RelayUdpBatch *batch);
