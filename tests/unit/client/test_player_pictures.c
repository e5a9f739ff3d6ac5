// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "client/player/pictures.h"

#define STEP 3600u // 25 pictures a second
#define LASTS (40 * GST_MSECOND)
#define HELD 3u // by the decoder

static GstClockTime even(guint number)
{
    return GST_SECOND + number * LASTS;
}

// A line that is not known yet: pictures come closer and further apart than they were taken.
static GstClockTime uneven(guint number)
{
    return even(number) + (number % 4 == 1 ? 25 * GST_MSECOND : 0);
}

// So a stream begins that has to catch up.
static GstClockTime at_once(guint number)
{
    return even(MAX(number, 20));
}

// Three packets each; of `lost` none, of `undecoded` all.
static guint missing_of(PlayPictures *pictures, guint32 first, guint lost, guint undecoded,
                        GstClockTime (*shown)(guint), GstClockTime lasts)
{
    for (guint i = 0; i < 200 + HELD; i++) {
        for (guint packet = 0; packet < 3 && i != lost && i < 200; packet++)
            play_pictures_came(pictures, shown(i) + packet, first + i * STEP);
        if (i >= HELD && i - HELD != lost && i - HELD != undecoded)
            play_pictures_decoded(pictures, shown(i - HELD) + 1, lasts);
    }
    return pictures->missing;
}

static void smoothed_times_are_no_loss(void **state)
{
    PlayPictures all = {0}, wraps = {0}, begins = {0};

    assert_int_equal(missing_of(&all, 0, 999, 999, uneven, LASTS), 0);
    assert_int_equal(all.decoded, 200);
    assert_int_equal(missing_of(&wraps, 0u - 50 * STEP, 999, 999, uneven, LASTS), 0);
    assert_int_equal(missing_of(&begins, 7, 999, 999, at_once, LASTS), 0);
}

static void lost_and_undecoded_pictures_are_missing(void **state)
{
    PlayPictures lost = {0}, undecoded = {0}, unsaid = {0};

    assert_int_equal(missing_of(&lost, 7, 90, 999, even, LASTS), 1);
    assert_int_equal(missing_of(&undecoded, 7, 999, 90, uneven, LASTS), 1);
    assert_int_equal(missing_of(&unsaid, 7, 90, 120, uneven, GST_CLOCK_TIME_NONE), 2);
}

static void a_new_beginning_is_no_loss(void **state)
{
    PlayPictures pictures = {0};

    missing_of(&pictures, 0, 999, 999, even, LASTS);
    assert_int_equal(missing_of(&pictures, 1u << 30, 999, 999, even, LASTS), 0);
    play_pictures_decoded(&pictures, GST_CLOCK_TIME_NONE, LASTS);
    assert_int_equal(pictures.missing, 0);
    // Nor is one whose packets nobody knows.
    for (guint i = 0; i < 10; i++)
        play_pictures_came(&pictures, even(i), i * STEP);
    play_pictures_decoded(&pictures, even(0), LASTS);
    play_pictures_decoded(&pictures, even(300), LASTS);
    play_pictures_decoded(&pictures, even(9), LASTS);
    assert_int_equal(pictures.missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(smoothed_times_are_no_loss),
        cmocka_unit_test(lost_and_undecoded_pictures_are_missing),
        cmocka_unit_test(a_new_beginning_is_no_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
