// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"

// A synthetic sender's track: frames of a wanted size as RFC 6184 (FU-A) or RFC 3640 packets.
typedef struct {
    TkTrackKind kind;
    guint32 ssrc, timestamp_base;
    guint16 sequence; // of the next packet
} Sender;

#define SENDER_PAYLOAD_BYTES 1000 // of a packet at most
#define SENDER_FRAME_BYTES_MIN 4

// Formats of a 25 fps picture without reordered pictures (track 0) and of 48 kHz AAC-LC (track 1).
void sender_formats(RelayTrackFormat *ret_video, RelayTrackFormat *ret_audio);

// The parameter sets of a 640×360 picture: another configuration than the format's.
extern const char sender_other_sprop[];

// The packets of a frame presented at `ticks` of the track's clock. `key` is meant for pictures.
// An array of GBytes, given.
GPtrArray *sender_frame(Sender *sender, gint64 ticks, gboolean key, gsize bytes);

// Parameter sets ahead of a picture at `ticks`, a packet each. An array of GBytes, given.
GPtrArray *sender_parameter_sets(Sender *sender, gint64 ticks, const char *sprop);

// A sender report: that `ticks` were at `wall_ns`.
GByteArray *sender_report(const Sender *sender, gint64 ticks, gint64 wall_ns);
