// SPDX-License-Identifier: MIT
#pragma once

#include <string.h>

#include "common/media/bytes.h"
#include "common/media/rtp.h"

// A fuzz input as a run of RTP payloads: each a byte of flags, two bytes of length, and its bytes
// (fewer at the input's end).
enum { PACKET_MARKER = 1, PACKET_LOST = 2, PACKET_LATER = 4 };

// Takes the next packet; `rtp` is carried on from the one before. The payload is a copy of exactly
// its size, so that ASan sees a read beyond it; the caller frees it.
static inline guint8 *tk_fuzz_packet_next(TkReader *r, TkRtp *rtp, gboolean *ret_lost)
{
    if (tk_reader_left(r) < 3)
        return NULL;
    guint8 flags = tk_reader_u8(r);
    gsize bytes = tk_reader_u16(r);
    bytes = MIN(bytes, tk_reader_left(r));
    guint8 *copy = g_malloc(MAX(bytes, 1));
    memcpy(copy, tk_reader_take(r, bytes), bytes);
    *rtp = (TkRtp){
        .marker = (flags & PACKET_MARKER) != 0,
        .timestamp = rtp->timestamp + (flags & PACKET_LATER ? 1024 : 0),
        .sequence = (guint16)(rtp->sequence + 1),
        .payload = copy,
        .payload_bytes = bytes,
    };
    *ret_lost = (flags & PACKET_LOST) != 0;
    return copy;
}
