// SPDX-License-Identifier: MIT
#include "common/media/rtcp.h"

#include <string.h>

#include "common/media/bytes.h"

enum {
    PT_SENDER_REPORT = 200,
    PT_RECEIVER_REPORT = 201,
    PT_SDES = 202,
    PT_BYE = 203,
    PT_TRANSPORT_FEEDBACK = 205, // RFC 4585 section 6.2
    PT_PAYLOAD_FEEDBACK = 206,   // RFC 4585 section 6.3
    PT_FIRST = 192,              // RFC 5761 section 4
    PT_LAST = 223,
};
enum { FORMAT_NACK = 1, FORMAT_PLI = 1 };
enum { SDES_END = 0, SDES_CNAME = 1 };

// A NACK entry stands for PID itself and the 16 numbers after it.
#define NACK_SPAN 17

static TkRtcpReport read_report(TkReader *r)
{
    TkRtcpReport report = {.ssrc = tk_reader_u32(r)};
    report.fraction_lost = tk_reader_u8(r);
    guint32 lost = tk_reader_u24(r);
    report.cumulative_lost = lost & 0x800000 ? (gint32)lost - 0x1000000 : (gint32)lost;
    report.highest_sequence = tk_reader_u32(r);
    report.jitter = tk_reader_u32(r);
    report.last_sr = tk_reader_u32(r);
    report.delay_since_sr = tk_reader_u32(r);
    return report;
}

static void read_reports(TkReader *r, guint count, TkRtcp *rtcp)
{
    for (guint i = 0; i < count; i++)
        rtcp->reports[i] = read_report(r);
    rtcp->reports_count = count;
}

static void read_sender_report(TkReader *r, guint count, TkRtcp *rtcp)
{
    rtcp->type = TK_RTCP_SENDER_REPORT;
    rtcp->ssrc = tk_reader_u32(r);
    rtcp->ntp = tk_reader_u64(r);
    rtcp->rtp_timestamp = tk_reader_u32(r);
    rtcp->packets = tk_reader_u32(r);
    rtcp->octets = tk_reader_u32(r);
    read_reports(r, count, rtcp);
}

static void read_receiver_report(TkReader *r, guint count, TkRtcp *rtcp)
{
    rtcp->type = TK_RTCP_RECEIVER_REPORT;
    rtcp->ssrc = tk_reader_u32(r);
    read_reports(r, count, rtcp);
}

static void keep_cname(TkRtcp *rtcp, const guint8 *text, gsize length)
{
    // A NUL inside would let two different names look the same.
    if (text && rtcp->cname[0] == '\0' && !memchr(text, 0, length)) {
        memcpy(rtcp->cname, text, length);
        rtcp->cname[length] = '\0';
    }
}

static void read_sdes(TkReader *r, guint chunks, TkRtcp *rtcp)
{
    rtcp->type = TK_RTCP_SDES;
    for (guint i = 0; i < chunks; i++) {
        guint32 ssrc = tk_reader_u32(r);
        if (i == 0)
            rtcp->ssrc = ssrc;
        guint8 item;
        while ((item = tk_reader_u8(r)) != SDES_END) {
            guint8 length = tk_reader_u8(r);
            const guint8 *text = tk_reader_take(r, length);
            if (i == 0 && item == SDES_CNAME)
                keep_cname(rtcp, text, length);
        }
        while (!r->failed && r->at % 4) // a chunk ends on a 32-bit boundary
            tk_reader_u8(r);
    }
}

static void read_bye(TkReader *r, guint sources, TkRtcp *rtcp)
{
    rtcp->type = TK_RTCP_BYE;
    for (guint i = 0; i < sources; i++) {
        guint32 ssrc = tk_reader_u32(r);
        if (i == 0)
            rtcp->ssrc = ssrc;
    }
}

static void read_feedback(TkReader *r, guint8 packet_type, guint format, TkRtcp *rtcp)
{
    rtcp->ssrc = tk_reader_u32(r);
    rtcp->media_ssrc = tk_reader_u32(r);
    if (packet_type == PT_TRANSPORT_FEEDBACK && format == FORMAT_NACK) {
        rtcp->type = TK_RTCP_NACK;
        rtcp->nack_bytes = tk_reader_left(r);
        rtcp->nack = tk_reader_take(r, rtcp->nack_bytes);
    } else if (packet_type == PT_PAYLOAD_FEEDBACK && format == FORMAT_PLI) {
        rtcp->type = TK_RTCP_PLI;
    }
}

static gboolean read_packet(TkReader r, guint8 packet_type, guint count, TkRtcp *rtcp)
{
    tk_reader_take(&r, 4);
    rtcp->type = TK_RTCP_OTHER;
    switch (packet_type) {
    case PT_SENDER_REPORT:
        read_sender_report(&r, count, rtcp);
        break;
    case PT_RECEIVER_REPORT:
        read_receiver_report(&r, count, rtcp);
        break;
    case PT_SDES:
        read_sdes(&r, count, rtcp);
        break;
    case PT_BYE:
        read_bye(&r, count, rtcp);
        break;
    case PT_TRANSPORT_FEEDBACK:
    case PT_PAYLOAD_FEEDBACK:
        read_feedback(&r, packet_type, count, rtcp);
        break;
    default:
        break;
    }
    return !r.failed;
}

gboolean tk_rtcp_next(const guint8 *data, gsize size, gsize *offset, TkRtcp *ret)
{
    if (*offset >= size)
        return FALSE;
    TkReader r = tk_reader(data + *offset, size - *offset);
    guint8 first = tk_reader_u8(&r);
    guint8 packet_type = tk_reader_u8(&r);
    gsize bytes = 4 * (gsize)(tk_reader_u16(&r) + 1);
    if (r.failed || bytes > r.size || first >> 6 != 2)
        return FALSE;
    if (packet_type < PT_FIRST || packet_type > PT_LAST)
        return FALSE;

    gsize body = bytes;
    if (first & 0x20) {
        // Only the last packet of a compound may be padded.
        guint padding = r.data[bytes - 1];
        if (bytes != r.size || padding == 0 || padding % 4 || padding > bytes - 4)
            return FALSE;
        body -= padding;
    }
    TkRtcp rtcp = {0};
    if (!read_packet(tk_reader(r.data, body), packet_type, first & 0x1f, &rtcp))
        return FALSE;
    *ret = rtcp;
    *offset += bytes;
    return TRUE;
}

gboolean tk_rtcp_nack_next(const TkRtcp *nack, gsize *cursor, guint16 *ret_sequence)
{
    for (gsize at = *cursor; at / NACK_SPAN < nack->nack_bytes / 4; at++) {
        TkReader r = tk_reader(nack->nack + 4 * (at / NACK_SPAN), 4);
        guint16 first = tk_reader_u16(&r);
        guint16 following = tk_reader_u16(&r);
        guint step = at % NACK_SPAN;
        if (step == 0 || following >> (step - 1) & 1) {
            *cursor = at + 1;
            *ret_sequence = (guint16)(first + step);
            return TRUE;
        }
    }
    return FALSE;
}

static gsize begin_packet(GByteArray *out, guint count, guint8 packet_type, guint32 ssrc)
{
    gsize start = out->len;
    tk_put(out, 2u << 6 | count, 1);
    tk_put(out, packet_type, 1);
    tk_put(out, 0, 2); // length, set by end_packet
    tk_put(out, ssrc, 4);
    return start;
}

static void end_packet(GByteArray *out, gsize start)
{
    tk_poke(out->data + start + 2, (out->len - start) / 4 - 1, 2);
}

void tk_rtcp_put_sender_report(GByteArray *out, guint32 ssrc, guint64 ntp, guint32 rtp_timestamp,
                               guint32 packets, guint32 octets)
{
    gsize start = begin_packet(out, 0, PT_SENDER_REPORT, ssrc);
    tk_put(out, ntp, 8);
    tk_put(out, rtp_timestamp, 4);
    tk_put(out, packets, 4);
    tk_put(out, octets, 4);
    end_packet(out, start);
}

static void put_report(GByteArray *out, const TkRtcpReport *report)
{
    gint32 lost = CLAMP(report->cumulative_lost, -0x800000, 0x7fffff);
    tk_put(out, report->ssrc, 4);
    tk_put(out, report->fraction_lost, 1);
    tk_put(out, (guint32)lost, 3);
    tk_put(out, report->highest_sequence, 4);
    tk_put(out, report->jitter, 4);
    tk_put(out, report->last_sr, 4);
    tk_put(out, report->delay_since_sr, 4);
}

void tk_rtcp_put_receiver_report(GByteArray *out, guint32 ssrc, const TkRtcpReport *reports,
                                 guint count)
{
    g_assert(count <= TK_RTCP_REPORTS_MAX);
    gsize start = begin_packet(out, count, PT_RECEIVER_REPORT, ssrc);
    for (guint i = 0; i < count; i++)
        put_report(out, &reports[i]);
    end_packet(out, start);
}

void tk_rtcp_put_sdes(GByteArray *out, guint32 ssrc, const char *cname)
{
    gsize length = MIN(strlen(cname), TK_RTCP_CNAME_MAX);
    gsize start = begin_packet(out, 1, PT_SDES, ssrc);
    tk_put(out, SDES_CNAME, 1);
    tk_put(out, length, 1);
    g_byte_array_append(out, (const guint8 *)cname, (guint)length);
    do
        tk_put(out, SDES_END, 1);
    while ((out->len - start) % 4);
    end_packet(out, start);
}

void tk_rtcp_put_bye(GByteArray *out, guint32 ssrc)
{
    end_packet(out, begin_packet(out, 1, PT_BYE, ssrc));
}

void tk_rtcp_put_pli(GByteArray *out, guint32 ssrc, guint32 media_ssrc)
{
    gsize start = begin_packet(out, FORMAT_PLI, PT_PAYLOAD_FEEDBACK, ssrc);
    tk_put(out, media_ssrc, 4);
    end_packet(out, start);
}

void tk_rtcp_put_nack(GByteArray *out, guint32 ssrc, guint32 media_ssrc, const guint16 *sequences,
                      guint count)
{
    gsize start = begin_packet(out, FORMAT_NACK, PT_TRANSPORT_FEEDBACK, ssrc);
    tk_put(out, media_ssrc, 4);
    for (guint i = 0; i < count;) {
        guint16 first = sequences[i++];
        guint16 following = 0;
        for (; i < count && (guint16)(sequences[i] - first) < NACK_SPAN; i++)
            if (sequences[i] != first)
                following |= (guint16)(1u << ((guint16)(sequences[i] - first) - 1));
        tk_put(out, first, 2);
        tk_put(out, following, 2);
    }
    end_packet(out, start);
}
