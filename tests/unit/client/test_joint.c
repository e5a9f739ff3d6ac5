// SPDX-License-Identifier: MIT
#include <gst/app/app.h>

#include "tests/unit/check.h"

#include "common/gst/joint.h"
#include "common/gst/pipeline.h"

#define PATIENCE (10 * GST_SECOND)

// One pipeline that leads into the joint, fed by hand.
typedef struct {
    TkPipeline *pipeline;
    GstElement *src;
    guint number;
} In;

typedef struct {
    TkJoint *joint;
    TkPipeline *pipeline;
    GstElement *sink;
} Out;

static In in_open(TkJoint *joint, gint64 offset_ns)
{
    In in = {tk_pipeline_new("in", "appsrc name=src format=time ! appsink name=sink sync=false",
                             NULL, NULL, NULL)};

    in.src = tk_pipeline_get(in.pipeline, "src");
    in.number = tk_joint_connect(joint, tk_pipeline_get(in.pipeline, "sink"), offset_ns);
    assert_true(tk_pipeline_set_state(in.pipeline, GST_STATE_PLAYING, NULL));
    return in;
}

// Pushes a buffer and returns when it has passed the joint or been left there.
static void in_push(In *in, TkJoint *joint, guint64 ms, gboolean key)
{
    TkJointInputStats before, now;
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 1000, NULL);

    gst_buffer_memset(buffer, 0, (guint8)ms, 1000);
    GST_BUFFER_PTS(buffer) = ms * GST_MSECOND;
    GST_BUFFER_DURATION(buffer) = 10 * GST_MSECOND;
    if (!key)
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    tk_joint_input_stats(joint, in->number, &before);
    gst_app_src_push_buffer(GST_APP_SRC(in->src), buffer);
    if (before.seen == 0 && !key)
        return;
    gint64 end = g_get_monotonic_time() + 10 * G_TIME_SPAN_SECOND;
    do {
        g_thread_yield();
        tk_joint_input_stats(joint, in->number, &now);
        if (g_get_monotonic_time() > end)
            fail_msg("the buffer at %u ms never came", (guint)ms);
    } while (now.seen == before.seen);
}

static Out out_open(TkJointKind kind, guint max_buffers, const char *sink)
{
    g_autofree char *text = g_strdup_printf("appsrc name=src format=time ! %s name=sink", sink);
    Out out = {tk_joint_new(kind, max_buffers, 1 << 20),
               tk_pipeline_new("out", text, NULL, NULL, NULL)};

    out.sink = tk_pipeline_get(out.pipeline, "sink");
    tk_joint_set_output(out.joint, tk_pipeline_get(out.pipeline, "src"));
    assert_true(tk_pipeline_set_state(out.pipeline, GST_STATE_PLAYING, NULL));
    return out;
}

static void out_close(Out *out)
{
    tk_joint_set_output(out->joint, NULL);
    tk_pipeline_free(out->pipeline);
    tk_joint_unref(out->joint);
}

static void in_close(In *in, TkJoint *joint)
{
    tk_joint_disconnect(joint, in->number);
    tk_pipeline_free(in->pipeline);
}

static void expect(Out *out, guint64 ms)
{
    g_autoptr(GstSample) sample = gst_app_sink_try_pull_sample(GST_APP_SINK(out->sink), PATIENCE);

    assert_non_null(sample);
    assert_int_equal(GST_BUFFER_PTS(gst_sample_get_buffer(sample)), ms * GST_MSECOND);
}

#define SINK "appsink sync=false max-buffers=100"

static void only_the_selected_input_passes(void **state)
{
    Out out = out_open(TK_JOINT_PICTURES, 10, SINK);
    In a = in_open(out.joint, 0), b = in_open(out.joint, 0);

    in_push(&a, out.joint, 10, TRUE); // nobody is selected
    tk_joint_select(out.joint, a.number);
    in_push(&a, out.joint, 20, TRUE);
    in_push(&b, out.joint, 25, TRUE);
    tk_joint_select(out.joint, b.number);
    in_push(&a, out.joint, 30, TRUE);
    in_push(&b, out.joint, 18, TRUE); // before what has passed
    in_push(&b, out.joint, 35, TRUE);
    expect(&out, 20);
    expect(&out, 35);
    in_close(&a, out.joint);
    in_close(&b, out.joint);
    assert_int_equal(tk_joint_selected(out.joint), 0);
    out_close(&out);
}

static void times_are_shifted_by_the_offset(void **state)
{
    Out out = out_open(TK_JOINT_PICTURES, 10, SINK);
    In in = in_open(out.joint, 500 * GST_MSECOND);

    tk_joint_select(out.joint, in.number);
    in_push(&in, out.joint, 10, TRUE);
    expect(&out, 510);
    tk_joint_set_offset(out.joint, in.number, 1000 * GST_MSECOND);
    in_push(&in, out.joint, 20, TRUE);
    expect(&out, 1020);
    in_close(&in, out.joint);
    out_close(&out);
}

static void coded_pictures_begin_with_a_keyframe(void **state)
{
    Out out = out_open(TK_JOINT_CODED, 10, SINK);
    In a = in_open(out.joint, 0), b = in_open(out.joint, 0);

    tk_joint_select(out.joint, a.number);
    in_push(&a, out.joint, 10, FALSE);
    in_push(&a, out.joint, 20, TRUE);
    in_push(&a, out.joint, 30, FALSE);
    in_push(&b, out.joint, 31, TRUE);
    tk_joint_select(out.joint, b.number);
    in_push(&b, out.joint, 40, FALSE);
    in_push(&b, out.joint, 50, TRUE);
    in_push(&b, out.joint, 60, FALSE);
    expect(&out, 20);
    expect(&out, 30);
    expect(&out, 50);
    expect(&out, 60);
    in_close(&a, out.joint);
    in_close(&b, out.joint);
    out_close(&out);
}

static void a_preferred_input_takes_over_with_its_keyframe(void **state)
{
    Out out = out_open(TK_JOINT_CODED, 10, SINK);
    In a = in_open(out.joint, 0), b = in_open(out.joint, 0);

    tk_joint_select(out.joint, a.number);
    in_push(&a, out.joint, 10, TRUE);
    in_push(&a, out.joint, 100, FALSE);
    tk_joint_prefer(out.joint, b.number);
    in_push(&b, out.joint, 50, TRUE); // too late to fit
    in_push(&b, out.joint, 60, FALSE);
    in_push(&a, out.joint, 110, FALSE);
    in_push(&b, out.joint, 120, TRUE);
    in_push(&a, out.joint, 125, FALSE);
    in_push(&b, out.joint, 130, FALSE);
    assert_int_equal(tk_joint_selected(out.joint), b.number);
    expect(&out, 10);
    expect(&out, 100);
    expect(&out, 110);
    expect(&out, 120);
    expect(&out, 130);
    in_close(&a, out.joint);
    in_close(&b, out.joint);
    out_close(&out);
}

static void a_full_queue_drops_up_to_a_keyframe(void **state)
{
    // The sink takes one buffer and stands still.
    Out out = out_open(TK_JOINT_CODED, 3, "appsink sync=false max-buffers=1");
    In in = in_open(out.joint, 0);
    TkJointStats stats;

    tk_joint_select(out.joint, in.number);
    for (guint i = 1; i <= 20; i++)
        in_push(&in, out.joint, i * 10, i == 1);
    tk_joint_stats(out.joint, &stats);
    assert_in_range(stats.passed, 3, 5);
    assert_true(stats.dropped > 0);
    for (guint i = 1; i <= stats.passed; i++)
        expect(&out, i * 10);
    in_push(&in, out.joint, 300, FALSE); // there is room again, but it is of no use
    in_push(&in, out.joint, 310, TRUE);
    expect(&out, 310);
    in_close(&in, out.joint);
    out_close(&out);
}

static void reordered_pictures_are_noticed(void **state)
{
    Out out = out_open(TK_JOINT_CODED, 10, SINK);
    In in = in_open(out.joint, 0);
    TkJointInputStats stats;

    in_push(&in, out.joint, 10, TRUE);
    in_push(&in, out.joint, 40, FALSE);
    in_push(&in, out.joint, 20, FALSE);
    tk_joint_input_stats(out.joint, in.number, &stats);
    assert_int_equal(stats.seen, 3);
    assert_int_equal(stats.reordered, 1);
    in_close(&in, out.joint);
    tk_joint_input_stats(out.joint, in.number, &stats);
    assert_int_equal(stats.seen, 0);
    out_close(&out);
}

static void on_first(void *user, guint input)
{
    guint *first = user;

    *first = input;
}

static void the_first_buffer_is_told_in_the_main_loop(void **state)
{
    Out out = out_open(TK_JOINT_PICTURES, 10, SINK);
    guint first = 0;

    tk_joint_set_on_first(out.joint, on_first, &first);
    In in = in_open(out.joint, 0);
    in_push(&in, out.joint, 10, TRUE);
    assert_int_equal(first, 0);
    while (!first)
        g_main_context_iteration(NULL, TRUE);
    assert_int_equal(first, in.number);

    // Of an input that is gone nothing is told.
    In gone = in_open(out.joint, 0);
    first = 0;
    in_push(&gone, out.joint, 10, TRUE);
    in_close(&gone, out.joint);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    assert_int_equal(first, 0);
    tk_joint_set_on_first(out.joint, NULL, NULL);
    in_close(&in, out.joint);
    out_close(&out);
}

static void pipelines_may_go_before_they_are_disconnected(void **state)
{
    Out out = out_open(TK_JOINT_PICTURES, 10, SINK);
    In in = in_open(out.joint, 0);

    tk_joint_select(out.joint, in.number);
    in_push(&in, out.joint, 10, TRUE);
    tk_pipeline_free(in.pipeline);
    tk_joint_disconnect(out.joint, in.number);
    assert_int_equal(tk_joint_selected(out.joint), 0);
    out_close(&out);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_selected_input_passes),
        cmocka_unit_test(times_are_shifted_by_the_offset),
        cmocka_unit_test(coded_pictures_begin_with_a_keyframe),
        cmocka_unit_test(a_preferred_input_takes_over_with_its_keyframe),
        cmocka_unit_test(a_full_queue_drops_up_to_a_keyframe),
        cmocka_unit_test(reordered_pictures_are_noticed),
        cmocka_unit_test(the_first_buffer_is_told_in_the_main_loop),
        cmocka_unit_test(pipelines_may_go_before_they_are_disconnected),
    };

    gst_init(&argc, &argv);
    return cmocka_run_group_tests_name("gst-joint", tests, NULL, NULL);
}
