// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/bytes.h"
#include "common/media/rtcp.h"

static TkRtcp parse_only(const GByteArray *packet)
{
    TkRtcp rtcp;
    gsize offset = 0;
    assert_true(tk_rtcp_next(packet->data, packet->len, &offset, &rtcp));
    assert_int_equal(offset, packet->len);
    return rtcp;
}

static void test_sender_report(void **state)
{
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_sender_report(packet, 0x11111111, G_GUINT64_CONSTANT(0xe8f7000012345678), 90000, 77,
                              88000);
    assert_int_equal(packet->len, 28);
    TkRtcp rtcp = parse_only(packet);
    assert_int_equal(rtcp.type, TK_RTCP_SENDER_REPORT);
    assert_int_equal(rtcp.ssrc, 0x11111111);
    assert_true(rtcp.ntp == G_GUINT64_CONSTANT(0xe8f7000012345678));
    assert_int_equal(rtcp.rtp_timestamp, 90000);
    assert_int_equal(rtcp.packets, 77);
    assert_int_equal(rtcp.octets, 88000);
    assert_int_equal(rtcp.reports_count, 0);
}

static void test_receiver_report(void **state)
{
    const TkRtcpReport reports[] = {
        {.ssrc = 1,
         .fraction_lost = 25,
         .cumulative_lost = -3,
         .highest_sequence = 0x1ffff,
         .jitter = 12,
         .last_sr = 0x1234,
         .delay_since_sr = 0x8000},
        {.ssrc = 2, .cumulative_lost = 0x7fffff},
        {.ssrc = 3, .cumulative_lost = -0x800000},
    };
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_receiver_report(packet, 9, reports, G_N_ELEMENTS(reports));
    TkRtcp rtcp = parse_only(packet);
    assert_int_equal(rtcp.type, TK_RTCP_RECEIVER_REPORT);
    assert_int_equal(rtcp.ssrc, 9);
    assert_int_equal(rtcp.reports_count, G_N_ELEMENTS(reports));
    assert_memory_equal(rtcp.reports, reports, sizeof reports);
}

static void test_lost_is_clamped(void **state)
{
    const TkRtcpReport reports[] = {{.cumulative_lost = G_MAXINT32},
                                    {.cumulative_lost = G_MININT32}};
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_receiver_report(packet, 9, reports, G_N_ELEMENTS(reports));
    TkRtcp rtcp = parse_only(packet);
    assert_int_equal(rtcp.reports[0].cumulative_lost, 0x7fffff);
    assert_int_equal(rtcp.reports[1].cumulative_lost, -0x800000);
}

static void test_sdes(void **state)
{
    for (gsize length = 0; length <= TK_RTCP_CNAME_MAX + 10; length++) {
        g_autofree char *name = g_strnfill(length, 'n');
        g_autoptr(GByteArray) packet = g_byte_array_new();
        tk_rtcp_put_sdes(packet, 5, name);
        assert_int_equal(packet->len % 4, 0);
        TkRtcp rtcp = parse_only(packet);
        assert_int_equal(rtcp.type, TK_RTCP_SDES);
        assert_int_equal(rtcp.ssrc, 5);
        assert_int_equal(strlen(rtcp.cname), MIN(length, TK_RTCP_CNAME_MAX));
    }
}

// Two chunks; the first has a NAME before its CNAME.
static void test_sdes_chunks(void **state)
{
    static const guint8 packet[] = {0x82, 202, 0,   6, 0, 0, 0, 1, 2, 2, 'h', 'i', 1,   3,
                                    'a',  'b', 'c', 0, 0, 0, 0, 0, 0, 2, 1,   1,   'z', 0};
    TkRtcp rtcp;
    gsize offset = 0;
    assert_true(tk_rtcp_next(packet, sizeof packet, &offset, &rtcp));
    assert_int_equal(rtcp.ssrc, 1);
    assert_string_equal(rtcp.cname, "abc");
}

static void assert_no_cname(const guint8 *packet, gsize size)
{
    TkRtcp rtcp;
    gsize offset = 0;
    assert_true(tk_rtcp_next(packet, size, &offset, &rtcp));
    assert_string_equal(rtcp.cname, "");
}

static void test_sdes_without_cname(void **state)
{
    static const guint8 in_second[] = {0x82, 202, 0, 5, 0, 0, 0,   1,   2, 1, 'a', 0,
                                       0,    0,   0, 2, 1, 3, 'x', 'y', 'z', 0, 0, 0};
    static const guint8 with_nul[] = {0x81, 202, 0, 3, 0, 0, 0, 1, 1, 3, 'a', 0, 'b', 0, 0, 0};
    assert_no_cname(in_second, sizeof in_second);
    assert_no_cname(with_nul, sizeof with_nul);
}

static void test_bye_and_pli(void **state)
{
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_bye(packet, 0xabc);
    TkRtcp bye = parse_only(packet);
    assert_int_equal(bye.type, TK_RTCP_BYE);
    assert_int_equal(bye.ssrc, 0xabc);
    g_byte_array_set_size(packet, 0);
    tk_rtcp_put_pli(packet, 1, 2);
    TkRtcp pli = parse_only(packet);
    assert_int_equal(pli.type, TK_RTCP_PLI);
    assert_int_equal(pli.ssrc, 1);
    assert_int_equal(pli.media_ssrc, 2);
}

static void check_nack(const guint16 *sequences, guint count, guint entries)
{
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_nack(packet, 1, 2, sequences, count);
    TkRtcp rtcp = parse_only(packet);
    assert_int_equal(rtcp.type, TK_RTCP_NACK);
    assert_int_equal(rtcp.media_ssrc, 2);
    assert_int_equal(rtcp.nack_bytes, 4 * entries);
    gsize cursor = 0;
    guint16 sequence;
    for (guint i = 0; i < count; i++) {
        assert_true(tk_rtcp_nack_next(&rtcp, &cursor, &sequence));
        assert_int_equal(sequence, sequences[i]);
    }
    assert_false(tk_rtcp_nack_next(&rtcp, &cursor, &sequence));
    assert_false(tk_rtcp_nack_next(&rtcp, &cursor, &sequence));
}

static void test_nack(void **state)
{
    check_nack((const guint16[]){7}, 1, 1);
    check_nack((const guint16[]){7, 23}, 2, 1);
    check_nack((const guint16[]){7, 24}, 2, 2);
    check_nack((const guint16[]){65530, 65535, 0, 3, 10}, 5, 1);
    guint16 run[100];
    for (guint i = 0; i < G_N_ELEMENTS(run); i++)
        run[i] = (guint16)(65500 + i);
    check_nack(run, G_N_ELEMENTS(run), 6);
}

static void test_nack_at_random(void **state)
{
    GRand *rand = g_rand_new_with_seed(4585);
    for (guint round = 0; round < 200; round++) {
        guint16 sequences[64];
        guint16 at = (guint16)g_rand_int(rand);
        for (guint i = 0; i < G_N_ELEMENTS(sequences); i++)
            sequences[i] = at = (guint16)(at + g_rand_int_range(rand, 1, 30));
        g_autoptr(GByteArray) packet = g_byte_array_new();
        tk_rtcp_put_nack(packet, 1, 2, sequences, G_N_ELEMENTS(sequences));
        TkRtcp rtcp = parse_only(packet);
        gsize cursor = 0;
        guint16 sequence;
        for (guint i = 0; i < G_N_ELEMENTS(sequences); i++) {
            assert_true(tk_rtcp_nack_next(&rtcp, &cursor, &sequence));
            assert_int_equal(sequence, sequences[i]);
        }
        assert_false(tk_rtcp_nack_next(&rtcp, &cursor, &sequence));
    }
    g_rand_free(rand);
}

static GByteArray *new_compound(void)
{
    const TkRtcpReport report = {.ssrc = 3};
    GByteArray *packet = g_byte_array_new();
    tk_rtcp_put_sender_report(packet, 1, 2, 3, 4, 5);
    tk_rtcp_put_receiver_report(packet, 1, &report, 1);
    tk_rtcp_put_sdes(packet, 1, "school");
    tk_rtcp_put_nack(packet, 1, 3, (const guint16[]){1, 2, 50}, 3);
    tk_rtcp_put_pli(packet, 1, 3);
    tk_put(packet, 0x80cc0002, 4); // APP
    tk_put(packet, 1, 4);
    tk_put(packet, 0x74657374, 4);
    tk_rtcp_put_bye(packet, 1);
    return packet;
}

static guint count_parts(const guint8 *data, gsize size, gsize *ret_offset)
{
    TkRtcp rtcp;
    guint parts = 0;
    *ret_offset = 0;
    while (tk_rtcp_next(data, size, ret_offset, &rtcp))
        parts++;
    return parts;
}

static void test_compound(void **state)
{
    static const TkRtcpType types[] = {
        TK_RTCP_SENDER_REPORT, TK_RTCP_RECEIVER_REPORT, TK_RTCP_SDES, TK_RTCP_NACK,
        TK_RTCP_PLI,           TK_RTCP_OTHER,           TK_RTCP_BYE,
    };
    g_autoptr(GByteArray) packet = new_compound();
    TkRtcp rtcp;
    gsize offset = 0;
    for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
        assert_true(tk_rtcp_next(packet->data, packet->len, &offset, &rtcp));
        assert_int_equal(rtcp.type, types[i]);
    }
    assert_false(tk_rtcp_next(packet->data, packet->len, &offset, &rtcp));
    assert_int_equal(offset, packet->len);
}

static void test_cut_at_every_byte(void **state)
{
    g_autoptr(GByteArray) packet = new_compound();
    guint last = 0;
    for (gsize size = 0; size <= packet->len; size++) {
        g_autofree guint8 *cut = g_memdup2(packet->data, size);
        gsize offset;
        guint parts = count_parts(cut, size, &offset);
        assert_true(parts >= last && offset <= size);
        assert_true(parts == last + (parts > last)); // whole packets come one at a time
        if (parts > last)
            assert_int_equal(offset, size);
        last = parts;
    }
    assert_int_equal(last, 7);
}

static void assert_refused(const GByteArray *packet)
{
    TkRtcp rtcp;
    gsize offset = 0;
    assert_false(tk_rtcp_next(packet->data, packet->len, &offset, &rtcp));
    assert_int_equal(offset, 0);
}

static void test_refused(void **state)
{
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_bye(packet, 1);
    packet->data[0] = 0x41; // version 1
    assert_refused(packet);
    packet->data[0] = 0x9f; // 31 sources, one there
    assert_refused(packet);
    packet->data[0] = 0x81;
    packet->data[1] = 96; // not RTCP
    assert_refused(packet);
    packet->data[1] = 203;
    packet->data[3] = 9; // longer than the datagram
    assert_refused(packet);

    g_byte_array_set_size(packet, 0);
    tk_rtcp_put_sdes(packet, 1, "abc");
    packet->data[9] = 200; // item longer than the packet
    assert_refused(packet);
}

static void test_padding(void **state)
{
    g_autoptr(GByteArray) packet = g_byte_array_new();
    tk_rtcp_put_nack(packet, 1, 2, (const guint16[]){7}, 1);
    tk_put(packet, 4, 4);
    packet->data[0] |= 0x20;
    packet->data[3]++;
    TkRtcp rtcp = parse_only(packet);
    assert_int_equal(rtcp.nack_bytes, 4);

    packet->data[packet->len - 1] = 0;
    assert_refused(packet);
    packet->data[packet->len - 1] = 6;
    assert_refused(packet);
    packet->data[packet->len - 1] = 200;
    assert_refused(packet);
    packet->data[packet->len - 1] = 4;
    tk_rtcp_put_bye(packet, 1); // padding before the last packet
    assert_refused(packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sender_report),
        cmocka_unit_test(test_receiver_report),
        cmocka_unit_test(test_lost_is_clamped),
        cmocka_unit_test(test_sdes),
        cmocka_unit_test(test_sdes_chunks),
        cmocka_unit_test(test_sdes_without_cname),
        cmocka_unit_test(test_bye_and_pli),
        cmocka_unit_test(test_nack),
        cmocka_unit_test(test_nack_at_random),
        cmocka_unit_test(test_compound),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
