// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/keyframe.h"

#define STARTS(...)                                                                                \
    relay_keyframe_starts((const guint8[]){__VA_ARGS__}, sizeof((const guint8[]){__VA_ARGS__}))

static void single_units(void **state)
{
    assert_true(STARTS(0x67, 0x42));        // SPS
    assert_true(STARTS(0x65, 0x88));        // IDR, first macroblock 0
    assert_false(STARTS(0x65, 0x40));       // IDR, a later slice
    assert_false(STARTS(0x65));             // cut off
    assert_false(STARTS(0x41, 0x9a));       // another picture
    assert_false(STARTS(0x68, 0xce));       // PPS alone
    assert_false(STARTS(0x09, 0xf0));       // delimiter
    assert_false(relay_keyframe_starts(NULL, 0));
}

static void aggregates(void **state)
{
    assert_true(STARTS(0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x67, 0x42));
    assert_true(STARTS(0x78, 0, 2, 0x06, 0x05, 0, 2, 0x65, 0x88));
    assert_false(STARTS(0x78, 0, 2, 0x06, 0x05, 0, 2, 0x41, 0x9a));
    assert_false(STARTS(0x78, 0, 9, 0x67, 0x42)); // longer than the packet
    assert_false(STARTS(0x78, 0, 0, 0, 0));
    assert_false(STARTS(0x78));
}

static void fragments(void **state)
{
    assert_true(STARTS(0x7c, 0x85, 0x88));  // beginning of an IDR
    assert_false(STARTS(0x7c, 0x05, 0x88)); // its middle
    assert_false(STARTS(0x7c, 0x85, 0x40)); // beginning of a later slice
    assert_false(STARTS(0x7c, 0x81, 0x88)); // another picture
    assert_false(STARTS(0x7c, 0x85));
    assert_false(STARTS(0x7c));
}

#define CONFIGURES(...)                                                                            \
    relay_keyframe_configures((const guint8[]){__VA_ARGS__}, sizeof((const guint8[]){__VA_ARGS__}))

static void parameter_sets(void **state)
{
    assert_true(CONFIGURES(0x67, 0x42));
    assert_true(CONFIGURES(0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x67, 0x42));
    assert_false(CONFIGURES(0x65, 0x88));
    assert_false(CONFIGURES(0x68, 0xce)); // the picture's alone
    assert_false(CONFIGURES(0x78, 0, 2, 0x06, 0x05, 0, 2, 0x65, 0x88));
    assert_false(CONFIGURES(0x7c, 0x85, 0x88));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_units),
        cmocka_unit_test(aggregates),
        cmocka_unit_test(fragments),
        cmocka_unit_test(parameter_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
