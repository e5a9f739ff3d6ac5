// SPDX-License-Identifier: MIT
#include <gst/app/app.h>
#include <gst/video/video.h>
#include <string.h>

#include "tests/unit/check.h"

#include "client/capture/encoder.h"
#include "client/capture/source.h"
#include "common/gst/pipeline.h"
#include "common/media/bytes.h"

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

typedef struct {
    TkJoint *from, *to;
    TkPipeline *out;
    CapEncoder *encoder;
} Follower;

static void follow(Bench *bench, CapEncoder *leader, Follower *ret)
{
    const CapPictureCoding coding = {
        cap_encoder_name(leader), WIDTH / 2, HEIGHT / 2 / 2 * 2, FPS, 100, TRUE};

    ret->from = tk_joint_new(TK_JOINT_PICTURES, 1000, 64 << 20);
    ret->to = tk_joint_new(TK_JOINT_CODED, 1000, 64 << 20);
    ret->out = tk_pipeline_new(
        "follower", "appsrc name=src format=time ! appsink name=sink sync=false", NULL, NULL, NULL);
    tk_joint_set_output(ret->to, tk_pipeline_get(ret->out, "src"));
    assert_true(tk_pipeline_set_state(ret->out, GST_STATE_PLAYING, NULL));
    ret->encoder = cap_encoder_new_picture(&coding, ret->from, ret->to, bench->clock, 0, on_failed,
                                           NULL, NULL);
    assert_non_null(ret->encoder);
    tk_joint_select(ret->to, cap_encoder_input(ret->encoder));
}

static void unfollow(CapEncoder *leader, Follower *follower)
{
    cap_encoder_lead(leader, NULL, 1);
    tk_joint_set_output(follower->to, NULL);
    cap_encoder_free(follower->encoder);
    tk_pipeline_free(follower->out);
    tk_joint_unref(follower->from);
    tk_joint_unref(follower->to);
}

// Up to the picture at `end`: the times of keyframes, and how many pictures there were.
static GArray *keys_until(GstElement *sink, GstClockTime end, guint *ret_pictures)
{
    GArray *keys = g_array_new(FALSE, FALSE, sizeof(GstClockTime));
    GstClockTime time = 0;

    for (*ret_pictures = 0; time < end; (*ret_pictures)++) {
        g_autoptr(GstSample) sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), PATIENCE);
        assert_non_null(sample);
        const GstBuffer *buffer = gst_sample_get_buffer(sample);
        time = GST_BUFFER_PTS(buffer);
        if (!GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
            g_array_append_val(keys, time);
    }
    return keys;
}

static void a_follower_has_its_leaders_keyframes(void **state)
{
    Bench *bench = *state;
    const CapPictureCoding coding = {NULL, WIDTH, HEIGHT, FPS, 500};
    g_autoptr(CapEncoder) leader = cap_encoder_new_picture(&coding, bench->from, bench->to,
                                                           bench->clock, 0, on_failed, NULL, NULL);
    Follower follower;
    guint many, few;

    assert_non_null(leader);
    tk_joint_select(bench->to, cap_encoder_input(leader));
    follow(bench, leader, &follower);
    push_picture(bench, 0);
    gst_sample_unref(pull(bench)); // which began before it was followed
    cap_encoder_lead(leader, follower.from, 2);
    for (guint n = 1; n < 35; n++)
        push_picture(bench, n);
    GstElement *sink = tk_pipeline_get(follower.out, "sink");
    g_autoptr(GArray) before = keys_until(bench->sink, 3 * GST_SECOND, &many);
    // The follower may ask for one as it likes; the leader's next is not due before 4 s.
    tk_joint_set_output(follower.to, tk_pipeline_get(follower.out, "src"));
    push_picture(bench, 35);
    tk_joint_set_output(bench->to, tk_pipeline_get(bench->out, "src"));
    for (guint n = 36; n < 61; n++)
        push_picture(bench, n);
    g_autoptr(GArray) after = keys_until(bench->sink, 6 * GST_SECOND, &many);
    g_array_append_vals(before, after->data, after->len);
    g_autoptr(GArray) followed = keys_until(sink, 6 * GST_SECOND - GST_SECOND / FPS, &few);
    // At 0 nobody followed yet; at 2 s; when the leader was asked; 2 s after that.
    assert_int_equal(before->len, 3);
    assert_int_equal(followed->len, before->len);
    assert_memory_equal(followed->data, before->data, before->len * sizeof(GstClockTime));
    // Every second of 4 s; some of those that waited for a keyframe are missing.
    if (few < 12 || few > 22)
        fail_msg("%u pictures", few);
    unfollow(leader, &follower);
}

static void decoders_find_their_parameters_before_each_keyframe(void **state)
{
    Bench *bench = *state;
    const CapPictureCoding coding = {NULL, WIDTH, HEIGHT, FPS, 500};
    g_autoptr(CapEncoder) encoder = cap_encoder_new_picture(&coding, bench->from, bench->to,
                                                            bench->clock, 0, on_failed, NULL, NULL);
    guint keys = 0;

    assert_non_null(encoder);
    tk_joint_select(bench->to, cap_encoder_input(encoder));
    for (guint n = 0; n < 5 * FPS; n++)
        push_picture(bench, n);
    while (keys < 3) {
        g_autoptr(GstSample) sample = pull(bench);
        assert_non_null(sample);
        GstBuffer *buffer = gst_sample_get_buffer(sample);
        GstMapInfo map;
        guint types = 0;
        if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
            continue;
        keys++;
        assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
        TkReader r = tk_reader(map.data, map.size);
        while (tk_reader_left(&r) > 0) {
            const guint8 *nal = tk_reader_take(&r, tk_reader_u32(&r));
            assert_non_null(nal);
            types |= 1u << (nal[0] & 31);
        }
        gst_buffer_unmap(buffer, &map);
        assert_int_equal(types & (1 << 5 | 1 << 7 | 1 << 8), 1 << 5 | 1 << 7 | 1 << 8);
    }
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
        cmocka_unit_test_setup_teardown(a_follower_has_its_leaders_keyframes, setup, teardown),
        cmocka_unit_test_setup_teardown(decoders_find_their_parameters_before_each_keyframe, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(unknown_encoders_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_in_the_sound_is_filled, setup, teardown),
    };

    gst_init(&argc, &argv);
    return cmocka_run_group_tests_name("capture-encoder", tests, NULL, NULL);
}
