// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "relay/core/reorder.h"

static gboolean push(RelayReorder *r, guint64 number, gint64 now_ns, gsize bytes)
{
    g_autoptr(RelayUnit) unit = relay_unit_new(bytes);
    unit->bytes = (guint32)bytes;
    unit->number = number;
    unit->arrived_ns = now_ns;
    return relay_reorder_push(r, unit);
}

// The next number, negative when something is missing before it; 0 when none is due.
static gint64 pop(RelayReorder *r, gint64 now_ns)
{
    gboolean lost = FALSE;
    g_autoptr(RelayUnit) unit = relay_reorder_pop(r, now_ns, &lost);
    if (!unit)
        return 0;
    return lost ? -(gint64)unit->number : (gint64)unit->number;
}

static void waits_for_what_is_missing(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, FALSE);
    assert_true(push(&r, 10, 0, 1));
    assert_int_equal(pop(&r, 0), 10);
    assert_true(push(&r, 12, 5, 1));
    assert_true(push(&r, 13, 6, 1));
    assert_int_equal(pop(&r, 6), 0);
    assert_true(push(&r, 11, 7, 1));
    assert_int_equal(pop(&r, 7), 11);
    assert_int_equal(pop(&r, 7), 12);
    assert_int_equal(pop(&r, 7), 13);
    assert_int_equal(pop(&r, 7), 0);
    relay_reorder_clear(&r);
}

static void gives_up_after_the_wait(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, FALSE);
    assert_true(push(&r, 10, 0, 1));
    assert_int_equal(pop(&r, 0), 10);
    assert_true(push(&r, 13, 1000, 1));
    assert_int_equal(pop(&r, 1000), 0);
    assert_true(push(&r, 12, 2000, 1)); // nearer, but the wait began with 13
    assert_int_equal(pop(&r, 1000 + RELAY_REORDER_WAIT_NS - 1), 0);
    assert_int_equal(pop(&r, 1000 + RELAY_REORDER_WAIT_NS), -12);
    assert_int_equal(pop(&r, 1000 + RELAY_REORDER_WAIT_NS), 13);
    assert_false(push(&r, 11, 3000, 1)); // its turn is over
    relay_reorder_clear(&r);
}

static void does_not_wait_in_order(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, TRUE);
    assert_true(push(&r, 1, 0, 1));
    assert_int_equal(pop(&r, 0), 1);
    assert_true(push(&r, 3, 0, 1));
    assert_int_equal(pop(&r, 0), -3);
    relay_reorder_clear(&r);
}

static void refuses_a_second_copy(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, FALSE);
    assert_true(push(&r, 1, 0, 1));
    assert_false(push(&r, 1, 0, 1));
    assert_int_equal(pop(&r, 0), 1);
    assert_false(push(&r, 1, 0, 1));
    relay_reorder_clear(&r);
}

static void holds_a_bounded_number(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, FALSE);
    assert_true(push(&r, 1, 0, 1));
    assert_int_equal(pop(&r, 0), 1);
    assert_true(push(&r, 3, 0, 1));
    assert_true(push(&r, 2 + RELAY_REORDER_PACKETS - 1, 0, 1));
    assert_false(push(&r, 2 + RELAY_REORDER_PACKETS, 0, 1));
    assert_int_equal(pop(&r, G_MAXINT64), -3);
    assert_int_equal(pop(&r, G_MAXINT64), -(2 + RELAY_REORDER_PACKETS - 1));
    assert_int_equal(pop(&r, G_MAXINT64), 0);
    assert_true(push(&r, 100000, 0, 1)); // nothing is held: it may go on anywhere
    assert_int_equal(pop(&r, 0), -100000);
    relay_reorder_clear(&r);
}

static void holds_a_bounded_size(void **state)
{
    RelayReorder r = {0};
    relay_reorder_start(&r, FALSE);
    assert_true(push(&r, 1, 0, 1));
    assert_int_equal(pop(&r, 0), 1);
    guint64 number = 3;
    for (gsize bytes = 0; bytes + 60000 <= RELAY_REORDER_BYTES_MAX; bytes += 60000) {
        assert_true(push(&r, number++, 0, 60000));
        assert_int_equal(pop(&r, 0), 0);
    }
    assert_true(push(&r, number, 0, 60000));
    assert_int_equal(pop(&r, 0), -3);
    relay_reorder_clear(&r);
}

static void shuffled_packets_come_out_in_order(void **state)
{
    for (guint32 seed = 1; seed <= 20; seed++) {
        g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
        RelayReorder r = {0};
        relay_reorder_start(&r, FALSE);
        guint lost = 0, out = 0, seen_lost = 0;
        gint64 next = 1000;
        for (guint64 block = 1000; block < 3000; block += 10) {
            guint64 order[10];
            for (guint i = 0; i < 10; i++)
                order[i] = block + i;
            for (guint i = 9; i > 0 && block > 1000; i--) {
                guint k = (guint)g_rand_int_range(rand, 0, (gint)i + 1);
                guint64 other = order[i];
                order[i] = order[k];
                order[k] = other;
            }
            for (guint i = 0; i < 10; i++) {
                gint64 now_ns = (gint64)(block + i) * TK_NS_PER_MS;
                if (block > 1000 && block < 2990 && g_rand_int_range(rand, 0, 20) == 0)
                    lost++;
                else
                    assert_true(push(&r, order[i], now_ns, 1));
                for (gint64 n; (n = pop(&r, now_ns)) != 0; out++) {
                    seen_lost += (guint)(ABS(n) - next);
                    assert_true((n < 0) == (ABS(n) != next));
                    next = ABS(n) + 1;
                }
            }
        }
        for (gint64 n; (n = pop(&r, G_MAXINT64)) != 0; out++) {
            seen_lost += (guint)(ABS(n) - next);
            next = ABS(n) + 1;
        }
        assert_int_equal(next, 3000);
        assert_int_equal(seen_lost, lost);
        assert_int_equal(out, 2000 - lost);
        relay_reorder_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_what_is_missing),
        cmocka_unit_test(gives_up_after_the_wait),
        cmocka_unit_test(does_not_wait_in_order),
        cmocka_unit_test(refuses_a_second_copy),
        cmocka_unit_test(holds_a_bounded_number),
        cmocka_unit_test(holds_a_bounded_size),
        cmocka_unit_test(shuffled_packets_come_out_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
