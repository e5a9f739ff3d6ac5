// SPDX-License-Identifier: MIT
#pragma once

#include "common/gst/joint.h"

// The encoders' pipelines: raw joint in, coded joint out. They run from the program's start to its
// end, whatever becomes of sources and relay.
typedef struct _CapEncoder CapEncoder;

// Names of the H.264 encoders that work on this machine, best first: each was made to encode a
// picture just now. Ended by NULL, newly allocated.
char **cap_encoder_list(void);

typedef struct {
    const char *name; // of the H.264 encoder; NULL: the first that works. Borrowed for the call.
    guint width, height, fps, bitrate_kbps;
    // It is to be given another's pictures (cap_encoder_lead), is known to work, has its keyframes
    // where that one has them and nowhere else, and gives way to it where processor time is short.
    gboolean follows;
} CapPictureCoding;

typedef void (*CapEncoderFailed)(void *user, const GError *error);

// H.264 without B-frames, parameter sets before each keyframe; a keyframe every 2 s and when the
// joint asks for one, none for a change of scene. `on_failed` is called from the main loop.
CapEncoder *cap_encoder_new_picture(const CapPictureCoding *coding, TkJoint *from, TkJoint *to,
                                    GstClock *clock, GstClockTime base_time,
                                    CapEncoderFailed on_failed, void *user, GError **error);

// What goes into `leader` goes over to the joint of an encoder that follows it as well, of every
// `every` pictures one, and those that become keyframes marked as such. NULL: to nobody.
void cap_encoder_lead(CapEncoder *leader, TkJoint *follower, guint every);

// AAC-LC, 48 kHz, without gaps; one channel below CAP_STEREO_KBPS.
#define CAP_STEREO_KBPS 64
CapEncoder *cap_encoder_new_sound(guint bitrate_kbps, TkJoint *from, TkJoint *to, GstClock *clock,
                                  GstClockTime base_time, CapEncoderFailed on_failed, void *user,
                                  GError **error);

void cap_encoder_free(CapEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapEncoder, cap_encoder_free)

// Its input's number at the joint it leads to.
guint cap_encoder_input(const CapEncoder *encoder);
// The GStreamer element. Borrowed.
const char *cap_encoder_name(const CapEncoder *encoder);
