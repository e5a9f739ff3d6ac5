// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"
#include "relay/net/udp.h"

// RTP that goes out in one round; one per sending thread. Consecutive packets of equal size to one
// address leave as one train, trains for several addresses in one call; single datagrams where the
// pair's back-end knows no trains.
typedef struct _RelayUdpBatch RelayUdpBatch;

typedef struct {
    guint64 datagrams, bytes; // relaxed atomics
    guint64 trains, calls;    // trains of one datagram count as well
    guint64 waits;            // times that the socket's buffer was full
    guint64 refused;          // datagrams that the kernel would not take: lost
} RelayUdpStats;

RelayUdpBatch *relay_udp_batch_new(RelayUdp *udp);
void relay_udp_batch_free(RelayUdpBatch *batch);
// `to` and `unit` are borrowed until flush: nothing is counted or copied per viewer but `header`,
// RTP's, which stands in the place of the unit's own; NULL: it goes as it is.
void relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const guint8 *header,
                         const RelayUnit *unit);
// A full socket buffer is waited for a little: whoever is sent to is served later, not less.
void relay_udp_batch_flush(RelayUdpBatch *batch);
// Borrowed; any thread may read it with relay_stat_get.
const RelayUdpStats *relay_udp_batch_stats(const RelayUdpBatch *batch);
