// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/keyframe.h"

#define STARTS(...)                                                                                \
    relay_keyframe_starts((const guint8[]){__VA_ARGS__}, sizeof((const guint8[]){__VA_ARGS__}))

static void single_units(void **state)
{
    assert_true(STARTS(0x67, 0x42));  // SPS
    assert_true(STARTS(0x65, 0x88));  // IDR, first macroblock 0
    assert_false(STARTS(0x65, 0x40)); // IDR, a later slice
    assert_false(STARTS(0x65));       // cut off
    assert_false(STARTS(0x41, 0x9a)); // another picture
    assert_false(STARTS(0x68, 0xce)); // PPS alone
    assert_false(STARTS(0x09, 0xf0)); // delimiter
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

// As x264 writes it before the pictures of open GOPs: exact_match, recovery_frame_cnt 0 or 4.
#define RECOVERY 0x06, 0x06, 0x01, 0xc4, 0x80
#define RECOVERY_LATER 0x06, 0x06, 0x01, 0x2e, 0x80
#define INTRA 0x41, 0x88, 0x80 // slice_type 7
#define INTER 0x41, 0x9a, 0x00 // slice_type 5

static void recovery_points(void **state)
{
    assert_true(STARTS(RECOVERY));
    assert_true(STARTS(0x06, 0x05, 0x02, 0xaa, 0xbb, 0x06, 0x01, 0xc4, 0x80)); // behind another
    assert_true(STARTS(0x78, 0, 5, RECOVERY, 0, 3, INTRA));
    assert_true(STARTS(0x7c, 0x86, 0x06, 0x01, 0xc4, 0x05, 0xff)); // beginning of a long one
    assert_false(STARTS(RECOVERY_LATER));                          // intra refresh
    assert_false(STARTS(0x78, 0, 5, RECOVERY_LATER, 0, 3, INTRA));
    assert_false(STARTS(0x78, 0, 5, RECOVERY, 0, 3, INTER));
    assert_false(STARTS(0x7c, 0x06, 0x06, 0x01, 0xc4, 0x80)); // its middle
    assert_false(STARTS(0x06, 0x06, 0x05, 0xc4));             // cut off
    assert_true(STARTS(0x78, 0, 2, 0x67, 0x42, 0, 5, RECOVERY_LATER, 0, 3, INTER));
    assert_false(STARTS(INTRA)); // nobody says so
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
        cmocka_unit_test(single_units),   cmocka_unit_test(aggregates),
        cmocka_unit_test(fragments),      cmocka_unit_test(recovery_points),
        cmocka_unit_test(parameter_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
