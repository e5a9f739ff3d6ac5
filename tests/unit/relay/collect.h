// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/cmaf_read.h"
#include "relay/core/input.h"

// A sink that keeps everything it is given and checks at once what must hold of it at any time:
// packets unique and under one identity, chunks numbered without holes, decode times strictly
// increasing, an initialisation segment before the first chunk.
typedef struct {
    RelayInput *input;
    GPtrArray *packets[RELAY_INPUT_TRACKS_MAX];  // of RelayUnit
    GHashTable *numbers[RELAY_INPUT_TRACKS_MAX]; // theirs
    GPtrArray *pieces;                           // of RelayUnit: inits and chunks in order
    guint chunks, inits;
    RelayStreamFormat format;
    gint64 last_decode[RELAY_INPUT_TRACKS_MAX]; // of track id - 1
    guint32 timescale[RELAY_INPUT_TRACKS_MAX];
} Collect;

typedef struct {
    gint64 decode, presentation; // ticks
    guint32 duration, size;
    gboolean key;
    guint64 chunk; // number
} CollectSample;

Collect *collect_new(gint64 epoch_wall_ns, guint64 seed);
void collect_free(Collect *collect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Collect, collect_free)

// All samples of a track id, in order. Free with g_array_unref.
GArray *collect_samples(const Collect *collect, guint32 track_id);
const RelayUnit *collect_chunk(const Collect *collect, guint index);
TkCmafChunk collect_parse(const RelayUnit *chunk);

// Writes all pieces one behind the other to a new temporary file; free and unlink the name.
char *collect_write(const Collect *collect);

// One of them.
const CollectSample *collect_sample(const GArray *samples, guint index);
RelayInputStats collect_stats(const Collect *c, guint track);
