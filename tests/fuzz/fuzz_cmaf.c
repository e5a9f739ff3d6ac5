// SPDX-License-Identifier: MIT
#include "common/media/cmaf_read.h"
#include "tests/fuzz/target.h"

static void check_run(const TkCmafRunInfo *run, gsize chunk_bytes)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    guint count = 0;
    guint64 duration = 0;

    while (tk_cmaf_sample_next(run, &cursor, &at)) {
        g_assert(at.offset + at.sample.size <= chunk_bytes);
        duration += at.sample.duration;
        count++;
    }
    g_assert(count == run->samples_count && count >= 1 && count <= TK_CMAF_SAMPLES_MAX);
    g_assert(duration == run->duration);
}

static void check_chunk(const uint8_t *data, const TkCmafChunk *chunk)
{
    gsize bytes;

    g_assert(chunk->runs_count >= 1 && chunk->runs_count <= TK_CMAF_TRACKS_MAX);
    for (guint i = 0; i < chunk->runs_count; i++)
        check_run(&chunk->runs[i], chunk->bytes);
    g_assert(tk_cmaf_piece(data, chunk->bytes - 1, NULL, &bytes) == TK_CMAF_TRUNCATED);
}

static void check_init(const uint8_t *data, gsize size)
{
    TkCmafInit init;

    g_assert(tk_cmaf_init_parse(data, size, &init));
    g_autoptr(GBytes) again = tk_cmaf_init_write(init.tracks, init.tracks_count);
    g_autofree char *codecs = tk_cmaf_codecs(init.tracks, init.tracks_count);
    tk_cmaf_init_clear(&init);
    g_assert(codecs[0] != '\0');
    g_assert(tk_cmaf_init_parse(g_bytes_get_data(again, NULL), g_bytes_get_size(again), &init));
    tk_cmaf_init_clear(&init);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (gsize at = 0, bytes = 0; at < size; at += bytes) {
        TkCmafChunk chunk;
        TkCmafPiece piece = tk_cmaf_piece(data + at, size - at, &chunk, &bytes);
        if (piece == TK_CMAF_INIT)
            check_init(data + at, bytes);
        else if (piece == TK_CMAF_CHUNK)
            check_chunk(data + at, &chunk);
        else
            break;
        g_assert(bytes > 0 && bytes <= size - at);
    }
    return 0;
}
