// SPDX-License-Identifier: MIT
#include "relay/core/packet_copy.h"

#include <string.h>

#include "common/media/latm.h"

#define HBR_HEADER_BYTES 4
#define HBR_FRAME_BYTES_MAX 0x1fff // 13 bits (RFC 3640 section 3.3.6)

static RelayUnit *copy_latm(const TkRtp *rtp)
{
    gsize bytes;
    const guint8 *frame = tk_latm_frame(rtp->payload, rtp->payload_bytes, &bytes);
    if (!frame || bytes > HBR_FRAME_BYTES_MAX)
        return NULL;
    const guint8 head[TK_RTP_HEADER_BYTES + HBR_HEADER_BYTES] = {
        0x80, rtp->marker ? 0x80 : 0, [13] = 16, (guint8)(bytes >> 5), (guint8)(bytes << 3)};
    RelayUnit *packet = relay_unit_new(sizeof head + bytes);
    packet->bytes = (guint32)(sizeof head + bytes);
    memcpy(packet->data, head, sizeof head);
    memcpy(packet->data + sizeof head, frame, bytes);
    return packet;
}

RelayUnit *relay_packet_copy(const TkRtp *rtp, const guint8 *data, gsize size, gboolean latm)
{
    if (latm)
        return copy_latm(rtp);
    RelayUnit *packet = relay_unit_new(size);
    packet->bytes = (guint32)size;
    memcpy(packet->data, data, size);
    return packet;
}
