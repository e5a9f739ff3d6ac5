// SPDX-License-Identifier: MIT
#include "relay/core/join.h"

#include "relay/core/ticks.h"

// FNV-1a.
static guint64 mark_of(const RelaySample *sample)
{
    guint64 mark = G_GUINT64_CONSTANT(0xcbf29ce484222325);
    for (gsize i = 0; i < sample->size; i++)
        mark = (mark ^ sample->data[i]) * G_GUINT64_CONSTANT(0x100000001b3);
    return mark;
}

void relay_join_note(RelayJoin *join, const RelaySample *sample)
{
    join->newest = join->known ? MAX(join->newest, sample->presentation) : sample->presentation;
    join->presentation = sample->presentation;
    join->mark = mark_of(sample);
    join->known = TRUE;
}

void relay_join_open(RelayJoin *join)
{
    join->open = join->known;
}

RelayJoinPlace relay_join_look(RelayJoin *join, const RelaySample *sample, guint32 clock_rate)
{
    gint64 apart = sample->presentation - join->presentation;
    gboolean last = ABS(apart) <= relay_ticks_from_ns(RELAY_JOIN_NEAR_NS, clock_rate) &&
                    mark_of(sample) == join->mark;
    gboolean behind = sample->key && sample->presentation > join->newest;
    join->open = !last && !behind;
    return last ? RELAY_JOIN_LAST : behind ? RELAY_JOIN_BEHIND : RELAY_JOIN_BEFORE;
}
