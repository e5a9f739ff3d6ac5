// SPDX-License-Identifier: MIT
#include "client/capture/test_lesson.h"

#include <math.h>

#include "common/base/clock.h"
#include "common/gst/slate.h"

#define PAGE_S 10
#define VOICE_CHUNK 1024

struct _CapTestLesson {
    CapTestKind kind;
    char *title;
    // The streaming thread's own:
    guint width, height;
    cairo_surface_t *ground; // what does not move
    guint page;              // that `ground` shows
    gint64 pictures;
    CapVoice voice;
    guint channels;
};

CapTestLesson *cap_test_lesson_new(CapTestKind kind, const char *title)
{
    CapTestLesson *lesson = g_new0(CapTestLesson, 1);

    lesson->kind = kind;
    lesson->title = g_strdup(title ? title : "测试课 · Test lesson");
    return lesson;
}

void cap_test_lesson_free(CapTestLesson *lesson)
{
    if (!lesson)
        return;
    g_clear_pointer(&lesson->ground, cairo_surface_destroy);
    g_free(lesson->title);
    g_free(lesson);
}

// The curve on the slide: y = x³ - 3x, x from -2.2 to 2.2, in a unit box.
static void curve_at(double t, double *ret_x, double *ret_y)
{
    double x = -2.2 + 4.4 * t;

    *ret_x = t;
    *ret_y = 0.5 - (x * x * x - 3 * x) / 9.2;
}

typedef struct {
    double x, y, width, height;
} Box;

static Box graph_box(const CapTestLesson *lesson)
{
    double w = lesson->width, h = lesson->height;

    return lesson->kind == CAP_TEST_SLIDES ? (Box){w * 0.50, h * 0.26, w * 0.42, h * 0.58}
                                           : (Box){w * 0.07, h * 0.66, w * 0.86, h * 0.20};
}

static void draw_graph(cairo_t *cr, Box box, double unit)
{
    tk_ink(cr, TK_INK_LINE);
    cairo_set_line_width(cr, 2 * unit);
    cairo_move_to(cr, box.x, box.y + box.height / 2);
    cairo_rel_line_to(cr, box.width, 0);
    cairo_move_to(cr, box.x + box.width / 2, box.y);
    cairo_rel_line_to(cr, 0, box.height);
    cairo_stroke(cr);
    tk_ink(cr, TK_INK_ACCENT);
    cairo_set_line_width(cr, 4 * unit);
    for (guint i = 0; i <= 100; i++) {
        double x, y;
        curve_at(i / 100.0, &x, &y);
        cairo_line_to(cr, box.x + x * box.width, box.y + y * box.height);
    }
    cairo_stroke(cr);
}

static void draw_ground(cairo_t *cr, const CapTestLesson *lesson, guint page)
{
    static const char *const lines[][2] = {
        {"单调递增 · increasing", "x₁ < x₂ 时，f(x₁) < f(x₂)"},
        {"单调递减 · decreasing", "x₁ < x₂ 时，f(x₁) > f(x₂)"},
        {"例题 2 · example 2", "求 f(x) = x³ − 3x 的单调区间"},
        {"小结 · summary", "先看定义域，再比较函数值"},
    };
    double w = lesson->width, h = lesson->height, unit = MIN(w / 1280, h / 720);

    tk_ink(cr, TK_INK_PAPER);
    cairo_paint(cr);
    tk_ink(cr, TK_INK_INK);
    tk_ink_text(cr, lesson->title, 56 * unit, TRUE, FALSE, w * 0.07, h * 0.07, w * 0.86, 0);
    tk_ink(cr, TK_INK_LINE);
    cairo_rectangle(cr, w * 0.07, h * 0.205, w * 0.86, 2 * unit);
    cairo_fill(cr);
    draw_graph(cr, graph_box(lesson), unit);
    if (lesson->kind != CAP_TEST_SLIDES)
        return;
    tk_ink(cr, TK_INK_ACCENT);
    tk_ink_text(cr, lines[page % G_N_ELEMENTS(lines)][0], 40 * unit, TRUE, FALSE, w * 0.07,
                h * 0.30, w * 0.40, 0);
    tk_ink(cr, TK_INK_INK);
    tk_ink_text(cr, lines[page % G_N_ELEMENTS(lines)][1], 40 * unit, FALSE, FALSE, w * 0.07,
                h * 0.45, w * 0.40, 0);
}

// When the picture at `timestamp` (buffer time of a live source that begins with running time) was
// due, in wall-clock time.
static gint64 wall_of(GstElement *overlay, guint64 timestamp)
{
    GstClockTime now = gst_element_get_current_running_time(overlay);
    gint64 late = GST_CLOCK_TIME_IS_VALID(now) ? (gint64)now - (gint64)timestamp : 0;

    return tk_clock_wall_ns() - CLAMP(late, -TK_NS_PER_S, TK_NS_PER_S);
}

static void draw_clock(cairo_t *cr, const CapTestLesson *lesson, gint64 wall_ns)
{
    double w = lesson->width, h = lesson->height, unit = MIN(w / 1280, h / 720);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(wall_ns / TK_NS_PER_S);
    g_autofree char *clock = g_date_time_format(time, "%H:%M:%S");
    g_autofree char *date = g_date_time_format(time, "%Y-%m-%d  UTC%:z");
    g_autofree char *text = g_strdup_printf("%s.%03d", clock, (int)(wall_ns / TK_NS_PER_MS % 1000));

    tk_ink(cr, TK_INK_INK);
    if (lesson->kind == CAP_TEST_SLIDES) {
        tk_ink_text(cr, text, 32 * unit, FALSE, TRUE, w * 0.07, h * 0.87, 0, 0);
        return;
    }
    g_autofree char *foot = g_strdup_printf("%s   %u×%u   图像 %" G_GINT64_FORMAT, date,
                                            lesson->width, lesson->height, lesson->pictures);
    tk_ink_text(cr, text, 144 * unit, TRUE, TRUE, w / 2, h * 0.30, 0, 0.5);
    tk_ink(cr, TK_INK_QUIET);
    tk_ink_text(cr, foot, 26 * unit, FALSE, TRUE, w * 0.07, h * 0.89, 0, 0);
}

static void on_draw(GstElement *overlay, cairo_t *cr, guint64 timestamp, guint64 duration,
                    gpointer data)
{
    CapTestLesson *lesson = data;
    gint64 wall_ns = wall_of(overlay, timestamp);
    guint page = (guint)(wall_ns / TK_NS_PER_S / PAGE_S % 1000);
    double unit = MIN(lesson->width / 1280.0, lesson->height / 720.0), x, y;

    if (!lesson->ground || page != lesson->page) {
        g_clear_pointer(&lesson->ground, cairo_surface_destroy);
        lesson->ground =
            cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)lesson->width, (int)lesson->height);
        cairo_t *ground = cairo_create(lesson->ground);
        draw_ground(ground, lesson, page);
        cairo_destroy(ground);
        lesson->page = page;
    }
    cairo_set_source_surface(cr, lesson->ground, 0, 0);
    cairo_set_operator(cr, CAIRO_OPERATOR_SOURCE);
    cairo_paint(cr);
    cairo_set_operator(cr, CAIRO_OPERATOR_OVER);

    Box box = graph_box(lesson);
    double around = (double)(wall_ns % (4 * TK_NS_PER_S)) / (4.0 * (double)TK_NS_PER_S);
    curve_at(0.5 - 0.5 * cos(2 * G_PI * around), &x, &y);
    tk_ink(cr, TK_INK_LIVE);
    cairo_arc(cr, box.x + x * box.width, box.y + y * box.height, 14 * unit, 0, 2 * G_PI);
    cairo_fill(cr);
    lesson->pictures++;
    draw_clock(cr, lesson, wall_ns);
}

static void on_caps(GstElement *overlay, GstCaps *caps, gpointer data)
{
    CapTestLesson *lesson = data;
    const GstStructure *s = gst_caps_get_structure(caps, 0);
    int width = 0, height = 0;

    gst_structure_get_int(s, "width", &width);
    gst_structure_get_int(s, "height", &height);
    lesson->width = (guint)width;
    lesson->height = (guint)height;
    g_clear_pointer(&lesson->ground, cairo_surface_destroy);
}

void cap_test_lesson_attach_picture(CapTestLesson *lesson, GstElement *overlay)
{
    g_signal_connect(overlay, "caps-changed", G_CALLBACK(on_caps), lesson);
    g_signal_connect(overlay, "draw", G_CALLBACK(on_draw), lesson);
}

static GstPadProbeReturn on_sound(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    CapTestLesson *lesson = data;
    GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
    GstMapInfo map;

    GST_PAD_PROBE_INFO_DATA(info) = buffer;
    if (!gst_buffer_map(buffer, &map, GST_MAP_WRITE))
        return GST_PAD_PROBE_OK;
    guint64 from = gst_util_uint64_scale_round(GST_BUFFER_PTS(buffer), 48000, GST_SECOND);
    guint count = (guint)(map.size / sizeof(gint16) / lesson->channels);
    gint16 *out = (gint16 *)(void *)map.data;
    for (guint done = 0; done < count;) {
        float chunk[VOICE_CHUNK];
        guint n = MIN(count - done, VOICE_CHUNK);
        cap_voice_run(&lesson->voice, from + done, chunk, n);
        for (guint i = 0; i < n; i++)
            for (guint c = 0; c < lesson->channels; c++)
                out[(done + i) * lesson->channels + c] = GINT16_TO_LE((gint16)(chunk[i] * 32767));
        done += n;
    }
    gst_buffer_unmap(buffer, &map);
    GST_BUFFER_FLAG_UNSET(buffer, GST_BUFFER_FLAG_GAP);
    return GST_PAD_PROBE_OK;
}

void cap_test_lesson_attach_voice(CapTestLesson *lesson, GstPad *pad, guint channels)
{
    lesson->channels = channels;
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_sound, lesson, NULL);
}
