// SPDX-License-Identifier: MIT
#include "relay/core/keyframe.h"

#include "common/media/bytes.h"

enum { NAL_IDR = 5, NAL_SPS = 7, NAL_STAP_A = 24, NAL_FU_A = 28 };

typedef gboolean (*Test)(guint type, const guint8 *body, gsize size);

static gboolean nal_configures(guint type, const guint8 *body, gsize size)
{
    return type == NAL_SPS;
}

// first_mb_in_slice is the slice header's first value; its Exp-Golomb code for 0 is one set bit.
static gboolean nal_starts_key(guint type, const guint8 *body, gsize size)
{
    return type == NAL_SPS || (type == NAL_IDR && size > 0 && body[0] & 0x80);
}

static gboolean any_in_stap(const guint8 *payload, gsize size, Test test)
{
    TkReader r = tk_reader(payload + 1, size - 1);
    while (tk_reader_left(&r)) {
        guint16 bytes = tk_reader_u16(&r);
        const guint8 *nal = tk_reader_take(&r, bytes);
        if (nal && bytes && test(nal[0] & 0x1f, nal + 1, bytes - 1u))
            return TRUE;
    }
    return FALSE;
}

static gboolean any(const guint8 *payload, gsize size, Test test)
{
    if (!size)
        return FALSE;
    guint type = payload[0] & 0x1f;
    if (type == NAL_STAP_A)
        return any_in_stap(payload, size, test);
    if (type == NAL_FU_A)
        return size > 2 && payload[1] & 0x80 && test(payload[1] & 0x1f, payload + 2, size - 2);
    return test(type, payload + 1, size - 1);
}

gboolean relay_keyframe_starts(const guint8 *payload, gsize size)
{
    return any(payload, size, nal_starts_key);
}

gboolean relay_keyframe_configures(const guint8 *payload, gsize size)
{
    return any(payload, size, nal_configures);
}
