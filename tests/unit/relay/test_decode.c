// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/decode.h"

#define STEP 3600

// Pictures' places in presentation order, in the order of decoding.
static void check_pattern(guint depth, const gint *places, guint count, guint rounds)
{
    RelayDecode d;
    relay_decode_start(&d, depth);
    gint64 last = G_MININT64 / 2;
    for (guint round = 0; round < rounds; round++) {
        for (guint i = 0; i < count; i++) {
            gint64 shown = (gint64)(round * count + (guint)places[i]) * STEP;
            gint64 decode = relay_decode_next(&d, shown, i == 0, STEP, last + 1);
            assert_true(decode > last);
            assert_true(decode <= shown);
            if (round || i)
                assert_int_equal(decode - last, STEP);
            last = decode;
        }
    }
    assert_int_equal(d.depth, depth);
}

static void pictures_in_order_are_decoded_when_shown(void **state)
{
    static const gint places[] = {0, 1, 2, 3};
    check_pattern(0, places, 4, 5);
}

static void reordered_pictures_are_decoded_evenly(void **state)
{
    static const gint ipbb[] = {0, 3, 1, 2, 6, 4, 5};
    static const gint pyramid[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};
    check_pattern(1, ipbb, 7, 4);
    check_pattern(2, pyramid, 9, 4);
}

static void the_depth_is_learned(void **state)
{
    static const gint pyramid[] = {0, 4, 2, 1, 3, 8, 6, 5, 7};
    RelayDecode d;
    relay_decode_start(&d, RELAY_DECODE_DEPTH_MAX); // the stream does not say
    assert_int_equal(d.depth, 0);
    gint64 last = -1;
    for (guint i = 0; i < 90; i++) {
        gint64 shown = (gint64)(i / 9 * 9 + (guint)pyramid[i % 9]) * STEP;
        gint64 decode = relay_decode_next(&d, shown, i % 9 == 0, STEP, last + 1);
        assert_true(decode > last);
        if (i >= 9) {
            assert_true(decode <= shown);
            assert_true(decode - last == STEP || i == 9);
        }
        last = decode;
    }
    assert_int_equal(d.depth, 2);
}

static void a_gap_before_a_key_picture_is_a_gap(void **state)
{
    RelayDecode d;
    relay_decode_start(&d, 2);
    gint64 last = relay_decode_next(&d, 0, TRUE, STEP, -100000);
    assert_int_equal(last, -2 * STEP);
    gint64 decode = relay_decode_next(&d, 100 * STEP, TRUE, STEP, last + 1);
    assert_int_equal(decode, 98 * STEP);
    assert_int_equal(relay_decode_lead(&d, STEP), 2 * STEP);
}

static void going_back_never_goes_below_the_least(void **state)
{
    RelayDecode d;
    relay_decode_start(&d, 0);
    gint64 last = relay_decode_next(&d, 1000 * STEP, TRUE, STEP, 0);
    assert_int_equal(relay_decode_next(&d, 500 * STEP, FALSE, STEP, last + 1), last + 1);
    assert_int_equal(relay_decode_next(&d, 200 * STEP, TRUE, STEP, last + 2), last + 2);
    for (guint i = 1; i < 40; i++)
        relay_decode_next(&d, (200 + i) * STEP, FALSE, STEP, last + 2 + i);
    assert_true(d.depth <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_in_order_are_decoded_when_shown),
        cmocka_unit_test(reordered_pictures_are_decoded_evenly),
        cmocka_unit_test(the_depth_is_learned),
        cmocka_unit_test(a_gap_before_a_key_picture_is_a_gap),
        cmocka_unit_test(going_back_never_goes_below_the_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
