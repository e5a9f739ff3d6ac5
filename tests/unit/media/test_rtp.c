// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/rtp.h"

// Version 2, padding, extension, two CSRCs, marker, type 96; payload 1 2 3 and 4 bytes of padding.
static const guint8 full[] = {
    0xb2, 0xe0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0xca, 0xfe, 0xba, 0xbe, // header
    0,    0,    0,    1,    0,    0,    0,    2,                            // CSRCs
    0xbe, 0xde, 0,    2,    1,    2,    3,    4,    5,    6,    7,    8,    // extension
    1,    2,    3,    0,    0,    0,    4,                                  // payload, padding
};

static void test_full(void **state)
{
    TkRtp rtp;
    assert_true(tk_rtp_parse(full, sizeof full, &rtp));
    assert_int_equal(rtp.payload_type, 96);
    assert_true(rtp.marker);
    assert_int_equal(rtp.sequence, 0x1234);
    assert_int_equal(rtp.timestamp, 0xdeadbeef);
    assert_int_equal(rtp.ssrc, 0xcafebabe);
    assert_ptr_equal(rtp.payload, full + 32);
    assert_int_equal(rtp.payload_bytes, 3);
}

static void test_bare(void **state)
{
    static const guint8 bare[TK_RTP_HEADER_BYTES] = {0x80, 0x61, 0xff, 0xff};
    TkRtp rtp;
    assert_true(tk_rtp_parse(bare, sizeof bare, &rtp));
    assert_int_equal(rtp.payload_type, 97);
    assert_false(rtp.marker);
    assert_int_equal(rtp.sequence, 0xffff);
    assert_int_equal(rtp.payload_bytes, 0);
}

// A cut-off packet is refused, or its last byte serves as a padding count that fits.
static void test_cut_at_every_byte(void **state)
{
    for (gsize size = 0; size < sizeof full; size++) {
        g_autofree guint8 *cut = g_memdup2(full, size);
        TkRtp rtp = {.ssrc = 7};
        gboolean parsed = tk_rtp_parse(cut, size, &rtp);
        if (size <= 32 || cut[size - 1] == 0)
            assert_false(parsed);
        if (!parsed)
            assert_int_equal(rtp.ssrc, 7);
        else
            assert_true(rtp.payload >= cut && rtp.payload + rtp.payload_bytes <= cut + size);
    }
}

static void assert_refused(gsize at, guint8 value)
{
    guint8 packet[sizeof full];
    TkRtp rtp;
    memcpy(packet, full, sizeof full);
    packet[at] = value;
    assert_false(tk_rtp_parse(packet, sizeof packet, &rtp));
}

static void test_refused(void **state)
{
    assert_refused(0, 0x72);               // version 1
    assert_refused(0, 0xbf);               // 15 CSRCs
    assert_refused(23, 200);               // extension longer than the packet
    assert_refused(sizeof full - 1, 0);    // no padding
    assert_refused(sizeof full - 1, 8);    // more padding than payload
    assert_refused(sizeof full - 1, 0xff); // more padding than packet
}

static void test_padding_only(void **state)
{
    guint8 packet[sizeof full];
    TkRtp rtp;
    memcpy(packet, full, sizeof full);
    packet[sizeof full - 1] = 7;
    assert_true(tk_rtp_parse(packet, sizeof packet, &rtp));
    assert_int_equal(rtp.payload_bytes, 0);
}

static void test_rewrite(void **state)
{
    guint8 packet[sizeof full];
    TkRtp rtp;
    memcpy(packet, full, sizeof full);
    tk_rtp_rewrite(packet, 97, 0xabcd, 0x01020304, 0x05060708);
    assert_true(tk_rtp_parse(packet, sizeof packet, &rtp));
    assert_int_equal(rtp.payload_type, 97);
    assert_true(rtp.marker);
    assert_int_equal(rtp.sequence, 0xabcd);
    assert_int_equal(rtp.timestamp, 0x01020304);
    assert_int_equal(rtp.ssrc, 0x05060708);
    assert_int_equal(packet[0], full[0]);
    assert_memory_equal(packet + 12, full + 12, sizeof full - 12);
}

static void test_sequence_distance(void **state)
{
    assert_int_equal(tk_rtp_seq_distance(5, 3), 2);
    assert_int_equal(tk_rtp_seq_distance(3, 5), -2);
    assert_int_equal(tk_rtp_seq_distance(1, 65535), 2);
    assert_int_equal(tk_rtp_seq_distance(65535, 1), -2);
    assert_int_equal(tk_rtp_seq_distance(0, 0x8000), -0x8000);
}

static void test_unwrap(void **state)
{
    const guint64 turn = G_GUINT64_CONSTANT(1) << 32;
    assert_int_equal(tk_rtp_unwrap(0, 5, 16), 5);
    assert_int_equal(tk_rtp_unwrap(65535, 2, 16), 65538);
    assert_int_equal(tk_rtp_unwrap(65538, 65530, 16), 65530);
    assert_int_equal(tk_rtp_unwrap(3 * 65536 + 10, 65530, 16), 2 * 65536 + 65530);
    assert_int_equal(tk_rtp_unwrap(100, 65000, 16), 65000); // nothing lies before zero
    assert_int_equal(tk_rtp_unwrap(turn - 1, 3, 32), turn + 3);
    assert_int_equal(tk_rtp_unwrap(5 * turn + 3, 0xffffffff, 32), 5 * turn - 1);
}

static void test_unwrap_walk(void **state)
{
    guint64 last = 60000;
    for (guint64 sequence = 60000; sequence < 60000 + 5 * 65536; sequence += 1021) {
        last = tk_rtp_unwrap(last, (guint16)sequence, 16);
        assert_int_equal(last, sequence);
        assert_int_equal(tk_rtp_unwrap(last, (guint16)(sequence - 30000), 16), sequence - 30000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_bare),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_padding_only),
        cmocka_unit_test(test_rewrite),
        cmocka_unit_test(test_sequence_distance),
        cmocka_unit_test(test_unwrap),
        cmocka_unit_test(test_unwrap_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
