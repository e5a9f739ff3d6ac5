// SPDX-License-Identifier: MIT
#include "recorder/archive/splice.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/media/cmaf_mux.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

gint64 rec_fit_time(const RecFit *fit, gint64 time)
{
    if (fit->tr <= fit->tl || fit->dl == fit->dr)
        return time + fit->dl;
    double share = (double)(time - fit->tl) / (double)(fit->tr - fit->tl);
    return time + fit->dl + (gint64)((double)(fit->dr - fit->dl) * share);
}

static void splice_free(void *data)
{
    RecSplice *splice = data;
    rec_patch_free(splice->media);
    g_clear_pointer(&splice->file, g_mapped_file_unref);
    g_free(splice);
}

RecSpliceStream *rec_splice_open(const char *folder, const char *name, GError **error)
{
    g_autofree char *media = rec_stream_path(folder, name, "mp4");
    g_autofree char *index = rec_stream_path(folder, name, "index");
    RecSpliceStream *stream = g_new0(RecSpliceStream, 1);
    gboolean clean = TRUE, ok = TRUE;
    guint64 at = 0;

    stream->folder = g_strdup(folder);
    stream->name = g_strdup(name);
    stream->entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    stream->splices = g_ptr_array_new_with_free_func(splice_free);
    if (g_file_test(media, G_FILE_TEST_EXISTS)) {
        stream->file = g_mapped_file_new(media, FALSE, error);
        ok = stream->file && rec_index_read(index, stream->entries, &at, &clean, error);
    }
    gsize size = ok && stream->file ? g_mapped_file_get_length(stream->file) : 0;
    stream->media = size ? (const guint8 *)g_mapped_file_get_contents(stream->file) : NULL;
    for (guint i = 0; ok && i < stream->entries->len; i++) {
        const RecEntry *entry = &g_array_index(stream->entries, RecEntry, i);
        clean &= entry->offset <= size && entry->bytes <= size - entry->offset;
    }
    if (ok && !clean)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "%s is damaged", index);
    if (!ok || !clean)
        g_clear_pointer(&stream, rec_splice_close);
    return stream;
}

void rec_splice_close(RecSpliceStream *stream)
{
    g_ptr_array_unref(stream->splices);
    g_array_unref(stream->entries);
    g_clear_pointer(&stream->file, g_mapped_file_unref);
    g_free(stream->folder);
    g_free(stream->name);
    g_free(stream);
}

RecSplice *rec_splice_add(RecSpliceStream *stream, const RecHole *hole, const char *path,
                          GError **error)
{
    RecSplice *splice = g_new0(RecSplice, 1);
    splice->hole = *hole;
    splice->file = g_mapped_file_new(path, FALSE, error);
    if (splice->file)
        splice->media = rec_patch_read((const guint8 *)g_mapped_file_get_contents(splice->file),
                                       g_mapped_file_get_length(splice->file), error);
    if (!splice->media) {
        splice_free(splice);
        return NULL;
    }
    g_ptr_array_add(stream->splices, splice);
    return splice;
}

// The new pair of files.
typedef struct {
    const RecSpliceStream *stream;
    gint64 moved_ns;
    int media;
    GString *index;
    guint64 at;
    guint32 sequence;  // of the last chunk of the relay's
    gint64 end_ns;     // of the last chunk
    GBytes *init;      // in force in the new file
    TkCmafInit tracks; // it, parsed
    gboolean failed;
} Out;

static void piece_put(Out *out, const guint8 *data, RecEntry *entry)
{
    entry->offset = out->at;
    entry->crc = rec_crc32(data, entry->bytes);
    out->failed |= !rec_write_all(out->media, data, entry->bytes);
    out->at += entry->bytes;
    rec_entry_format(entry, out->index);
}

static void init_put(Out *out, GBytes *init)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(init, &size);
    RecEntry entry = {.flags = REC_ENTRY_INIT,
                      .bytes = (guint32)size,
                      .sequence = out->sequence + 1,
                      .media_ns = out->end_ns};
    if (out->init && g_bytes_equal(out->init, init))
        return;
    tk_cmaf_init_clear(&out->tracks);
    out->failed |= !tk_cmaf_init_parse(data, size, &out->tracks);
    g_bytes_ref(init);
    g_clear_pointer(&out->init, g_bytes_unref);
    out->init = init;
    piece_put(out, data, &entry);
}

static gint64 ticks(gint64 ns, guint32 timescale)
{
    gint64 us = (ns + (ns < 0 ? -500 : 500)) / 1000;
    return us / 1000000 * timescale + us % 1000000 * timescale / 1000000;
}

// A chunk that was recorded. Where the media as a whole moves, or the index has placed a relay that
// counts from its own start, the chunk's own times become those of the index: behind what is put in
// nothing else tells where such a relay begins.
static void chunk_put(Out *out, const RecEntry *was, const guint8 *data)
{
    RecEntry entry = *was, own;
    gint64 shift_ns = 0, by[TK_CMAF_TRACKS_MAX] = {0};
    guint counts[TK_CMAF_TRACKS_MAX] = {0};
    TkCmafChunk chunk;
    gsize bytes;
    g_autofree guint8 *copy = NULL;

    if (tk_cmaf_piece(data, was->bytes, &chunk, &bytes) != TK_CMAF_CHUNK ||
        !rec_entry_shift(&out->tracks, was, data, &shift_ns)) {
        out->failed = TRUE;
        return;
    }
    shift_ns += out->moved_ns;
    if (shift_ns) {
        for (guint r = 0; r < chunk.runs_count; r++) {
            TkCmafRunInfo *run = &chunk.runs[r];
            counts[r] = run->samples_count;
            for (guint t = 0; t < out->tracks.tracks_count; t++)
                if (out->tracks.tracks[t].track_id == run->track_id)
                    by[r] = ticks(shift_ns, out->tracks.tracks[t].timescale);
            by[r] = MAX(by[r], -(gint64)run->decode_time);
            run->decode_time += (guint64)by[r];
        }
        copy = g_memdup2(data, was->bytes);
        tk_cmaf_chunk_move(copy, chunk.ntp != 0, by, counts, chunk.runs_count);
        data = copy;
        out->failed |= !rec_entry_from_chunk(&out->tracks, &chunk, data, 0, &own);
        entry.media_ns = own.media_ns;
    }
    if (!(entry.flags & REC_ENTRY_HEALED))
        out->sequence = entry.sequence;
    out->end_ns = rec_entry_end_ns(&entry);
    piece_put(out, data, &entry);
}

static void healed_put(void *user, GBytes *bytes, gboolean key)
{
    Out *out = user;
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    TkCmafChunk chunk;
    RecEntry entry;
    gsize whole;

    if (size > REC_PIECE_BYTES_MAX || tk_cmaf_piece(data, size, &chunk, &whole) != TK_CMAF_CHUNK ||
        !rec_entry_from_chunk(&out->tracks, &chunk, data, 0, &entry)) {
        out->failed = TRUE;
        return;
    }
    entry.sequence = out->sequence;
    out->end_ns = rec_entry_end_ns(&entry);
    piece_put(out, data, &entry);
}

static const TkCmafTrack *track_of(const TkCmafInit *init, TkTrackKind kind)
{
    for (guint i = 0; i < init->tracks_count; i++)
        if (init->tracks[i].kind == kind)
            return &init->tracks[i];
    return NULL;
}

static gboolean decodes_the_same(const TkCmafInit *a, const TkCmafInit *b)
{
    if (a->tracks_count != b->tracks_count)
        return FALSE;
    for (guint i = 0; i < a->tracks_count; i++) {
        const TkCmafTrack *x = &a->tracks[i], *y = track_of(b, x->kind);
        if (!y || x->timescale != y->timescale || x->config_bytes != y->config_bytes ||
            memcmp(x->config, y->config, x->config_bytes) != 0)
            return FALSE;
    }
    return TRUE;
}

// Makes the patch's configuration the one in force, unless it is already.
static TkCmafMux *mux_begin(Out *out, const TkCmafInit *init)
{
    if (!out->init || !decodes_the_same(&out->tracks, init)) {
        g_autoptr(GBytes) bytes = tk_cmaf_init_write(init->tracks, init->tracks_count);
        init_put(out, bytes);
    }
    return tk_cmaf_mux_new(out->tracks.tracks, out->tracks.tracks_count, healed_put, out);
}

// The next sample in order of time. FALSE: that was all.
static gboolean sample_next(const RecSplice *splice, const guint32 *scales, guint *at,
                            TkTrackKind *ret_kind)
{
    double best = 0;
    gboolean any = FALSE;
    for (guint kind = 0; kind < 2; kind++) {
        const RecFit *fit = &splice->fits[kind];
        if (at[kind] >= fit->end)
            continue;
        const RecSample *sample = &g_array_index(splice->media->samples[kind], RecSample, at[kind]);
        double time = (double)rec_fit_time(fit, sample->time) / scales[kind];
        if (!any || time < best) {
            best = time;
            *ret_kind = (TkTrackKind)kind;
        }
        any = TRUE;
    }
    return any;
}

static void splice_put(Out *out, const RecSplice *splice)
{
    guint at[2] = {splice->fits[0].first, splice->fits[1].first}, init = G_MAXUINT;
    guint32 scales[2] = {1, 1};
    gint64 next[2] = {-1, -1};
    g_autoptr(TkCmafMux) mux = NULL;
    TkTrackKind kind = TK_TRACK_VIDEO;

    for (guint i = 0; i < splice->media->inits->len; i++) {
        const TkCmafInit *one = splice->media->inits->pdata[i];
        for (guint t = 0; t < one->tracks_count; t++)
            scales[one->tracks[t].kind] = one->tracks[t].timescale;
    }
    for (guint k = 0; k < 2; k++) // what stands behind the last one ends it
        if (splice->fits[k].end < splice->media->samples[k]->len)
            next[k] =
                rec_fit_time(
                    &splice->fits[k],
                    g_array_index(splice->media->samples[k], RecSample, splice->fits[k].end).time) +
                ticks(out->moved_ns, scales[k]);
    while (sample_next(splice, scales, at, &kind)) {
        const RecFit *fit = &splice->fits[kind];
        const RecSample *sample =
            &g_array_index(splice->media->samples[kind], RecSample, at[kind]++);
        // Only pictures tell of a change: sound beside them belongs to what is in force.
        if (!mux || (sample->init != init && sample->key && kind == TK_TRACK_VIDEO)) {
            if (mux)
                tk_cmaf_mux_flush(mux, -1, -1);
            g_clear_pointer(&mux, tk_cmaf_mux_free);
            init = sample->init;
            mux = mux_begin(out, splice->media->inits->pdata[init]);
        }
        gint64 decode = rec_fit_time(fit, sample->time) + ticks(out->moved_ns, scales[kind]);
        const TkCmafMuxSample in = {.kind = kind,
                                    .decode = MAX(decode, 0),
                                    .cts_offset = sample->cts_offset + fit->cts,
                                    .key = sample->key,
                                    .wall_ns = sample->wall_ns,
                                    .data = sample->data,
                                    .size = sample->size};
        (void)!tk_cmaf_mux_push(mux, &in);
    }
    if (mux)
        tk_cmaf_mux_flush(mux, next[TK_TRACK_VIDEO], next[TK_TRACK_AUDIO]);
}

static void stream_put(Out *out)
{
    const RecSpliceStream *stream = out->stream;
    g_autoptr(GBytes) init = NULL;
    g_autofree char *index = rec_stream_path(stream->folder, stream->name, "index");
    RecCounting counting;
    gboolean counted = rec_index_counting(index, G_MAXUINT64, &counting);
    guint next = 0;

    for (guint i = 0; i <= stream->entries->len && !out->failed; i++) {
        const RecSplice *splice = next < stream->splices->len ? stream->splices->pdata[next] : NULL;
        gboolean end = i == stream->entries->len;
        if (splice && (end || splice->hole.after == i)) {
            splice_put(out, splice);
            next++;
        }
        if (end)
            break;
        const RecEntry *entry = &g_array_index(stream->entries, RecEntry, i);
        const guint8 *data = stream->media + entry->offset;
        gboolean replaced = splice && splice->hole.before != REC_HEAL_NONE &&
                            i > splice->hole.before && i < splice->hole.after;
        if (entry->flags & REC_ENTRY_INIT) {
            g_clear_pointer(&init, g_bytes_unref);
            init = g_bytes_new(data, entry->bytes);
        } else if (init && !replaced) {
            init_put(out, init);
            if (counted && entry->offset >= counting.offset) {
                rec_counting_format(&(RecCounting){counting.started_ns, out->at}, out->index);
                counted = FALSE;
            }
            chunk_put(out, entry, data);
        }
    }
}

// Reads it all back, as whoever opens it will. Sound and picture of neighbours overlap: a piece may
// begin a little before the one in front of it does; pictures that were waited for longer than
// sound is before what went on alone. An initialisation segment has the time of what was in front.
static gboolean files_check(const char *media_path, const char *index_path, GError **error)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(media_path, FALSE, error);
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    guint64 at = 0, end = 0;
    gint64 times_ns[2] = {0, 0}; // of sound alone; of others
    gboolean clean = FALSE;

    if (!file || !rec_index_read(index_path, entries, &at, &clean, error))
        return FALSE;
    const guint8 *media = (const guint8 *)g_mapped_file_get_contents(file);
    gsize size = g_mapped_file_get_length(file);
    for (guint i = 0; i < entries->len && clean; i++) {
        const RecEntry *entry = &g_array_index(entries, RecEntry, i);
        gboolean init = entry->flags & REC_ENTRY_INIT;
        gint64 *time_ns = &times_ns[entry->flags & REC_ENTRY_SOUND ? 0 : 1];
        gsize bytes = 0;
        clean = entry->offset == end && entry->bytes <= size - end &&
                rec_crc32(media + end, entry->bytes) == entry->crc &&
                (init || entry->media_ns > *time_ns - REC_GAP_MIN_NS) &&
                tk_cmaf_piece(media + end, entry->bytes, NULL, &bytes) ==
                    (init ? TK_CMAF_INIT : TK_CMAF_CHUNK) &&
                bytes == entry->bytes;
        end += entry->bytes;
        if (!init)
            *time_ns = entry->media_ns;
    }
    if (!clean || end != size)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "%s is not what was written", media_path);
    return clean && end == size;
}

gboolean rec_splice_write(RecSpliceStream *stream, gint64 moved_ns, GError **error)
{
    g_autofree char *media_path = rec_stream_path(stream->folder, stream->name, "mp4.new");
    g_autofree char *index_path = rec_stream_path(stream->folder, stream->name, "index.new");
    int media = open(media_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    Out out = {.stream = stream,
               .moved_ns = moved_ns,
               .media = media,
               .index = g_string_new(REC_INDEX_HEADER)};

    if (media >= 0) {
        stream_put(&out);
        out.failed |= fsync(media) != 0;
        out.failed |= close(media) != 0;
    }
    gboolean ok = media >= 0 && !out.failed;
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot write %s: %s", media_path,
                    g_strerror(errno));
    ok = ok && rec_file_replace(index_path, out.index->str, out.index->len, error) &&
         files_check(media_path, index_path, error);
    if (!ok)
        unlink(media_path);
    g_string_free(out.index, TRUE);
    g_clear_pointer(&out.init, g_bytes_unref);
    tk_cmaf_init_clear(&out.tracks);
    return ok;
}
