// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/frame.h"

// Frames of a sender's beginning, kept in order until its clock is known. Bounded by the caller
// through `bytes`.

// A first sender report comes after at most 2.5 s × 1.5 / 1.218 = 3.08 s (RFC 3550 sections 6.2 and
// 6.3.1); GStreamer's senders use that to the full.
#define RELAY_HOLD_WAIT_NS (3300 * G_GINT64_CONSTANT(1000000))
// 3.3 s of 20 Mbit/s, and two key frames of any size that is accepted at all.
#define RELAY_HOLD_BYTES_MAX (8u << 20)
#define RELAY_HOLD_FRAMES_MAX 2048

typedef struct {
    guint track;
    TkFrame frame;  // its data stand in `bytes`
    GBytes *bytes;
    GBytes *config; // decoder configuration of a key frame, or NULL
    gint64 wall_ns; // arrival
} RelayHeldFrame;

typedef struct {
    GQueue frames; // of RelayHeldFrame
    gsize bytes;
} RelayHold;

void relay_hold_init(RelayHold *hold);
void relay_hold_clear(RelayHold *hold);

// Copies the frame's bytes, takes a reference of `config`.
void relay_hold_push(RelayHold *hold, guint track, const TkFrame *frame, GBytes *config,
                     gint64 wall_ns);
gboolean relay_hold_full(const RelayHold *hold);

// The track's first frame, borrowed; NULL when there is none.
const RelayHeldFrame *relay_hold_first(const RelayHold *hold, guint track);

// The oldest frame, given; NULL at the end.
RelayHeldFrame *relay_hold_pop(RelayHold *hold);
void relay_held_frame_free(RelayHeldFrame *held);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayHeldFrame, relay_held_frame_free)
