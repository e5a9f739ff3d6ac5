// SPDX-License-Identifier: MIT
#include "relay/core/keyframe.h"

#include "common/media/bytes.h"
#include "common/media/h264_nal.h"

enum { NAL_STAP_A = 24, NAL_FU_A = 28 };

// `nal`: with its header byte, or what stands for it in a fragment, of which only the beginning may
// be there.
typedef gboolean (*Test)(guint type, const guint8 *nal, gsize size);

static gboolean nal_configures(guint type, const guint8 *nal, gsize size)
{
    return type == TK_H264_SPS;
}

static gboolean nal_starts_key(guint type, const guint8 *nal, gsize size)
{
    return type == TK_H264_SPS || (type == TK_H264_SLICE_IDR && tk_h264_slice_is_first(nal, size));
}

static gboolean nal_is_recovery_point(guint type, const guint8 *nal, gsize size)
{
    return type == TK_H264_SEI && tk_h264_sei_is_recovery_point(nal, size);
}

static gboolean nal_predicts(guint type, const guint8 *nal, gsize size)
{
    return type >= TK_H264_SLICE && type <= TK_H264_SLICE_PARTITION_A &&
           !tk_h264_slice_is_intra(nal, size);
}

static gboolean any_in_stap(const guint8 *payload, gsize size, Test test)
{
    TkReader r = tk_reader(payload + 1, size - 1);
    while (tk_reader_left(&r)) {
        guint16 bytes = tk_reader_u16(&r);
        const guint8 *nal = tk_reader_take(&r, bytes);
        if (nal && bytes && test(tk_h264_nal_type(nal[0]), nal, bytes))
            return TRUE;
    }
    return FALSE;
}

static gboolean any(const guint8 *payload, gsize size, Test test)
{
    if (!size)
        return FALSE;
    guint type = tk_h264_nal_type(payload[0]);
    if (type == NAL_STAP_A)
        return any_in_stap(payload, size, test);
    if (type == NAL_FU_A)
        return size > 2 && payload[1] & 0x80 &&
               test(tk_h264_nal_type(payload[1]), payload + 1, size - 1);
    return test(type, payload, size);
}

gboolean relay_keyframe_starts(const guint8 *payload, gsize size)
{
    return any(payload, size, nal_starts_key) ||
           (any(payload, size, nal_is_recovery_point) && !any(payload, size, nal_predicts));
}

gboolean relay_keyframe_configures(const guint8 *payload, gsize size)
{
    return any(payload, size, nal_configures);
}
