// SPDX-License-Identifier: MIT
#include <gst/app/app.h>
#include <gst/video/video.h>
#include <string.h>

#include "tests/unit/check.h"

#include "client/capture/encoder.h"
#include "client/capture/source.h"
#include "common/gst/pipeline.h"

#define WIDTH 320
#define HEIGHT 180
#define FPS 10
#define PATIENCE (20 * GST_SECOND)

typedef struct {
    GstClock *clock;
    TkJoint *from, *to;
    TkPipeline *out;
    GstElement *sink;
} Bench;

static void on_failed(void *user, const GError *error)
{
    fail_msg("%s", error->message);
}

static int setup(void **state)
{
    Bench *bench = g_new0(Bench, 1);

    bench->clock = gst_system_clock_obtain();
    bench->from = tk_joint_new(TK_JOINT_PICTURES, 1000, 256 << 20);
    bench->to = tk_joint_new(TK_JOINT_CODED, 1000, 64 << 20);
    bench->out = tk_pipeline_new(
        "out", "appsrc name=src format=time ! appsink name=sink sync=false", NULL, NULL, NULL);
    bench->sink = tk_pipeline_get(bench->out, "sink");
    tk_joint_set_output(bench->to, tk_pipeline_get(bench->out, "src"));
    *state = bench;
    return tk_pipeline_set_state(bench->out, GST_STATE_PLAYING, NULL) ? 0 : -1;
}

static int teardown(void **state)
{
    Bench *bench = *state;

    tk_joint_set_output(bench->to, NULL);
    tk_pipeline_free(bench->out);
    tk_joint_unref(bench->from);
    tk_joint_unref(bench->to);
    gst_object_unref(bench->clock);
    g_free(bench);
    return 0;
}

static void push_picture(Bench *bench, guint n)
{
    gsize bytes = WIDTH * HEIGHT * 3 / 2;
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, bytes, NULL);

    gst_buffer_memset(buffer, 0, (guint8)(n * 7), bytes);
    GST_BUFFER_PTS(buffer) = n * GST_SECOND / FPS;
    GST_BUFFER_DURATION(buffer) = GST_SECOND / FPS;
    tk_joint_push(bench->from, buffer,
                  gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "I420", "width",
                                      G_TYPE_INT, WIDTH, "height", G_TYPE_INT, HEIGHT, "framerate",
                                      GST_TYPE_FRACTION, FPS, 1, NULL));
}

static GstSample *pull(Bench *bench)
{
    return gst_app_sink_try_pull_sample(GST_APP_SINK(bench->sink), PATIENCE);
}

static void pictures_are_as_viewers_need_them(void **state)
{
    Bench *bench = *state;
    const CapPictureCoding coding = {NULL, WIDTH, HEIGHT, FPS, 500};
    g_autoptr(GError) error = NULL;
    g_autoptr(CapEncoder) encoder = cap_encoder_new_picture(
        &coding, bench->from, bench->to, bench->clock, 0, on_failed, NULL, &error);

    if (!encoder)
        fail_msg("%s", error->message);
    tk_joint_select(bench->to, cap_encoder_input(encoder));
    for (guint n = 0; n < 5 * FPS; n++)
        push_picture(bench, n);
    // Without B-frames nothing is held back: as many come out, in order, each at its own time.
    for (guint n = 0; n < 5 * FPS - 2; n++) {
        g_autoptr(GstSample) sample = pull(bench);
        assert_non_null(sample);
        GstBuffer *buffer = gst_sample_get_buffer(sample);
        assert_int_equal(GST_BUFFER_PTS(buffer), n * GST_SECOND / FPS);
        gboolean key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
        if (key != (n % (2 * FPS) == 0))
            fail_msg("picture %u is %s keyframe", n, key ? "a" : "no");
        const GstStructure *s = gst_caps_get_structure(gst_sample_get_caps(sample), 0);
        assert_string_equal(gst_structure_get_name(s), "video/x-h264");
        assert_string_equal(gst_structure_get_string(s, "alignment"), "au");
    }
}

static void a_keyframe_comes_when_it_is_asked_for(void **state)
{
    Bench *bench = *state;
    const CapPictureCoding coding = {NULL, WIDTH, HEIGHT, FPS, 500};
    g_autoptr(CapEncoder) encoder = cap_encoder_new_picture(&coding, bench->from, bench->to,
                                                            bench->clock, 0, on_failed, NULL, NULL);

    assert_non_null(encoder);
    tk_joint_select(bench->to, cap_encoder_input(encoder));
    for (guint n = 0; n < 5; n++) {
        push_picture(bench, n);
        gst_sample_unref(pull(bench));
    }
    // A new way out begins with a keyframe, long before the next would be due.
    tk_joint_set_output(bench->to, tk_pipeline_get(bench->out, "src"));
    push_picture(bench, 5);
    push_picture(bench, 6);
    g_autoptr(GstSample) sample = pull(bench);
    assert_non_null(sample);
    assert_false(GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_DELTA_UNIT));
    assert_true(GST_BUFFER_PTS(gst_sample_get_buffer(sample)) <= 6 * GST_SECOND / FPS);
}

static void unknown_encoders_are_refused(void **state)
{
    Bench *bench = *state;
    const CapPictureCoding coding = {"identity", WIDTH, HEIGHT, FPS, 500};
    g_autoptr(GError) error = NULL;

    assert_null(cap_encoder_new_picture(&coding, bench->from, bench->to, bench->clock, 0, on_failed,
                                        NULL, &error));
    check_contains(error->message, "--list-encoders");
    check_error(error, TK_ERROR_UNSUPPORTED);
}

static void push_sound(Bench *bench, guint64 from_ms, guint ms)
{
    gsize bytes = CAP_SOUND_RATE / 1000 * ms * CAP_SOUND_CHANNELS * sizeof(gint16);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, bytes, NULL);

    gst_buffer_memset(buffer, 0, 0x11, bytes);
    GST_BUFFER_PTS(buffer) = from_ms * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = ms * GST_MSECOND;
    tk_joint_push(bench->from, buffer, gst_caps_from_string(CAP_SOUND_CAPS));
}

static void a_gap_in_the_sound_is_filled(void **state)
{
    Bench *bench = *state;
    g_autoptr(GError) error = NULL;
    g_autoptr(TkJoint) to = tk_joint_new(TK_JOINT_SOUND, 1000, 1 << 20);
    g_autoptr(CapEncoder) encoder =
        cap_encoder_new_sound(96, bench->from, to, bench->clock, 0, on_failed, NULL, &error);
    GstClockTime expected = GST_CLOCK_TIME_NONE;

    if (!encoder)
        fail_msg("%s", error->message);
    tk_joint_set_output(to, tk_pipeline_get(bench->out, "src"));
    tk_joint_select(to, cap_encoder_input(encoder));
    push_sound(bench, 1000, 500);
    push_sound(bench, 3000, 500);
    for (guint n = 0; n < 100; n++) {
        g_autoptr(GstSample) sample = pull(bench);
        assert_non_null(sample);
        GstBuffer *buffer = gst_sample_get_buffer(sample);
        GstClockTime time = GST_BUFFER_PTS(buffer);
        if (expected != GST_CLOCK_TIME_NONE &&
            ABS(GST_CLOCK_DIFF(expected, time)) > (gint64)GST_MSECOND)
            fail_msg("unit %u at %u ms instead of %u ms", n, (guint)(time / GST_MSECOND),
                     (guint)(expected / GST_MSECOND));
        expected = time + GST_BUFFER_DURATION(buffer);
    }
    assert_true(expected > 3000 * GST_MSECOND);
    tk_joint_set_output(to, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pictures_are_as_viewers_need_them, setup, teardown),
        cmocka_unit_test_setup_teardown(a_keyframe_comes_when_it_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_encoders_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_in_the_sound_is_filled, setup, teardown),
    };

    gst_init(&argc, &argv);
    return cmocka_run_group_tests_name("capture-encoder", tests, NULL, NULL);
}
