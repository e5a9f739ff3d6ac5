// SPDX-License-Identifier: MIT
#include "common/media/cmaf_read.h"

#include "common/media/box.h"

// What the writer's boxes can grow to; a larger size is damage and not worth waiting for.
#define FTYP_BYTES_MAX 1024u
#define MOOV_BYTES_MAX (64u << 10)
#define MOOF_BYTES_MAX (64u << 10)

// 99 years of 90 kHz: decode times beyond are damage, and sums of those below never overflow.
#define TIME_MAX (G_GUINT64_CONSTANT(1) << 48)

typedef enum { BOX_WHOLE, BOX_CUT, BOX_WRONG } BoxState;

// The next box must be of `type` and no longer than `max` bytes.
static BoxState take_box(TkReader *r, guint32 type, guint32 max, TkReader *ret_body)
{
    TkReader header = *r;
    gsize left = tk_reader_left(r);
    guint32 size = tk_reader_u32(&header);
    guint32 found = tk_reader_u32(&header);
    if (header.failed)
        return BOX_CUT;
    if (found != type || size < TK_BOX_HEADER_BYTES || size > max)
        return BOX_WRONG;
    if (size > left)
        return BOX_CUT;
    tk_box_next(r, &found, ret_body);
    return BOX_WHOLE;
}

// A whole full box inside a moof with just this version and these flags.
static gboolean take_full_box(TkReader *r, guint32 type, guint8 version, guint32 flags,
                              TkReader *ret_body)
{
    if (take_box(r, type, MOOF_BYTES_MAX, ret_body) != BOX_WHOLE)
        return FALSE;
    guint8 found_version = tk_reader_u8(ret_body);
    guint32 found_flags = tk_reader_u24(ret_body);
    return !ret_body->failed && found_version == version && found_flags == flags;
}

gboolean tk_cmaf_sample_next(const TkCmafRunInfo *run, TkCmafCursor *cursor, TkCmafSampleAt *ret)
{
    if (cursor->next >= run->samples_count)
        return FALSE;
    gsize at = (gsize)cursor->next * TK_TRUN_SAMPLE_BYTES;
    TkReader r = tk_reader(run->trun + at, TK_TRUN_SAMPLE_BYTES);
    TkCmafSample sample;
    sample.duration = tk_reader_u32(&r);
    sample.size = tk_reader_u32(&r);
    sample.key = tk_reader_u32(&r) == TK_SAMPLE_FLAGS_KEY;
    sample.cts_offset = (gint32)tk_reader_u32(&r);
    *ret = (TkCmafSampleAt){.offset = run->data_offset + cursor->offset, .sample = sample};
    cursor->next++;
    cursor->offset += sample.size;
    return TRUE;
}

// Sums up the samples; returns how many bytes they take.
static guint64 add_up(TkCmafRunInfo *run)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    guint64 bytes = 0;
    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        if (cursor.next == 1)
            run->starts_key = at.sample.key;
        run->duration += at.sample.duration;
        bytes += at.sample.size;
    }
    return bytes;
}

// `data_offset` must be where the data of the run before ended, from the start of the moof.
static gboolean read_traf(TkReader traf, guint64 data_offset, TkCmafRunInfo *run)
{
    TkReader tfhd, tfdt, trun;
    if (!take_full_box(&traf, TK_FOURCC('t', 'f', 'h', 'd'), 0, TK_TFHD_FLAGS, &tfhd) ||
        !take_full_box(&traf, TK_FOURCC('t', 'f', 'd', 't'), 1, 0, &tfdt) ||
        !take_full_box(&traf, TK_FOURCC('t', 'r', 'u', 'n'), 1, TK_TRUN_FLAGS, &trun))
        return FALSE;
    run->track_id = tk_reader_u32(&tfhd);
    run->decode_time = tk_reader_u64(&tfdt);
    run->samples_count = tk_reader_u32(&trun);
    run->data_offset = tk_reader_u32(&trun);
    run->trun_bytes = tk_reader_left(&trun);
    run->trun = tk_reader_take(&trun, run->trun_bytes);
    gboolean whole = !tfhd.failed && !tfdt.failed && !trun.failed;
    return whole && tk_reader_left(&traf) == 0 && run->track_id != 0 &&
           run->decode_time <= TIME_MAX && run->data_offset == data_offset &&
           run->samples_count >= 1 && run->samples_count <= TK_CMAF_SAMPLES_MAX &&
           run->trun_bytes == (gsize)run->samples_count * TK_TRUN_SAMPLE_BYTES;
}

// Returns the size that the mdat must have, header included; 0: not a moof of ours.
static guint64 read_moof(TkReader moof, TkCmafChunk *chunk)
{
    TkReader mfhd, traf;
    const guint64 data_start = moof.size + 2 * TK_BOX_HEADER_BYTES;
    guint64 data_offset = data_start;
    if (!take_full_box(&moof, TK_FOURCC('m', 'f', 'h', 'd'), 0, 0, &mfhd))
        return 0;
    chunk->sequence = tk_reader_u32(&mfhd);
    while (tk_reader_left(&moof) > 0) {
        if (chunk->runs_count == TK_CMAF_TRACKS_MAX ||
            take_box(&moof, TK_FOURCC('t', 'r', 'a', 'f'), MOOF_BYTES_MAX, &traf) != BOX_WHOLE)
            return 0;
        TkCmafRunInfo *run = &chunk->runs[chunk->runs_count++];
        if (!read_traf(traf, data_offset, run))
            return 0;
        data_offset += add_up(run);
    }
    gboolean same_track = chunk->runs[0].track_id == chunk->runs[1].track_id;
    if (mfhd.failed || chunk->runs_count == 0 || same_track || data_offset > G_MAXINT32)
        return 0;
    return data_offset - data_start + TK_BOX_HEADER_BYTES;
}

static TkCmafPiece init_piece(TkReader r, gsize *ret_bytes)
{
    TkReader body;
    TkCmafInit init;
    BoxState state = take_box(&r, TK_FOURCC('f', 't', 'y', 'p'), FTYP_BYTES_MAX, &body);
    if (state == BOX_WHOLE)
        state = take_box(&r, TK_FOURCC('m', 'o', 'o', 'v'), MOOV_BYTES_MAX, &body);
    if (state != BOX_WHOLE)
        return state == BOX_CUT ? TK_CMAF_TRUNCATED : TK_CMAF_FOREIGN;
    if (!tk_cmaf_init_parse(r.data, r.at, &init))
        return TK_CMAF_FOREIGN;
    tk_cmaf_init_clear(&init);
    *ret_bytes = r.at;
    return TK_CMAF_INIT;
}

static gboolean read_prft(TkReader prft, TkCmafChunk *chunk)
{
    guint8 version = tk_reader_u8(&prft);
    guint32 flags = tk_reader_u24(&prft);
    tk_reader_u32(&prft); // reference track
    chunk->ntp = tk_reader_u64(&prft);
    tk_reader_u64(&prft); // media time: that of the first run
    return !prft.failed && version == 1 && flags == TK_PRFT_FLAGS;
}

static TkCmafPiece chunk_piece(TkReader r, gboolean has_prft, TkCmafChunk *ret, gsize *ret_bytes)
{
    TkCmafChunk chunk = {0};
    TkReader body;
    BoxState state = BOX_WHOLE;
    if (has_prft) {
        state = take_box(&r, TK_FOURCC('p', 'r', 'f', 't'), TK_PRFT_BYTES, &body);
        if (state == BOX_WHOLE && !read_prft(body, &chunk))
            return TK_CMAF_FOREIGN;
    }
    const gsize moof_at = r.at;
    if (state == BOX_WHOLE)
        state = take_box(&r, TK_FOURCC('m', 'o', 'o', 'f'), MOOF_BYTES_MAX, &body);
    if (state != BOX_WHOLE)
        return state == BOX_CUT ? TK_CMAF_TRUNCATED : TK_CMAF_FOREIGN;

    guint64 mdat_bytes = read_moof(body, &chunk);
    if (mdat_bytes == 0)
        return TK_CMAF_FOREIGN;
    state = take_box(&r, TK_FOURCC('m', 'd', 'a', 't'), (guint32)mdat_bytes, &body);
    if (state == BOX_CUT)
        return TK_CMAF_TRUNCATED;
    if (state == BOX_WRONG || body.size + TK_BOX_HEADER_BYTES != mdat_bytes)
        return TK_CMAF_FOREIGN;

    for (guint i = 0; i < chunk.runs_count; i++)
        chunk.runs[i].data_offset += moof_at;
    chunk.bytes = r.at;
    *ret_bytes = r.at;
    if (ret)
        *ret = chunk;
    return TK_CMAF_CHUNK;
}

TkCmafPiece tk_cmaf_piece(const guint8 *data, gsize size, TkCmafChunk *ret, gsize *ret_bytes)
{
    TkReader r = tk_reader(data, size);
    TkReader header = r;
    tk_reader_u32(&header);
    guint32 type = tk_reader_u32(&header);
    if (header.failed)
        return TK_CMAF_TRUNCATED;
    switch (type) {
    case TK_FOURCC('f', 't', 'y', 'p'):
        return init_piece(r, ret_bytes);
    case TK_FOURCC('p', 'r', 'f', 't'):
        return chunk_piece(r, TRUE, ret, ret_bytes);
    case TK_FOURCC('m', 'o', 'o', 'f'):
        return chunk_piece(r, FALSE, ret, ret_bytes);
    default:
        return TK_CMAF_FOREIGN;
    }
}
