// SPDX-License-Identifier: MIT
#include "tests/unit/media/gst_capture.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// GLib grows its table of quarks without freeing the old one, which others may be reading;
// GStreamer has enough of them. GLib's constructor made it, and only a whole stack shows that.
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "fast_unwind_on_malloc=0";
}

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:_dl_init\n";
}

static GPtrArray *drain(GstElement *pipeline, const char *name)
{
    GPtrArray *samples = g_ptr_array_new_with_free_func((GDestroyNotify)gst_sample_unref);
    GstElement *sink = gst_bin_get_by_name(GST_BIN(pipeline), name);
    if (!sink)
        return samples;
    GstSample *sample;
    while ((sample = gst_app_sink_pull_sample(GST_APP_SINK(sink))))
        g_ptr_array_add(samples, sample);
    gst_object_unref(sink);
    return samples;
}

static void feed(GstElement *pipeline, GstCaps *caps, const GPtrArray *packets)
{
    GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline), "source");
    GstAppSrc *source = GST_APP_SRC(element);
    gst_app_src_set_caps(source, caps);
    gst_app_src_set_max_bytes(source, 0);
    for (guint i = 0; i < packets->len; i++)
        gst_app_src_push_buffer(source, gst_buffer_new_wrapped_bytes(packets->pdata[i]));
    gst_app_src_end_of_stream(source);
    gst_object_unref(element);
}

static void wait_for_end(GstElement *pipeline, const char *description)
{
    GstBus *bus = gst_element_get_bus(pipeline);
    GstMessage *message =
        gst_bus_timed_pop_filtered(bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        GError *error = NULL;
        gst_message_parse_error(message, &error, NULL);
        fail_msg("%s: %s", description, error->message);
    }
    gst_message_unref(message);
    gst_object_unref(bus);
}

void gst_capture_feed(GstCapture *capture, const char *description, GstCaps *caps,
                      const GPtrArray *packets)
{
    GError *error = NULL;
    GstElement *pipeline = gst_parse_launch(description, &error);
    if (error)
        fail_msg("%s: %s", description, error->message);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    if (packets)
        feed(pipeline, caps, packets);
    wait_for_end(pipeline, description);
    capture->packets = drain(pipeline, "packets");
    capture->frames = drain(pipeline, "frames");
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

void gst_capture_run(GstCapture *capture, const char *description)
{
    gst_capture_feed(capture, description, NULL, NULL);
}

void gst_capture_clear(GstCapture *capture)
{
    g_clear_pointer(&capture->packets, g_ptr_array_unref);
    g_clear_pointer(&capture->frames, g_ptr_array_unref);
}

GstCaps *gst_capture_caps(const GstCapture *capture)
{
    return gst_sample_get_caps(g_ptr_array_index(capture->packets, 0));
}

const char *gst_capture_fmtp(const GstCapture *capture, const char *field)
{
    return gst_structure_get_string(gst_caps_get_structure(gst_capture_caps(capture), 0), field);
}

GBytes *gst_capture_bytes(GstSample *sample)
{
    gpointer data;
    gsize size;
    gst_buffer_extract_dup(gst_sample_get_buffer(sample), 0, G_MAXSIZE, &data, &size);
    return g_bytes_new_take(data, size);
}

const char *gst_capture_lesson(void)
{
    const char *path = g_getenv("TONGKE_SAMPLE_LESSON");
    return path && g_file_test(path, G_FILE_TEST_IS_REGULAR) ? path : NULL;
}
