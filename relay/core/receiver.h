// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtcp.h"
#include "common/media/rtp.h"

// One sender's RTP source as a receiver sees it (RFC 3550 section 6.4 and appendix A): which
// packets count, in which place, and what is to be reported about them. Embedded; nothing to clear.

// Sequence numbers remembered behind the newest: repair may bring a packet 400 ms late, and a
// 10 Mbit/s lesson has 1,000 packets a second.
#define RELAY_RECEIVER_WINDOW 1024
// A larger step forward is a restart until a second packet confirms it (RFC 3550 appendix A.1).
#define RELAY_RECEIVER_DROPOUT_MAX 3000

typedef enum {
    RELAY_RECEIVE_OK,
    RELAY_RECEIVE_NEW_SOURCE, // accepted; the first of another SSRC: nothing before it counts
    RELAY_RECEIVE_RESUMED,    // accepted; the same SSRC after a jump of its sequence numbers
    RELAY_RECEIVE_DUPLICATE,
    RELAY_RECEIVE_LATE,    // older than the window or than the source's first, or a lone jump
    RELAY_RECEIVE_FOREIGN, // another payload type, or an SSRC not yet confirmed
} RelayReceiveVerdict;

typedef struct {
    guint8 payload_type;
    guint32 clock_rate; // Hz
    gboolean has_source;
    guint32 ssrc;
    gint64 first, highest; // extended sequence numbers
    guint64 received;      // without duplicates
    guint64 seen[RELAY_RECEIVER_WINDOW / 64];
    gint64 reported_expected, reported_received; // at the last report (appendix A.3)
    guint64 lost_earlier;                        // of sources that are over
    gboolean has_transit;
    guint32 transit, jitter_16; // appendix A.8; jitter in 1/16 RTP ticks
    gboolean has_candidate;     // of a source that a second packet would confirm
    guint32 candidate_ssrc;
    guint16 candidate_sequence;
} RelayReceiver;

// Another sender begins; what was lost so far stays counted. `receiver` is zeroed before its first
// start.
void relay_receiver_start(RelayReceiver *receiver, guint8 payload_type, guint32 clock_rate);

// Judges a packet. For the accepted ones *ret_sequence is the extended sequence number, counted
// from the source's first packet's own.
RelayReceiveVerdict relay_receiver_take(RelayReceiver *receiver, const TkRtp *rtp, gint64 now_ns,
                                        gint64 *ret_sequence) G_GNUC_WARN_UNUSED_RESULT;

// Packets missing at this moment, over all sources.
guint64 relay_receiver_lost(const RelayReceiver *receiver);
gint64 relay_receiver_jitter_ns(const RelayReceiver *receiver);

// The report block about the source and the start of the next interval. FALSE before a source.
// last_sr and delay_since_sr are left 0.
gboolean relay_receiver_report(RelayReceiver *receiver, TkRtcpReport *ret)
    G_GNUC_WARN_UNUSED_RESULT;
