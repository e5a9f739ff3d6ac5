// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Whether an H.264 RTP payload (RFC 6184 section 5.4) can be the first that a decoder needs of a
// key frame: parameter sets, the first slice of an IDR picture, or the recovery point before an
// intra picture (open GOP; the SEI of a picture that is none is only told where its slices are in
// the same payload), alone, in a STAP-A, or as the beginning of an FU-A. A viewer may start there.
gboolean relay_keyframe_starts(const guint8 *payload, gsize size);
// Whether it brings a sequence parameter set, so that a decoder of another picture may start there.
gboolean relay_keyframe_configures(const guint8 *payload, gsize size);
