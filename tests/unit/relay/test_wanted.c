// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/base/clock.h"
#include "relay/core/reorder.h"
#include "relay/core/wanted.h"

#define MS(n) ((n)*TK_NS_PER_MS)

static void arrive(RelayWanted *w, gint64 from, gint64 until, gint64 now_ms)
{
    for (gint64 sequence = from; sequence < until; sequence++)
        relay_wanted_arrived(w, sequence, MS(now_ms));
}

static guint due(RelayWanted *w, gint64 now_ms, guint16 *ret)
{
    return relay_wanted_due(w, MS(now_ms), ret);
}

static void asks_after_a_moments_patience(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, TRUE);
    arrive(&w, 65530, 65534, 0);
    arrive(&w, 65538, 65540, 0);
    assert_int_equal(due(&w, 9, asked), 0);
    relay_wanted_arrived(&w, 65535, MS(9)); // had only been overtaken
    assert_int_equal(due(&w, 10, asked), 3);
    assert_int_equal(asked[0], 65534);
    assert_int_equal(asked[1], 0); // beyond the wrap
    assert_int_equal(asked[2], 1);
    assert_int_equal(due(&w, 11, asked), 0);
}

static void asks_again_after_what_repair_takes(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, TRUE);
    arrive(&w, 0, 100, 0);
    arrive(&w, 102, 103, 0);
    assert_int_equal(due(&w, 10, asked), 2);
    relay_wanted_arrived(&w, 100, MS(50)); // 40 ms
    assert_int_equal(w.repaired, 1);
    assert_int_equal(due(&w, 59, asked), 0);
    assert_int_equal(due(&w, 60, asked), 1);
    assert_int_equal(asked[0], 101);
    assert_int_equal(relay_wanted_wait_ns(&w), MS(6 * 50 + 60));
}

static void gives_up_when_the_reorder_buffer_does(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, TRUE);
    arrive(&w, 0, 100, 0);
    arrive(&w, 101, 102, 0);
    guint asks = 0;
    gint64 last_ms = 0;
    for (gint64 now_ms = 0; now_ms < 5000; now_ms++) {
        if (due(&w, now_ms, asked)) {
            asks++;
            last_ms = now_ms;
        }
    }
    assert_in_range(asks, 2, RELAY_WANTED_ASKS_MAX);
    assert_true(MS(last_ms) < relay_wanted_wait_ns(&w));
    assert_int_equal(w.count, 0);
    assert_int_equal(w.repaired, 0);
}

static void who_takes_no_nack_is_not_asked(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, FALSE);
    arrive(&w, 0, 100, 0);
    arrive(&w, 110, 120, 0);
    assert_int_equal(due(&w, 50, asked), 0);
    assert_int_equal(relay_wanted_wait_ns(&w), RELAY_REORDER_WAIT_NS);
}

static void a_torrent_of_loss_is_not_asked_for(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, TRUE);
    gint64 sequence = 0;
    guint64 came = 0;
    for (gint64 now_ms = 0; now_ms < 10000; now_ms++) {
        relay_wanted_arrived(&w, sequence, MS(now_ms));
        came++;
        sequence += 10; // nine of ten are lost
        (void)due(&w, now_ms, asked);
        assert_true(w.count <= RELAY_WANTED_MAX);
    }
    assert_true(w.asked <= came / RELAY_WANTED_CREDIT_SHARE + RELAY_WANTED_MAX);
    assert_true(w.asked > came / 8);
}

static void of_a_long_hole_the_newest(void **state)
{
    guint16 asked[RELAY_WANTED_MAX];
    RelayWanted w = {0};
    relay_wanted_start(&w, TRUE);
    arrive(&w, 0, 1100, 0); // earns enough to ask for all
    arrive(&w, 3000, 3001, 0);
    assert_int_equal(due(&w, 10, asked), RELAY_WANTED_MAX);
    assert_int_equal(asked[0], 3000 - RELAY_WANTED_MAX);
    assert_int_equal(asked[RELAY_WANTED_MAX - 1], 2999);
}

static void restores_what_was_asked_for_and_nothing_else(void **state)
{
    static const guint8 rtx[] = {0x80, 0xe2, 0, 9, 0, 0, 0, 7, 1, 2, 3, 4, 0, 3, 'a', 'b', 'c'};
    static const guint8 original[] = {0x80, 0xe0, 0, 3, 0, 0, 0, 7, 5, 6, 7, 8, 'a', 'b', 'c'};
    RelayWanted w = {0};
    TkRtp rtp;
    gsize size;
    assert_true(tk_rtp_parse(rtx, sizeof rtx, &rtp));
    assert_null(relay_wanted_restore(&w, rtx, sizeof rtx, &rtp, 96, 0x05060708, &size));
    relay_wanted_start(&w, TRUE);
    arrive(&w, 0, 6, 0);
    assert_null(relay_wanted_restore(&w, rtx, sizeof rtx, &rtp, 96, 0x05060708, &size));
    relay_wanted_start(&w, TRUE);
    arrive(&w, 0, 3, 0);
    arrive(&w, 4, 6, 0);
    g_autofree guint8 *made =
        relay_wanted_restore(&w, rtx, sizeof rtx, &rtp, 96, 0x05060708, &size);
    assert_non_null(made);
    assert_int_equal(size, sizeof original);
    assert_memory_equal(made, original, size);
    assert_true(tk_rtp_parse(rtx, 13, &rtp)); // half a number
    assert_null(relay_wanted_restore(&w, rtx, 13, &rtp, 96, 0x05060708, &size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_after_a_moments_patience),
        cmocka_unit_test(asks_again_after_what_repair_takes),
        cmocka_unit_test(gives_up_when_the_reorder_buffer_does),
        cmocka_unit_test(who_takes_no_nack_is_not_asked),
        cmocka_unit_test(a_torrent_of_loss_is_not_asked_for),
        cmocka_unit_test(of_a_long_hole_the_newest),
        cmocka_unit_test(restores_what_was_asked_for_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
