// SPDX-License-Identifier: MIT
#include "common/gst/joint.h"

#include <gst/app/app.h>
#include <gst/video/video.h>

#include "common/base/clock.h"

typedef struct {
    TkJoint *joint; // one reference
    guint number;
    GstElement *appsink; // NULL once disconnected; under the joint's lock
    gint64 offset_ns;
    GstClockTime last;
    TkJointInputStats stats;
} Input;

struct _TkJoint {
    gatomicrefcount refs;
    TkJointKind kind;
    guint max_buffers, max_bytes;

    GMutex lock; // everything below
    void (*on_first)(void *user, guint input);
    void *user;
    GPtrArray *inputs; // Input, borrowed: the appsinks' call-backs own them
    guint last_number;
    guint selected;
    guint preferred; // takes over when it can; 0 = none
    GstAppSrc *output;
    GstCaps *caps;      // last given to output
    gboolean wait_key;  // CODED: nothing before the next keyframe
    GstClockTime floor; // nothing before this running time after a change of input
    gboolean any;       // floor is valid
    TkJointStats stats;
    TkJointTap tap;
    void *tap_user;
    gboolean tap_waits; // CODED: for the next keyframe
};

TkJoint *tk_joint_new(TkJointKind kind, guint max_buffers, guint max_bytes)
{
    TkJoint *joint = g_new0(TkJoint, 1);

    g_atomic_ref_count_init(&joint->refs);
    g_mutex_init(&joint->lock);
    joint->kind = kind;
    joint->max_buffers = max_buffers;
    joint->max_bytes = max_bytes;
    joint->inputs = g_ptr_array_new();
    joint->wait_key = joint->tap_waits = TRUE;
    return joint;
}

TkJoint *tk_joint_ref(TkJoint *joint)
{
    g_atomic_ref_count_inc(&joint->refs);
    return joint;
}

void tk_joint_unref(TkJoint *joint)
{
    if (!joint || !g_atomic_ref_count_dec(&joint->refs))
        return;
    gst_clear_caps(&joint->caps);
    g_clear_object(&joint->output);
    g_ptr_array_unref(joint->inputs);
    g_mutex_clear(&joint->lock);
    g_free(joint);
}

static Input *find_input(TkJoint *joint, guint number)
{
    for (guint i = 0; i < joint->inputs->len; i++) {
        Input *input = joint->inputs->pdata[i];
        if (input->number == number)
            return input;
    }
    return NULL;
}

// Under the lock.
static void ask_for_keyframe(TkJoint *joint)
{
    Input *input = find_input(joint, joint->selected);

    if (!input || joint->kind != TK_JOINT_CODED)
        return;
    g_autoptr(GstPad) pad = gst_element_get_static_pad(input->appsink, "sink");
    gst_pad_push_event(pad,
                       gst_video_event_new_upstream_force_key_unit(GST_CLOCK_TIME_NONE, TRUE, 0));
}

// Under the lock. Takes `buffer`; its PTS is a running time.
static void put(TkJoint *joint, GstBuffer *buffer, GstCaps *caps)
{
    if (!joint->output) {
        gst_buffer_unref(buffer);
        return;
    }
    guint marked = GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_MARKER) ? 1 : 0;
    if (gst_app_src_get_current_level_buffers(joint->output) >= joint->max_buffers + marked ||
        gst_app_src_get_current_level_bytes(joint->output) >= joint->max_bytes) {
        joint->stats.dropped++;
        if (joint->kind == TK_JOINT_CODED && !joint->wait_key) {
            joint->wait_key = TRUE;
            ask_for_keyframe(joint);
        }
        gst_buffer_unref(buffer);
        return;
    }
    if (caps && (!joint->caps || !gst_caps_is_equal(caps, joint->caps))) {
        gst_caps_replace(&joint->caps, caps);
        gst_app_src_set_caps(joint->output, caps);
    }
    GstClockTime duration = GST_BUFFER_DURATION(buffer);
    joint->floor = GST_BUFFER_PTS(buffer);
    joint->any = TRUE;
    joint->stats.passed++;
    joint->stats.bytes += gst_buffer_get_size(buffer);
    joint->stats.passed_ns = tk_clock_monotonic_ns();
    joint->stats.end = joint->floor + (GST_CLOCK_TIME_IS_VALID(duration) ? duration : 0);
    gst_app_src_push_buffer(joint->output, buffer);
}

// Under the lock.
static void show(TkJoint *joint, GstBuffer *buffer, GstCaps *caps)
{
    if (!joint->tap)
        return;
    if (joint->kind == TK_JOINT_CODED && joint->tap_waits &&
        GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
        return;
    joint->tap_waits = FALSE;
    joint->tap(joint->tap_user, buffer, caps);
}

// Under the lock: whether a buffer of the selected input may go over.
static gboolean may_pass(TkJoint *joint, const GstBuffer *buffer, GstClockTime time)
{
    switch (joint->kind) {
    case TK_JOINT_SOUND:
        return TRUE;
    case TK_JOINT_PICTURES:
        return !joint->any || time > joint->floor;
    case TK_JOINT_CODED:
        if (!joint->wait_key)
            return TRUE;
        if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT))
            return FALSE;
        if (joint->any && time <= joint->floor) {
            ask_for_keyframe(joint);
            return FALSE;
        }
        joint->wait_key = FALSE;
        return TRUE;
    }
    return FALSE;
}

// Under the lock.
static void take_over(TkJoint *joint, const Input *input, gboolean key, GstClockTime time)
{
    if (joint->preferred != input->number || !key ||
        (joint->kind != TK_JOINT_SOUND && joint->any && time <= joint->floor))
        return;
    joint->selected = input->number;
    joint->preferred = 0;
    joint->wait_key = joint->tap_waits = TRUE;
}

typedef struct {
    TkJoint *joint;
    guint number;
} First;

static gboolean tell_first(gpointer data)
{
    g_autofree First *first = data;
    TkJoint *joint = first->joint;

    g_mutex_lock(&joint->lock);
    void (*on_first)(void *user, guint input) = joint->on_first;
    void *user = joint->user;
    gboolean there = find_input(joint, first->number) != NULL;
    g_mutex_unlock(&joint->lock);
    // on_first is only changed in the main loop's thread, where this runs.
    if (there && on_first)
        on_first(user, first->number);
    tk_joint_unref(joint);
    return G_SOURCE_REMOVE;
}

static GstFlowReturn on_sample(GstAppSink *appsink, gpointer data)
{
    Input *input = data;
    TkJoint *joint = input->joint;
    g_autoptr(GstSample) sample = gst_app_sink_pull_sample(appsink);
    GstBuffer *buffer = sample ? gst_sample_get_buffer(sample) : NULL;

    if (!buffer || !GST_BUFFER_PTS_IS_VALID(buffer))
        return GST_FLOW_OK;
    GstClockTime running = gst_segment_to_running_time(gst_sample_get_segment(sample),
                                                       GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    if (!GST_CLOCK_TIME_IS_VALID(running))
        return GST_FLOW_OK;

    g_mutex_lock(&joint->lock);
    gint64 time = (gint64)running + input->offset_ns;
    gboolean key = joint->kind != TK_JOINT_CODED ||
                   !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    if (input->appsink && time >= 0 && (key || input->stats.seen > 0)) {
        if (input->stats.seen++ == 0 && joint->on_first) {
            First *first = g_new(First, 1);
            *first = (First){tk_joint_ref(joint), input->number};
            g_idle_add_full(G_PRIORITY_DEFAULT, tell_first, first, NULL);
        } else if (running < input->last) {
            input->stats.reordered++;
        }
        input->last = running;
        input->stats.seen_ns = tk_clock_monotonic_ns();
        take_over(joint, input, key, (GstClockTime)time);
        if (joint->selected == input->number) {
            GstBuffer *out = gst_buffer_copy(buffer);
            GST_BUFFER_PTS(out) = (GstClockTime)time;
            GST_BUFFER_DTS(out) = GST_CLOCK_TIME_NONE;
            show(joint, out, gst_sample_get_caps(sample));
            if (may_pass(joint, buffer, (GstClockTime)time))
                put(joint, out, gst_sample_get_caps(sample));
            else
                gst_buffer_unref(out);
        }
    }
    g_mutex_unlock(&joint->lock);
    return GST_FLOW_OK;
}

static void input_free(gpointer data)
{
    Input *input = data;
    TkJoint *joint = input->joint;

    // The appsink may go away before its owner has disconnected it.
    g_mutex_lock(&joint->lock);
    g_ptr_array_remove_fast(joint->inputs, input);
    g_mutex_unlock(&joint->lock);
    tk_joint_unref(joint);
    g_free(input);
}

void tk_joint_set_on_first(TkJoint *joint, void (*on_first)(void *user, guint input), void *user)
{
    g_mutex_lock(&joint->lock);
    joint->on_first = on_first;
    joint->user = user;
    g_mutex_unlock(&joint->lock);
}

guint tk_joint_connect(TkJoint *joint, GstElement *appsink, gint64 offset_ns)
{
    Input *input = g_new0(Input, 1);
    GstAppSinkCallbacks callbacks = {.new_sample = on_sample};

    input->joint = tk_joint_ref(joint);
    input->appsink = appsink;
    input->offset_ns = offset_ns;
    g_mutex_lock(&joint->lock);
    guint number = input->number = ++joint->last_number;
    g_ptr_array_add(joint->inputs, input);
    g_mutex_unlock(&joint->lock);
    gst_app_sink_set_callbacks(GST_APP_SINK(appsink), &callbacks, input, input_free);
    return number;
}

void tk_joint_set_offset(TkJoint *joint, guint number, gint64 offset_ns)
{
    g_mutex_lock(&joint->lock);
    Input *input = find_input(joint, number);
    if (input)
        input->offset_ns = offset_ns;
    g_mutex_unlock(&joint->lock);
}

void tk_joint_disconnect(TkJoint *joint, guint number)
{
    g_mutex_lock(&joint->lock);
    Input *input = find_input(joint, number);
    GstElement *appsink = NULL;
    if (input) {
        appsink = g_steal_pointer(&input->appsink);
        g_ptr_array_remove_fast(joint->inputs, input);
    }
    if (joint->preferred == number)
        joint->preferred = 0;
    if (joint->selected == number) {
        joint->selected = 0;
        joint->wait_key = joint->tap_waits = TRUE;
    }
    g_mutex_unlock(&joint->lock);
    if (appsink) // frees the input once no call-back runs
        gst_app_sink_set_callbacks(GST_APP_SINK(appsink), &(GstAppSinkCallbacks){0}, NULL, NULL);
}

void tk_joint_prefer(TkJoint *joint, guint number)
{
    g_mutex_lock(&joint->lock);
    joint->preferred = number;
    g_mutex_unlock(&joint->lock);
}

void tk_joint_select(TkJoint *joint, guint number)
{
    g_mutex_lock(&joint->lock);
    if (joint->selected != number) {
        joint->selected = number;
        joint->wait_key = joint->tap_waits = TRUE;
        ask_for_keyframe(joint);
    }
    g_mutex_unlock(&joint->lock);
}

guint tk_joint_selected(TkJoint *joint)
{
    g_mutex_lock(&joint->lock);
    guint number = joint->selected;
    g_mutex_unlock(&joint->lock);
    return number;
}

void tk_joint_set_output(TkJoint *joint, GstElement *appsrc)
{
    g_mutex_lock(&joint->lock);
    g_set_object(&joint->output, (GstAppSrc *)appsrc);
    gst_clear_caps(&joint->caps);
    joint->wait_key = TRUE;
    if (appsrc)
        ask_for_keyframe(joint);
    g_mutex_unlock(&joint->lock);
}

void tk_joint_set_tap(TkJoint *joint, TkJointTap tap, void *user)
{
    g_mutex_lock(&joint->lock);
    joint->tap = tap;
    joint->tap_user = user;
    g_mutex_unlock(&joint->lock);
}

void tk_joint_push(TkJoint *joint, GstBuffer *buffer, GstCaps *caps)
{
    g_mutex_lock(&joint->lock);
    show(joint, buffer, caps);
    put(joint, buffer, caps);
    g_mutex_unlock(&joint->lock);
    gst_caps_unref(caps);
}

void tk_joint_stats(TkJoint *joint, TkJointStats *ret)
{
    g_mutex_lock(&joint->lock);
    *ret = joint->stats;
    g_mutex_unlock(&joint->lock);
}

void tk_joint_input_stats(TkJoint *joint, guint number, TkJointInputStats *ret)
{
    g_mutex_lock(&joint->lock);
    const Input *input = find_input(joint, number);
    *ret = input ? input->stats : (TkJointInputStats){0};
    g_mutex_unlock(&joint->lock);
}
