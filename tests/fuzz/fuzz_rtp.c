// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/media/rtp.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TkRtp before, after;

    if (!tk_rtp_parse(data, size, &before))
        return 0;
    g_assert(before.payload >= data + TK_RTP_HEADER_BYTES);
    g_assert(before.payload + before.payload_bytes <= data + size);

    g_autofree guint8 *copy = g_memdup2(data, size);
    tk_rtp_rewrite(copy, 97, (guint16)(before.sequence + 1), ~before.timestamp, ~before.ssrc);
    g_assert(tk_rtp_parse(copy, size, &after));
    g_assert(after.payload_type == 97 && after.marker == before.marker);
    g_assert(tk_rtp_seq_distance(after.sequence, before.sequence) == 1);
    g_assert(after.timestamp == ~before.timestamp && after.ssrc == ~before.ssrc);
    g_assert(after.payload_bytes == before.payload_bytes);
    return 0;
}
