// SPDX-License-Identifier: MIT
#include "tests/bench/repair.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/media/rtcp.h"
#include "common/media/rtp.h"

#define OWN_SSRC 0x4c4f4144u
#define ASKED_MAX 128    // packets in one NACK
// Half a second of the lesson: what is older could not be played any more.
#define RECENT_PACKETS 128
#define ORIGINAL_BYTES 2 // RFC 4588 section 4: the number that the packet had

void load_repair_read_sdp(LoadRepair *repair, const char *media)
{
    const char *end = strstr(media + 1, "\nm=");
    const char *apt = strstr(media, " apt=");
    const char *type = strstr(media, "RTP/AVP");
    type = type ? strchr(type, ' ') : NULL;
    repair->media_type = type ? (guint8)strtoul(type, NULL, 10) : 0;
    repair->rtx_type = 0;
    if (!apt || (end && apt > end))
        return;
    const char *line = apt;
    while (line > media && line[-1] != ':')
        line--;
    repair->rtx_type = (guint8)strtoul(line, NULL, 10);
}

const guint8 *load_repair_take(LoadRepair *repair, const guint8 *data, gsize *size)
{
    TkRtp rtp;
    if (repair->lose > 0 && g_random_double() < repair->lose)
        return NULL;
    if (!tk_rtp_parse(data, *size, &rtp))
        return data;
    if (!repair->rtx_type || rtp.payload_type != repair->rtx_type) {
        repair->ssrc = rtp.ssrc;
        return data;
    }
    gsize head = (gsize)(rtp.payload - data);
    gsize rest = rtp.payload_bytes;
    if (rest < ORIGINAL_BYTES || head + rest > sizeof repair->packet)
        return NULL;
    guint16 original = (guint16)(rtp.payload[0] << 8 | rtp.payload[1]);
    rest -= ORIGINAL_BYTES;
    memcpy(repair->packet, data, head);
    memcpy(repair->packet + head, rtp.payload + ORIGINAL_BYTES, rest);
    tk_rtp_rewrite(repair->packet, repair->media_type, original, rtp.timestamp, repair->ssrc);
    *size = head + rest;
    return repair->packet;
}

void load_repair_ask(const LoadRepair *repair, int rtcp_fd, const LoadFlow *flow)
{
    guint16 numbers[ASKED_MAX];
    guint count = 0;
    for (guint i = RECENT_PACKETS; i > 0 && flow->begun && count < ASKED_MAX; i--)
        if (!load_flow_has(flow, flow->newest - i))
            numbers[count++] = (guint16)(flow->newest - i);
    if (!count || !repair->ssrc || !repair->to.sin_port)
        return;
    g_autoptr(GByteArray) out = g_byte_array_new();
    tk_rtcp_put_receiver_report(out, OWN_SSRC, NULL, 0);
    tk_rtcp_put_nack(out, OWN_SSRC, repair->ssrc, numbers, count);
    load_repair_send(repair, rtcp_fd, out);
}

void load_repair_send(const LoadRepair *repair, int rtcp_fd, const GByteArray *packet)
{
    if (sendto(rtcp_fd, packet->data, packet->len, MSG_DONTWAIT,
               (const struct sockaddr *)&repair->to, sizeof repair->to) < 0)
        return; // lost on the way, as packets are; there will be a next one
}
