// SPDX-License-Identifier: MIT
#include "recorder/archive/patch.h"

#include "common/base/clock.h"
#include "common/base/error.h"

#include <string.h>

#define RUN_S_MAX 60     // of one chunk, whose writer means a tenth of a second
#define PLACES_MAX 4096u // looked at for an edge: 20 s of the finest sound have 2,000
#define COMMON_MAX 512u  // samples that are compared in each: what ten seconds have

static void init_free(void *data)
{
    TkCmafInit *init = data;
    tk_cmaf_init_clear(init);
    g_free(init);
}

void rec_patch_free(RecPatchMedia *patch)
{
    if (!patch)
        return;
    g_array_unref(patch->samples[0]);
    g_array_unref(patch->samples[1]);
    g_ptr_array_unref(patch->inits);
    g_free(patch);
}

static const TkCmafTrack *track_by_id(const TkCmafInit *init, guint32 id)
{
    for (guint i = 0; i < init->tracks_count; i++)
        if (init->tracks[i].track_id == id)
            return &init->tracks[i];
    return NULL;
}

static const TkCmafTrack *track_by_kind(const TkCmafInit *init, TkTrackKind kind)
{
    for (guint i = 0; i < init->tracks_count; i++)
        if (init->tracks[i].kind == kind)
            return &init->tracks[i];
    return NULL;
}

static gboolean fail(GError **error, const char *what)
{
    g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the capture's copy: %s", what);
    return FALSE;
}

static gboolean init_take(RecPatchMedia *patch, const guint8 *data, gsize size, GError **error)
{
    TkCmafInit *init = g_new0(TkCmafInit, 1);
    if (!tk_cmaf_init_parse(data, size, init)) {
        g_free(init);
        return fail(error, "a damaged initialisation segment");
    }
    const TkCmafInit *before =
        patch->inits->len ? patch->inits->pdata[patch->inits->len - 1] : NULL;
    g_ptr_array_add(patch->inits, init);
    for (guint kind = 0; kind < 2; kind++) {
        const TkCmafTrack *now = track_by_kind(init, (TkTrackKind)kind);
        const TkCmafTrack *was = before ? track_by_kind(before, (TkTrackKind)kind) : NULL;
        if (now && was && now->timescale != was->timescale)
            return fail(error, "a track's clock changes");
    }
    if (init->tracks_count == 2 && init->tracks[0].kind == init->tracks[1].kind)
        return fail(error, "two tracks of one kind");
    return patch->inits->len <= REC_PATCH_INITS_MAX || fail(error, "too many changes");
}

// Appends a run's samples; times are moved by `shift`.
static void run_append(const TkCmafRunInfo *run, const TkCmafTrack *track, const guint8 *data,
                       gint64 wall_ns, gint64 shift, guint init, GArray *samples)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    gint64 time = (gint64)run->decode_time + shift, first = time;

    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        gint64 after_ns = (gint64)((double)(time - first) / track->timescale * 1e9);
        RecSample sample = {.data = data + at.offset,
                            .size = at.sample.size,
                            .time = time,
                            .wall_ns = wall_ns ? wall_ns + after_ns : 0,
                            .cts_offset = at.sample.cts_offset,
                            .key = at.sample.key,
                            .init = init};
        g_array_append_val(samples, sample);
        time += at.sample.duration;
    }
}

static gboolean chunk_take(RecPatchMedia *patch, const TkCmafChunk *chunk, const guint8 *data,
                           GError **error)
{
    guint index = patch->inits->len - 1;
    const TkCmafInit *init = patch->inits->pdata[index];
    gint64 wall_ns = chunk->ntp ? tk_clock_wall_from_ntp(chunk->ntp) : 0;

    for (guint i = 0; i < chunk->runs_count; i++) {
        const TkCmafRunInfo *run = &chunk->runs[i];
        const TkCmafTrack *track = track_by_id(init, run->track_id);
        if (!track)
            return fail(error, "a track that is not described");
        GArray *samples = patch->samples[track->kind];
        const RecSample *last =
            samples->len ? &g_array_index(samples, RecSample, samples->len - 1) : NULL;
        if (run->duration > (guint64)track->timescale * RUN_S_MAX)
            return fail(error, "a chunk that lasts too long");
        // The capture was started again and its clock had been put back: what overlaps is left out.
        if (last && (gint64)run->decode_time <= last->time)
            continue;
        if (samples->len + run->samples_count > REC_PATCH_SAMPLES_MAX)
            return fail(error, "too long");
        // prft speaks of the first run's first sample.
        gint64 own_ns = wall_ns;
        if (wall_ns && i > 0) {
            const TkCmafTrack *lead = track_by_id(init, chunk->runs[0].track_id);
            double apart = (double)run->decode_time / track->timescale -
                           (double)chunk->runs[0].decode_time / lead->timescale;
            own_ns += (gint64)(CLAMP(apart, -1e6, 1e6) * 1e9);
        }
        run_append(run, track, data, own_ns, 0, index, samples);
    }
    return TRUE;
}

RecPatchMedia *rec_patch_read(const guint8 *media, gsize size, GError **error)
{
    g_autoptr(RecPatchMedia) patch = g_new0(RecPatchMedia, 1);

    patch->samples[0] = g_array_new(FALSE, FALSE, sizeof(RecSample));
    patch->samples[1] = g_array_new(FALSE, FALSE, sizeof(RecSample));
    patch->inits = g_ptr_array_new_with_free_func(init_free);
    for (gsize at = 0; at < size;) {
        TkCmafChunk chunk;
        gsize bytes = 0;
        TkCmafPiece piece = tk_cmaf_piece(media + at, size - at, &chunk, &bytes);
        gboolean good = FALSE;
        if (piece == TK_CMAF_INIT)
            good = init_take(patch, media + at, bytes, error);
        else if (piece == TK_CMAF_CHUNK && bytes <= REC_PIECE_BYTES_MAX && patch->inits->len)
            good = chunk_take(patch, &chunk, media + at, error);
        else
            fail(error, "not a piece of a recording");
        if (!good)
            return NULL;
        at += bytes;
    }
    if (patch->samples[0]->len + patch->samples[1]->len == 0) {
        fail(error, "it is empty");
        return NULL;
    }
    return g_steal_pointer(&patch);
}

gboolean rec_patch_take_chunk(const TkCmafInit *init, const RecEntry *entry, const guint8 *data,
                              TkTrackKind kind, GArray *samples)
{
    TkCmafChunk chunk;
    gsize bytes;
    gint64 shift_ns;
    guint had = samples->len;

    if (tk_cmaf_piece(data, entry->bytes, &chunk, &bytes) != TK_CMAF_CHUNK ||
        !rec_entry_shift(init, entry, data, &shift_ns))
        return FALSE;
    for (guint i = 0; i < chunk.runs_count; i++) {
        const TkCmafTrack *track = track_by_id(init, chunk.runs[i].track_id);
        if (track && track->kind == kind)
            run_append(&chunk.runs[i], track, data, entry->wall_ns,
                       shift_ns / 1000 * track->timescale / 1000000, 0, samples);
    }
    return samples->len > had;
}

gboolean rec_patch_same(const RecSample *x, const RecSample *y)
{
    return x->size == y->size && memcmp(x->data, y->data, x->size) == 0;
}

// What patch and archive have in common from (`i`, `j`) on away from the gap.
static void place_measure(RecPlace *place, const GArray *patch, guint i, const GArray *archive,
                          guint j, gboolean left)
{
    const RecSample *x = (const RecSample *)(const void *)patch->data + i;
    const RecSample *y = (const RecSample *)(const void *)archive->data + j;
    gint step = left ? -1 : 1;

    place->same = 0;
    place->proof_bytes = 0;
    place->room = left ? MIN(i, j) + 1 : MIN(patch->len - i, archive->len - j);
    place->room = MIN(place->room, COMMON_MAX);
    for (gint at = 0; place->same < place->room && rec_patch_same(x + at, y + at); at += step) {
        if (place->same == 0 || !rec_patch_same(x + at, x + at - step))
            place->proof_bytes += x[at].size;
        place->same++;
    }
}

// Only what both could show counts; where a patch ends nothing is proved against it.
static gboolean place_better(const RecPlace *a, const RecPlace *b)
{
    guint room = MIN(a->room, b->room), least = MIN(MAX(a->room, b->room), REC_PATCH_SAME);
    room = MAX(room, least);
    guint x = MIN(a->same, room), y = MIN(b->same, room);
    return x != y ? x > y : a->off < b->off;
}

gboolean rec_patch_find(const GArray *patch, const GArray *archive, gboolean left, gint64 delta,
                        gint64 tolerance, RecPlace *ret)
{
    RecPlace best = {0};
    guint places = 0;

    if (archive->len == 0)
        return FALSE;
    guint edge = left ? archive->len - 1 : 0;
    gint64 time = g_array_index(archive, RecSample, edge).time;
    for (guint i = 0; i < patch->len && places < PLACES_MAX; i++) {
        gint64 at = g_array_index(patch, RecSample, i).time;
        RecPlace place = {.index = i, .delta = time - at, .off = ABS(at + delta - time)};
        if (place.off > tolerance)
            continue;
        places++;
        place_measure(&place, patch, i, archive, edge, left);
        gboolean enough = place.same >= MIN(place.room, REC_PATCH_SAME) ||
                          place.proof_bytes >= REC_PATCH_PROOF_BYTES;
        if (place.same > 0 && enough && (best.same == 0 || place_better(&place, &best)))
            best = place;
    }
    if (best.same > 0)
        *ret = best;
    return best.same > 0;
}
