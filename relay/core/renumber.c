// SPDX-License-Identifier: MIT
#include "relay/core/renumber.h"

#include "relay/core/ticks.h"

void relay_renumber_init(RelayRenumber *renumber, guint8 payload_type, guint32 ssrc,
                         guint32 clock_rate, guint16 first_number, guint32 first_timestamp)
{
    *renumber = (RelayRenumber){
        .payload_type = payload_type,
        .ssrc = ssrc,
        .clock_rate = clock_rate,
        // From the second turn on, so that no subtraction ever falls below zero.
        .highest = G_GUINT64_CONSTANT(65536) + first_number - 1,
        .newest_timestamp = first_timestamp,
    };
}

void relay_renumber_source(RelayRenumber *renumber, gint64 sequence, guint32 timestamp,
                           gboolean same_clock, gint64 now_ns)
{
    guint32 next = renumber->newest_timestamp;
    if (renumber->started) {
        gint64 passed = relay_ticks_from_ns(now_ns - renumber->newest_ns, renumber->clock_rate);
        next += (guint32)MAX(passed, 1);
    }
    renumber->number_shift = (gint64)renumber->highest + 1 - sequence;
    gint32 off = (gint32)(timestamp + renumber->timestamp_shift - next);
    gint64 off_max = (gint64)RELAY_RENUMBER_JUMP_MAX_S * renumber->clock_rate;
    if (!same_clock || ABS((gint64)off) > off_max)
        renumber->timestamp_shift = next - timestamp;
}

guint32 relay_renumber_timestamp(const RelayRenumber *renumber, guint32 timestamp)
{
    return timestamp + renumber->timestamp_shift;
}

guint64 relay_renumber_packet(RelayRenumber *renumber, gint64 sequence, guint32 timestamp,
                              gint64 now_ns, guint32 *ret_timestamp)
{
    guint64 number = (guint64)(sequence + renumber->number_shift);
    guint32 outgoing = relay_renumber_timestamp(renumber, timestamp);
    renumber->highest = MAX(renumber->highest, number);
    if (!renumber->started || (gint32)(outgoing - renumber->newest_timestamp) > 0) {
        renumber->newest_timestamp = outgoing;
        renumber->newest_ns = now_ns;
    }
    renumber->started = TRUE;
    *ret_timestamp = outgoing;
    return number;
}
