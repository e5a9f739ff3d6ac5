// SPDX-License-Identifier: MIT
#pragma once

#include "tests/sim/net.h"
#include "tests/unit/relay/sender.h"

// A sender on its own line: 25 pictures a second with a key frame every two seconds, and sound. It
// answers the relay's questions, goes away and comes back as another.

#define SOURCE_KEPT 1024 // packets per track that it can send again
#define SOURCE_BPS 600000

typedef struct {
    NetWheel *wheel;
    NetLine out;
    NetRandom random;
    RelayInput *input;
    gint64 epoch_wall_ns;
    gboolean present;
    gint64 began_ms, pictures, sounds;
    Sender senders[2];
    GBytes *kept[2][SOURCE_KEPT]; // at the sequence number modulo the length
    RelayTrackFormat formats[2];
    guint16 again_sequence;
} Source;

void source_init(Source *source, NetWheel *wheel, const NetSpec *line, RelayInput *input,
                 gint64 epoch_wall_ns, guint32 seed);
void source_clear(Source *source);
void source_begin(Source *source, gint64 now_ms);
void source_end(Source *source, gint64 now_ms);
void source_step(Source *source, gint64 now_ms);
// The relay's RTCP about a track has come.
void source_asked(Source *source, guint track, GBytes *rtcp, gint64 now_ms);
