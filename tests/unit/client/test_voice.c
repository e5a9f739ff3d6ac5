// SPDX-License-Identifier: MIT
#include <math.h>

#include "tests/unit/check.h"

#include "client/capture/test_lesson.h"

#define RATE 48000

static double loudness(const float *samples, guint count)
{
    double sum = 0;

    for (guint i = 0; i < count; i++)
        sum += (double)samples[i] * (double)samples[i];
    return sqrt(sum / count);
}

static void speaks_and_pauses_without_clipping(void **state)
{
    const guint seconds = 10;
    g_autofree float *samples = g_new(float, seconds *RATE);
    CapVoice voice = {0};
    guint loud = 0, quiet = 0;

    cap_voice_run(&voice, 0, samples, seconds * RATE);
    for (guint i = 0; i < seconds * RATE; i++)
        assert_true(isfinite(samples[i]) && fabsf(samples[i]) < 0.99f);
    for (guint i = 0; i < seconds * 10; i++) {
        double l = loudness(samples + i * RATE / 10, RATE / 10);
        loud += l > 0.02;
        quiet += l < 0.001;
    }
    assert_in_range(loud, 50, 95);
    assert_in_range(quiet, 5, 40);
}

static void is_the_same_however_it_is_cut(void **state)
{
    static float whole[4800], parts[4800];
    CapVoice a = {0}, b = {0};

    cap_voice_run(&a, 12345, whole, 4800);
    for (guint done = 0; done < 4800; done += 480)
        cap_voice_run(&b, 12345 + done, parts + done, 480);
    assert_memory_equal(whole, parts, sizeof whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speaks_and_pauses_without_clipping),
        cmocka_unit_test(is_the_same_however_it_is_cut),
    };

    return cmocka_run_group_tests_name("capture-voice", tests, NULL, NULL);
}
