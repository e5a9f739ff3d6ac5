// SPDX-License-Identifier: MIT
#include "common/media/h264.h"

#include "common/media/bits.h"
#include "common/media/h264_nal.h"

// Twice what level 6.2 allows a side; also keeps all sums far from overflow.
#define SIDE_MAX 33024u
#define SPS_BYTES_MAX 4096

#define EXTENDED_SAR 255
#define REORDER_UNKNOWN 16

static gboolean has_chroma_info(guint8 profile)
{
    static const guint8 profiles[] = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135};
    for (guint i = 0; i < G_N_ELEMENTS(profiles); i++)
        if (profile == profiles[i])
            return TRUE;
    return FALSE;
}

static gboolean is_intra_only(const TkH264Sps *sps)
{
    gboolean constraint_set3 = sps->constraints & 0x10;
    return sps->profile == 44 || (constraint_set3 && has_chroma_info(sps->profile));
}

// An unsigned code that the standard limits to `max`.
static guint8 read_ue_max(TkBits *b, guint8 max)
{
    guint32 value = tk_bits_ue(b);
    if (value > max)
        b->failed = TRUE;
    return b->failed ? 0 : (guint8)value;
}

static void skip_scaling_list(TkBits *b, guint size)
{
    gint last = 8, next = 8;
    for (guint i = 0; i < size && next != 0 && !b->failed; i++) {
        next = (gint)(((gint64)last + tk_bits_se(b) + 256) % 256);
        if (next != 0)
            last = next;
    }
}

static void read_chroma_info(TkBits *b, TkH264Sps *sps, gboolean *ret_separate_planes)
{
    sps->chroma_format = read_ue_max(b, 3);
    if (sps->chroma_format == 3)
        *ret_separate_planes = tk_bits_flag(b);
    sps->luma_bits = 8 + read_ue_max(b, 6);
    sps->chroma_bits = 8 + read_ue_max(b, 6);
    tk_bits_flag(b); // qpprime_y_zero_transform_bypass_flag
    if (!tk_bits_flag(b))
        return;
    guint lists = sps->chroma_format == 3 ? 12 : 8;
    for (guint i = 0; i < lists; i++)
        if (tk_bits_flag(b))
            skip_scaling_list(b, i < 6 ? 16 : 64);
}

// Returns pic_order_cnt_type.
static guint read_picture_order(TkBits *b)
{
    guint type = read_ue_max(b, 2);
    if (type == 0) {
        tk_bits_ue(b); // log2_max_pic_order_cnt_lsb_minus4
    } else if (type == 1) {
        tk_bits_flag(b);
        tk_bits_se(b);
        tk_bits_se(b);
        guint32 cycle = tk_bits_ue(b);
        for (guint32 i = 0; i < cycle && !b->failed; i++)
            tk_bits_se(b);
    }
    return type;
}

// Sections 7.4.2.1.1 (sizes) and 6.2 (what one unit of cropping is).
static gboolean read_size(TkBits *b, TkH264Sps *sps, gboolean separate_planes)
{
    guint64 width = 16 * ((guint64)tk_bits_ue(b) + 1);
    guint64 map_height = 16 * ((guint64)tk_bits_ue(b) + 1);
    gboolean frames_only = tk_bits_flag(b);
    guint64 height = frames_only ? map_height : 2 * map_height;
    if (!frames_only)
        tk_bits_flag(b); // mb_adaptive_frame_field_flag
    tk_bits_flag(b);     // direct_8x8_inference_flag
    if (b->failed || width > SIDE_MAX || height > SIDE_MAX)
        return FALSE;

    if (tk_bits_flag(b)) {
        guint chroma = separate_planes ? 0 : sps->chroma_format;
        guint unit_x = chroma == 1 || chroma == 2 ? 2 : 1;
        guint unit_y = (chroma == 1 ? 2 : 1) * (frames_only ? 1 : 2);
        guint64 crop_x = (guint64)tk_bits_ue(b) * unit_x;
        crop_x += (guint64)tk_bits_ue(b) * unit_x;
        guint64 crop_y = (guint64)tk_bits_ue(b) * unit_y;
        crop_y += (guint64)tk_bits_ue(b) * unit_y;
        if (b->failed || crop_x >= width || crop_y >= height)
            return FALSE;
        width -= crop_x;
        height -= crop_y;
    }
    sps->width = (guint)width;
    sps->height = (guint)height;
    return TRUE;
}

static void read_timing(TkBits *b, TkH264Sps *sps)
{
    guint64 ticks = 2 * (guint64)tk_bits_uint(b, 32); // a frame lasts two ticks: E.2.1
    guint64 scale = tk_bits_uint(b, 32);
    tk_bits_flag(b); // fixed_frame_rate_flag
    if (b->failed || ticks == 0 || scale == 0)
        return;
    guint64 x = ticks, y = scale;
    while (y != 0) {
        guint64 rest = x % y;
        x = y;
        y = rest;
    }
    if (ticks / x <= G_MAXUINT) {
        sps->fps_num = (guint)(scale / x);
        sps->fps_den = (guint)(ticks / x);
    }
}

static void skip_hrd(TkBits *b)
{
    guint32 schedules = tk_bits_ue(b) + 1;
    tk_bits_skip(b, 8);
    for (guint32 i = 0; i < schedules && !b->failed; i++) {
        tk_bits_ue(b);
        tk_bits_ue(b);
        tk_bits_flag(b);
    }
    tk_bits_skip(b, 20);
}

static void read_restriction(TkBits *b, TkH264Sps *sps)
{
    tk_bits_flag(b); // motion_vectors_over_pic_boundaries_flag
    for (guint i = 0; i < 4; i++)
        tk_bits_ue(b); // sizes of pictures, macroblocks and motion vectors
    guint32 reorder = tk_bits_ue(b);
    if (!b->failed && reorder <= 16)
        sps->reorder_frames = reorder;
}

// Annex E.1.1. A VUI that breaks off costs only what it would have said.
static void read_vui(TkBits *b, TkH264Sps *sps)
{
    if (tk_bits_flag(b) && tk_bits_uint(b, 8) == EXTENDED_SAR)
        tk_bits_skip(b, 32);
    if (tk_bits_flag(b))
        tk_bits_flag(b); // overscan_appropriate_flag
    if (tk_bits_flag(b)) {
        tk_bits_skip(b, 4); // video_format, video_full_range_flag
        if (tk_bits_flag(b))
            tk_bits_skip(b, 24); // colours
    }
    if (tk_bits_flag(b)) {
        tk_bits_ue(b); // where chroma samples lie
        tk_bits_ue(b);
    }
    if (tk_bits_flag(b))
        read_timing(b, sps);
    gboolean nal_hrd = tk_bits_flag(b);
    if (nal_hrd)
        skip_hrd(b);
    gboolean vcl_hrd = tk_bits_flag(b);
    if (vcl_hrd)
        skip_hrd(b);
    if (nal_hrd || vcl_hrd)
        tk_bits_flag(b); // low_delay_hrd_flag
    tk_bits_flag(b);     // pic_struct_present_flag
    if (tk_bits_flag(b))
        read_restriction(b, sps);
}

gboolean tk_h264_sps_parse(const guint8 *nal, gsize size, TkH264Sps *ret)
{
    if (size < 4 || size > SPS_BYTES_MAX || tk_h264_nal_type(nal[0]) != TK_H264_SPS)
        return FALSE;
    guint8 rbsp[SPS_BYTES_MAX];
    TkBits b = tk_bits(rbsp, tk_h264_unescape(nal, size, rbsp, sizeof rbsp));
    TkH264Sps sps = {.fps_den = 1, .chroma_format = 1, .luma_bits = 8, .chroma_bits = 8};
    gboolean separate_planes = FALSE;

    sps.profile = (guint8)tk_bits_uint(&b, 8);
    sps.constraints = (guint8)tk_bits_uint(&b, 8);
    sps.level = (guint8)tk_bits_uint(&b, 8);
    sps.id = read_ue_max(&b, 31);
    if (has_chroma_info(sps.profile))
        read_chroma_info(&b, &sps, &separate_planes);
    tk_bits_ue(&b); // log2_max_frame_num_minus4
    guint order_type = read_picture_order(&b);
    tk_bits_ue(&b);   // max_num_ref_frames
    tk_bits_flag(&b); // gaps_in_frame_num_value_allowed_flag
    if (!read_size(&b, &sps, separate_planes))
        return FALSE;

    gboolean no_reorder = sps.profile == 66 || order_type == 2 || is_intra_only(&sps);
    sps.reorder_frames = no_reorder ? 0 : REORDER_UNKNOWN;
    gboolean has_vui = tk_bits_flag(&b);
    if (b.failed)
        return FALSE;
    if (has_vui)
        read_vui(&b, &sps);
    *ret = sps;
    return TRUE;
}
