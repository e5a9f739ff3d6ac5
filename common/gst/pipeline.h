// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// A GstPipeline owned well: its bus is read by the main loop, its errors come as GError, and it is
// in state NULL before it is freed. All functions belong to the main thread.
typedef struct _TkPipeline TkPipeline;

// Called from the main loop, never from inside a function below. Each may be NULL. A call-back may
// free the pipeline.
typedef struct {
    // Something failed; nothing more will come by itself. `error` is borrowed; its message is one
    // sentence for people, `debug` (may be NULL) what GStreamer adds for developers.
    void (*on_error)(void *user, const GError *error, const char *debug);
    void (*on_eos)(void *user);
    // A change to PAUSED or PLAYING is complete: data stands at every sink.
    void (*on_ready)(void *user);
    // Every other message.
    void (*on_message)(void *user, GstMessage *message);
} TkPipelineEvents;

// `description` in the form of gst_parse_launch(), or NULL for an empty pipeline. `events` is
// copied, `user` borrowed for the object's life. NULL and error (TK_ERROR_UNSUPPORTED: an element
// is not installed).
TkPipeline *tk_pipeline_new(const char *name, const char *description,
                            const TkPipelineEvents *events, void *user, GError **error);

// Stops and frees; blocks until all its threads have ended.
void tk_pipeline_free(TkPipeline *pipeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkPipeline, tk_pipeline_free)

// The same in a thread of its own: for pipelines that may wait for a network while they stop.
void tk_pipeline_abandon(TkPipeline *pipeline);

// Waits until all abandoned pipelines are gone, at most `timeout_ns`. FALSE: some are not.
gboolean tk_pipeline_wait_abandoned(gint64 timeout_ns);

// Borrowed.
GstElement *tk_pipeline_bin(TkPipeline *pipeline);
// The element of that name; borrowed; aborts when there is none.
GstElement *tk_pipeline_get(TkPipeline *pipeline, const char *name);

// Fixes clock and base time, so that running times of several pipelines are one time. With
// `base_time` GST_CLOCK_TIME_NONE the base time is the moment of going to PLAYING.
void tk_pipeline_set_time(TkPipeline *pipeline, GstClock *clock, GstClockTime base_time);

// Begins the change of state. FALSE and error when it fails at once; later failures come to
// on_error.
gboolean tk_pipeline_set_state(TkPipeline *pipeline, GstState state,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;

// The number of a request pad named by `prefix` and a number, "send_rtp_sink_%u". FALSE: another
// pad.
gboolean tk_pad_number(GstPad *pad, const char *prefix, guint *ret) G_GNUC_WARN_UNUSED_RESULT;
