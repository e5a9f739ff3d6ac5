// SPDX-License-Identifier: MIT
#include "tests/bench/receiver.h"

#include "common/media/rtcp.h"
#include "common/media/rtp.h"
#include "tests/bench/loop.h"

#define OWN_SSRC 0x4c4f4144u
#define LOST_MAX 0x7fffff // 24 bits with a sign

// Appendix A.8.
static void take_jitter(LoadReceiver *r, guint32 timestamp, guint clock_rate, gint64 at_ns)
{
    gint64 transit = (gint64)((double)at_ns / 1e9 * clock_rate) - timestamp;
    gint64 step = (gint32)(transit - r->transit);
    r->transit = transit;
    if (r->received > 1)
        r->jitter += ((double)ABS(step) - r->jitter) / 16;
}

void load_receiver_take(LoadReceiver *receiver, const guint8 *data, gsize size, guint clock_rate,
                        gint64 at_ns)
{
    LoadReceiver *r = receiver;
    TkRtp rtp;
    if (!tk_rtp_parse(data, size, &rtp))
        return;
    if (!r->begun || r->ssrc != rtp.ssrc)
        *r = (LoadReceiver){.begun = TRUE,
                            .ssrc = rtp.ssrc,
                            .first = rtp.sequence,
                            .highest = rtp.sequence,
                            .last_sr = r->last_sr,
                            .sr_ns = r->sr_ns};
    gint step = tk_rtp_seq_distance(rtp.sequence, (guint16)r->highest);
    if (step > 0)
        r->highest += (guint32)step;
    r->received++;
    take_jitter(r, rtp.timestamp, clock_rate, at_ns);
}

void load_receiver_take_rtcp(LoadReceiver *receiver, const guint8 *data, gsize size, gint64 at_ns)
{
    TkRtcp rtcp;
    gsize offset = 0;
    while (tk_rtcp_next(data, size, &offset, &rtcp)) {
        if (rtcp.type != TK_RTCP_SENDER_REPORT)
            continue;
        receiver->last_sr = (guint32)(rtcp.ntp >> 16);
        receiver->sr_ns = at_ns;
    }
}

GByteArray *load_receiver_report(LoadReceiver *receiver)
{
    LoadReceiver *r = receiver;
    if (!r->begun)
        return NULL;
    // Appendix A.3.
    guint32 expected = r->highest - r->first + 1;
    gint64 lost = (gint64)expected - r->received;
    guint32 asked = expected - r->expected_before, came = r->received - r->received_before;
    TkRtcpReport report = {
        .ssrc = r->ssrc,
        .fraction_lost = asked > came ? (guint8)((guint64)(asked - came) * 255 / asked) : 0,
        .cumulative_lost = (gint32)CLAMP(lost, -LOST_MAX, LOST_MAX),
        .highest_sequence = r->highest,
        .jitter = (guint32)r->jitter,
        .last_sr = r->last_sr,
    };
    if (r->last_sr)
        report.delay_since_sr = (guint32)(MAX(load_now_ns() - r->sr_ns, 0) * 65536 / 1000000000);
    r->expected_before = expected;
    r->received_before = r->received;
    GByteArray *out = g_byte_array_new();
    tk_rtcp_put_receiver_report(out, OWN_SSRC, &report, 1);
    tk_rtcp_put_sdes(out, OWN_SSRC, "load");
    return out;
}
