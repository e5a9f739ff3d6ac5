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

gboolean rec_patch_same(const RecSample *x, const RecSample *y);

// Where an edge of the archive stands in a patch.
typedef struct {
    guint index;       // the patch's sample that is the archive's at the edge
    gint64 delta;      // archive's time - patch's
    guint same;        // so many samples from there on away from the gap are the same bytes,
    guint room;        // of so many that both have
    gsize proof_bytes; // of those, of each that is not like the one before it: silence proves
                       // nothing
    gint64 off;        // from where it was looked for
} RecPlace;

// Fewer in common are none, unless the patch or what was recorded ends there, or they prove it: on
// a lossy line little may stand between one loss and the next.
#define REC_PATCH_SAME 8u
// As much has to be the same to tell one lesson from another.
#define REC_PATCH_PROOF_BYTES 200u

// Finds the last sample of `archive` (`left`) or its first in `patch`, within `tolerance` ticks of
// the archive's time - `delta`. Where there is silence one sample is like the next, and what stands
// beyond it tells which is which, as far as both reach; the nearest in time only where that does
// not. FALSE: nowhere.
gboolean rec_patch_find(const GArray *patch, const GArray *archive, gboolean left, gint64 delta,
                        gint64 tolerance, RecPlace *ret) G_GNUC_WARN_UNUSED_RESULT;
