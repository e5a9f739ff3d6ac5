// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/h264.h"

#define SPS                                                                                        \
    "\x67\x42\xc0\x15\xda\x05\x07\xec\x05\xa8\x30\x30\x35\x28\x00\x00\x03\x00\x08\x00\x00\x03\x01" \
    "\xe4\x78\xb1\x75"
#define SPS_OTHER "\x67\x42\xc0\x0d\x8c\x8d\x40\xa0\xf9\x00\xf0\x88\x46\xa0"
#define PPS "\x68\xce\x3c\x80"
#define IDR "\x65\x88\x84\x11"
#define IDR_SECOND "\x65\x30\x80\x22"
#define INTER "\x41\x9a\x24\x33"
#define INTRA "\x41\x88\x84\x44"
#define DELIMITER "\x09\xf0"
#define FILLER "\x0c\xff\xff\x80"
#define SEI "\x06\x05\x01\xaa\x80"
#define RECOVERY "\x06\x06\x01\xc4\x80"

#define BYTES(text) (const guint8 *)(text), sizeof(text) - 1

typedef struct {
    TkH264Depay *depay;
    guint frames;
    GByteArray *last; // newest frame
    TkFrame about;    // what was said of it; its data is gone
} Fixture;

static void on_frame(const TkFrame *frame, void *user_data)
{
    Fixture *f = user_data;
    f->frames++;
    f->about = *frame;
    g_byte_array_set_size(f->last, 0);
    g_byte_array_append(f->last, frame->data, (guint)frame->size);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->last = g_byte_array_new();
    f->depay = tk_h264_depay_new(on_frame, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    tk_h264_depay_free(f->depay);
    g_byte_array_unref(f->last);
    g_free(f);
    return 0;
}

enum { MARKER = 1, LOST = 2 };

static void push(Fixture *f, guint32 timestamp, guint flags, const guint8 *payload, gsize bytes)
{
    g_autofree guint8 *exact = g_memdup2(payload, bytes); // so that reading past it is seen
    TkRtp rtp = {
        .marker = (flags & MARKER) != 0,
        .timestamp = timestamp,
        .payload = exact,
        .payload_bytes = bytes,
    };
    tk_h264_depay_push(f->depay, &rtp, (flags & LOST) != 0);
}

static void push_sets(Fixture *f, guint32 timestamp)
{
    push(f, timestamp, 0, BYTES(SPS));
    push(f, timestamp, 0, BYTES(PPS));
}

static void push_key(Fixture *f, guint32 timestamp)
{
    push_sets(f, timestamp);
    push(f, timestamp, MARKER, BYTES(IDR));
}

static void assert_last(Fixture *f, guint frames, const guint8 *wanted, gsize bytes)
{
    assert_int_equal(f->frames, frames);
    assert_int_equal(f->last->len, bytes);
    assert_memory_equal(f->last->data, wanted, bytes);
}

static void test_single_units(void **state)
{
    Fixture *f = *state;
    push(f, 1000, 0, BYTES(DELIMITER));
    push_key(f, 1000);
    assert_last(f, 1, BYTES("\0\0\0\x04" IDR));
    assert_true(f->about.key && f->about.config_changed);
    assert_int_equal(f->about.rtp_timestamp, 1000);
    push(f, 4600, 0, BYTES(SEI));
    push(f, 4600, 0, BYTES(FILLER));
    push(f, 4600, MARKER, BYTES(INTER));
    assert_last(f, 2, BYTES("\0\0\0\x05" SEI "\0\0\0\x04" INTER));
    assert_false(f->about.key || f->about.config_changed);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 0);
}

static void test_aggregate(void **state)
{
    Fixture *f = *state;
    push(f, 1, MARKER, BYTES("\x78\0\x1b" SPS "\0\x04" PPS "\0\x05" SEI "\0\x04" IDR));
    assert_last(f, 1, BYTES("\0\0\0\x05" SEI "\0\0\0\x04" IDR));
}

static void test_aggregate_cut_at_every_byte(void **state)
{
    static const guint8 whole[] = "\x78\0\x04" IDR "\0\x04" INTER;
    for (gsize size = 1; size < sizeof whole - 1; size++) {
        set_up(state);
        Fixture *f = *state;
        push_key(f, 1);
        push(f, 2, MARKER, whole, size);
        if (size == 7) // after the first unit: whole again
            assert_last(f, 2, BYTES("\0\0\0\x04" IDR));
        else
            assert_int_equal(f->frames, 1);
        tear_down(state);
    }
}

static void test_fragments(void **state)
{
    Fixture *f = *state;
    push_sets(f, 1);
    push(f, 1, 0, BYTES("\x7c\x85\x88\x84"));
    push(f, 1, 0, BYTES("\x7c\x05\x01\x02\x03"));
    push(f, 1, MARKER, BYTES("\x7c\x45\x04"));
    assert_last(f, 1, BYTES("\0\0\0\x07\x65\x88\x84\x01\x02\x03\x04"));
    assert_true(f->about.key);
}

static void test_fragmented_parameter_set(void **state)
{
    Fixture *f = *state;
    push(f, 1, 0, BYTES("\x7c\x87\x42\xc0\x15\xda\x05\x07\xec\x05\xa8"));
    push(f, 1, 0,
         BYTES("\x7c\x47\x30\x30\x35\x28\x00\x00\x03\x00\x08\x00\x00\x03\x01\xe4\x78\xb1\x75"));
    push(f, 1, 0, BYTES(PPS));
    push(f, 1, MARKER, BYTES(IDR));
    assert_last(f, 1, BYTES("\0\0\0\x04" IDR));
}

// Each breaks the unit of its own packet's timestamp; the next key frame goes through again.
static void test_broken_units(void **state)
{
    static const struct {
        const char *payload;
        gsize bytes;
    } broken[] = {
        {"\x7c\x05\x01", 3},                   // a fragment that never began
        {"\x7c\x45\x01", 3},                   // an end that never began
        {"\x7c", 1},                           // no fragment header
        {"\x7c\x9c\x01", 3},                   // a fragment unit inside a fragment unit
        {"\xe5\x88\x84", 3},                   // forbidden bit
        {"\x79\0\0\0\x04\x65\x88\x84\x11", 9}, // STAP-B
        {"\x7d\x85\0\0\x88", 5},               // FU-B
        {"\x78\0\x03\x78\0\0", 6},             // an aggregate inside an aggregate
        {"\x78\xff\xff\x65", 4},               // longer than the packet
    };
    Fixture *f = *state;
    push_key(f, 1);
    for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
        guint32 timestamp = 10 * (i + 1);
        push(f, timestamp, 0, (const guint8 *)broken[i].payload, broken[i].bytes);
        push(f, timestamp, MARKER, BYTES(IDR));
        assert_int_equal(f->frames, i + 1);
        push(f, timestamp + 1, MARKER, BYTES(INTER));
        assert_int_equal(f->frames, i + 1);
        push(f, timestamp + 2, MARKER, BYTES(IDR));
        assert_int_equal(f->frames, i + 2);
        assert_int_equal(tk_h264_depay_dropped(f->depay), 2 * (i + 1));
    }
}

static void test_reserved_types_are_ignored(void **state)
{
    Fixture *f = *state;
    push_sets(f, 1);
    push(f, 1, 0, BYTES("\x60\x01"));
    push(f, 1, 0, BYTES("\x7e\x01"));
    push(f, 1, 0, BYTES("\x7f\x01"));
    push(f, 1, 0, BYTES(""));
    push(f, 1, MARKER, BYTES(IDR));
    assert_last(f, 1, BYTES("\0\0\0\x04" IDR));
}

static void test_interrupted_fragment(void **state)
{
    Fixture *f = *state;
    push_key(f, 1);
    push(f, 2, 0, BYTES("\x7c\x85\x88"));
    push(f, 2, MARKER, BYTES(IDR)); // before its end
    assert_int_equal(f->frames, 1);
    push(f, 3, 0, BYTES("\x7c\x85\x88"));
    push(f, 4, MARKER, BYTES(IDR)); // the timestamp goes on before its end
    assert_int_equal(f->frames, 2);
    push(f, 5, MARKER, BYTES("\x7c\x85\x88")); // the marker comes before its end
    assert_int_equal(f->frames, 2);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 3);
}

static void test_without_markers(void **state)
{
    Fixture *f = *state;
    push_sets(f, 1);
    push(f, 1, 0, BYTES(IDR));
    push(f, 1, 0, BYTES(IDR_SECOND));
    assert_int_equal(f->frames, 0);
    push(f, 2, 0, BYTES(INTER));
    assert_last(f, 1, BYTES("\0\0\0\x04" IDR "\0\0\0\x04" IDR_SECOND));
    push(f, 3, 0, BYTES(INTER));
    assert_last(f, 2, BYTES("\0\0\0\x04" INTER));
}

static void test_timestamp_wraps(void **state)
{
    Fixture *f = *state;
    push_key(f, 0xffffff00);
    push(f, 0x00000d10, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 2);
    assert_int_equal(f->about.rtp_timestamp, 0xd10);
}

static void test_waits_for_sets_and_key(void **state)
{
    Fixture *f = *state;
    push(f, 1, MARKER, BYTES(IDR));
    push(f, 2, MARKER, BYTES(INTER));
    push_sets(f, 3);
    push(f, 3, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 0);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 3);
    push(f, 4, MARKER, BYTES(IDR));
    assert_int_equal(f->frames, 1);
}

static void test_loss_inside_a_unit(void **state)
{
    Fixture *f = *state;
    push_key(f, 1);
    push(f, 2, 0, BYTES(IDR));
    push(f, 2, LOST, BYTES(IDR_SECOND));
    push(f, 2, MARKER, BYTES(IDR_SECOND));
    push(f, 3, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 1);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 2);
    push(f, 4, MARKER, BYTES(IDR));
    assert_int_equal(f->frames, 2);
}

static void test_loss_between_units(void **state)
{
    Fixture *f = *state;
    push_key(f, 1);
    push(f, 3, LOST | MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 1);
    push(f, 5, LOST | MARKER, BYTES(IDR)); // begins at the first macroblock: whole
    assert_int_equal(f->frames, 2);
    push(f, 7, LOST | MARKER, BYTES(IDR_SECOND)); // its first slice is what was lost
    assert_int_equal(f->frames, 2);
    push(f, 9, 0, BYTES(IDR)); // without a marker, then loss: its end may be missing
    push(f, 11, LOST | MARKER, BYTES(IDR));
    assert_int_equal(f->frames, 3);
    assert_int_equal(f->about.rtp_timestamp, 11);
}

static void test_open_gop(void **state)
{
    Fixture *f = *state;
    push_sets(f, 1);
    push(f, 1, MARKER, BYTES(INTRA)); // intra alone proves nothing
    assert_int_equal(f->frames, 0);
    push(f, 2, 0, BYTES(RECOVERY));
    push(f, 2, 0, BYTES(INTRA));
    push(f, 2, MARKER, BYTES(INTER)); // one slice is not intra
    assert_int_equal(f->frames, 0);
    push(f, 3, 0, BYTES(RECOVERY));
    push(f, 3, MARKER, BYTES(INTRA));
    assert_int_equal(f->frames, 1);
    assert_true(f->about.key);
}

static void test_open_gop_leading_pictures(void **state)
{
    Fixture *f = *state;
    push_key(f, 1000);
    push(f, 900, MARKER, BYTES(INTER)); // an IDR picture hides nothing before it: sender's matter
    assert_int_equal(f->frames, 2);
    push(f, 4000, 0, BYTES(RECOVERY));
    push(f, 4000, MARKER, BYTES(INTRA));
    push(f, 2000, MARKER, BYTES(INTER));
    push(f, 3000, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 3);
    push(f, 7000, MARKER, BYTES(INTER));
    push(f, 5000, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 5);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 2);
    push(f, 3500, MARKER, BYTES(IDR)); // a key frame always counts
    push(f, 3600, MARKER, BYTES(INTER));
    assert_int_equal(f->frames, 7);
}

static void test_sprop(void **state)
{
    Fixture *f = *state;
    gsize size;
    TkH264Sps sps;
    g_autofree char *set = g_base64_encode(BYTES(SPS));
    g_autofree char *picture_set = g_base64_encode(BYTES(PPS));
    g_autofree char *sprop = g_strdup_printf("%s,!!,,AAAA,%s", set, picture_set);
    tk_h264_depay_set_sprop(f->depay, NULL);
    tk_h264_depay_set_sprop(f->depay, "");
    assert_null(tk_h264_depay_config(f->depay, &size, NULL));
    tk_h264_depay_set_sprop(f->depay, sprop);
    const guint8 *config = tk_h264_depay_config(f->depay, &size, &sps);
    static const guint8 wanted[] = "\x01\x42\xc0\x15\xff\xe1\0\x1b" SPS "\x01\0\x04" PPS;
    assert_int_equal(size, sizeof wanted - 1);
    assert_memory_equal(config, wanted, size);
    assert_int_equal(sps.width, 320);
    assert_int_equal(sps.height, 240);
    push(f, 1, MARKER, BYTES(IDR));
    assert_int_equal(f->frames, 1);
}

static void test_picture_set_of_no_sps(void **state)
{
    Fixture *f = *state;
    gsize size;
    push(f, 1, 0, BYTES(SPS));
    push(f, 1, 0, BYTES("\x68\x82\x18")); // seq_parameter_set_id 32
    push(f, 1, 0, BYTES("\x68\x80"));     // none at all
    assert_null(tk_h264_depay_config(f->depay, &size, NULL));
}

static void test_config_changes(void **state)
{
    Fixture *f = *state;
    TkH264Sps sps;
    gsize size;
    push_key(f, 1);
    push_key(f, 2); // the same sets again
    assert_false(f->about.config_changed);
    push(f, 3, 0, BYTES(SPS_OTHER));
    push(f, 3, 0, BYTES(PPS));
    push(f, 3, MARKER, BYTES(IDR));
    assert_true(f->about.config_changed);
    assert_non_null(tk_h264_depay_config(f->depay, &size, &sps));
    assert_int_equal(sps.level, 13);
    push(f, 4, MARKER, BYTES(INTER));
    assert_false(f->about.config_changed);
}

static void test_high_profile_config(void **state)
{
    static const char high[] =
        "\x67\x6e\x00\x20\xa6\xcd\x94\x05\x00\x5b\xb0\x16\xa0\x20\x20\x28\x00\x00\x03\x00\x08\x00"
        "\x00\x03\x03\x24\x78\xc1\x8c\xb0";
    Fixture *f = *state;
    gsize size;
    push(f, 1, 0, BYTES(high));
    push(f, 1, 0, BYTES(PPS));
    push(f, 1, MARKER, BYTES(IDR));
    const guint8 *config = tk_h264_depay_config(f->depay, &size, NULL);
    assert_non_null(config);
    assert_memory_equal(config + size - 4, "\xfd\xfa\xfa\x00", 4); // 4:2:0, 10 bits
}

static void test_bounds(void **state)
{
    Fixture *f = *state;
    gsize size;
    const gsize piece = 60000;
    g_autofree guint8 *fragment = g_malloc0(piece + 2);
    push_key(f, 1);
    memcpy(fragment, "\x7c\x85", 2);
    push(f, 2, 0, fragment, piece + 2);
    memcpy(fragment, "\x7c\x05", 2);
    for (gsize sum = piece; sum < 2 * (gsize)TK_FRAME_BYTES_MAX; sum += piece)
        push(f, 2, 0, fragment, piece + 2);
    push(f, 2, MARKER, BYTES("\x7c\x45\x00"));
    assert_int_equal(f->frames, 1);
    assert_int_equal(tk_h264_depay_dropped(f->depay), 1);

    for (guint id = 0; id < 256; id++) { // picture parameter sets of 1,000 bytes: ue(id) in 17 bits
        guint8 set[1000] = {0x68};
        guint32 code = id + 1;
        guint zeros = (guint)g_bit_storage(code) - 1;
        guint32 bits = (code << 1 | 1) << (32 - 2 * zeros - 2); // then seq_parameter_set_id 0
        for (guint i = 0; i < 4; i++)
            set[1 + i] = (guint8)(bits >> (24 - 8 * i));
        push(f, 3, 0, set, sizeof set);
    }
    push(f, 3, MARKER, BYTES(IDR));
    assert_non_null(tk_h264_depay_config(f->depay, &size, NULL));
    assert_in_range(size, 10000, 20000);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_single_units),
        WITH_FIXTURE(test_aggregate),
        cmocka_unit_test(test_aggregate_cut_at_every_byte),
        WITH_FIXTURE(test_fragments),
        WITH_FIXTURE(test_fragmented_parameter_set),
        WITH_FIXTURE(test_broken_units),
        WITH_FIXTURE(test_reserved_types_are_ignored),
        WITH_FIXTURE(test_interrupted_fragment),
        WITH_FIXTURE(test_without_markers),
        WITH_FIXTURE(test_timestamp_wraps),
        WITH_FIXTURE(test_waits_for_sets_and_key),
        WITH_FIXTURE(test_loss_inside_a_unit),
        WITH_FIXTURE(test_loss_between_units),
        WITH_FIXTURE(test_open_gop),
        WITH_FIXTURE(test_open_gop_leading_pictures),
        WITH_FIXTURE(test_sprop),
        WITH_FIXTURE(test_picture_set_of_no_sps),
        WITH_FIXTURE(test_config_changes),
        WITH_FIXTURE(test_high_profile_config),
        WITH_FIXTURE(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
