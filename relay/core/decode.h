// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Decode times of pictures that come in decode order with presentation times only (RTP carries
// no other). The i-th picture is decoded when the one `depth` places earlier in presentation order
// is shown: steady, strictly increasing and never after its own presentation, for any stream whose
// pictures move by at most `depth` places. Embedded.

// max_num_reorder_frames is at most this (ITU-T H.264 section E.2.1); also "the stream does not
// say".
#define RELAY_DECODE_DEPTH_MAX 16

typedef struct {
    guint depth;
    gboolean started;
    gint64 shown[RELAY_DECODE_DEPTH_MAX + 1]; // newest presentation times, ascending
} RelayDecode;

// `depth` as the SPS has it. Where it says nothing, no picture is thought to be out of order until
// one is; the times squeezed together by finding out are the price, once a stream.
void relay_decode_start(RelayDecode *decode, guint depth);

// How long before its presentation a stream's first picture is decoded. `usual`: ticks from one
// picture to the next.
gint64 relay_decode_lead(const RelayDecode *decode, gint64 usual);

// The decode time of the next picture, at least `least`. All in ticks. Presentation times that
// jump (a gap before a key picture, or back in time) are gone along with.
gint64 relay_decode_next(RelayDecode *decode, gint64 presentation, gboolean key, gint64 usual,
                         gint64 least);
