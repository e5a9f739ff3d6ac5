// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "relay/core/renumber.h"

static RelayRenumber new_renumber(void)
{
    RelayRenumber r;
    relay_renumber_init(&r, 96, 0xabcd, 90000, 65535, 0xfffffff0);
    return r;
}

static void the_first_packet_gets_the_first_numbers(void **state)
{
    RelayRenumber r = new_renumber();
    guint32 timestamp;
    relay_renumber_source(&r, 300, 5000, FALSE, 0);
    assert_int_equal((guint16)relay_renumber_packet(&r, 300, 5000, 0, &timestamp), 65535);
    assert_int_equal(timestamp, 0xfffffff0);
    assert_int_equal((guint16)relay_renumber_packet(&r, 302, 5000 + 3600, 40, &timestamp), 1);
    assert_int_equal(timestamp, (guint32)(0xfffffff0 + 3600));
    assert_int_equal((guint16)relay_renumber_packet(&r, 301, 5000 + 3600, 40, &timestamp), 0);
}

static void another_source_goes_on_by_the_time_that_passed(void **state)
{
    RelayRenumber r = new_renumber();
    guint32 before, after;
    relay_renumber_source(&r, 300, 5000, FALSE, TK_NS_PER_S);
    guint64 number = relay_renumber_packet(&r, 300, 5000, TK_NS_PER_S, &before);
    relay_renumber_source(&r, 7, 0x80000000, FALSE, 6 * TK_NS_PER_S);
    assert_int_equal(relay_renumber_packet(&r, 7, 0x80000000, 6 * TK_NS_PER_S, &after), number + 1);
    assert_int_equal(after - before, 5 * 90000);
    assert_int_equal(relay_renumber_timestamp(&r, 0x80000000), after);
}

// With reordered pictures the newest packet need not be the latest picture.
static void another_source_goes_on_behind_the_latest_picture(void **state)
{
    RelayRenumber r = new_renumber();
    guint32 latest, earlier, after;
    relay_renumber_source(&r, 1, 0, FALSE, 0);
    relay_renumber_packet(&r, 1, 0, 0, &latest);
    relay_renumber_packet(&r, 2, 9000, 0, &latest);
    relay_renumber_packet(&r, 3, 3000, TK_NS_PER_S / 1000, &earlier);
    relay_renumber_source(&r, 50, 77, FALSE, TK_NS_PER_S / 100);
    relay_renumber_packet(&r, 50, 77, TK_NS_PER_S / 100, &after);
    assert_int_equal(after - latest, 900);
}

static void the_same_clock_is_kept_over_a_jump_of_numbers(void **state)
{
    RelayRenumber r = new_renumber();
    guint32 before, after;
    relay_renumber_source(&r, 1, 1000, FALSE, 0);
    guint64 number = relay_renumber_packet(&r, 1, 1000, 0, &before);
    relay_renumber_source(&r, 40000, 1000 + 90000, TRUE, TK_NS_PER_S + 3 * TK_NS_PER_MS);
    assert_int_equal(relay_renumber_packet(&r, 40000, 91000, 0, &after), number + 1);
    assert_int_equal(after - before, 90000);
    // … unless it is not the same clock after all
    relay_renumber_source(&r, 5, 91000 + 90000 * 60, TRUE, 2 * TK_NS_PER_S);
    relay_renumber_packet(&r, 5, 91000 + 90000 * 60, 2 * TK_NS_PER_S, &before);
    assert_in_range(before - after, 90000, 2 * 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_packet_gets_the_first_numbers),
        cmocka_unit_test(another_source_goes_on_by_the_time_that_passed),
        cmocka_unit_test(another_source_goes_on_behind_the_latest_picture),
        cmocka_unit_test(the_same_clock_is_kept_over_a_jump_of_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
