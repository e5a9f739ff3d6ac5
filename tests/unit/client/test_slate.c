// SPDX-License-Identifier: MIT
#include <gst/app/app.h>
#include <string.h>

#include "tests/unit/check.h"

#include "common/gst/pipeline.h"
#include "common/gst/slate.h"

#define WIDTH 640
#define HEIGHT 360

// One picture with these words, as BGRx.
static GBytes *picture(const char *title, const char *detail, const char *note)
{
    g_autoptr(TkSlate) slate = tk_slate_new();
    g_autofree char *source = tk_slate_describe("slate", WIDTH, HEIGHT, 25);
    g_autofree char *text = g_strdup_printf("%s ! appsink name=out sync=false", source);
    GstMapInfo map;

    tk_slate_set(slate, title, detail, note);
    TkPipeline *pipeline = tk_pipeline_new("slate", text, NULL, NULL, NULL);
    tk_slate_attach(slate, tk_pipeline_get(pipeline, "slate"));
    assert_true(tk_pipeline_set_state(pipeline, GST_STATE_PLAYING, NULL));
    GstSample *sample = gst_app_sink_try_pull_sample(GST_APP_SINK(tk_pipeline_get(pipeline, "out")),
                                                     10 * GST_SECOND);
    assert_non_null(sample);
    assert_true(gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ));
    GBytes *bytes = g_bytes_new(map.data, map.size);
    gst_buffer_unmap(gst_sample_get_buffer(sample), &map);
    gst_sample_unref(sample);
    tk_pipeline_free(pipeline);
    return bytes;
}

// How many pixels of the rows from `top` to `bottom` are not the ground's colour.
static guint ink(GBytes *bytes, guint top, guint bottom)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    guint count = 0;

    assert_int_equal(size, WIDTH * HEIGHT * 4);
    for (guint i = top * WIDTH; i < bottom * WIDTH; i++)
        count += data[4 * i] != (TK_INK_DARK & 255) || data[4 * i + 2] != (TK_INK_DARK >> 16);
    return count;
}

static void words_are_drawn(void **state)
{
    g_autoptr(GBytes) empty = picture(NULL, NULL, NULL);
    g_autoptr(GBytes) words = picture("等待上课", "老师开始后自动播放", "已等待 8 秒");

    assert_int_equal(ink(empty, 0, HEIGHT), 0);
    assert_true(ink(words, HEIGHT / 3, HEIGHT * 2 / 3) > 1500);
    assert_true(ink(words, HEIGHT * 5 / 6, HEIGHT) > 200);
    assert_int_equal(ink(words, 0, HEIGHT / 4), 0);
}

static void other_words_are_another_picture(void **state)
{
    g_autoptr(GBytes) eight = picture("正在重新连接", NULL, "已等待 8 秒");
    g_autoptr(GBytes) nine = picture("正在重新连接", NULL, "已等待 9 秒");

    assert_false(g_bytes_equal(eight, nine));
}

static void hostile_words_do_no_harm(void **state)
{
    g_autofree char *endless = g_strnfill(100000, 'x');
    g_autoptr(GBytes) bytes = picture("\xff\xfe<b>&amp;", endless, "<span foreground='red'>");

    assert_true(ink(bytes, 0, HEIGHT) > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_drawn),
        cmocka_unit_test(other_words_are_another_picture),
        cmocka_unit_test(hostile_words_do_no_harm),
    };

    gst_init(&argc, &argv);
    return cmocka_run_group_tests_name("gst-slate", tests, NULL, NULL);
}
