// SPDX-License-Identifier: MIT
#include "common/media/cmaf.h"

#include <string.h>

#include "common/media/box.h"

static gsize traf_bytes(const TkCmafRun *run)
{
    return TK_BOX_HEADER_BYTES + TK_TFHD_BYTES + TK_TFDT_BYTES + TK_TRUN_HEAD_BYTES +
           (gsize)run->samples_count * TK_TRUN_SAMPLE_BYTES;
}

static gsize moof_bytes(const TkCmafRun *runs, guint count)
{
    gsize bytes = TK_BOX_HEADER_BYTES + TK_MFHD_BYTES;
    for (guint i = 0; i < count; i++)
        bytes += traf_bytes(&runs[i]);
    return bytes;
}

static gsize mdat_bytes(const TkCmafRun *runs, guint count)
{
    gsize bytes = TK_BOX_HEADER_BYTES;
    for (guint i = 0; i < count; i++)
        bytes += runs[i].data_bytes;
    return bytes;
}

gsize tk_cmaf_chunk_bytes(const TkCmafRun *runs, guint count, gboolean with_prft)
{
    return (with_prft ? TK_PRFT_BYTES : 0) + moof_bytes(runs, count) + mdat_bytes(runs, count);
}

static guint8 *write_box(guint8 *at, gsize bytes, guint32 type)
{
    at = tk_poke(at, bytes, 4);
    return tk_poke(at, type, 4);
}

static guint8 *write_full_box(guint8 *at, gsize bytes, guint32 type, guint8 version, guint32 flags)
{
    at = write_box(at, bytes, type);
    at = tk_poke(at, version, 1);
    return tk_poke(at, flags, 3);
}

// Producer reference time, ISO/IEC 14496-12 section 8.16.5.
static guint8 *write_prft(guint8 *at, guint64 ntp, const TkCmafRun *run)
{
    guint64 media_time = run->decode_time + (guint64)(gint64)run->samples[0].cts_offset;
    at = write_full_box(at, TK_PRFT_BYTES, TK_FOURCC('p', 'r', 'f', 't'), 1, TK_PRFT_FLAGS);
    at = tk_poke(at, run->track_id, 4);
    at = tk_poke(at, ntp, 8);
    return tk_poke(at, media_time, 8);
}

static guint8 *write_trun(guint8 *at, const TkCmafRun *run, gsize data_offset)
{
    gsize bytes = TK_TRUN_HEAD_BYTES + (gsize)run->samples_count * TK_TRUN_SAMPLE_BYTES;
    at = write_full_box(at, bytes, TK_FOURCC('t', 'r', 'u', 'n'), 1, TK_TRUN_FLAGS);
    at = tk_poke(at, run->samples_count, 4);
    at = tk_poke(at, data_offset, 4);
    for (guint i = 0; i < run->samples_count; i++) {
        const TkCmafSample *sample = &run->samples[i];
        at = tk_poke(at, sample->duration, 4);
        at = tk_poke(at, sample->size, 4);
        at = tk_poke(at, sample->key ? TK_SAMPLE_FLAGS_KEY : TK_SAMPLE_FLAGS_OTHER, 4);
        at = tk_poke(at, (guint32)sample->cts_offset, 4);
    }
    return at;
}

static guint8 *write_traf(guint8 *at, const TkCmafRun *run, gsize data_offset)
{
    at = write_box(at, traf_bytes(run), TK_FOURCC('t', 'r', 'a', 'f'));
    at = write_full_box(at, TK_TFHD_BYTES, TK_FOURCC('t', 'f', 'h', 'd'), 0, TK_TFHD_FLAGS);
    at = tk_poke(at, run->track_id, 4);
    at = write_full_box(at, TK_TFDT_BYTES, TK_FOURCC('t', 'f', 'd', 't'), 1, 0);
    at = tk_poke(at, run->decode_time, 8);
    return write_trun(at, run, data_offset);
}

void tk_cmaf_chunk_write(guint8 *buffer, guint32 sequence, guint64 ntp, const TkCmafRun *runs,
                         guint count)
{
    gsize moof = moof_bytes(runs, count);
    gsize data_offset = moof + TK_BOX_HEADER_BYTES;
    guint8 *at = buffer;
    g_assert(count >= 1 && count <= TK_CMAF_TRACKS_MAX);

    if (ntp != 0)
        at = write_prft(at, ntp, &runs[0]);
    at = write_box(at, moof, TK_FOURCC('m', 'o', 'o', 'f'));
    at = write_full_box(at, TK_MFHD_BYTES, TK_FOURCC('m', 'f', 'h', 'd'), 0, 0);
    at = tk_poke(at, sequence, 4);
    for (guint i = 0; i < count; i++) {
        at = write_traf(at, &runs[i], data_offset);
        data_offset += runs[i].data_bytes;
    }
    at = write_box(at, mdat_bytes(runs, count), TK_FOURCC('m', 'd', 'a', 't'));
    for (guint i = 0; i < count; i++) {
        if (runs[i].data_bytes > 0)
            memcpy(at, runs[i].data, runs[i].data_bytes);
        at += runs[i].data_bytes;
    }
}

static void add_u64(guint8 *at, gint64 ticks)
{
    guint64 value = 0;
    for (guint i = 0; i < 8; i++)
        value = value << 8 | at[i];
    tk_poke(at, value + (guint64)ticks, 8);
}

void tk_cmaf_chunk_move(guint8 *chunk, gboolean with_prft, const gint64 *ticks,
                        const guint *samples_counts, guint runs_count)
{
    guint8 *at = chunk;
    if (with_prft) {
        add_u64(at + TK_PRFT_BYTES - 8, ticks[0]);
        at += TK_PRFT_BYTES;
    }
    at += TK_BOX_HEADER_BYTES + TK_MFHD_BYTES;
    for (guint i = 0; i < runs_count; i++) {
        TkCmafRun run = {.samples_count = samples_counts[i]};
        add_u64(at + TK_BOX_HEADER_BYTES + TK_TFHD_BYTES + TK_TFDT_BYTES - 8, ticks[i]);
        at += traf_bytes(&run);
    }
}
