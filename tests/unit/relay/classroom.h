// SPDX-License-Identifier: MIT
#pragma once

#include "tests/unit/relay/collect.h"
#include "tests/unit/relay/sender.h"

#define CLASSROOM_EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)

// A sender whose camera and microphone run from `begun_ms` on the lesson's clock; the monotonic
// clock has the same zero. Packets arrive when they are captured.
typedef struct {
    Collect *c;
    Sender video, audio;
    RelayTrackFormat formats[2];
    gint64 now_ms, begun_ms;
    gint64 picture, sound; // numbers of the next ones
    guint step_ms, key_every;
    gboolean no_reports;
} Classroom;

Classroom classroom_new(Collect *c, guint32 ssrc);
// It begins to send. FALSE: refused.
gboolean classroom_begin(Classroom *r, gint64 at_ms);
// Packets, given, of a track arrive now.
void classroom_send(Classroom *r, guint track, GPtrArray *packets);
// The next one.
void classroom_send_picture(Classroom *r);
void classroom_send_sound(Classroom *r);
void classroom_report(Classroom *r, guint track);
// Until then, with or without pictures and sound.
void classroom_teach(Classroom *r, gint64 until_ms, gboolean pictures, gboolean sounds);
void classroom_end(Classroom *r);
