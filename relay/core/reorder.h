// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"

// Packets in any order in, packets in the order of `number` out; what is missing is waited for a
// bounded time. Embedded; zeroed before its first start.

// Without repair: packets that took another way. More would be added to every chunk's delay after
// a loss.
#define RELAY_REORDER_WAIT_NS (150 * G_GINT64_CONSTANT(1000000))
// 150 ms of 20 Mbit/s in 400-byte packets; also the window in which numbers can be told apart.
#define RELAY_REORDER_PACKETS 1024
// Datagrams may be 64 KiB large.
#define RELAY_REORDER_BYTES_MAX (4u << 20)

typedef struct {
    RelayUnit *slots[RELAY_REORDER_PACKETS]; // at number modulo the length; one reference each
    guint64 next;                            // the number that is due
    guint held;
    gsize held_bytes;
    gboolean started, ordered, lost;
    gboolean waiting; // for `next`,
    gint64 since_ns;  // since then
    gint64 wait_ns;   // how long at most; set by start, and by the owner where repair needs more
} RelayReorder;

// Empties it. `ordered`: what is missing will not come, so nothing is waited for.
void relay_reorder_start(RelayReorder *reorder, gboolean ordered);
void relay_reorder_clear(RelayReorder *reorder);

// Takes a reference of its own. FALSE when its turn is over or it is there already. A packet that
// does not fit behind what is held must be preceded by popping with now_ns = G_MAXINT64.
gboolean relay_reorder_push(RelayReorder *reorder, RelayUnit *packet) G_GNUC_WARN_UNUSED_RESULT;
gboolean relay_reorder_fits(const RelayReorder *reorder, const RelayUnit *packet);

// The next packet in order, given to the caller; *ret_lost_before when others should have stood
// between it and the one before. NULL when none is due yet.
RelayUnit *relay_reorder_pop(RelayReorder *reorder, gint64 now_ns, gboolean *ret_lost_before);
