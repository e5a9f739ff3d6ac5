// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/format.h"

// Samples of a stretch of media, by track; and where one stretch lies in another.

typedef struct {
    const guint8 *data; // borrowed from the media
    guint32 size;
    gint64 time;    // decode, ticks
    gint64 wall_ns; // captured; 0 = not known
    gint32 cts_offset;
    gboolean key;
    guint init; // index into RecPatchMedia.inits; 0 in archives
} RecSample;

// What a capture can send is bounded: ten hours of 60 pictures and 47 frames of sound a second.
#define REC_PATCH_SAMPLES_MAX 4000000u
#define REC_PATCH_INITS_MAX 1000u

typedef struct {
    GArray *samples[2]; // RecSample, by TkTrackKind
    GPtrArray *inits;   // TkCmafInit, owned
} RecPatchMedia;

// Reads a whole patch: initialisation segments and chunks, times rising in each track, the same
// timescales throughout. `media` must outlive it.
RecPatchMedia *rec_patch_read(const guint8 *media, gsize size, GError **error);
void rec_patch_free(RecPatchMedia *patch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecPatchMedia, rec_patch_free)

// Samples of a chunk in the archive, of the track of that kind; times are the index's. FALSE: it
// has none.
gboolean rec_patch_take_chunk(const TkCmafInit *init, const RecEntry *entry, const guint8 *data,
                              TkTrackKind kind, GArray *samples);

// So many samples at an edge must be the same, as far as there are so many.
#define REC_PATCH_SAME 8u

// Where in `patch` the edge of the archive stands: its last sample (`left`) or its first. Samples
// around it must be the same bytes; among several places it is the one whose time is nearest to
// `time + delta` of the archive. *ret_delta: archive's time - patch's. FALSE: nowhere within
// `tolerance` ticks of that.
gboolean rec_patch_find(const GArray *patch, const GArray *archive, gboolean left, gint64 delta,
                        gint64 tolerance, guint *ret_index,
                        gint64 *ret_delta) G_GNUC_WARN_UNUSED_RESULT;
