// SPDX-License-Identifier: MIT
#include "common/gst/pipeline.h"

#include <string.h>

#include "common/base/error.h"

struct _TkPipeline {
    GstElement *bin;
    GstBus *bus;
    guint watch;
    TkPipelineEvents events;
    void *user;
    GPtrArray *named; // elements given out by tk_pipeline_get
};

static GMutex abandoned_lock;
static GCond abandoned_cond;
static guint abandoned_count; // under abandoned_lock

static gboolean on_bus(GstBus *bus, GstMessage *message, gpointer data)
{
    TkPipeline *pipeline = data;
    const TkPipelineEvents *events = &pipeline->events;

    switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR: {
        g_autoptr(GError) error = NULL;
        g_autofree char *debug = NULL;
        gst_message_parse_error(message, &error, &debug);
        if (events->on_error)
            events->on_error(pipeline->user, error, debug);
        break;
    }
    case GST_MESSAGE_EOS:
        if (events->on_eos)
            events->on_eos(pipeline->user);
        break;
    case GST_MESSAGE_LATENCY:
        gst_bin_recalculate_latency(GST_BIN(pipeline->bin));
        break;
    case GST_MESSAGE_ASYNC_DONE:
        if (GST_MESSAGE_SRC(message) == GST_OBJECT(pipeline->bin) && events->on_ready)
            events->on_ready(pipeline->user);
        break;
    default:
        if (events->on_message)
            events->on_message(pipeline->user, message);
        break;
    }
    return G_SOURCE_CONTINUE;
}

TkPipeline *tk_pipeline_new(const char *name, const char *description,
                            const TkPipelineEvents *events, void *user, GError **error)
{
    g_autoptr(GstElement) bin = gst_object_ref_sink(gst_pipeline_new(name));

    if (description) {
        g_autoptr(GError) reason = NULL;
        g_autoptr(GstElement) inner = gst_parse_launch_full(
            description, NULL, GST_PARSE_FLAG_FATAL_ERRORS | GST_PARSE_FLAG_PLACE_IN_BIN, &reason);
        if (!inner) {
            g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED, "cannot build %s: %s", name,
                        reason->message);
            return NULL;
        }
        gst_bin_add(GST_BIN(bin), g_steal_pointer(&inner));
    }
    TkPipeline *pipeline = g_new0(TkPipeline, 1);
    pipeline->bin = g_steal_pointer(&bin);
    pipeline->bus = gst_pipeline_get_bus(GST_PIPELINE(pipeline->bin));
    pipeline->events = events ? *events : (TkPipelineEvents){0};
    pipeline->user = user;
    pipeline->named = g_ptr_array_new_with_free_func(gst_object_unref);
    pipeline->watch = gst_bus_add_watch(pipeline->bus, on_bus, pipeline);
    return pipeline;
}

// Afterwards nothing of the pipeline reaches its owner any more.
static GstElement *take_bin(TkPipeline *pipeline)
{
    GstElement *bin = pipeline->bin;

    gst_bus_remove_watch(pipeline->bus);
    gst_bus_set_flushing(pipeline->bus, TRUE);
    gst_object_unref(pipeline->bus);
    g_ptr_array_unref(pipeline->named);
    g_free(pipeline);
    return bin;
}

void tk_pipeline_free(TkPipeline *pipeline)
{
    if (!pipeline)
        return;
    // Before anything is freed: streaming threads may still ask for the bin.
    gst_element_set_state(pipeline->bin, GST_STATE_NULL);
    gst_object_unref(take_bin(pipeline));
}

static gpointer abandon_thread(gpointer data)
{
    GstElement *bin = data;

    gst_element_set_state(bin, GST_STATE_NULL);
    gst_object_unref(bin);
    g_mutex_lock(&abandoned_lock);
    abandoned_count--;
    g_cond_broadcast(&abandoned_cond);
    g_mutex_unlock(&abandoned_lock);
    return NULL;
}

void tk_pipeline_abandon(TkPipeline *pipeline)
{
    if (!pipeline)
        return;
    GstElement *bin = take_bin(pipeline);
    g_mutex_lock(&abandoned_lock);
    abandoned_count++;
    g_mutex_unlock(&abandoned_lock);
    g_thread_unref(g_thread_new("abandon", abandon_thread, bin));
}

gboolean tk_pipeline_wait_abandoned(gint64 timeout_ns)
{
    gint64 end = g_get_monotonic_time() + timeout_ns / 1000;
    gboolean signalled = TRUE;

    g_mutex_lock(&abandoned_lock);
    while (abandoned_count > 0 && signalled)
        signalled = g_cond_wait_until(&abandoned_cond, &abandoned_lock, end);
    gboolean gone = abandoned_count == 0;
    g_mutex_unlock(&abandoned_lock);
    return gone;
}

GstElement *tk_pipeline_bin(TkPipeline *pipeline)
{
    return pipeline->bin;
}

GstElement *tk_pipeline_get(TkPipeline *pipeline, const char *name)
{
    GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline->bin), name);

    if (!element)
        g_error("pipeline %s has no element %s", GST_OBJECT_NAME(pipeline->bin), name);
    g_ptr_array_add(pipeline->named, element);
    return element;
}

void tk_pipeline_set_time(TkPipeline *pipeline, GstClock *clock, GstClockTime base_time)
{
    gst_pipeline_use_clock(GST_PIPELINE(pipeline->bin), clock);
    if (base_time != GST_CLOCK_TIME_NONE) {
        gst_element_set_start_time(pipeline->bin, GST_CLOCK_TIME_NONE);
        gst_element_set_base_time(pipeline->bin, base_time);
    }
}

gboolean tk_pipeline_set_state(TkPipeline *pipeline, GstState state, GError **error)
{
    if (gst_element_set_state(pipeline->bin, state) != GST_STATE_CHANGE_FAILURE)
        return TRUE;

    // The element that failed has left its reason on the bus.
    g_autoptr(GstMessage) message = gst_bus_pop_filtered(pipeline->bus, GST_MESSAGE_ERROR);
    g_autoptr(GError) reason = NULL;
    if (message)
        gst_message_parse_error(message, &reason, NULL);
    g_set_error(error, TK_ERROR, TK_ERROR_UNAVAILABLE, "%s cannot start: %s",
                GST_OBJECT_NAME(pipeline->bin), reason ? reason->message : "no reason given");
    return FALSE;
}

gboolean tk_pad_number(GstPad *pad, const char *prefix, guint *ret)
{
    const char *name = GST_PAD_NAME(pad);
    guint64 number;

    if (!g_str_has_prefix(name, prefix) ||
        !g_ascii_string_to_unsigned(name + strlen(prefix), 10, 0, G_MAXUINT, &number, NULL))
        return FALSE;
    *ret = (guint)number;
    return TRUE;
}
