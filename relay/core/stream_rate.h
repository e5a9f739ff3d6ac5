// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"

// What a stream needs: its rate over whole groups of pictures, so that no keyframe counts twice.
typedef struct {
    gint64 bps; // 0: not known yet
    gint64 since_ns, bytes;
} RelayStreamRate;

// Shorter groups count together.
#define RELAY_STREAM_RATE_SPAN_NS (1000 * G_GINT64_CONSTANT(1000000))

void relay_stream_rate_note(RelayStreamRate *rate, const RelayUnit *unit);
// The same where no unit is larger than others.
void relay_stream_rate_note_any(RelayStreamRate *rate, const RelayUnit *unit);
