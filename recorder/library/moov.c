// SPDX-License-Identifier: MIT
#include "recorder/library/moov.h"

#include "common/base/clock.h"
#include "common/media/box.h"

#include <string.h>

#define MOVIE_TIMESCALE 90000u
#define DESCRIPTIONS_MAX 64

typedef struct {
    guint32 count, value;
} Pair; // of stts and ctts: so many samples with that duration or offset

typedef struct {
    guint64 offset; // in the media
    guint32 samples, description;
} Chunk;

typedef struct {
    TkTrackKind kind;
    guint32 track_id, timescale;
    guint width, height;
    GPtrArray *descriptions; // GBytes: sample entries
    guint32 description;     // of the samples that come, from 1

    GArray *sizes;                  // guint32
    GArray *durations;              // Pair
    GArray *offsets;                // Pair, composition time; value as two's complement
    GArray *keys;                   // guint32, sample numbers from 1
    GArray *chunks;                 // Chunk
    guint64 first_ticks, end_ticks; // decode time of the first sample, and behind the last
    gint32 first_cts;
    gboolean cts_used;
} Track;

struct _ShelfMoov {
    GPtrArray *tracks; // Track
};

static void track_free(void *data)
{
    Track *track = data;
    g_ptr_array_unref(track->descriptions);
    g_array_unref(track->sizes);
    g_array_unref(track->durations);
    g_array_unref(track->offsets);
    g_array_unref(track->keys);
    g_array_unref(track->chunks);
    g_free(track);
}

ShelfMoov *shelf_moov_new(void)
{
    ShelfMoov *moov = g_new0(ShelfMoov, 1);
    moov->tracks = g_ptr_array_new_with_free_func(track_free);
    return moov;
}

void shelf_moov_free(ShelfMoov *moov)
{
    if (!moov)
        return;
    g_ptr_array_unref(moov->tracks);
    g_free(moov);
}

static Track *track_find(const ShelfMoov *moov, guint32 track_id)
{
    for (guint i = 0; i < moov->tracks->len; i++) {
        Track *track = moov->tracks->pdata[i];
        if (track->track_id == track_id)
            return track;
    }
    return NULL;
}

// The next child of `type` in the boxes that `r` stands before; `ret` is its body.
static gboolean box_find(TkReader *r, guint32 type, TkReader *ret)
{
    guint32 found;
    while (tk_reader_left(r) > 0 && tk_box_next(r, &found, ret))
        if (found == type)
            return TRUE;
    return FALSE;
}

// The first sample entry of the track in moov/trak/mdia/minf/stbl/stsd.
static GBytes *sample_entry(const guint8 *data, gsize size, guint32 track_id)
{
    TkReader file = tk_reader(data, size), moov, trak;
    if (!box_find(&file, TK_FOURCC('m', 'o', 'o', 'v'), &moov))
        return NULL;
    while (box_find(&moov, TK_FOURCC('t', 'r', 'a', 'k'), &trak)) {
        TkReader find_tkhd = trak, tkhd, mdia, minf, stbl, stsd;
        if (!box_find(&find_tkhd, TK_FOURCC('t', 'k', 'h', 'd'), &tkhd))
            continue;
        guint8 version = tk_reader_u8(&tkhd);
        tk_reader_take(&tkhd, 3 + (version == 1 ? 16 : 8));
        if (tk_reader_u32(&tkhd) != track_id ||
            !box_find(&trak, TK_FOURCC('m', 'd', 'i', 'a'), &mdia) ||
            !box_find(&mdia, TK_FOURCC('m', 'i', 'n', 'f'), &minf) ||
            !box_find(&minf, TK_FOURCC('s', 't', 'b', 'l'), &stbl) ||
            !box_find(&stbl, TK_FOURCC('s', 't', 's', 'd'), &stsd))
            continue;
        tk_reader_take(&stsd, 8);
        TkReader peek = stsd;
        guint32 bytes = tk_reader_u32(&peek);
        const guint8 *entry = bytes >= TK_BOX_HEADER_BYTES ? tk_reader_take(&stsd, bytes) : NULL;
        return entry ? g_bytes_new(entry, bytes) : NULL;
    }
    return NULL;
}

gboolean shelf_moov_describe(ShelfMoov *moov, const TkCmafTrack *source, const guint8 *data,
                             gsize size)
{
    g_autoptr(GBytes) entry = sample_entry(data, size, source->track_id);
    Track *track = track_find(moov, source->track_id);

    if (!entry || source->timescale == 0 || (track && track->kind != source->kind))
        return FALSE;
    if (!track) {
        track = g_new0(Track, 1);
        track->kind = source->kind;
        track->track_id = source->track_id;
        track->timescale = source->timescale;
        track->descriptions = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
        track->sizes = g_array_new(FALSE, FALSE, sizeof(guint32));
        track->durations = g_array_new(FALSE, FALSE, sizeof(Pair));
        track->offsets = g_array_new(FALSE, FALSE, sizeof(Pair));
        track->keys = g_array_new(FALSE, FALSE, sizeof(guint32));
        track->chunks = g_array_new(FALSE, FALSE, sizeof(Chunk));
        g_ptr_array_add(moov->tracks, track);
    }
    track->width = MAX(track->width, source->width);
    track->height = MAX(track->height, source->height);
    for (guint i = 0; i < track->descriptions->len; i++) {
        if (g_bytes_equal(track->descriptions->pdata[i], entry)) {
            track->description = i + 1;
            return TRUE;
        }
    }
    if (track->descriptions->len >= DESCRIPTIONS_MAX)
        return FALSE;
    g_ptr_array_add(track->descriptions, g_steal_pointer(&entry));
    track->description = track->descriptions->len;
    return TRUE;
}

static void pair_add(GArray *pairs, guint32 value)
{
    Pair *last = pairs->len ? &g_array_index(pairs, Pair, pairs->len - 1) : NULL;
    if (last && last->value == value) {
        last->count++;
        return;
    }
    Pair pair = {1, value};
    g_array_append_val(pairs, pair);
}

// Makes the last sample longer or shorter, so that the next one begins at `ticks`. What cannot be
// taken off it is left to the samples that come.
static void last_stretch(Track *track, guint64 ticks)
{
    Pair *last = &g_array_index(track->durations, Pair, track->durations->len - 1);
    guint32 duration = last->value;
    gint64 wanted = (gint64)duration + (gint64)(ticks - track->end_ticks);
    guint32 changed = (guint32)CLAMP(wanted, 1, (gint64)G_MAXUINT32);

    if (changed == duration)
        return;
    if (--last->count == 0)
        g_array_set_size(track->durations, track->durations->len - 1);
    pair_add(track->durations, changed);
    track->end_ticks += (guint64)((gint64)changed - (gint64)duration);
}

static guint64 rescale(guint64 ticks, guint64 from, guint64 to)
{
    return from == to ? ticks : ticks / from * to + ticks % from * to / from;
}

void shelf_moov_add_run(ShelfMoov *moov, const TkCmafTrack *source, const TkCmafRunInfo *run,
                        guint64 offset, gint64 shift_ns)
{
    Track *track = track_find(moov, source->track_id);
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    Chunk chunk = {.offset = offset + run->data_offset};

    if (!track || run->samples_count == 0)
        return;
    guint64 start = rescale(run->decode_time, source->timescale, track->timescale) +
                    rescale((guint64)MAX(shift_ns, 0), TK_NS_PER_S, track->timescale);
    if (track->sizes->len == 0)
        track->first_ticks = track->end_ticks = start;
    else if (start != track->end_ticks)
        last_stretch(track, start);
    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        const TkCmafSample *sample = &at.sample;
        guint32 duration = (guint32)rescale(sample->duration, source->timescale, track->timescale);
        guint32 number = track->sizes->len + 1;
        if (number == 1)
            track->first_cts = sample->cts_offset;
        g_array_append_val(track->sizes, sample->size);
        pair_add(track->durations, duration);
        pair_add(track->offsets, (guint32)sample->cts_offset);
        track->cts_used |= sample->cts_offset != 0;
        if (sample->key)
            g_array_append_val(track->keys, number);
        track->end_ticks += duration;
        chunk.samples++;
    }
    chunk.description = track->description;
    if (chunk.samples)
        g_array_append_val(track->chunks, chunk);
}

gboolean shelf_moov_has_samples(const ShelfMoov *moov)
{
    for (guint i = 0; i < moov->tracks->len; i++)
        if (((const Track *)moov->tracks->pdata[i])->sizes->len > 0)
            return TRUE;
    return FALSE;
}

static void matrix_write(GByteArray *out)
{
    static const guint32 unity[9] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};
    for (guint i = 0; i < 9; i++)
        tk_put(out, unity[i], 4);
}

static void pairs_write(GByteArray *out, guint32 type, guint8 version, const GArray *pairs)
{
    gsize box = tk_box_begin_full(out, type, version, 0);
    tk_put(out, pairs->len, 4);
    for (guint i = 0; i < pairs->len; i++) {
        tk_put(out, g_array_index(pairs, Pair, i).count, 4);
        tk_put(out, g_array_index(pairs, Pair, i).value, 4);
    }
    tk_box_end(out, box);
}

static void chunks_write(GByteArray *out, const Track *track, guint64 base)
{
    const GArray *chunks = track->chunks;
    gsize box = tk_box_begin_full(out, TK_FOURCC('s', 't', 's', 'c'), 0, 0);
    gsize count_at = out->len;
    guint count = 0;

    tk_put(out, 0, 4);
    for (guint i = 0; i < chunks->len; i++) {
        const Chunk *chunk = &g_array_index(chunks, Chunk, i);
        const Chunk *before = i ? chunk - 1 : NULL;
        if (before && before->samples == chunk->samples &&
            before->description == chunk->description)
            continue;
        tk_put(out, i + 1, 4);
        tk_put(out, chunk->samples, 4);
        tk_put(out, chunk->description, 4);
        count++;
    }
    tk_patch_u32(out, count_at, count);
    tk_box_end(out, box);

    box = tk_box_begin_full(out, TK_FOURCC('c', 'o', '6', '4'), 0, 0);
    tk_put(out, chunks->len, 4);
    for (guint i = 0; i < chunks->len; i++)
        tk_put(out, base + g_array_index(chunks, Chunk, i).offset, 8);
    tk_box_end(out, box);
}

static void numbers_write(GByteArray *out, const GArray *numbers)
{
    tk_put(out, numbers->len, 4);
    for (guint i = 0; i < numbers->len; i++)
        tk_put(out, g_array_index(numbers, guint32, i), 4);
}

static void stbl_write(GByteArray *out, const Track *track, guint64 base)
{
    gsize stbl = tk_box_begin(out, TK_FOURCC('s', 't', 'b', 'l'));

    gsize box = tk_box_begin_full(out, TK_FOURCC('s', 't', 's', 'd'), 0, 0);
    tk_put(out, track->descriptions->len, 4);
    for (guint i = 0; i < track->descriptions->len; i++) {
        gsize size;
        const guint8 *data = g_bytes_get_data(track->descriptions->pdata[i], &size);
        g_byte_array_append(out, data, (guint)size);
    }
    tk_box_end(out, box);

    pairs_write(out, TK_FOURCC('s', 't', 't', 's'), 0, track->durations);
    if (track->cts_used)
        pairs_write(out, TK_FOURCC('c', 't', 't', 's'), 1, track->offsets);
    if (track->keys->len < track->sizes->len) {
        box = tk_box_begin_full(out, TK_FOURCC('s', 't', 's', 's'), 0, 0);
        numbers_write(out, track->keys);
        tk_box_end(out, box);
    }
    chunks_write(out, track, base);
    box = tk_box_begin_full(out, TK_FOURCC('s', 't', 's', 'z'), 0, 0);
    tk_put(out, 0, 4);
    numbers_write(out, track->sizes);
    tk_box_end(out, box);
    tk_box_end(out, stbl);
}

static void minf_write(GByteArray *out, const Track *track, guint64 base)
{
    gsize minf = tk_box_begin(out, TK_FOURCC('m', 'i', 'n', 'f')), box;

    if (track->kind == TK_TRACK_VIDEO) {
        box = tk_box_begin_full(out, TK_FOURCC('v', 'm', 'h', 'd'), 0, 1);
        tk_put(out, 0, 8);
    } else {
        box = tk_box_begin_full(out, TK_FOURCC('s', 'm', 'h', 'd'), 0, 0);
        tk_put(out, 0, 4);
    }
    tk_box_end(out, box);
    gsize dinf = tk_box_begin(out, TK_FOURCC('d', 'i', 'n', 'f'));
    box = tk_box_begin_full(out, TK_FOURCC('d', 'r', 'e', 'f'), 0, 0);
    tk_put(out, 1, 4);
    gsize url =
        tk_box_begin_full(out, TK_FOURCC('u', 'r', 'l', ' '), 0, 1); // the samples are in this file
    tk_box_end(out, url);
    tk_box_end(out, box);
    tk_box_end(out, dinf);
    stbl_write(out, track, base);
    tk_box_end(out, minf);
}

static void mdia_write(GByteArray *out, const Track *track, guint64 base)
{
    gsize mdia = tk_box_begin(out, TK_FOURCC('m', 'd', 'i', 'a'));
    const char *name = track->kind == TK_TRACK_VIDEO ? "picture" : "sound";

    gsize box = tk_box_begin_full(out, TK_FOURCC('m', 'd', 'h', 'd'), 1, 0);
    tk_put(out, 0, 8);
    tk_put(out, 0, 8);
    tk_put(out, track->timescale, 4);
    tk_put(out, track->end_ticks - track->first_ticks, 8);
    tk_put(out, 0x55C4, 2); // "und"
    tk_put(out, 0, 2);
    tk_box_end(out, box);

    box = tk_box_begin_full(out, TK_FOURCC('h', 'd', 'l', 'r'), 0, 0);
    tk_put(out, 0, 4);
    g_byte_array_append(out, (const guint8 *)(track->kind == TK_TRACK_VIDEO ? "vide" : "soun"), 4);
    tk_put(out, 0, 8);
    tk_put(out, 0, 4);
    g_byte_array_append(out, (const guint8 *)name, (guint)strlen(name) + 1);
    tk_box_end(out, box);
    minf_write(out, track, base);
    tk_box_end(out, mdia);
}

// When the first sample is shown, on the lesson's clock, in the movie's ticks.
static guint64 track_begin(const Track *track)
{
    gint64 shown = (gint64)track->first_ticks + track->first_cts;
    return rescale((guint64)MAX(shown, 0), track->timescale, MOVIE_TIMESCALE);
}

static guint64 track_length(const Track *track)
{
    return rescale(track->end_ticks - track->first_ticks, track->timescale, MOVIE_TIMESCALE);
}

static void edits_write(GByteArray *out, const Track *track, guint64 delay)
{
    if (delay == 0 && track->first_cts == 0)
        return;
    gsize edts = tk_box_begin(out, TK_FOURCC('e', 'd', 't', 's'));
    gsize box = tk_box_begin_full(out, TK_FOURCC('e', 'l', 's', 't'), 1, 0);
    tk_put(out, delay ? 2 : 1, 4);
    if (delay) {
        tk_put(out, delay, 8);
        tk_put(out, G_MAXUINT64, 8); // nothing is shown
        tk_put(out, 0x10000, 4);
    }
    tk_put(out, track_length(track), 8);
    tk_put(out, (guint64)MAX(track->first_cts, 0), 8);
    tk_put(out, 0x10000, 4);
    tk_box_end(out, box);
    tk_box_end(out, edts);
}

static void trak_write(GByteArray *out, const Track *track, guint64 delay, guint64 base)
{
    gsize trak = tk_box_begin(out, TK_FOURCC('t', 'r', 'a', 'k'));
    gsize box =
        tk_box_begin_full(out, TK_FOURCC('t', 'k', 'h', 'd'), 1, 3); // enabled, in the movie
    tk_put(out, 0, 8);
    tk_put(out, 0, 8);
    tk_put(out, track->track_id, 4);
    tk_put(out, 0, 4);
    tk_put(out, delay + track_length(track), 8);
    tk_put(out, 0, 8);
    tk_put(out, 0, 4); // layer, alternate group
    tk_put(out, track->kind == TK_TRACK_AUDIO ? 0x0100 : 0, 2);
    tk_put(out, 0, 2);
    matrix_write(out);
    tk_put(out, (guint64)track->width << 16, 4);
    tk_put(out, (guint64)track->height << 16, 4);
    tk_box_end(out, box);
    edits_write(out, track, delay);
    mdia_write(out, track, base);
    tk_box_end(out, trak);
}

void shelf_moov_write(const ShelfMoov *moov, guint64 base, GByteArray *out)
{
    guint64 begin = G_MAXUINT64, end = 0;
    guint32 next_id = 1;

    for (guint i = 0; i < moov->tracks->len; i++) {
        const Track *track = moov->tracks->pdata[i];
        if (track->sizes->len == 0)
            continue;
        begin = MIN(begin, track_begin(track));
        end = MAX(end, track_begin(track) + track_length(track));
        next_id = MAX(next_id, track->track_id + 1);
    }
    gsize box = tk_box_begin(out, TK_FOURCC('m', 'o', 'o', 'v'));
    gsize mvhd = tk_box_begin_full(out, TK_FOURCC('m', 'v', 'h', 'd'), 1, 0);
    tk_put(out, 0, 8);
    tk_put(out, 0, 8);
    tk_put(out, MOVIE_TIMESCALE, 4);
    tk_put(out, end - begin, 8);
    tk_put(out, 0x10000, 4); // normal speed
    tk_put(out, 0x0100, 2);  // full volume
    tk_put(out, 0, 2);
    tk_put(out, 0, 8);
    matrix_write(out);
    for (guint i = 0; i < 3; i++)
        tk_put(out, 0, 8);
    tk_put(out, next_id, 4);
    tk_box_end(out, mvhd);
    for (guint i = 0; i < moov->tracks->len; i++) {
        const Track *track = moov->tracks->pdata[i];
        if (track->sizes->len > 0)
            trak_write(out, track, track_begin(track) - begin, base);
    }
    tk_box_end(out, box);
}
