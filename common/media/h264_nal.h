// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What is inside single NAL units (ITU-T H.264 section 7.3), as far as packaging needs it. `nal`
// always begins with the NAL header byte and has its emulation prevention still in.
typedef enum {
    TK_H264_SLICE = 1,
    TK_H264_SLICE_PARTITION_A = 2,
    TK_H264_SLICE_PARTITION_C = 4,
    TK_H264_SLICE_IDR = 5,
    TK_H264_SEI = 6,
    TK_H264_SPS = 7,
    TK_H264_PPS = 8,
    TK_H264_DELIMITER = 9,
    TK_H264_END_OF_SEQUENCE = 10,
    TK_H264_END_OF_STREAM = 11,
    TK_H264_FILLER = 12,
} TkH264NalType;

static inline TkH264NalType tk_h264_nal_type(guint8 header)
{
    return (TkH264NalType)(header & 0x1f);
}

// Whether a NAL unit belongs into an MP4 sample: parameter sets, delimiters and filler do not, nor
// the types that receivers must ignore (RFC 6184 section 5.2).
static inline gboolean tk_h264_nal_in_sample(guint type)
{
    return type >= TK_H264_SLICE && type <= 29 && !(type >= TK_H264_SPS && type <= TK_H264_FILLER);
}

// Copies `nal` without its header byte and emulation prevention (section 7.4.1.1) up to `max` bytes
// of output. Returns how many there are.
gsize tk_h264_unescape(const guint8 *nal, gsize size, guint8 *ret, gsize max);

// Whether a slice begins at the picture's first macroblock.
gboolean tk_h264_slice_is_first(const guint8 *nal, gsize size);

// Whether a slice refers to no other picture (slice type I or SI).
gboolean tk_h264_slice_is_intra(const guint8 *nal, gsize size);

// Whether an SEI NAL unit says that decoding may begin exactly here (annex D: recovery point with
// recovery_frame_cnt 0).
gboolean tk_h264_sei_is_recovery_point(const guint8 *nal, gsize size);
