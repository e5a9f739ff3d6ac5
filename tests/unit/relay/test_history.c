// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/history.h"

#define SECOND G_GINT64_CONSTANT(1000000000)

static void push(RelayHistory *history, guint64 number, gint64 arrived_ns, gsize bytes, guint flags)
{
    RelayUnit *unit = relay_unit_new(bytes);
    unit->number = number;
    unit->arrived_ns = arrived_ns;
    unit->flags = flags;
    relay_history_push(history, unit);
}

static void lets_go_by_time(void **state)
{
    g_autoptr(RelayHistory) history = relay_history_new(10 * SECOND, 1 << 20, 1024);
    for (gint64 i = 0; i < 100; i++)
        push(history, 1000 + (guint64)i, i * SECOND, 10, 0);
    assert_int_equal(relay_history_head(history), 100);
    assert_int_equal(relay_history_tail(history), 89);
    assert_int_equal(relay_history_at(history, 89)->arrived_ns, 89 * SECOND);
    assert_null(relay_history_at(history, 88));
    assert_null(relay_history_at(history, 100));
}

static void lets_go_by_bytes_but_holds_the_newest(void **state)
{
    g_autoptr(RelayHistory) history = relay_history_new(10 * SECOND, 1000, 1024);
    for (guint i = 0; i < 20; i++)
        push(history, i, 0, 300, 0);
    assert_int_equal(relay_history_head(history) - relay_history_tail(history), 3);
    assert_int_equal(relay_history_bytes(history), 900);
    push(history, 20, 0, 5000, 0);
    assert_int_equal(relay_history_head(history) - relay_history_tail(history), 1);
    assert_int_equal(relay_history_at(history, 20)->bytes, 5000);
}

static void lets_go_by_count_when_the_ring_is_full(void **state)
{
    g_autoptr(RelayHistory) history = relay_history_new(10 * SECOND, 1 << 20, 128);
    for (guint i = 0; i < 1000; i++)
        push(history, i, 0, 1, 0);
    assert_int_equal(relay_history_tail(history), 1000 - 128);
    for (guint64 at = relay_history_tail(history); at < 1000; at++)
        assert_int_equal(relay_history_at(history, at)->number, at);
}

static void knows_its_keyframes(void **state)
{
    g_autoptr(RelayHistory) history = relay_history_new(10 * SECOND, 1 << 20, 1024);
    assert_int_equal(relay_history_newest_key(history), 0);
    for (guint i = 0; i < 30; i++)
        push(history, i, 0, 1, i % 10 == 3 ? RELAY_UNIT_KEY : 0);
    assert_int_equal(relay_history_newest_key(history), 23);
    assert_int_equal(relay_history_next_key(history, 4), 13);
    assert_int_equal(relay_history_next_key(history, 24), 30);
    push(history, 30, 100 * SECOND, 1, 0); // all else is too old now
    assert_int_equal(relay_history_newest_key(history), 31);
}

static void finds_by_number(void **state)
{
    g_autoptr(RelayHistory) history = relay_history_new(10 * SECOND, 1 << 20, 64);
    assert_int_equal(relay_history_find(history, 5), 0);
    for (guint i = 0; i < 100; i++)
        push(history, 501 + i, 0, 1, 0);
    assert_int_equal(relay_history_at(history, relay_history_find(history, 590))->number, 590);
    assert_int_equal(relay_history_find(history, 1), relay_history_tail(history));
    assert_int_equal(relay_history_find(history, 601), relay_history_head(history));
    assert_int_equal(relay_history_find(history, 9999), relay_history_head(history));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_go_by_time),
        cmocka_unit_test(lets_go_by_bytes_but_holds_the_newest),
        cmocka_unit_test(lets_go_by_count_when_the_ring_is_full),
        cmocka_unit_test(knows_its_keyframes),
        cmocka_unit_test(finds_by_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
