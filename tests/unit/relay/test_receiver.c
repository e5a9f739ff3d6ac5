// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "relay/core/receiver.h"

#define OURS 0x1234u
#define OTHER 0x9999u

static RelayReceiveVerdict take(RelayReceiver *r, guint32 ssrc, guint sequence, gint64 *ret)
{
    TkRtp rtp = {.payload_type = 96, .ssrc = ssrc, .sequence = (guint16)sequence};
    return relay_receiver_take(r, &rtp, 0, ret);
}

static RelayReceiver started(guint first)
{
    RelayReceiver r = {0};
    gint64 at;
    relay_receiver_start(&r, 96, 90000);
    assert_int_equal(take(&r, OURS, first, &at), RELAY_RECEIVE_NEW_SOURCE);
    assert_int_equal(at, first);
    return r;
}

static void counts_through_the_wrap(void **state)
{
    RelayReceiver r = started(65500);
    gint64 at;
    for (guint i = 1; i < 200000; i++) {
        assert_int_equal(take(&r, OURS, 65500 + i, &at), RELAY_RECEIVE_OK);
        assert_int_equal(at, 65500 + i);
    }
    assert_int_equal(relay_receiver_lost(&r), 0);
}

static void takes_each_packet_once(void **state)
{
    RelayReceiver r = started(10);
    gint64 at;
    assert_int_equal(take(&r, OURS, 12, &at), RELAY_RECEIVE_OK);
    assert_int_equal(relay_receiver_lost(&r), 1);
    assert_int_equal(take(&r, OURS, 12, &at), RELAY_RECEIVE_DUPLICATE);
    assert_int_equal(take(&r, OURS, 11, &at), RELAY_RECEIVE_OK);
    assert_int_equal(at, 11);
    assert_int_equal(take(&r, OURS, 11, &at), RELAY_RECEIVE_DUPLICATE);
    assert_int_equal(take(&r, OURS, 9, &at), RELAY_RECEIVE_LATE);
    assert_int_equal(relay_receiver_lost(&r), 0);
}

static void forgets_what_left_the_window(void **state)
{
    RelayReceiver r = started(0);
    gint64 at;
    assert_int_equal(take(&r, OURS, 2000, &at), RELAY_RECEIVE_OK);
    assert_int_equal(take(&r, OURS, 2000 - RELAY_RECEIVER_WINDOW, &at), RELAY_RECEIVE_LATE);
    assert_int_equal(take(&r, OURS, 2001 - RELAY_RECEIVER_WINDOW, &at), RELAY_RECEIVE_OK);
    assert_int_equal(take(&r, OURS, 2001 - RELAY_RECEIVER_WINDOW, &at), RELAY_RECEIVE_DUPLICATE);
    assert_int_equal(relay_receiver_lost(&r), 1998);
}

static void shuffled_packets_are_neither_lost_nor_invented(void **state)
{
    for (guint32 seed = 1; seed <= 20; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        RelayReceiver r = started(65000);
        gboolean dropped[2000] = {FALSE};
        guint lost = 0;
        for (guint block = 0; block < 2000; block += 20) {
            for (guint n = 0; n < 60; n++) { // 20 packets in random order, most of them twice
                guint i = block + (n < 40 ? (guint)g_rand_int_range(rand, 0, 20) : n - 40);
                gint64 at;
                if (n == 0)
                    dropped[i] = block + 20 < 2000;
                if (!dropped[i] && take(&r, OURS, 65001 + i, &at) == RELAY_RECEIVE_OK)
                    assert_int_equal(at, 65001 + i);
            }
        }
        for (guint i = 0; i < 2000; i++)
            lost += dropped[i];
        assert_int_equal(relay_receiver_lost(&r), lost);
        assert_int_equal(r.received, 2001 - lost);
    }
}

static void refuses_foreign_payload_types(void **state)
{
    RelayReceiver r = started(5);
    TkRtp rtp = {.payload_type = 97, .ssrc = OURS, .sequence = 6};
    gint64 at = -1;
    assert_int_equal(relay_receiver_take(&r, &rtp, 0, &at), RELAY_RECEIVE_FOREIGN);
    assert_int_equal(at, -1);
}

static void a_new_source_needs_two_packets_in_a_row(void **state)
{
    RelayReceiver r = started(5);
    gint64 at;
    assert_int_equal(take(&r, OTHER, 100, &at), RELAY_RECEIVE_FOREIGN);
    assert_int_equal(take(&r, OURS, 6, &at), RELAY_RECEIVE_OK);
    assert_int_equal(take(&r, OTHER, 101, &at), RELAY_RECEIVE_FOREIGN);
    assert_int_equal(take(&r, OTHER, 103, &at), RELAY_RECEIVE_FOREIGN);
    assert_int_equal(take(&r, OTHER, 104, &at), RELAY_RECEIVE_NEW_SOURCE);
    assert_int_equal(at, 104);
    assert_int_equal(take(&r, OURS, 7, &at), RELAY_RECEIVE_FOREIGN);
}

static void a_jump_needs_two_packets_in_a_row(void **state)
{
    RelayReceiver r = started(5);
    gint64 at;
    assert_int_equal(take(&r, OURS, 5 + RELAY_RECEIVER_DROPOUT_MAX, &at), RELAY_RECEIVE_OK);
    assert_int_equal(take(&r, OURS, 30000, &at), RELAY_RECEIVE_LATE);
    assert_int_equal(take(&r, OURS, 30001, &at), RELAY_RECEIVE_RESUMED);
    assert_int_equal(at, 30001);
    assert_int_equal(relay_receiver_lost(&r), RELAY_RECEIVER_DROPOUT_MAX - 1);
}

static void another_sender_keeps_the_losses(void **state)
{
    RelayReceiver r = started(5);
    gint64 at;
    assert_int_equal(take(&r, OURS, 8, &at), RELAY_RECEIVE_OK);
    relay_receiver_start(&r, 96, 90000);
    assert_int_equal(take(&r, OTHER, 1, &at), RELAY_RECEIVE_NEW_SOURCE);
    assert_int_equal(take(&r, OTHER, 3, &at), RELAY_RECEIVE_OK);
    assert_int_equal(relay_receiver_lost(&r), 3);
}

static void reports_the_interval(void **state)
{
    RelayReceiver r = {0};
    relay_receiver_start(&r, 96, 90000);
    TkRtcpReport block;
    assert_false(relay_receiver_report(&r, &block));
    r = started(65534);
    gint64 at;
    for (guint i = 1; i < 100; i++) {
        if (i % 4 != 0)
            assert_int_equal(take(&r, OURS, 65534 + i, &at), RELAY_RECEIVE_OK);
    }
    assert_true(relay_receiver_report(&r, &block));
    assert_int_equal(block.ssrc, OURS);
    assert_int_equal(block.cumulative_lost, 24);
    assert_int_equal(block.fraction_lost, 24 * 256 / 100);
    assert_int_equal(block.highest_sequence, 65534 + 99); // one cycle
    assert_true(relay_receiver_report(&r, &block));
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(block.cumulative_lost, 24);
    assert_int_equal(take(&r, OURS, 65534 + 96, &at), RELAY_RECEIVE_OK); // a late one
    assert_true(relay_receiver_report(&r, &block));
    assert_int_equal(block.fraction_lost, 0);
    assert_int_equal(block.cumulative_lost, 23);
}

static void measures_jitter(void **state)
{
    RelayReceiver even = {0}, uneven = {0};
    relay_receiver_start(&even, 96, 90000);
    relay_receiver_start(&uneven, 96, 90000);
    gint64 at;
    for (guint i = 0; i < 1000; i++) {
        TkRtp rtp = {.payload_type = 96, .sequence = (guint16)i, .timestamp = i * 3600};
        gint64 now_ns = i * 40 * TK_NS_PER_MS;
        RelayReceiveVerdict verdict = relay_receiver_take(&even, &rtp, now_ns, &at);
        assert_int_equal(verdict, i ? RELAY_RECEIVE_OK : RELAY_RECEIVE_NEW_SOURCE);
        now_ns += i % 2 * 10 * TK_NS_PER_MS;
        verdict = relay_receiver_take(&uneven, &rtp, now_ns, &at);
        assert_int_equal(verdict, i ? RELAY_RECEIVE_OK : RELAY_RECEIVE_NEW_SOURCE);
    }
    assert_int_equal(relay_receiver_jitter_ns(&even), 0);
    assert_in_range(relay_receiver_jitter_ns(&uneven), 9900000, 10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_through_the_wrap),
        cmocka_unit_test(takes_each_packet_once),
        cmocka_unit_test(forgets_what_left_the_window),
        cmocka_unit_test(shuffled_packets_are_neither_lost_nor_invented),
        cmocka_unit_test(refuses_foreign_payload_types),
        cmocka_unit_test(a_new_source_needs_two_packets_in_a_row),
        cmocka_unit_test(a_jump_needs_two_packets_in_a_row),
        cmocka_unit_test(another_sender_keeps_the_losses),
        cmocka_unit_test(reports_the_interval),
        cmocka_unit_test(measures_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
