// SPDX-License-Identifier: MIT
#include "relay/core/receiver.h"

#include "relay/core/ticks.h"

#define CUMULATIVE_LOST_MAX 0x7fffff // 24 bits, signed (RFC 3550 section 6.4.1)

static gint64 expected(const RelayReceiver *receiver)
{
    return receiver->has_source ? receiver->highest - receiver->first + 1 : 0;
}

static gint64 missing(const RelayReceiver *receiver)
{
    return expected(receiver) - (gint64)receiver->received;
}

void relay_receiver_start(RelayReceiver *receiver, guint8 payload_type, guint32 clock_rate)
{
    *receiver = (RelayReceiver){
        .payload_type = payload_type,
        .clock_rate = clock_rate,
        .lost_earlier = relay_receiver_lost(receiver),
    };
}

static gboolean seen(const RelayReceiver *receiver, gint64 sequence)
{
    guint at = (guint)sequence % RELAY_RECEIVER_WINDOW;
    return receiver->seen[at / 64] >> (at % 64) & 1;
}

static void mark(RelayReceiver *receiver, gint64 sequence, gboolean value)
{
    guint at = (guint)sequence % RELAY_RECEIVER_WINDOW;
    guint64 bit = G_GUINT64_CONSTANT(1) << (at % 64);
    if (value)
        receiver->seen[at / 64] |= bit;
    else
        receiver->seen[at / 64] &= ~bit;
}

static void advance(RelayReceiver *receiver, gint64 sequence)
{
    gint64 from = MAX(receiver->highest + 1, sequence - RELAY_RECEIVER_WINDOW + 1);
    for (gint64 s = from; s <= sequence; s++)
        mark(receiver, s, FALSE);
    receiver->highest = sequence;
}

// RFC 3550 appendix A.8.
static void note_transit(RelayReceiver *receiver, guint32 timestamp, gint64 now_ns)
{
    guint32 transit = (guint32)relay_ticks_from_ns(now_ns, receiver->clock_rate) - timestamp;
    if (receiver->has_transit) {
        gint32 d = (gint32)(transit - receiver->transit);
        guint32 step = d < 0 ? 0u - (guint32)d : (guint32)d;
        receiver->jitter_16 += step - ((receiver->jitter_16 + 8) >> 4);
    }
    receiver->transit = transit;
    receiver->has_transit = TRUE;
}

static void adopt(RelayReceiver *receiver, const TkRtp *rtp, gint64 now_ns)
{
    relay_receiver_start(receiver, receiver->payload_type, receiver->clock_rate);
    receiver->has_source = TRUE;
    receiver->ssrc = rtp->ssrc;
    receiver->first = receiver->highest = rtp->sequence;
    receiver->received = 1;
    mark(receiver, receiver->first, TRUE);
    note_transit(receiver, rtp->timestamp, now_ns);
}

// The second packet in a row makes a new source or a jump real (RFC 3550 appendix A.1, with the
// two packets that it proposes).
static gboolean confirms(RelayReceiver *receiver, const TkRtp *rtp)
{
    gboolean confirmed = receiver->has_candidate && receiver->candidate_ssrc == rtp->ssrc &&
                         receiver->candidate_sequence == rtp->sequence;
    receiver->has_candidate = !confirmed;
    receiver->candidate_ssrc = rtp->ssrc;
    receiver->candidate_sequence = (guint16)(rtp->sequence + 1);
    return confirmed;
}

RelayReceiveVerdict relay_receiver_take(RelayReceiver *receiver, const TkRtp *rtp, gint64 now_ns,
                                        gint64 *ret_sequence)
{
    if (rtp->payload_type != receiver->payload_type)
        return RELAY_RECEIVE_FOREIGN;
    gboolean same = receiver->has_source && rtp->ssrc == receiver->ssrc;
    gint step = tk_rtp_seq_distance(rtp->sequence, (guint16)receiver->highest);
    gboolean jump = same && (step > RELAY_RECEIVER_DROPOUT_MAX || step <= -RELAY_RECEIVER_WINDOW);
    if (!same || jump) {
        if (receiver->has_source && !confirms(receiver, rtp))
            return jump ? RELAY_RECEIVE_LATE : RELAY_RECEIVE_FOREIGN;
        adopt(receiver, rtp, now_ns);
        *ret_sequence = receiver->first;
        return jump ? RELAY_RECEIVE_RESUMED : RELAY_RECEIVE_NEW_SOURCE;
    }
    receiver->has_candidate = FALSE;
    gint64 sequence = receiver->highest + step;
    if (sequence < receiver->first)
        return RELAY_RECEIVE_LATE;
    if (step > 0)
        advance(receiver, sequence);
    else if (seen(receiver, sequence))
        return RELAY_RECEIVE_DUPLICATE;
    mark(receiver, sequence, TRUE);
    receiver->received++;
    note_transit(receiver, rtp->timestamp, now_ns);
    *ret_sequence = sequence;
    return RELAY_RECEIVE_OK;
}

guint64 relay_receiver_lost(const RelayReceiver *receiver)
{
    return receiver->lost_earlier + (guint64)missing(receiver);
}

gint64 relay_receiver_jitter_ns(const RelayReceiver *receiver)
{
    if (!receiver->clock_rate)
        return 0;
    return relay_ticks_to_ns(receiver->jitter_16 >> 4, receiver->clock_rate);
}

gboolean relay_receiver_report(RelayReceiver *receiver, TkRtcpReport *ret)
{
    if (!receiver->has_source)
        return FALSE;
    gint64 now_expected = expected(receiver), now_received = (gint64)receiver->received;
    gint64 interval = now_expected - receiver->reported_expected;
    gint64 lost = interval - (now_received - receiver->reported_received);
    receiver->reported_expected = now_expected;
    receiver->reported_received = now_received;
    *ret = (TkRtcpReport){
        .ssrc = receiver->ssrc,
        .fraction_lost = interval > 0 && lost > 0 ? (guint8)MIN(lost * 256 / interval, 255) : 0,
        .cumulative_lost = (gint32)MIN(missing(receiver), CUMULATIVE_LOST_MAX),
        .highest_sequence = (guint32)receiver->highest,
        .jitter = receiver->jitter_16 >> 4,
    };
    return TRUE;
}
