// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

#include "common/media/cmaf_mux.h"

// The encoders' buffers as MP4 samples: the same bytes that a relay makes of the packets in which
// they travel, so that a copy of them can be held against what was recorded.
typedef struct _CapTrack CapTrack;

CapTrack *cap_track_new(void);
void cap_track_free(CapTrack *track);

// Learns the decoder's configuration. NULL caps are passed over.
void cap_track_caps(CapTrack *track, TkTrackKind kind, GstCaps *caps);
gboolean cap_track_has_sound(const CapTrack *track);

// The tracks that are known, for an initialisation segment. Borrowed. Gives how many.
guint cap_track_describe(const CapTrack *track, TkCmafTrack *ret);

// H.264 with NAL units behind 4-byte lengths; one AAC frame. Fill in the sample's data (borrowed
// until the next call) and key. FALSE: there is nothing to decode.
gboolean cap_track_picture(CapTrack *track, const guint8 *data, gsize size, gboolean key,
                           TkCmafMuxSample *ret);
gboolean cap_track_sound(CapTrack *track, const guint8 *data, gsize size, TkCmafMuxSample *ret);

// Media time in the track's ticks, rounded as RTP payloaders do.
gint64 cap_track_ticks(const CapTrack *track, TkTrackKind kind, gint64 base_ns, gint64 running_ns);
