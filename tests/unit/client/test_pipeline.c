// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/gst/pipeline.h"

typedef struct {
    GMainLoop *loop;
    guint errors, ends, readies;
    char *message;
    TkPipeline *freed_by_error;
} Seen;

static void on_error(void *user, const GError *error, const char *debug)
{
    Seen *seen = user;

    seen->errors++;
    g_free(seen->message);
    seen->message = g_strdup(error->message);
    g_clear_pointer(&seen->freed_by_error, tk_pipeline_free);
    g_main_loop_quit(seen->loop);
}

static void on_eos(void *user)
{
    Seen *seen = user;

    seen->ends++;
    g_main_loop_quit(seen->loop);
}

static void on_ready(void *user)
{
    Seen *seen = user;

    seen->readies++;
}

static const TkPipelineEvents events = {on_error, on_eos, on_ready, NULL};

static int setup(void **state)
{
    Seen *seen = g_new0(Seen, 1);

    seen->loop = g_main_loop_new(NULL, FALSE);
    *state = seen;
    return 0;
}

static int teardown(void **state)
{
    Seen *seen = *state;

    g_main_loop_unref(seen->loop);
    g_free(seen->message);
    g_free(seen);
    return 0;
}

static void ends_reach_the_main_loop(void **state)
{
    Seen *seen = *state;
    g_autoptr(TkPipeline) pipeline =
        tk_pipeline_new("short", "fakesrc num-buffers=3 ! fakesink", &events, seen, NULL);

    assert_true(tk_pipeline_set_state(pipeline, GST_STATE_PLAYING, NULL));
    assert_int_equal(seen->ends, 0); // never from inside a call
    g_main_loop_run(seen->loop);
    assert_int_equal(seen->ends, 1);
    assert_int_equal(seen->errors, 0);
    assert_int_equal(seen->readies, 1);
}

static void an_error_may_free_its_pipeline(void **state)
{
    Seen *seen = *state;
    TkPipeline *pipeline = tk_pipeline_new("broken", "fakesrc ! identity error-after=2 ! fakesink",
                                           &events, seen, NULL);

    seen->freed_by_error = pipeline;
    assert_true(tk_pipeline_set_state(pipeline, GST_STATE_PLAYING, NULL));
    g_main_loop_run(seen->loop);
    assert_int_equal(seen->errors, 1);
    assert_null(seen->freed_by_error);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    assert_int_equal(seen->errors, 1);
}

static void what_is_not_there_is_said(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_null(tk_pipeline_new("x", "fakesrc ! no_such_element ! fakesink", NULL, NULL, &error));
    check_contains(error->message, "no_such_element");
    check_error(error, TK_ERROR_UNSUPPORTED);

    g_autoptr(TkPipeline) pipeline =
        tk_pipeline_new("x", "filesrc location=/no/such/file ! fakesink", NULL, NULL, NULL);
    assert_false(tk_pipeline_set_state(pipeline, GST_STATE_PLAYING, &error));
    check_contains(error->message, "cannot start");
    check_error(error, TK_ERROR_UNAVAILABLE);
}

static void abandoned_pipelines_go_away(void **state)
{
    TkPipeline *pipeline =
        tk_pipeline_new("x", "fakesrc ! fakesink sync=true", &events, *state, NULL);

    assert_true(tk_pipeline_set_state(pipeline, GST_STATE_PLAYING, NULL));
    tk_pipeline_abandon(pipeline);
    assert_true(tk_pipeline_wait_abandoned(G_GINT64_CONSTANT(10000000000)));
    tk_pipeline_free(NULL);
    tk_pipeline_abandon(NULL);
}

static void pads_have_numbers(void **state)
{
    g_autoptr(GstPad) pad = gst_object_ref_sink(gst_pad_new("send_rtp_sink_12", GST_PAD_SINK));
    g_autoptr(GstPad) other = gst_object_ref_sink(gst_pad_new("send_rtp_sink_x", GST_PAD_SINK));
    guint number = 7;

    assert_false(tk_pad_number(other, "send_rtp_sink_", &number));
    assert_false(tk_pad_number(pad, "recv_rtp_sink_", &number));
    assert_int_equal(number, 7);
    assert_true(tk_pad_number(pad, "send_rtp_sink_", &number));
    assert_int_equal(number, 12);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ends_reach_the_main_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(an_error_may_free_its_pipeline, setup, teardown),
        cmocka_unit_test(what_is_not_there_is_said),
        cmocka_unit_test_setup_teardown(abandoned_pipelines_go_away, setup, teardown),
        cmocka_unit_test(pads_have_numbers),
    };

    gst_init(&argc, &argv);
    return cmocka_run_group_tests_name("gst-pipeline", tests, NULL, NULL);
}
