// SPDX-License-Identifier: MIT
#include "client/capture/leave.h"

// rtspclientsink drops its own TEARDOWN: while its thread listens to the server a queued CLOSE
// waits until something comes from there, and the step to NULL cancels it. Only between PAUSE and
// listening again does it look for a new command; so it is held there, in the message that tells of
// PAUSE's end, until CLOSE is queued.
typedef struct {
    GMutex lock;
    GCond cond;
    gboolean queued; // CLOSE
    gboolean closed; // TEARDOWN was answered
    gint64 end_us;
} Leave;

static gboolean tells(GstMessage *message, const char *wanted)
{
    GstProgressType type;
    g_autofree char *code = NULL;

    if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_PROGRESS)
        return FALSE;
    gst_message_parse_progress(message, &type, &code, NULL);
    return type == GST_PROGRESS_TYPE_COMPLETE && g_str_equal(code, wanted);
}

static GstBusSyncReply on_sync(GstBus *bus, GstMessage *message, gpointer data)
{
    Leave *leave = data;
    gboolean in_time = TRUE;

    g_mutex_lock(&leave->lock);
    if (tells(message, "request")) {
        while (!leave->queued && in_time)
            in_time = g_cond_wait_until(&leave->cond, &leave->lock, leave->end_us);
    } else if (tells(message, "close")) {
        leave->closed = TRUE;
        g_cond_broadcast(&leave->cond);
    }
    g_mutex_unlock(&leave->lock);
    return GST_BUS_PASS;
}

gboolean cap_leave(TkPipeline *pipeline, gint64 timeout_ns)
{
    GstElement *bin = tk_pipeline_bin(pipeline);
    g_autoptr(GstBus) bus = gst_element_get_bus(bin);
    Leave leave = {.end_us = g_get_monotonic_time() + timeout_ns / 1000};
    gboolean in_time = TRUE;

    g_mutex_init(&leave.lock);
    g_cond_init(&leave.cond);
    gst_bus_set_sync_handler(bus, on_sync, &leave, NULL);
    gst_element_set_state(bin, GST_STATE_PAUSED);
    gst_element_set_state(bin, GST_STATE_READY);
    g_mutex_lock(&leave.lock);
    leave.queued = TRUE;
    g_cond_broadcast(&leave.cond);
    while (!leave.closed && in_time)
        in_time = g_cond_wait_until(&leave.cond, &leave.lock, leave.end_us);
    gboolean closed = leave.closed;
    g_mutex_unlock(&leave.lock);
    gst_element_set_state(bin, GST_STATE_NULL);
    gst_bus_set_sync_handler(bus, NULL, NULL, NULL);
    g_cond_clear(&leave.cond);
    g_mutex_clear(&leave.lock);
    return closed;
}
