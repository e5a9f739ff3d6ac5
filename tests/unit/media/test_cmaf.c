// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/bytes.h"
#include "common/media/cmaf_read.h"

#define SEED 23000

static guint8 avc_config[] = {1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 1, 0x68};
static guint8 aac_config[] = {0x11, 0x88};

static const TkCmafTrack tracks[] = {
    {.kind = TK_TRACK_VIDEO,
     .track_id = 1,
     .timescale = 90000,
     .config = avc_config,
     .config_bytes = sizeof avc_config,
     .width = 1280,
     .height = 720},
    {.kind = TK_TRACK_AUDIO,
     .track_id = 2,
     .timescale = 48000,
     .config = aac_config,
     .config_bytes = sizeof aac_config,
     .channels = 1,
     .rate = 48000},
};

static void assert_same_track(const TkCmafTrack *a, const TkCmafTrack *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->track_id, b->track_id);
    assert_int_equal(a->timescale, b->timescale);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->channels, b->channels);
    assert_int_equal(a->rate, b->rate);
    assert_int_equal(a->config_bytes, b->config_bytes);
    assert_memory_equal(a->config, b->config, b->config_bytes);
}

static void check_init(const TkCmafTrack *wanted, guint count)
{
    TkCmafInit init;
    g_autoptr(GBytes) bytes = tk_cmaf_init_write(wanted, count);
    gsize size, piece_bytes;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    assert_true(tk_cmaf_init_parse(data, size, &init));
    assert_int_equal(init.tracks_count, count);
    for (guint i = 0; i < count; i++)
        assert_same_track(&init.tracks[i], &wanted[i]);
    tk_cmaf_init_clear(&init);
    assert_int_equal(tk_cmaf_piece(data, size, NULL, &piece_bytes), TK_CMAF_INIT);
    assert_int_equal(piece_bytes, size);
}

static void test_init(void **state)
{
    check_init(tracks, 2);
    check_init(tracks, 1);
    check_init(tracks + 1, 1);
}

static void test_init_cut_at_every_byte(void **state)
{
    g_autoptr(GBytes) bytes = tk_cmaf_init_write(tracks, 2);
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    for (gsize cut_size = 0; cut_size < size; cut_size++) {
        g_autofree guint8 *cut = g_memdup2(data, cut_size);
        TkCmafInit init;
        gsize piece_bytes;
        assert_false(tk_cmaf_init_parse(cut, cut_size, &init));
        assert_int_equal(tk_cmaf_piece(cut, cut_size, NULL, &piece_bytes), TK_CMAF_TRUNCATED);
    }
}

static void test_init_every_bit_flipped(void **state)
{
    g_autoptr(GBytes) bytes = tk_cmaf_init_write(tracks, 2);
    gsize size;
    g_autofree guint8 *data = g_memdup2(g_bytes_get_data(bytes, &size), g_bytes_get_size(bytes));
    for (gsize bit = 0; bit < size * 8; bit++) {
        TkCmafInit init;
        data[bit / 8] ^= (guint8)(1 << bit % 8);
        if (tk_cmaf_init_parse(data, size, &init)) {
            assert_in_range(init.tracks_count, 1, TK_CMAF_TRACKS_MAX);
            tk_cmaf_init_clear(&init);
        }
        data[bit / 8] ^= (guint8)(1 << bit % 8);
    }
}

#define FTYP_BYTES 32
#define TRAK_AT (FTYP_BYTES + 8 + 108) // behind moov's header and mvhd
#define TRACK_ID_IN_TRAK 28
#define TIMESCALE_IN_TRAK 128

static guint32 u32_at(const guint8 *data)
{
    TkReader r = tk_reader(data, 4);
    return tk_reader_u32(&r);
}

// An init segment whose only trak stands there once for each of `ids`.
static gboolean parses_with_traks(const guint32 *ids, guint count, guint32 timescale)
{
    g_autoptr(GBytes) bytes = tk_cmaf_init_write(tracks, 1);
    const guint8 *data = g_bytes_get_data(bytes, NULL);
    gsize size = g_bytes_get_size(bytes);
    guint32 trak_bytes = u32_at(data + TRAK_AT);
    g_autofree guint8 *trak = g_memdup2(data + TRAK_AT, trak_bytes);
    g_autoptr(GByteArray) file = g_byte_array_new();
    TkCmafInit init;
    assert_memory_equal(trak + 4, "trak", 4);
    g_byte_array_append(file, data, TRAK_AT);
    for (guint i = 0; i < count; i++) {
        tk_poke(trak + TRACK_ID_IN_TRAK, ids[i], 4);
        tk_poke(trak + TIMESCALE_IN_TRAK, timescale, 4);
        g_byte_array_append(file, trak, trak_bytes);
    }
    g_byte_array_append(file, data + TRAK_AT + trak_bytes, (guint)(size - TRAK_AT - trak_bytes));
    tk_patch_u32(file, FTYP_BYTES, file->len - FTYP_BYTES);
    gboolean parses = tk_cmaf_init_parse(file->data, file->len, &init);
    if (parses)
        tk_cmaf_init_clear(&init);
    return parses;
}

static void test_init_traks(void **state)
{
    assert_true(parses_with_traks((const guint32[]){1, 2}, 2, 90000));
    assert_false(parses_with_traks((const guint32[]){1, 2}, 0, 90000));
    assert_false(parses_with_traks((const guint32[]){1, 1}, 2, 90000));
    assert_false(parses_with_traks((const guint32[]){1, 2, 3}, 3, 90000));
    assert_false(parses_with_traks((const guint32[]){0}, 1, 90000));
    assert_false(parses_with_traks((const guint32[]){1}, 1, 0));
}

static void test_init_config_bounds(void **state)
{
    TkCmafInit init;
    TkCmafTrack track = tracks[0];
    g_autofree guint8 *large = g_malloc0(20000);
    memcpy(large, avc_config, sizeof avc_config);
    track.config = large;
    for (track.config_bytes = 5; track.config_bytes <= 20000; track.config_bytes += 19995) {
        g_autoptr(GBytes) bytes = tk_cmaf_init_write(&track, 1);
        assert_false(
            tk_cmaf_init_parse(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &init));
    }
}

static void test_codecs(void **state)
{
    g_autofree char *both = tk_cmaf_codecs(tracks, 2);
    g_autofree char *video = tk_cmaf_codecs(tracks, 1);
    g_autofree char *audio = tk_cmaf_codecs(tracks + 1, 1);
    assert_string_equal(both, "avc1.64001F,mp4a.40.2");
    assert_string_equal(video, "avc1.64001F");
    assert_string_equal(audio, "mp4a.40.2");
}

// One chunk made by a seed, and what it was made of.
typedef struct {
    TkCmafRun runs[TK_CMAF_TRACKS_MAX];
    guint count;
    guint32 sequence;
    guint64 ntp;
    guint8 *bytes;
    gsize size;
} Chunk;

static TkCmafRun random_run(GRand *rand, guint32 track_id, guint samples_max)
{
    guint count = (guint)g_rand_int_range(rand, 1, (gint32)samples_max + 1);
    TkCmafSample *samples = g_new0(TkCmafSample, count);
    gsize bytes = 0;
    for (guint i = 0; i < count; i++) {
        samples[i] = (TkCmafSample){
            .duration = g_rand_int(rand) >> g_rand_int_range(rand, 0, 32),
            .size = (guint32)g_rand_int_range(rand, 0, 100),
            .cts_offset = (gint32)g_rand_int(rand) >> 8,
            .key = g_rand_boolean(rand),
        };
        bytes += samples[i].size;
    }
    guint8 *data = g_malloc(MAX(bytes, 1));
    for (gsize i = 0; i < bytes; i++)
        data[i] = (guint8)g_rand_int(rand);
    guint64 high = g_rand_int(rand) >> 16;
    return (TkCmafRun){.track_id = track_id,
                       .decode_time = high << 32 | g_rand_int(rand),
                       .samples = samples,
                       .samples_count = count,
                       .data = data,
                       .data_bytes = bytes};
}

static Chunk random_chunk(GRand *rand, guint samples_max)
{
    Chunk chunk = {.count = (guint)g_rand_int_range(rand, 1, 3), .sequence = g_rand_int(rand)};
    if (g_rand_boolean(rand))
        chunk.ntp = (guint64)g_rand_int(rand) << 32 | 1;
    for (guint i = 0; i < chunk.count; i++)
        chunk.runs[i] = random_run(rand, i + 1, samples_max);
    chunk.size = tk_cmaf_chunk_bytes(chunk.runs, chunk.count, chunk.ntp != 0);
    chunk.bytes = g_malloc(chunk.size);
    tk_cmaf_chunk_write(chunk.bytes, chunk.sequence, chunk.ntp, chunk.runs, chunk.count);
    return chunk;
}

static void clear_chunk(Chunk *chunk)
{
    for (guint i = 0; i < chunk->count; i++) {
        g_free((gpointer)chunk->runs[i].samples);
        g_free((gpointer)chunk->runs[i].data);
    }
    g_free(chunk->bytes);
}

static void assert_same_run(const Chunk *chunk, const TkCmafRun *wanted, const TkCmafRunInfo *run)
{
    TkCmafCursor cursor = {0};
    TkCmafSampleAt at;
    guint64 duration = 0;
    const guint8 *data = wanted->data;
    assert_int_equal(run->track_id, wanted->track_id);
    assert_int_equal(run->decode_time, wanted->decode_time);
    assert_int_equal(run->samples_count, wanted->samples_count);
    assert_int_equal(run->starts_key, wanted->samples[0].key);
    for (guint i = 0; i < wanted->samples_count; i++) {
        assert_true(tk_cmaf_sample_next(run, &cursor, &at));
        assert_int_equal(at.sample.duration, wanted->samples[i].duration);
        assert_int_equal(at.sample.size, wanted->samples[i].size);
        assert_int_equal(at.sample.cts_offset, wanted->samples[i].cts_offset);
        assert_int_equal(at.sample.key, wanted->samples[i].key);
        assert_memory_equal(chunk->bytes + at.offset, data, at.sample.size);
        data += at.sample.size;
        duration += at.sample.duration;
    }
    assert_false(tk_cmaf_sample_next(run, &cursor, &at));
    assert_int_equal(run->duration, duration);
}

static void test_round_trip(void **state)
{
    GRand *rand = g_rand_new_with_seed(SEED);
    for (guint round = 0; round < 200; round++) {
        Chunk chunk = random_chunk(rand, round == 0 ? TK_CMAF_SAMPLES_MAX : 20);
        TkCmafChunk read;
        gsize bytes;
        assert_int_equal(tk_cmaf_piece(chunk.bytes, chunk.size, &read, &bytes), TK_CMAF_CHUNK);
        assert_int_equal(bytes, chunk.size);
        assert_int_equal(read.bytes, chunk.size);
        assert_int_equal(read.sequence, chunk.sequence);
        assert_true(read.ntp == chunk.ntp);
        assert_int_equal(read.runs_count, chunk.count);
        for (guint i = 0; i < chunk.count; i++)
            assert_same_run(&chunk, &chunk.runs[i], &read.runs[i]);
        clear_chunk(&chunk);
    }
    g_rand_free(rand);
}

static void test_cut_at_every_byte(void **state)
{
    GRand *rand = g_rand_new_with_seed(SEED + 1);
    for (guint round = 0; round < 20; round++) {
        Chunk chunk = random_chunk(rand, 5);
        for (gsize size = 0; size < chunk.size; size++) {
            g_autofree guint8 *cut = g_memdup2(chunk.bytes, size);
            TkCmafChunk read;
            gsize bytes;
            assert_int_equal(tk_cmaf_piece(cut, size, &read, &bytes), TK_CMAF_TRUNCATED);
        }
        clear_chunk(&chunk);
    }
    g_rand_free(rand);
}

// Whatever is still taken for a chunk has all its samples inside.
static void test_every_bit_flipped(void **state)
{
    GRand *rand = g_rand_new_with_seed(SEED + 2);
    Chunk chunk = random_chunk(rand, 5);
    guint refused = 0;
    for (gsize bit = 0; bit < chunk.size * 8; bit++) {
        TkCmafChunk read;
        gsize bytes;
        chunk.bytes[bit / 8] ^= (guint8)(1 << bit % 8);
        if (tk_cmaf_piece(chunk.bytes, chunk.size, &read, &bytes) != TK_CMAF_CHUNK) {
            refused++;
        } else {
            assert_true(bytes <= chunk.size);
            for (guint i = 0; i < read.runs_count; i++) {
                TkCmafCursor cursor = {0};
                TkCmafSampleAt at;
                while (tk_cmaf_sample_next(&read.runs[i], &cursor, &at))
                    assert_true(at.offset + at.sample.size <= bytes);
            }
        }
        chunk.bytes[bit / 8] ^= (guint8)(1 << bit % 8);
    }
    assert_true(refused > 500);
    clear_chunk(&chunk);
    g_rand_free(rand);
}

static Chunk small_chunk(guint64 ntp)
{
    GRand *rand = g_rand_new_with_seed(SEED + 3);
    Chunk chunk = {.count = 1, .sequence = 7, .ntp = ntp};
    chunk.runs[0] = random_run(rand, 1, 1);
    chunk.runs[0].decode_time = 90000;
    ((TkCmafSample *)chunk.runs[0].samples)->cts_offset = -3000;
    chunk.size = tk_cmaf_chunk_bytes(chunk.runs, 1, ntp != 0);
    chunk.bytes = g_malloc(chunk.size);
    tk_cmaf_chunk_write(chunk.bytes, chunk.sequence, ntp, chunk.runs, 1);
    g_rand_free(rand);
    return chunk;
}

// Byte by byte as ISO/IEC 14496-12 section 8.16.5 has it: strangers read it too.
static void test_prft(void **state)
{
    static const guint8 wanted[] = {0, 0, 0, 32, 'p',  'r',  'f',  't', 1,    0, 0, 24,
                                    0, 0, 0, 1,  0xe8, 0xf7, 0,    0,   0x80, 0, 0, 0, // NTP
                                    0, 0, 0, 0,  0,    1,    0x53, 0xd8}; // 90000 - 3000
    Chunk chunk = small_chunk(G_GUINT64_CONSTANT(0xe8f7000080000000));
    assert_memory_equal(chunk.bytes, wanted, sizeof wanted);
    clear_chunk(&chunk);
}

static void assert_foreign_with(gsize at, guint64 value, guint width)
{
    Chunk chunk = small_chunk(0);
    gsize bytes;
    assert_int_equal(tk_cmaf_piece(chunk.bytes, chunk.size, NULL, &bytes), TK_CMAF_CHUNK);
    tk_poke(chunk.bytes + at, value, width);
    assert_int_equal(tk_cmaf_piece(chunk.bytes, chunk.size, NULL, &bytes), TK_CMAF_FOREIGN);
    clear_chunk(&chunk);
}

// moof at 0, mfhd 8, traf 24, tfhd 32, tfdt 48, trun 68, its one sample 88, mdat 104.
static void test_foreign(void **state)
{
    assert_foreign_with(0, 0, 4);                            // size 0: to the end
    assert_foreign_with(0, 1, 4);                            // 64-bit size
    assert_foreign_with(0, 7, 4);                            // shorter than its header
    assert_foreign_with(0, 0x7fffffff, 4);                   // not to be waited for
    assert_foreign_with(4, 0x73747970, 4);                   // styp
    assert_foreign_with(28, 0x66726565, 4);                  // free instead of traf
    assert_foreign_with(40, 0, 4);                           // tfhd's flags
    assert_foreign_with(44, 0, 4);                           // track 0
    assert_foreign_with(60, G_GUINT64_CONSTANT(1) << 62, 8); // decode time
    assert_foreign_with(80, 0, 4);                           // no samples
    assert_foreign_with(80, 0xffffffff, 4);                  // too many
    assert_foreign_with(84, 0, 4);                           // data elsewhere
    assert_foreign_with(92, 0xfffffff0, 4);                  // sample longer than the mdat
    assert_foreign_with(104, 8, 4);                          // mdat shorter than its samples
    assert_foreign_with(104, 0x7fffffff, 4);                 // and longer
    assert_foreign_with(108, 0x66726565, 4);                 // free instead of mdat
}

static void test_run_without_samples(void **state)
{
    const TkCmafRun run = {.track_id = 1};
    gsize size = tk_cmaf_chunk_bytes(&run, 1, FALSE), bytes;
    g_autofree guint8 *chunk = g_malloc(size);
    tk_cmaf_chunk_write(chunk, 1, 0, &run, 1);
    assert_int_equal(tk_cmaf_piece(chunk, size, NULL, &bytes), TK_CMAF_FOREIGN);
}

static TkCmafPiece piece_of(const guint8 *data, gsize size)
{
    gsize bytes;
    return tk_cmaf_piece(data, size, NULL, &bytes);
}

static void test_two_runs_of_one_track(void **state)
{
    const TkCmafSample sample = {.duration = 1};
    const TkCmafRun runs[] = {{.track_id = 1, .samples = &sample, .samples_count = 1},
                              {.track_id = 1, .samples = &sample, .samples_count = 1}};
    gsize size = tk_cmaf_chunk_bytes(runs, 2, FALSE);
    g_autofree guint8 *chunk = g_malloc(size);
    tk_cmaf_chunk_write(chunk, 1, 0, runs, 2);
    assert_int_equal(piece_of(chunk, size), TK_CMAF_FOREIGN);
}

#define TRAF_AT 24
#define TRAF_BYTES 80

// A chunk whose only traf, of one empty sample, stands there `count` times, each with `tail` zero
// bytes behind its trun.
static TkCmafPiece piece_with_trafs(guint count, guint tail)
{
    const TkCmafSample sample = {.duration = 1};
    const TkCmafRun run = {.track_id = 1, .samples = &sample, .samples_count = 1};
    guint8 one[TRAF_AT + TRAF_BYTES + 8];
    g_autoptr(GByteArray) chunk = g_byte_array_new();
    assert_int_equal(tk_cmaf_chunk_bytes(&run, 1, FALSE), sizeof one);
    tk_cmaf_chunk_write(one, 1, 0, &run, 1);
    guint moof = TRAF_AT + count * (TRAF_BYTES + tail);
    g_byte_array_append(chunk, one, TRAF_AT);
    tk_patch_u32(chunk, 0, moof);
    for (guint i = 0; i < count; i++) {
        guint8 *traf = one + TRAF_AT;
        tk_poke(traf, TRAF_BYTES + tail, 4);
        tk_poke(traf + 20, i + 1, 4);    // track
        tk_poke(traf + 60, moof + 8, 4); // data offset
        g_byte_array_append(chunk, traf, TRAF_BYTES);
        for (guint j = 0; j < tail; j++)
            tk_put(chunk, 0, 1);
    }
    g_byte_array_append(chunk, one + TRAF_AT + TRAF_BYTES, 8);
    return piece_of(chunk->data, chunk->len);
}

static void test_trafs(void **state)
{
    assert_int_equal(piece_with_trafs(1, 0), TK_CMAF_CHUNK);
    assert_int_equal(piece_with_trafs(2, 0), TK_CMAF_CHUNK);
    assert_int_equal(piece_with_trafs(0, 0), TK_CMAF_FOREIGN);
    assert_int_equal(piece_with_trafs(3, 0), TK_CMAF_FOREIGN);
    assert_int_equal(piece_with_trafs(1, 8), TK_CMAF_FOREIGN);
}

static void test_foreign_prft(void **state)
{
    static const gsize places[] = {8, 11, 0}; // version, flags, size
    for (guint i = 0; i < G_N_ELEMENTS(places); i++) {
        Chunk chunk = small_chunk(7);
        assert_int_equal(piece_of(chunk.bytes, chunk.size), TK_CMAF_CHUNK);
        chunk.bytes[places[i]] ^= 1;
        assert_int_equal(piece_of(chunk.bytes, chunk.size), TK_CMAF_FOREIGN);
        clear_chunk(&chunk);
    }
}

static void test_one_behind_the_other(void **state)
{
    GRand *rand = g_rand_new_with_seed(SEED + 4);
    g_autoptr(GBytes) init = tk_cmaf_init_write(tracks, 2);
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_byte_array_append(file, g_bytes_get_data(init, NULL), (guint)g_bytes_get_size(init));
    guint32 sequences[10];
    for (guint i = 0; i < G_N_ELEMENTS(sequences); i++) {
        Chunk chunk = random_chunk(rand, 5);
        sequences[i] = chunk.sequence;
        g_byte_array_append(file, chunk.bytes, (guint)chunk.size);
        clear_chunk(&chunk);
    }
    g_rand_free(rand);

    gsize bytes, at = 0;
    assert_int_equal(tk_cmaf_piece(file->data, file->len, NULL, &bytes), TK_CMAF_INIT);
    for (guint i = 0; i < G_N_ELEMENTS(sequences); i++) {
        TkCmafChunk chunk;
        at += bytes;
        assert_int_equal(tk_cmaf_piece(file->data + at, file->len - at, &chunk, &bytes),
                         TK_CMAF_CHUNK);
        assert_int_equal(chunk.sequence, sequences[i]);
    }
    assert_int_equal(at + bytes, file->len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_init_cut_at_every_byte),
        cmocka_unit_test(test_init_every_bit_flipped),
        cmocka_unit_test(test_init_traks),
        cmocka_unit_test(test_init_config_bounds),
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_prft),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_foreign_prft),
        cmocka_unit_test(test_run_without_samples),
        cmocka_unit_test(test_two_runs_of_one_track),
        cmocka_unit_test(test_trafs),
        cmocka_unit_test(test_one_behind_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
