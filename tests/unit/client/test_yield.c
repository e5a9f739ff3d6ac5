// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "client/capture/yield.h"
#include "common/base/clock.h"

#define FPS 25
#define WINDOW_NS (CAP_YIELD_WINDOW_S * TK_NS_PER_S)
#define MANY (FPS * CAP_YIELD_WINDOW_S / CAP_YIELD_SHARE)

static void a_machine_that_keeps_up_is_left_alone(void **state)
{
    CapYield yield = {0};

    // What was lost before it began is not its fault, nor is a picture now and then.
    for (guint i = 0; i < 20; i++)
        assert_int_equal(
            cap_yield_judge(&yield, TK_NS_PER_S + i * WINDOW_NS, 1000 + i, 500 + i, FPS),
            CAP_YIELD_NOTHING);
}

static void its_own_losses_are_told(void **state)
{
    CapYield yield = {0};
    gint64 now_ns = TK_NS_PER_S;

    assert_int_equal(cap_yield_judge(&yield, now_ns, 0, 0, FPS), CAP_YIELD_NOTHING);
    assert_int_equal(cap_yield_judge(&yield, now_ns + WINDOW_NS / 2, 0, MANY, FPS),
                     CAP_YIELD_NOTHING);
    assert_int_equal(cap_yield_judge(&yield, now_ns + WINDOW_NS, 0, MANY, FPS), CAP_YIELD_SHORT);
    assert_int_equal(cap_yield_judge(&yield, now_ns + 2 * WINDOW_NS, 0, MANY, FPS),
                     CAP_YIELD_NOTHING);
}

static void it_rests_for_its_leader_longer_each_time(void **state)
{
    CapYield yield = {0};
    gint64 now_ns = TK_NS_PER_S;
    guint64 dropped = 0;
    guint last_s = 0;

    assert_int_equal(cap_yield_judge(&yield, now_ns, 0, 0, FPS), CAP_YIELD_NOTHING);
    for (guint i = 0; i < CAP_YIELD_RESTS_MAX + 2; i++) {
        now_ns += WINDOW_NS;
        dropped += MANY;
        assert_int_equal(cap_yield_judge(&yield, now_ns, dropped, 0, FPS), CAP_YIELD_REST);
        guint rest_s = cap_yield_rest_s(&yield);
        assert_int_equal(rest_s, !last_s                   ? CAP_YIELD_REST_S
                                 : i < CAP_YIELD_RESTS_MAX ? 2 * last_s
                                                           : last_s);
        last_s = rest_s;
        // Whatever is lost meanwhile.
        dropped += 1000;
        assert_int_equal(
            cap_yield_judge(&yield, now_ns + rest_s * TK_NS_PER_S - 1, dropped, 0, FPS),
            CAP_YIELD_NOTHING);
        now_ns += rest_s * TK_NS_PER_S;
        assert_int_equal(cap_yield_judge(&yield, now_ns, dropped, 0, FPS), CAP_YIELD_RESUME);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_keeps_up_is_left_alone),
        cmocka_unit_test(its_own_losses_are_told),
        cmocka_unit_test(it_rests_for_its_leader_longer_each_time),
    };

    return cmocka_run_group_tests_name("capture-yield", tests, NULL, NULL);
}
