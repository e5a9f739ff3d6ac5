// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/aac.h"
#include "common/media/bytes.h"

#define BYTES(text) (const guint8 *)(text), sizeof(text) - 1

// Configurations as encoders write them.
static const struct {
    const char *config;
    gsize bytes;
    guint rate, channels, frame_samples;
} known[] = {
    {"\x11\x90", 2, 48000, 2, 1024},
    {"\x11\x88", 2, 48000, 1, 1024},
    {"\x12\x10", 2, 44100, 2, 1024},
    {"\x14\x08", 2, 16000, 1, 1024},
    {"\x11\x94", 2, 48000, 2, 960},
    {"\x11\xb8", 2, 48000, 8, 1024},
    {"\x11\x90\x56\xe5\x00", 5, 48000, 2, 1024},    // SBR told of at the end
    {"\x2b\x11\x88\x00", 4, 24000, 2, 1024},        // SBR told of in front
    {"\x17\x80\x2e\xe0\x10", 5, 24000, 2, 1024},    // the rate in full
    // A program_config_element: one pair in front.
    {"\x11\x80\x04\xc4\x04\x00\x00\x04\x80\x00", 10, 48000, 2, 1024},
};

static void test_config(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        TkAacConfig config;
        if (!tk_aac_config_parse((const guint8 *)known[i].config, known[i].bytes, &config))
            fail_msg("configuration %u does not parse", i);
        assert_int_equal(config.object_type, 2);
        assert_int_equal(config.rate, known[i].rate);
        assert_int_equal(config.channels, known[i].channels);
        assert_int_equal(config.frame_samples, known[i].frame_samples);
        assert_int_equal(config.config_bytes, known[i].bytes);
        assert_memory_equal(config.config, known[i].config, known[i].bytes);
    }
}

static void test_config_refused(void **state)
{
    TkAacConfig config;
    guint8 zeros[TK_AAC_CONFIG_MAX + 1] = {0x11, 0x90};
    assert_false(tk_aac_config_parse(zeros, 0, &config));
    assert_false(tk_aac_config_parse(zeros, 1, &config));
    assert_false(tk_aac_config_parse(zeros, sizeof zeros, &config));
    assert_true(tk_aac_config_parse(zeros, sizeof zeros - 1, &config));
    assert_false(tk_aac_config_parse(BYTES("\x16\x90"), &config)); // rate index 13
    assert_false(tk_aac_config_parse(BYTES("\x11\xc8"), &config)); // layout 9
    assert_false(tk_aac_config_parse(BYTES("\x01\x90"), &config)); // object type 0
    assert_false(tk_aac_config_parse(BYTES("\x17\x80"), &config)); // rate cut off
    assert_false(tk_aac_config_parse(BYTES("\x11\x80"), &config)); // layout cut off
}

static void test_config_cut(void **state)
{
    for (guint i = 0; i < G_N_ELEMENTS(known); i++) {
        for (gsize size = 0; size < known[i].bytes; size++) {
            g_autofree guint8 *cut = g_memdup2(known[i].config, size);
            TkAacConfig config;
            if (tk_aac_config_parse(cut, size, &config))
                assert_int_equal(config.rate, known[i].rate);
        }
    }
}

typedef struct {
    TkAacDepay *depay;
    guint frames;
    guint32 timestamps[16];
    GByteArray *bytes; // of all frames
} Fixture;

static void on_frame(const TkFrame *frame, void *user_data)
{
    Fixture *f = user_data;
    assert_true(frame->key);
    assert_false(frame->config_changed);
    assert_true(f->frames < G_N_ELEMENTS(f->timestamps));
    f->timestamps[f->frames++] = frame->rtp_timestamp;
    g_byte_array_append(f->bytes, frame->data, (guint)frame->size);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->bytes = g_byte_array_new();
    f->depay = tk_aac_depay_new(TK_AAC_MODE_HBR, 1024, on_frame, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    tk_aac_depay_free(f->depay);
    g_byte_array_unref(f->bytes);
    g_free(f);
    return 0;
}

enum { MARKER = 1, LOST = 2 };

static void push(Fixture *f, guint32 timestamp, guint flags, const guint8 *payload, gsize bytes)
{
    g_autofree guint8 *exact = g_memdup2(payload, bytes);
    TkRtp rtp = {
        .marker = (flags & MARKER) != 0,
        .timestamp = timestamp,
        .payload = exact,
        .payload_bytes = bytes,
    };
    tk_aac_depay_push(f->depay, &rtp, (flags & LOST) != 0);
}

// Headers of 13 + 3 bits: the size times eight.
#define THREE_UNITS "\0\x30\0\x08\0\x18\0\x10" "a" "bcd" "ef"

static void test_one_unit(void **state)
{
    Fixture *f = *state;
    push(f, 5000, MARKER, BYTES("\0\x10\0\x18" "abc"));
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->timestamps[0], 5000);
    assert_memory_equal(f->bytes->data, "abc", 3);
}

static void test_aggregated(void **state)
{
    Fixture *f = *state;
    push(f, 0xfffffc00, MARKER, BYTES(THREE_UNITS));
    assert_int_equal(f->frames, 3);
    assert_int_equal(f->timestamps[0], 0xfffffc00);
    assert_int_equal(f->timestamps[1], 0);
    assert_int_equal(f->timestamps[2], 1024);
    assert_int_equal(f->bytes->len, 6);
    assert_memory_equal(f->bytes->data, "abcdef", 6);
    assert_int_equal(tk_aac_depay_dropped(f->depay), 0);
}

static void test_cut_at_every_byte(void **state)
{
    for (gsize size = 0; size < sizeof THREE_UNITS - 1; size++) {
        set_up(state);
        Fixture *f = *state;
        push(f, 1, MARKER, (const guint8 *)THREE_UNITS, size);
        assert_int_equal(f->frames, size < 9 ? 0 : size < 12 ? 1 : 2);
        assert_int_equal(tk_aac_depay_dropped(f->depay), 1);
        tear_down(state);
    }
}

static void test_fragments(void **state)
{
    Fixture *f = *state;
    push(f, 7, 0, BYTES("\0\x10\0\x30" "ab"));
    push(f, 7, 0, BYTES("\0\x10\0\x30" "cd"));
    push(f, 7, MARKER, BYTES("\0\x10\0\x30" "ef"));
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->bytes->len, 6);
    assert_memory_equal(f->bytes->data, "abcdef", 6);
    assert_int_equal(tk_aac_depay_dropped(f->depay), 0);
}

static void test_fragment_lost(void **state)
{
    Fixture *f = *state;
    push(f, 7, 0, BYTES("\0\x10\0\x30" "ab"));
    push(f, 7, MARKER | LOST, BYTES("\0\x10\0\x30" "ef")); // the middle
    push(f, 8, LOST, BYTES("\0\x10\0\x30" "cd"));          // the beginning
    push(f, 8, MARKER, BYTES("\0\x10\0\x30" "ef"));
    push(f, 9, 0, BYTES("\0\x10\0\x30" "ab")); // the end
    push(f, 10, MARKER | LOST, BYTES("\0\x10\0\x08" "x"));
    push(f, 11, 0, BYTES("\0\x10\0\x30" "ab"));
    push(f, 11, MARKER | LOST, BYTES("\0\x10\0\x30" "cdef")); // the sum is right by chance
    assert_int_equal(tk_aac_depay_dropped(f->depay), 4);
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->timestamps[0], 10);
}

static void test_fragments_disagree(void **state)
{
    Fixture *f = *state;
    push(f, 7, 0, BYTES("\0\x10\0\x30" "ab"));
    push(f, 7, MARKER, BYTES("\0\x10\0\x38" "cdef"));
    push(f, 8, 0, BYTES("\0\x10\0\x30" "abcd"));
    push(f, 8, MARKER, BYTES("\0\x10\0\x30" "efgh")); // more than was said
    push(f, 9, 0, BYTES("\0\x10\0\x30" "abcd"));
    push(f, 9, MARKER, BYTES("\0\x10\0\x08" "x")); // a whole unit in between
    assert_int_equal(tk_aac_depay_dropped(f->depay), 3);
    assert_int_equal(f->frames, 1);
    assert_int_equal(f->bytes->len, 1);
}

static void test_refused(void **state)
{
    Fixture *f = *state;
    push(f, 1, MARKER, BYTES("\0\x10\0\x00" "a"));         // size 0
    push(f, 2, MARKER, BYTES("\0\x10\0\x09" "a"));         // index 1: interleaved
    push(f, 3, MARKER, BYTES("\0\x20\0\x08\0\x0a" "ab"));  // index delta 2
    push(f, 4, MARKER, BYTES("\0\x11\0\x08\0" "a"));       // half a header behind the first
    push(f, 5, MARKER, BYTES("\xff\xff\0\x08" "a"));       // more headers than bytes
    assert_int_equal(tk_aac_depay_dropped(f->depay), 5);
    assert_int_equal(f->frames, 2); // the first of the third and of the fourth
    push(f, 6, MARKER, BYTES("\0\0"));
    assert_int_equal(f->frames, 2);
}

static void test_modes(void **state)
{
    assert_null(tk_aac_depay_new((TkAacMode){0, 3, 3}, 1024, on_frame, NULL));
    assert_null(tk_aac_depay_new((TkAacMode){30, 3, 3}, 1024, on_frame, NULL));
    assert_null(tk_aac_depay_new((TkAacMode){13, 3, G_MAXUINT}, 1024, on_frame, NULL));
    assert_null(tk_aac_depay_new((TkAacMode){G_MAXUINT, G_MAXUINT, 3}, 1024, on_frame, NULL));
    tk_aac_depay_free(tk_aac_depay_new((TkAacMode){29, 3, 0}, 1024, on_frame, NULL));
    tk_aac_depay_free(NULL);
}

// Sizes of 6 bits, as in AAC-lbr: headers do not end on bytes.
static void test_narrow_mode(void **state)
{
    Fixture *f = *state;
    g_autoptr(TkAacDepay) depay = tk_aac_depay_new((TkAacMode){6, 2, 2}, 960, on_frame, f);
    const guint8 payload[] = {0, 16, 1 << 2, 2 << 2, 'a', 'b', 'c'};
    TkRtp rtp = {.marker = TRUE, .timestamp = 40, .payload = payload};
    rtp.payload_bytes = sizeof payload;
    tk_aac_depay_push(depay, &rtp, FALSE);
    assert_int_equal(f->frames, 2);
    assert_int_equal(f->timestamps[1], 1000);
    assert_memory_equal(f->bytes->data, "abc", 3);
}

static void test_over_long_unit(void **state)
{
    Fixture *f = *state;
    g_autoptr(TkAacDepay) depay = tk_aac_depay_new((TkAacMode){32, 0, 0}, 1024, on_frame, f);
    const guint8 payload[] = {0, 32, 0xff, 0xff, 0xff, 0xff, 'a'};
    TkRtp rtp = {.payload = payload, .payload_bytes = sizeof payload};
    tk_aac_depay_push(depay, &rtp, FALSE);
    tk_aac_depay_push(depay, &rtp, FALSE);
    rtp.marker = TRUE;
    tk_aac_depay_push(depay, &rtp, FALSE);
    assert_int_equal(tk_aac_depay_dropped(depay), 1);
    assert_int_equal(f->frames, 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_config_refused),
        cmocka_unit_test(test_config_cut),
        WITH_FIXTURE(test_one_unit),
        WITH_FIXTURE(test_aggregated),
        cmocka_unit_test(test_cut_at_every_byte),
        WITH_FIXTURE(test_fragments),
        WITH_FIXTURE(test_fragment_lost),
        WITH_FIXTURE(test_fragments_disagree),
        WITH_FIXTURE(test_refused),
        cmocka_unit_test(test_modes),
        WITH_FIXTURE(test_narrow_mode),
        WITH_FIXTURE(test_over_long_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
