// SPDX-License-Identifier: MIT
#pragma once

#include <netinet/in.h>

#include "tests/bench/lesson.h"
#include "tests/bench/tally.h"

// A line that loses packets, and a player that asks for them again: NACK (RFC 4585), retransmission
// (RFC 4588).
typedef struct {
    double lose;                 // share of packets, 0..1
    guint8 media_type, rtx_type; // RTP payload types; rtx_type 0: none was announced
    guint32 ssrc;                // of the media; 0: not known yet
    struct sockaddr_in to;       // the server's RTCP port; sin_port 0: not known yet
    guint8 packet[2048];
} LoadRepair;

// What the SDP says about the retransmission of `media`, its m= line and the lines behind it.
void load_repair_read_sdp(LoadRepair *repair, const char *media);

// The packet as it was sent at first; NULL: the line has lost it. Borrowed until the next call.
const guint8 *load_repair_take(LoadRepair *repair, const guint8 *data, gsize *size);

// Asks for what is missing among the last packets.
void load_repair_ask(const LoadRepair *repair, int rtcp_fd, const LoadFlow *flow);

// Any RTCP, the same way.
void load_repair_send(const LoadRepair *repair, int rtcp_fd, const GByteArray *packet);
