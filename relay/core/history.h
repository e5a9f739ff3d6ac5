// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"

// The recent units of one stream in the order they came, bounded in time, bytes and count, for late
// joiners, repair and resuming recorders. Viewers are positions in it. One thread owns it; every
// worker keeps its own over the same units.
//
// A position counts pushes from 0 and never repeats: tail <= held positions < head.

typedef struct _RelayHistory RelayHistory;

// Bounds: units that arrived more than `span_ns` before the newest, or that exceed `bytes_max` or
// `units_max` (a power of two), are let go, oldest first. The newest unit is always held.
RelayHistory *relay_history_new(gint64 span_ns, gsize bytes_max, guint units_max);
void relay_history_free(RelayHistory *history);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayHistory, relay_history_free)

// Takes one reference to `unit`.
void relay_history_push(RelayHistory *history, RelayUnit *unit);

guint64 relay_history_tail(const RelayHistory *history); // oldest held position
guint64 relay_history_head(const RelayHistory *history); // one past the newest
gsize relay_history_bytes(const RelayHistory *history);

// The unit at a held position; borrowed until the next push. NULL outside [tail, head).
RelayUnit *relay_history_at(const RelayHistory *history, guint64 position);

// The newest position with RELAY_UNIT_KEY; head when none is held.
guint64 relay_history_newest_key(const RelayHistory *history);

// The oldest position >= `from` with RELAY_UNIT_KEY; head when none is held.
guint64 relay_history_next_key(const RelayHistory *history, guint64 from);

// For histories whose units are numbered without holes (chunks): the position of `number`, clamped
// to tail when it is gone and to head when it is still to come.
guint64 relay_history_find(const RelayHistory *history, guint64 number);
