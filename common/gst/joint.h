// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// The joint between pipelines that run on one clock and base time: several appsinks lead into one
// appsrc, one of them at a time. Buffers go over by running time, so a pipeline behind a joint
// never notices that the one before it was replaced, and nothing before it waits when it stands
// still. Thread-safe; reference-counted because streaming threads share it.
typedef struct _TkJoint TkJoint;

typedef enum {
    TK_JOINT_PICTURES, // raw pictures: each on its own, times must rise
    TK_JOINT_SOUND,    // raw or coded sound: passed as it is
    TK_JOINT_CODED,    // coded pictures: after a break only from a keyframe on
} TkJointKind;

// At most `max_buffers` and `max_bytes` wait at the output; what comes beyond is dropped (CODED: up
// to the next keyframe, which is asked for). A buffer marked GST_BUFFER_FLAG_MARKER finds a place
// more.
TkJoint *tk_joint_new(TkJointKind kind, guint max_buffers, guint max_bytes);
TkJoint *tk_joint_ref(TkJoint *joint);
void tk_joint_unref(TkJoint *joint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkJoint, tk_joint_unref)

// Called in the main loop when the first usable buffer (CODED: a keyframe) of a connected input has
// come. Set before inputs are connected; `user` is borrowed until the joint's last reference or
// until set to NULL.
void tk_joint_set_on_first(TkJoint *joint, void (*on_first)(void *user, guint input), void *user);

// Takes `appsink`'s buffers (its call-backs are replaced). `offset_ns` is added to running times.
// Returns the input's number, never 0.
guint tk_joint_connect(TkJoint *joint, GstElement *appsink, gint64 offset_ns);
// For an input whose base time is settled only when it begins to play.
void tk_joint_set_offset(TkJoint *joint, guint input, gint64 offset_ns);
// After it returns nothing of that input goes over any more.
void tk_joint_disconnect(TkJoint *joint, guint input);

// Lets a connected input take over by itself with its first usable buffer; until then whatever is
// selected goes on. One at a time, the last one named.
void tk_joint_prefer(TkJoint *joint, guint input);

// Which input goes over; 0: none.
void tk_joint_select(TkJoint *joint, guint input);
guint tk_joint_selected(TkJoint *joint);

// Where it goes; NULL: nowhere. Takes a reference.
void tk_joint_set_output(TkJoint *joint, GstElement *appsrc);

// Who sees every buffer of the selected input (CODED: from a keyframe on), whether or not there is
// room or an output for it. Called on streaming threads with the joint's lock held: it must neither
// wait nor call the joint. The buffer's PTS is a running time; both are borrowed. Set before inputs
// are connected and until none is.
typedef void (*TkJointTap)(void *user, GstBuffer *buffer, GstCaps *caps);
void tk_joint_set_tap(TkJoint *joint, TkJointTap tap, void *user);

// A buffer made by the caller, timed in running time, whatever is selected. Takes both.
void tk_joint_push(TkJoint *joint, GstBuffer *buffer, GstCaps *caps);

typedef struct {
    guint64 passed, dropped; // buffers of the whole joint; dropped: for want of room
    guint64 bytes;           // passed
    gint64 passed_ns;        // monotonic time of the last one; 0 = none yet
    GstClockTime end;        // running time at the end of the last one
} TkJointStats;
void tk_joint_stats(TkJoint *joint, TkJointStats *ret);

typedef struct {
    guint64 seen;
    guint64 reordered; // whose time was before that of the one before: pictures with B-frames
    gint64 seen_ns;    // monotonic time of the last one; 0 = none yet
} TkJointInputStats;
// All zero for an input that is gone.
void tk_joint_input_stats(TkJoint *joint, guint input, TkJointInputStats *ret);
