// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/h264.h"
#include "common/media/h264_nal.h"

// What encoders really send: GStreamer's x264enc and openh264enc, ffmpeg's libx264.
static const struct {
    const char *who, *hex;
    TkH264Sps sps;
} known[] = {
    {"x264 constrained baseline",
     "6742c015da0507ec05a830303528000003000800000301e478b175",
     {.profile = 66,
      .constraints = 0xc0,
      .level = 21,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 320,
      .height = 240,
      .fps_num = 30,
      .fps_den = 1}},
    {"x264 high, 1080 lines cropped",
     "67640028acd940780227e5c05a808080a0000003002000000651e30632c0",
     {.profile = 100,
      .level = 40,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 1920,
      .height = 1080,
      .fps_num = 25,
      .fps_den = 1,
      .reorder_frames = 2}},
    {"x264 main, 362 lines, 29.97/s",
     "674d401eeca05017fc980b5060606a5000003e90000ea608f162d960",
     {.profile = 77,
      .constraints = 0x40,
      .level = 30,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 640,
      .height = 362,
      .fps_num = 30000,
      .fps_den = 1001,
      .reorder_frames = 2}},
    {"openh264, no VUI timing",
     "6742c00d8c8d40a0f900f08846a0",
     {.profile = 66,
      .constraints = 0xc0,
      .level = 13,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 320,
      .height = 240,
      .fps_den = 1}},
    {"x264 high 4:4:4, odd height",
     "67f4000d919b282a10f1f08602d4181819000003000100000300148f142996",
     {.profile = 244,
      .level = 13,
      .chroma_format = 3,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 322,
      .height = 241,
      .fps_num = 10,
      .fps_den = 1,
      .reorder_frames = 2}},
    {"x264 high 10",
     "676e0020a6cd9405005bb016a02020280000030008000003032478c18cb0",
     {.profile = 110,
      .level = 32,
      .chroma_format = 1,
      .luma_bits = 10,
      .chroma_bits = 10,
      .width = 1280,
      .height = 720,
      .fps_num = 50,
      .fps_den = 1,
      .reorder_frames = 2}},
    {"x264 interlaced",
     "6764001eacd940b424d80a5060606a5000000300100000030329f1429960",
     {.profile = 100,
      .level = 30,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 720,
      .height = 576,
      .fps_num = 25,
      .fps_den = 1,
      .reorder_frames = 2}},
    {"x264 with HRD and colours",
     "6764002aacd940780227e5c05a808080a0000003002000000c8c48001e848003d09c5a700f183196",
     {.profile = 100,
      .level = 42,
      .chroma_format = 1,
      .luma_bits = 8,
      .chroma_bits = 8,
      .width = 1920,
      .height = 1080,
      .fps_num = 50,
      .fps_den = 1,
      .reorder_frames = 2}},
};

static gsize from_hex(const char *hex, guint8 *ret)
{
    gsize size = strlen(hex) / 2;
    for (gsize i = 0; i < size; i++)
        ret[i] =
            (guint8)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return size;
}

static void test_known(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        guint8 nal[64];
        TkH264Sps sps;
        const TkH264Sps *wanted = &known[i].sps;
        if (!tk_h264_sps_parse(nal, from_hex(known[i].hex, nal), &sps))
            fail_msg("%s does not parse", known[i].who);
        assert_int_equal(sps.id, 0);
        assert_int_equal(sps.profile, wanted->profile);
        assert_int_equal(sps.constraints, wanted->constraints);
        assert_int_equal(sps.level, wanted->level);
        assert_int_equal(sps.chroma_format, wanted->chroma_format);
        assert_int_equal(sps.luma_bits, wanted->luma_bits);
        assert_int_equal(sps.chroma_bits, wanted->chroma_bits);
        assert_int_equal(sps.width, wanted->width);
        assert_int_equal(sps.height, wanted->height);
        assert_int_equal(sps.fps_num, wanted->fps_num);
        assert_int_equal(sps.fps_den, wanted->fps_den);
        assert_int_equal(sps.reorder_frames, wanted->reorder_frames);
    }
}

// Cut off inside the VUI the size still stands; cut off before it nothing does.
static void test_cut_at_every_byte(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        guint8 nal[64];
        gsize size = from_hex(known[i].hex, nal);
        gboolean before = FALSE;
        for (gsize cut_size = 0; cut_size <= size; cut_size++) {
            g_autofree guint8 *cut = g_memdup2(nal, cut_size);
            TkH264Sps sps;
            gboolean parsed = tk_h264_sps_parse(cut, cut_size, &sps);
            assert_true(parsed || !before);
            if (parsed)
                assert_int_equal(sps.width, known[i].sps.width);
            before = parsed;
        }
        assert_true(before);
    }
}

static void test_every_bit_flipped(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        guint8 nal[64];
        gsize size = from_hex(known[i].hex, nal);
        for (gsize bit = 0; bit < size * 8; bit++) {
            TkH264Sps sps;
            nal[bit / 8] ^= (guint8)(0x80 >> bit % 8);
            if (tk_h264_sps_parse(nal, size, &sps)) {
                assert_in_range(sps.width, 1, 33024);
                assert_in_range(sps.height, 1, 33024);
                assert_true(sps.fps_den > 0 && sps.reorder_frames <= 16);
            }
            nal[bit / 8] ^= (guint8)(0x80 >> bit % 8);
        }
    }
}

// The high-profile SPS cut off in its VUI, before that tells of reordering.
static guint reorder_frames_of(guint8 profile, guint8 constraints)
{
    guint8 nal[64];
    TkH264Sps sps;
    gsize size = 4;
    from_hex(known[1].hex, nal);
    nal[1] = profile;
    nal[2] = constraints;
    while (size < sizeof nal && !tk_h264_sps_parse(nal, size, &sps))
        size++;
    assert_int_equal(sps.width, 1920);
    assert_int_equal(sps.fps_num, 0);
    return sps.reorder_frames;
}

static void test_reordering_without_vui(void **state)
{
    assert_int_equal(reorder_frames_of(100, 0), 16);
    assert_int_equal(reorder_frames_of(100, 0x10), 0); // intra profiles
    assert_int_equal(reorder_frames_of(44, 0), 0);
}

static void test_bounds(void **state)
{
    // Baseline, POC type 2, 5,001 by 1 macroblocks.
    static const guint8 wide[] = {0x67, 66, 0, 40, 0xdc, 0x00, 0x13, 0x89, 0xe4};
    TkH264Sps sps;
    g_autofree guint8 *padded = g_malloc0(5000);
    assert_false(tk_h264_sps_parse(wide, sizeof wide, &sps));
    gsize size = from_hex(known[0].hex, padded);
    assert_true(tk_h264_sps_parse(padded, size + 100, &sps));
    assert_false(tk_h264_sps_parse(padded, 5000, &sps));
}

static void test_not_an_sps(void **state)
{
    guint8 nal[64];
    TkH264Sps sps = {.width = 7};
    gsize size = from_hex(known[0].hex, nal);
    nal[0] = 0x68;
    assert_false(tk_h264_sps_parse(nal, size, &sps));
    assert_int_equal(sps.width, 7);
    g_autofree guint8 *zeros = g_malloc0(70000);
    zeros[0] = 0x67;
    assert_false(tk_h264_sps_parse(zeros, 70000, &sps));
}

static void test_unescape(void **state)
{
    static const guint8 nal[] = {0x67, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 0, 3};
    static const guint8 plain[] = {0, 0, 1, 0, 0, 0, 0, 0, 3};
    guint8 out[16];
    assert_int_equal(tk_h264_unescape(nal, sizeof nal, out, sizeof out), sizeof plain);
    assert_memory_equal(out, plain, sizeof plain);
    assert_int_equal(tk_h264_unescape(nal, sizeof nal, out, 4), 4);
    assert_int_equal(tk_h264_unescape(nal, 0, out, sizeof out), 0);
}

static void test_slices(void **state)
{
    static const guint8 intra[] = {0x65, 0x88, 0x84}, inter[] = {0x41, 0x9a, 0x24};
    static const guint8 second_intra[] = {0x65, 0x30, 0x80};
    assert_true(tk_h264_slice_is_first(intra, sizeof intra));
    assert_true(tk_h264_slice_is_intra(intra, sizeof intra));
    assert_true(tk_h264_slice_is_first(inter, sizeof inter));
    assert_false(tk_h264_slice_is_intra(inter, sizeof inter));
    assert_false(tk_h264_slice_is_first(second_intra, sizeof second_intra));
    assert_true(tk_h264_slice_is_intra(second_intra, sizeof second_intra));
    static const guint8 switching[] = {0x61, 0x96, 0x80}; // SI: slice type 4
    assert_true(tk_h264_slice_is_intra(switching, sizeof switching));
    assert_false(tk_h264_slice_is_first(intra, 1));
    assert_false(tk_h264_slice_is_intra(intra, 1));
}

static void test_recovery_point(void **state)
{
    static const guint8 now[] = {0x06, 0x06, 0x01, 0xc4, 0x80};
    static const guint8 later[] = {0x06, 0x06, 0x01, 0x24, 0x80}; // after 3 frames
    static const guint8 second[] = {0x06, 0x05, 0x02, 0xaa, 0xbb, 0x06, 0x01, 0xc4, 0x80};
    static const guint8 other[] = {0x06, 0x05, 0x02, 0x06, 0x01, 0x80};
    assert_true(tk_h264_sei_is_recovery_point(now, sizeof now));
    assert_false(tk_h264_sei_is_recovery_point(later, sizeof later));
    assert_true(tk_h264_sei_is_recovery_point(second, sizeof second));
    assert_false(tk_h264_sei_is_recovery_point(other, sizeof other));
    assert_false(tk_h264_sei_is_recovery_point(now, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_reordering_without_vui),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_not_an_sps),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_recovery_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
