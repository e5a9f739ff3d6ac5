// SPDX-License-Identifier: MIT
#include "recorder/archive/heal.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "recorder/archive/patch.h"
#include "recorder/archive/splice.h"

#include <string.h>

#define MATCH_S 10           // clocks that differ by more than 1 s were put right before
#define MATCH_SOUND_MS 300   // picture and sound of one sender are in step
#define APART_S 2            // the two edges may disagree by: what a sender that returned may
#define EDGE_CHUNKS_MAX 100u // looked at for the samples of one edge: ten seconds

// Whether the gap before which entry `last` stands reaches back over it, and others of sound alone,
// to the last pictures.
static gboolean pictures_miss(const GArray *entries, guint pictures, guint last, const RecGap *gap)
{
    return pictures != REC_HEAL_NONE &&
           g_array_index(entries, RecEntry, last).flags & REC_ENTRY_SOUND &&
           gap->from_ns < rec_entry_end_ns(&g_array_index(entries, RecEntry, last));
}

// A hole in the pictures takes in those in the sound beside it.
static void hole_put(GArray *holes, const RecHole *hole)
{
    while (holes->len && g_array_index(holes, RecHole, holes->len - 1).before != REC_HEAL_NONE &&
           g_array_index(holes, RecHole, holes->len - 1).before >= hole->before)
        g_array_set_size(holes, holes->len - 1);
    g_array_append_vals(holes, hole, 1);
}

GArray *rec_heal_holes(const GArray *entries, gint64 from_ns, gint64 to_ns)
{
    GArray *holes = g_array_new(FALSE, FALSE, sizeof(RecHole));
    guint last = REC_HEAL_NONE, pictures = REC_HEAL_NONE;
    RecTrail trail = {0};

    for (guint i = 0; i < entries->len; i++) {
        const RecEntry *entry = &g_array_index(entries, RecEntry, i);
        RecGap gap;
        gboolean gapped = rec_trail_next(&trail, entry, &gap);
        if (entry->flags & REC_ENTRY_INIT)
            continue;
        RecHole hole = {from_ns, entry->media_ns, last, i, "head", FALSE};
        if (last != REC_HEAL_NONE && gapped) {
            hole.from_ns = gap.from_ns;
            hole.to_ns = gap.to_ns;
            if (pictures_miss(entries, pictures, last, &gap))
                hole.before = pictures;
            hole.pictures = hole.before != last || gap.reason == rec_gap_word(REC_GAP_PICTURE);
            g_snprintf(hole.key, sizeof hole.key, "%" G_GINT64_FORMAT, gap.from_ns / TK_NS_PER_MS);
            if (hole.from_ns < to_ns && hole.to_ns > from_ns)
                hole_put(holes, &hole);
        } else if (last == REC_HEAL_NONE && from_ns < entry->media_ns - REC_HEAL_END_NS) {
            g_array_append_val(holes, hole);
        }
        last = i;
        if (!(entry->flags & REC_ENTRY_SOUND))
            pictures = i;
    }
    RecHole tail = {from_ns, to_ns, last, REC_HEAL_NONE, "head", FALSE};
    if (last != REC_HEAL_NONE) {
        tail.from_ns = rec_entry_end_ns(&g_array_index(entries, RecEntry, last));
        g_snprintf(tail.key, sizeof tail.key, "%" G_GINT64_FORMAT, tail.from_ns / TK_NS_PER_MS);
    }
    if (last == REC_HEAL_NONE ? from_ns < to_ns : tail.from_ns < to_ns - REC_HEAL_END_NS)
        g_array_append_val(holes, tail);
    return holes;
}

// The initialisation segment in force at an entry.
static gboolean init_at(const RecSpliceStream *stream, guint index, TkCmafInit *ret)
{
    for (guint i = index + 1; i > 0; i--) {
        const RecEntry *entry = &g_array_index(stream->entries, RecEntry, i - 1);
        if (entry->flags & REC_ENTRY_INIT)
            return tk_cmaf_init_parse(stream->media + entry->offset, entry->bytes, ret);
    }
    return FALSE;
}

// The samples of one track next to a hole: the last before it or the first behind it.
static void edge_read(const RecSpliceStream *stream, guint index, gboolean left, TkTrackKind kind,
                      GArray *samples)
{
    const RecEntry *entries = (const RecEntry *)(const void *)stream->entries->data;
    TkCmafInit init = {0};
    guint first = index;

    if (index == REC_HEAL_NONE || !init_at(stream, index, &init))
        return;
    while (left && first > 0 && index - first + 1 < EDGE_CHUNKS_MAX &&
           !(entries[first - 1].flags & REC_ENTRY_INIT))
        first--;
    guint end = left ? index + 1 : MIN(stream->entries->len, index + EDGE_CHUNKS_MAX);
    for (guint i = first; i < end && !(entries[i].flags & REC_ENTRY_INIT); i++)
        (void)!rec_patch_take_chunk(&init, &entries[i], stream->media + entries[i].offset, kind,
                                    samples);
    tk_cmaf_init_clear(&init);
}

static gint64 ticks(gint64 ns, guint32 timescale)
{
    return ns / TK_NS_PER_S * timescale + ns % TK_NS_PER_S * timescale / TK_NS_PER_S;
}

// What the clocks say: archive's time - patch's, by the patch's first or last sample that knows.
static gint64 delta_by_wall(const GArray *samples, const RecHealRules *rules, gboolean first,
                            guint32 timescale)
{
    for (guint i = 0; i < samples->len; i++) {
        const RecSample *sample =
            &g_array_index(samples, RecSample, first ? i : samples->len - 1 - i);
        if (sample->wall_ns)
            return ticks(sample->wall_ns + rules->skew_ns - rules->started_ns, timescale) -
                   sample->time;
    }
    return 0;
}

static guint32 timescale_of(const RecPatchMedia *media, TkTrackKind kind)
{
    for (guint i = 0; i < media->inits->len; i++) {
        const TkCmafInit *init = media->inits->pdata[i];
        for (guint t = 0; t < init->tracks_count; t++)
            if (init->tracks[t].kind == kind)
                return init->tracks[t].timescale;
    }
    return 0;
}

typedef struct {
    gboolean left, right, proven;
    guint li, ri;
    gint64 dl, dr;
} Match;

static gboolean edges_find(const RecSpliceStream *stream, RecSplice *splice,
                           const RecHealRules *rules, TkTrackKind kind, const Match *picture,
                           Match *ret)
{
    const GArray *samples = splice->media->samples[kind];
    guint32 scale = timescale_of(splice->media, kind);
    guint32 picture_scale = timescale_of(splice->media, TK_TRACK_VIDEO);
    g_autoptr(GArray) edge = g_array_new(FALSE, FALSE, sizeof(RecSample));
    gint64 tolerance = (gint64)scale * MATCH_S, near = (gint64)scale * MATCH_SOUND_MS / 1000;

    for (guint side = 0; side < 2; side++) {
        gboolean left = side == 0;
        gboolean known = picture && (left ? picture->left : picture->right);
        gint64 delta = delta_by_wall(samples, rules, left, scale);
        RecPlace place;
        if (known)
            delta = (left ? picture->dl : picture->dr) * (gint64)scale / picture_scale;
        g_array_set_size(edge, 0);
        edge_read(stream, left ? splice->hole.before : splice->hole.after, left, kind, edge);
        gboolean found =
            rec_patch_find(samples, edge, left, delta, known ? near : tolerance, &place);
        gboolean proven = found && place.proof_bytes >= REC_PATCH_PROOF_BYTES;
        // Beside pictures that are known even silence has its place.
        found = proven || (found && known);
        ret->proven |= proven;
        *(left ? &ret->left : &ret->right) = found;
        *(left ? &ret->li : &ret->ri) = found ? place.index : 0;
        *(left ? &ret->dl : &ret->dr) = found ? place.delta : delta;
        if (found)
            splice->fits[kind].cts =
                g_array_index(edge, RecSample, left ? edge->len - 1 : 0).cts_offset -
                g_array_index(samples, RecSample, place.index).cts_offset;
    }
    if (ret->left != ret->right)
        *(ret->left ? &ret->dr : &ret->dl) = ret->left ? ret->dl : ret->dr;
    return ABS(ret->dl - ret->dr) <= (gint64)scale * APART_S;
}

// Which samples go in. Without a found edge the hole's own bounds decide, and pictures begin at a
// keyframe; so do pictures `anew`, whose edge is further back than the hole.
static void fit_choose(RecSplice *splice, TkTrackKind kind, const Match *match, gint64 from_ns,
                       gboolean anew)
{
    const GArray *samples = splice->media->samples[kind];
    guint32 scale = timescale_of(splice->media, kind);
    RecFit *fit = &splice->fits[kind];
    const RecSample *at = (const RecSample *)(const void *)samples->data;
    // Where nothing was recorded beyond, the copy's own ends decide.
    gint64 to = splice->hole.after == REC_HEAL_NONE ? G_MAXINT64 : ticks(splice->hole.to_ns, scale);
    gint64 from = from_ns == G_MININT64 ? from_ns : ticks(from_ns, scale);

    fit->first = match->left ? match->li + 1 : 0;
    fit->end = match->right ? match->ri : samples->len;
    fit->dl = match->dl;
    fit->dr = match->dr;
    fit->tl = match->left ? at[match->li].time : at[0].time;
    fit->tr = match->right ? at[match->ri].time : at[samples->len - 1].time;
    while ((!match->left || anew) && fit->first < fit->end &&
           (rec_fit_time(fit, at[fit->first].time) < from ||
            (kind == TK_TRACK_VIDEO && !at[fit->first].key)))
        fit->first++;
    while (!match->right && fit->end > fit->first && rec_fit_time(fit, at[fit->end - 1].time) >= to)
        fit->end--;
}

// Media time of the first and behind the last sample that goes in.
static void splice_extent(const RecSplice *splice, gint64 *ret_first_ns, gint64 *ret_last_ns)
{
    gint64 first_ns = G_MAXINT64, last_ns = G_MININT64;
    for (guint kind = 0; kind < 2; kind++) {
        const RecFit *fit = &splice->fits[kind];
        if (fit->first >= fit->end)
            continue;
        const GArray *samples = splice->media->samples[kind];
        double scale = timescale_of(splice->media, (TkTrackKind)kind);
        gint64 first = rec_fit_time(fit, g_array_index(samples, RecSample, fit->first).time);
        gint64 last = rec_fit_time(fit, g_array_index(samples, RecSample, fit->end - 1).time);
        first_ns = MIN(first_ns, (gint64)((double)first / scale * 1e9));
        last_ns = MAX(last_ns, (gint64)((double)last / scale * 1e9));
    }
    *ret_first_ns = first_ns;
    *ret_last_ns = last_ns;
}

static gboolean splice_within(const RecSplice *splice)
{
    gint64 first_ns, last_ns;
    splice_extent(splice, &first_ns, &last_ns);
    return first_ns >= splice->hole.from_ns - MATCH_S * TK_NS_PER_S &&
           last_ns <= splice->hole.to_ns + MATCH_S * TK_NS_PER_S;
}

// Whether the copy has all the sound that its pictures would take the place of.
static gboolean sound_is_there(const RecSpliceStream *stream, const RecSplice *splice)
{
    const RecEntry *entries = (const RecEntry *)(const void *)stream->entries->data;
    const RecHole *hole = &splice->hole;
    const GArray *copy = splice->media->samples[TK_TRACK_AUDIO];
    const RecFit *fit = &splice->fits[TK_TRACK_AUDIO];
    g_autoptr(GArray) sound = g_array_new(FALSE, FALSE, sizeof(RecSample));
    guint at = fit->first, same = 0;
    TkCmafInit init = {0};

    if (hole->before == REC_HEAL_NONE || hole->after == REC_HEAL_NONE ||
        !init_at(stream, hole->before, &init))
        return TRUE;
    for (guint i = hole->before + 1; i < hole->after; i++) {
        if (entries[i].flags & REC_ENTRY_INIT) {
            tk_cmaf_init_clear(&init);
            (void)!init_at(stream, i, &init);
            continue;
        }
        (void)!rec_patch_take_chunk(&init, &entries[i], stream->media + entries[i].offset,
                                    TK_TRACK_AUDIO, sound);
    }
    tk_cmaf_init_clear(&init);
    for (; same < sound->len && at < fit->end; at++)
        same += rec_patch_same(&g_array_index(copy, RecSample, at),
                               &g_array_index(sound, RecSample, same));
    return same == sound->len;
}

// Whether the hole begins behind sound that went on alone, and that stays. What is shorter than a
// gap is the sound that was ahead when all ended.
static gboolean behind_sound(const RecSpliceStream *stream, const RecHole *hole)
{
    const RecEntry *entries = (const RecEntry *)(const void *)stream->entries->data;
    guint at = hole->before;

    while (at != REC_HEAL_NONE && entries[at].flags & (REC_ENTRY_SOUND | REC_ENTRY_INIT))
        at--; // REC_HEAL_NONE comes behind 0
    return at != hole->before && at != REC_HEAL_NONE &&
           hole->from_ns - rec_entry_end_ns(&entries[at]) > REC_GAP_MIN_NS;
}

static gboolean splice_plan(const RecSpliceStream *stream, RecSplice *splice,
                            const RecHealRules *rules, GError **error)
{
    const RecHole *hole = &splice->hole;
    GArray *const *samples = splice->media->samples;
    Match matches[2] = {0};
    gint64 from_ns = hole->before == REC_HEAL_NONE ? G_MININT64 : hole->from_ns;
    gboolean agree = TRUE;

    if (samples[TK_TRACK_VIDEO]->len) {
        agree = edges_find(stream, splice, rules, TK_TRACK_VIDEO, NULL, &matches[TK_TRACK_VIDEO]);
        fit_choose(splice, TK_TRACK_VIDEO, &matches[TK_TRACK_VIDEO], from_ns,
                   behind_sound(stream, hole));
        const RecFit *fit = &splice->fits[TK_TRACK_VIDEO];
        // Sound without a found edge begins with the pictures.
        if (fit->first < fit->end) {
            gint64 time = rec_fit_time(
                fit, g_array_index(samples[TK_TRACK_VIDEO], RecSample, fit->first).time);
            from_ns = (gint64)((double)time / timescale_of(splice->media, TK_TRACK_VIDEO) * 1e9);
        }
    }
    if (agree && samples[TK_TRACK_AUDIO]->len) {
        const Match *picture = samples[TK_TRACK_VIDEO]->len ? &matches[TK_TRACK_VIDEO] : NULL;
        agree =
            edges_find(stream, splice, rules, TK_TRACK_AUDIO, picture, &matches[TK_TRACK_AUDIO]);
        fit_choose(splice, TK_TRACK_AUDIO, &matches[TK_TRACK_AUDIO], from_ns, FALSE);
    }
    splice->proven = matches[0].proven || matches[1].proven;
    if (!agree)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the copy's edges do not agree");
    else if (!splice->proven && stream->entries->len)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "nothing in the copy is the same as what was recorded around the gap");
    else if (splice->fits[0].first >= splice->fits[0].end &&
             splice->fits[1].first >= splice->fits[1].end)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "nothing in the copy belongs there");
    else if (hole->pictures &&
             splice->fits[TK_TRACK_VIDEO].first >= splice->fits[TK_TRACK_VIDEO].end)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "no picture in the copy belongs there");
    else if (!sound_is_there(stream, splice))
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "the copy lacks sound that was recorded without its pictures");
    else if (!splice_within(splice))
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the copy reaches beyond the gap");
    else
        return TRUE;
    return FALSE;
}

static void stream_plan(RecSpliceStream *stream, const RecHealRules *rules, RecPatch *patches,
                        guint count)
{
    gint64 from_ns = 0, to_ns = 0;
    for (guint p = 0; p < count; p++) {
        if (strcmp(patches[p].stream, stream->name) == 0) {
            from_ns = patches[p].from_ns;
            to_ns = patches[p].to_ns;
        }
    }
    g_autoptr(GArray) holes = rec_heal_holes(stream->entries, from_ns, to_ns);

    for (guint h = 0; h < holes->len; h++) {
        const RecHole *hole = &g_array_index(holes, RecHole, h);
        for (guint p = 0; p < count; p++) {
            g_autoptr(GError) why = NULL;
            if (strcmp(patches[p].stream, stream->name) != 0 ||
                strcmp(patches[p].key, hole->key) != 0)
                continue;
            RecSplice *splice = rec_splice_add(stream, hole, patches[p].path, &why);
            if (splice && splice_plan(stream, splice, rules, &why))
                continue;
            patches[p].refused = g_strdup(why->message);
            if (splice)
                g_ptr_array_remove(stream->splices, splice);
        }
    }
}

static RecSpliceStream *stream_of(GPtrArray *streams, const char *name)
{
    for (guint i = 0; i < streams->len; i++) {
        RecSpliceStream *stream = streams->pdata[i];
        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

// Opens a stream once; NULL when it cannot be read.
static RecSpliceStream *stream_open(GPtrArray *streams, const char *folder, const char *name,
                                    GError **error)
{
    RecSpliceStream *stream = stream_of(streams, name);
    if (stream)
        return stream;
    stream = rec_splice_open(folder, name, error);
    if (stream)
        g_ptr_array_add(streams, stream);
    return stream;
}

// The streams in which something fits; *ret_first_ns: where the first of it begins, at most 0.
static gboolean streams_plan(GPtrArray *streams, const char *folder, const RecHealRules *rules,
                             RecPatch *patches, guint count, gint64 *ret_first_ns, GError **error)
{
    for (guint i = 0; i < count; i++) {
        gboolean seen = stream_of(streams, patches[i].stream) != NULL;
        RecSpliceStream *stream = stream_open(streams, folder, patches[i].stream, error);
        if (!stream)
            return FALSE;
        if (!seen)
            stream_plan(stream, rules, patches, count);
        for (guint s = 0; s < stream->splices->len; s++) {
            gint64 from_ns, to_ns;
            splice_extent(stream->splices->pdata[s], &from_ns, &to_ns);
            *ret_first_ns = MIN(*ret_first_ns, from_ns);
        }
    }
    for (guint i = streams->len; i > 0; i--)
        if (((RecSpliceStream *)streams->pdata[i - 1])->splices->len == 0)
            g_ptr_array_remove_index(streams, i - 1);
    if (streams->len == 0)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "nothing of it heals anything: %s",
                    patches[0].refused ? patches[0].refused : "it is not missing");
    return streams->len > 0;
}

gboolean rec_heal_prepare(const char *folder, const RecLesson *lesson, const RecHealRules *rules,
                          RecPatch *patches, guint count, gint64 *ret_moved_ns, GError **error)
{
    g_autoptr(GPtrArray) streams = g_ptr_array_new_with_free_func((GDestroyNotify)rec_splice_close);
    gint64 first_ns = 0;
    gboolean ok = TRUE;

    if (!rec_heal_discard(folder)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "an earlier healing has not ended");
        return FALSE;
    }
    if (!streams_plan(streams, folder, rules, patches, count, &first_ns, error))
        return FALSE;
    // In whole seconds, which every clock rate counts without a rest.
    gint64 moved_ns = -(first_ns / TK_NS_PER_S - (first_ns % TK_NS_PER_S != 0)) * TK_NS_PER_S;
    moved_ns = first_ns < 0 ? moved_ns : 0;
    for (guint i = 0; moved_ns && i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        if (stream->started && !stream_open(streams, folder, stream->name, error))
            return FALSE;
    }
    for (guint i = 0; i < streams->len && ok; i++)
        ok = rec_splice_write(streams->pdata[i], moved_ns, error);
    if (ok)
        *ret_moved_ns = moved_ns;
    else
        (void)rec_heal_discard(folder);
    return ok;
}
