// SPDX-License-Identifier: MIT
#include "relay/core/keyframe.h"

#include "common/media/bytes.h"

enum { NAL_IDR = 5, NAL_SPS = 7, NAL_STAP_A = 24, NAL_FU_A = 28 };

// first_mb_in_slice is the slice header's first value; its Exp-Golomb code for 0 is one set bit.
static gboolean nal_starts_key(guint type, const guint8 *body, gsize size)
{
    return type == NAL_SPS || (type == NAL_IDR && size > 0 && body[0] & 0x80);
}

static gboolean stap_starts_key(const guint8 *payload, gsize size)
{
    TkReader r = tk_reader(payload + 1, size - 1);
    while (tk_reader_left(&r)) {
        guint16 bytes = tk_reader_u16(&r);
        const guint8 *nal = tk_reader_take(&r, bytes);
        if (nal && bytes && nal_starts_key(nal[0] & 0x1f, nal + 1, bytes - 1u))
            return TRUE;
    }
    return FALSE;
}

gboolean relay_keyframe_starts(const guint8 *payload, gsize size)
{
    if (!size)
        return FALSE;
    guint type = payload[0] & 0x1f;
    if (type == NAL_STAP_A)
        return stap_starts_key(payload, size);
    if (type == NAL_FU_A)
        return size > 2 && payload[1] & 0x80 &&
               nal_starts_key(payload[1] & 0x1f, payload + 2, size - 2);
    return nal_starts_key(type, payload + 1, size - 1);
}
