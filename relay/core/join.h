// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/packager.h"

// Where another way to the same pictures takes over. Relays pass on the very same frames: behind
// the last picture that came one way the other's next one decodes, whatever it is. Who has not that
// one goes on at a key frame behind it. Embedded; nothing to clear.

// So far the clocks of two ways may be apart. An encoder's pictures of nothing new may be the same
// again after 16 of them, two thirds of a second.
#define RELAY_JOIN_NEAR_NS (250 * G_GINT64_CONSTANT(1000000))

typedef struct {
    gboolean known;              // there has been a picture
    gboolean open;               // another way has begun
    guint64 mark;                // of the last picture's bytes
    gint64 presentation, newest; // its; of all: ticks of media time
} RelayJoin;

typedef enum {
    RELAY_JOIN_BEFORE, // it is known already, or does not decode here
    RELAY_JOIN_LAST,   // it is the last one: the next goes on
    RELAY_JOIN_BEHIND, // a key frame, behind all that was
} RelayJoinPlace;

// A picture goes on.
void relay_join_note(RelayJoin *join, const RelaySample *sample);
// Another way begins; nothing is joined to nothing.
void relay_join_open(RelayJoin *join);
// Where a picture of it stands while the join is open; LAST and BEHIND close it.
RelayJoinPlace relay_join_look(RelayJoin *join, const RelaySample *sample, guint32 clock_rate);
