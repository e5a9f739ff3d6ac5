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
} CapPictureCoding;

typedef void (*CapEncoderFailed)(void *user, const GError *error);

// H.264 byte-stream without B-frames, a keyframe every 2 s and when the joint asks for one.
// `on_failed` is called from the main loop.
CapEncoder *cap_encoder_new_picture(const CapPictureCoding *coding, TkJoint *from, TkJoint *to,
                                    GstClock *clock, GstClockTime base_time,
                                    CapEncoderFailed on_failed, void *user, GError **error);

// AAC-LC, 48 kHz stereo, without gaps.
CapEncoder *cap_encoder_new_sound(guint bitrate_kbps, TkJoint *from, TkJoint *to, GstClock *clock,
                                  GstClockTime base_time, CapEncoderFailed on_failed, void *user,
                                  GError **error);

void cap_encoder_free(CapEncoder *encoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapEncoder, cap_encoder_free)

// Its input's number at the joint it leads to.
guint cap_encoder_input(const CapEncoder *encoder);
// The GStreamer element. Borrowed.
const char *cap_encoder_name(const CapEncoder *encoder);
