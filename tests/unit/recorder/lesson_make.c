// SPDX-License-Identifier: MIT
#include "tests/unit/recorder/lesson_make.h"

#include "common/base/clock.h"
#include "tests/unit/check.h"
#include "tests/unit/media/gst_capture.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    GPtrArray *frames; // GBytes
    GArray *keys;      // gboolean
    guint8 *config;
    gsize config_bytes;
} Encoded;

// A tenth of a second of tone every 0.71 s, and silence; `seconds` of it, mono, 48 kHz, S16LE. (In
// audiotestsrc's ticks what lies between them is whatever memory held, on which libavcodec's
// encoder may never end.)
static GPtrArray *tone_make(guint seconds)
{
    GPtrArray *buffers = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (guint at = 0; at < seconds * 48000 + 1024; at += 1024) {
        gint16 samples[1024];
        for (guint i = 0; i < G_N_ELEMENTS(samples); i++) {
            guint place = (at + i) % 34080;
            double level = place < 4800 ? 12000 * sin(2 * G_PI * 440 * place / 48000) : 0;
            samples[i] = GINT16_TO_LE((gint16)level);
        }
        g_ptr_array_add(buffers, g_bytes_new(samples, sizeof samples));
    }
    return buffers;
}

static void encode(const char *pipeline, const GPtrArray *raw, Encoded *ret)
{
    GstCapture capture;
    gst_init(NULL, NULL);
    gst_capture_feed(&capture, pipeline, NULL, raw);
    ret->frames = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    ret->keys = g_array_new(FALSE, FALSE, sizeof(gboolean));
    for (guint i = 0; i < capture.frames->len; i++) {
        GstSample *sample = capture.frames->pdata[i];
        gboolean key =
            !GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_DELTA_UNIT);
        g_ptr_array_add(ret->frames, gst_capture_bytes(sample));
        g_array_append_val(ret->keys, key);
    }
    assert_true(ret->frames->len > 0);
    const GstStructure *caps =
        gst_caps_get_structure(gst_sample_get_caps(capture.frames->pdata[0]), 0);
    GstBuffer *config = gst_value_get_buffer(gst_structure_get_value(caps, "codec_data"));
    ret->config_bytes = gst_buffer_get_size(config);
    ret->config = g_malloc(ret->config_bytes);
    gst_buffer_extract(config, 0, ret->config, ret->config_bytes);
    gst_capture_clear(&capture);
}

static void encoded_clear(Encoded *encoded)
{
    g_ptr_array_unref(encoded->frames);
    g_array_unref(encoded->keys);
    g_free(encoded->config);
}

// Frames [from, to) as one run; `data` and `samples` belong to the caller.
static TkCmafRun run_of(const Encoded *encoded, guint32 track_id, guint32 ticks, guint from,
                        guint to, guint64 start, GByteArray *data, GArray *samples)
{
    for (guint i = from; i < to; i++) {
        gsize size;
        const guint8 *bytes = g_bytes_get_data(encoded->frames->pdata[i], &size);
        TkCmafSample sample = {.duration = ticks,
                               .size = (guint32)size,
                               .key = g_array_index(encoded->keys, gboolean, i)};
        g_byte_array_append(data, bytes, (guint)size);
        g_array_append_val(samples, sample);
    }
    return (TkCmafRun){.track_id = track_id,
                       .decode_time = start + (guint64)from * ticks,
                       .samples = (const TkCmafSample *)samples->data,
                       .samples_count = samples->len,
                       .data = data->data,
                       .data_bytes = data->len};
}

static GBytes *chunk_make(const Encoded *video, const Encoded *audio, guint number, guint start_s,
                          guint32 sequence)
{
    g_autoptr(GByteArray) pictures = g_byte_array_new(), sound = g_byte_array_new();
    g_autoptr(GArray) video_samples = g_array_new(FALSE, FALSE, sizeof(TkCmafSample));
    g_autoptr(GArray) audio_samples = g_array_new(FALSE, FALSE, sizeof(TkCmafSample));
    guint from = MIN(number * 4800 / 1024, audio->frames->len);
    guint to = MIN((number + 1) * 4800 / 1024, audio->frames->len);
    TkCmafRun runs[2] = {
        run_of(video, 1, 90000 / LESSON_FPS, number, number + 1, start_s * 90000ull, pictures,
               video_samples),
    };
    if (to > from)
        runs[1] = run_of(audio, 2, 1024, from, to, start_s * 48000ull, sound, audio_samples);
    guint count = to > from ? 2 : 1;
    gsize bytes = tk_cmaf_chunk_bytes(runs, count, TRUE);
    guint8 *buffer = g_malloc(bytes);
    gint64 wall_ns = LESSON_WALL_NS + start_s * TK_NS_PER_S + number * TK_NS_PER_S / LESSON_FPS;
    tk_cmaf_chunk_write(buffer, sequence, tk_clock_ntp_from_wall(wall_ns), runs, count);
    return g_bytes_new_take(buffer, bytes);
}

LessonPieces *lesson_make(guint seconds, guint start_s, guint32 first_sequence, guint width)
{
    LessonPieces *pieces = g_new0(LessonPieces, 1);
    Encoded video, audio;
    g_autofree char *picture = g_strdup_printf(
        "videotestsrc num-buffers=%u pattern=ball ! video/x-raw,width=%u,height=96,framerate=%d/1"
        " ! x264enc key-int-max=%d bframes=0 tune=zerolatency speed-preset=ultrafast ! h264parse"
        " ! video/x-h264,stream-format=avc,alignment=au ! " CAPTURE_SINK("frames"),
        seconds * LESSON_FPS, width, LESSON_FPS, LESSON_FPS);
    static const char tone[] =
        "appsrc name=source format=time ! rawaudioparse format=pcm pcm-format=s16le"
        " sample-rate=48000 num-channels=1 ! audioconvert ! avenc_aac"
        " ! audio/mpeg,stream-format=raw ! " CAPTURE_SINK("frames");
    g_autoptr(GPtrArray) raw = tone_make(seconds);

    encode(picture, NULL, &video);
    encode(tone, raw, &audio);
    TkCmafTrack tracks[2] = {
        {.kind = TK_TRACK_VIDEO,
         .track_id = 1,
         .timescale = 90000,
         .config = video.config,
         .config_bytes = video.config_bytes,
         .width = width,
         .height = 96},
        {.kind = TK_TRACK_AUDIO,
         .track_id = 2,
         .timescale = 48000,
         .config = audio.config,
         .config_bytes = audio.config_bytes,
         .channels = 1,
         .rate = 48000},
    };
    pieces->init = tk_cmaf_init_write(tracks, 2);
    pieces->chunks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (guint i = 0; i < video.frames->len; i++)
        g_ptr_array_add(pieces->chunks, chunk_make(&video, &audio, i, start_s, first_sequence + i));
    encoded_clear(&video);
    encoded_clear(&audio);
    return pieces;
}

// Appends a chunk's run of a track to `run`.
static void run_gather(GBytes *piece, guint32 track_id, TkCmafRun *run, GArray *samples,
                       GByteArray *data)
{
    gsize size, bytes;
    const guint8 *at = g_bytes_get_data(piece, &size);
    TkCmafChunk chunk;
    assert_int_equal(tk_cmaf_piece(at, size, &chunk, &bytes), TK_CMAF_CHUNK);
    for (guint i = 0; i < chunk.runs_count; i++) {
        const TkCmafRunInfo *info = &chunk.runs[i];
        TkCmafCursor cursor = {0};
        TkCmafSampleAt sample;
        if (info->track_id != track_id)
            continue;
        if (samples->len == 0)
            *run = (TkCmafRun){.track_id = track_id, .decode_time = info->decode_time};
        while (tk_cmaf_sample_next(info, &cursor, &sample)) {
            g_array_append_val(samples, sample.sample);
            g_byte_array_append(data, at + sample.offset, sample.sample.size);
        }
    }
    run->samples = (const TkCmafSample *)(const void *)samples->data;
    run->samples_count = samples->len;
    run->data = data->data;
    run->data_bytes = data->len;
}

// The sound of chunks [from, to) and the picture of chunk to - 1, if it is wanted. Media time is
// `zero_s` less.
static GBytes *chunk_again(const LessonPieces *whole, guint from, guint to, gboolean picture,
                           guint32 sequence, guint zero_s, gint64 late_ns)
{
    g_autoptr(GArray) pictures = g_array_new(FALSE, FALSE, sizeof(TkCmafSample));
    g_autoptr(GArray) sounds = g_array_new(FALSE, FALSE, sizeof(TkCmafSample));
    g_autoptr(GByteArray) seen = g_byte_array_new(), heard = g_byte_array_new();
    TkCmafRun runs[2];
    guint count = 0;

    if (picture)
        run_gather(whole->chunks->pdata[to - 1], 1, &runs[count++], pictures, seen);
    for (guint i = from; i < to; i++)
        run_gather(whole->chunks->pdata[i], 2, &runs[count], sounds, heard);
    count += sounds->len > 0;
    gint64 wall_ns = LESSON_WALL_NS + (gint64)(runs[0].decode_time * (guint64)TK_NS_PER_S /
                                               (picture ? 90000 : 48000));
    for (guint i = 0; i < count; i++)
        runs[i].decode_time -= zero_s * (runs[i].track_id == 1 ? 90000ull : 48000ull);
    gsize bytes = tk_cmaf_chunk_bytes(runs, count, TRUE);
    guint8 *buffer = g_malloc(bytes);
    tk_cmaf_chunk_write(buffer, sequence, tk_clock_ntp_from_wall(wall_ns + late_ns), runs, count);
    return g_bytes_new_take(buffer, bytes);
}

LessonPieces *lesson_blind(const LessonPieces *whole, guint from, guint to, gboolean together)
{
    LessonPieces *pieces = g_new0(LessonPieces, 1);
    pieces->init = g_bytes_ref(whole->init);
    pieces->chunks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (guint i = 0; i < whole->chunks->len; i++) {
        gboolean blind = i >= from && i < to;
        if (blind && together)
            continue;
        guint first = i == to && together ? from : i;
        g_ptr_array_add(pieces->chunks,
                        chunk_again(whole, first, i + 1, !blind, pieces->chunks->len + 1, 0, 0));
    }
    return pieces;
}

LessonPieces *lesson_restarted(const LessonPieces *whole, guint from, guint to, guint zero_s,
                               gint64 late_ns)
{
    LessonPieces *pieces = g_new0(LessonPieces, 1);
    pieces->init = g_bytes_ref(whole->init);
    pieces->chunks = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    pieces->shift_ns = zero_s * TK_NS_PER_S;
    for (guint i = from; i < to; i++)
        g_ptr_array_add(pieces->chunks,
                        chunk_again(whole, i, i + 1, TRUE, i - from + 1, zero_s, late_ns));
    return pieces;
}

void lesson_free(LessonPieces *pieces)
{
    g_bytes_unref(pieces->init);
    g_ptr_array_unref(pieces->chunks);
    g_free(pieces);
}

static void file_append(const char *path, const void *data, gsize size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(fd >= 0);
    assert_true(rec_write_all(fd, data, size));
    close(fd);
}

void lesson_store(const char *folder, const char *stream, const LessonPieces *pieces,
                  gboolean with_init, guint from, guint count)
{
    g_auto(RecRecovered) recovered = {0};
    g_autoptr(GString) lines = g_string_new(NULL);
    g_autofree char *media = rec_stream_path(folder, stream, "mp4");
    g_autofree char *index = rec_stream_path(folder, stream, "index");
    gsize size;
    const guint8 *data = g_bytes_get_data(pieces->init, &size);
    TkCmafInit init = {0};

    assert_true(rec_recover_stream(folder, stream, &recovered, NULL));
    guint64 offset = recovered.media_bytes;
    if (offset == 0 && !g_file_test(index, G_FILE_TEST_EXISTS))
        g_string_append(lines, REC_INDEX_HEADER);
    assert_true(tk_cmaf_init_parse(data, size, &init));
    if (with_init) {
        RecEntry entry = {.offset = offset,
                          .bytes = (guint32)size,
                          .flags = REC_ENTRY_INIT,
                          .sequence = 1,
                          .crc = rec_crc32(data, size)};
        file_append(media, data, size);
        rec_entry_format(&entry, lines);
        offset += size;
    }
    for (guint i = from; i < from + count; i++) {
        TkCmafChunk chunk;
        RecEntry entry;
        gsize bytes;
        data = g_bytes_get_data(pieces->chunks->pdata[i], &size);
        assert_int_equal(tk_cmaf_piece(data, size, &chunk, &bytes), TK_CMAF_CHUNK);
        assert_int_equal(bytes, size);
        assert_true(rec_entry_from_chunk(&init, &chunk, data, pieces->shift_ns, &entry));
        entry.offset = offset;
        file_append(media, data, size);
        rec_entry_format(&entry, lines);
        offset += size;
    }
    file_append(index, lines->str, lines->len);
    tk_cmaf_init_clear(&init);
}

gsize lesson_media_size(const char *folder)
{
    g_autofree char *path = rec_stream_path(folder, "main", "mp4");
    GStatBuf info;
    assert_int_equal(g_stat(path, &info), 0);
    return (gsize)info.st_size;
}

guint lesson_recover(const char *folder)
{
    g_auto(RecRecovered) recovered = {0};
    assert_true(rec_recover_stream(folder, "main", &recovered, NULL));
    assert_int_equal(recovered.media_bytes, lesson_media_size(folder));
    return recovered.entries->len;
}

char *lesson_folder_new(void)
{
    char *folder = g_dir_make_tmp("tongke-recorder-XXXXXX", NULL);
    assert_non_null(folder);
    return folder;
}

void lesson_folder_free(char *folder)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        char *path = g_build_filename(folder, name, NULL);
        if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK)) {
            lesson_folder_free(path);
        } else {
            g_unlink(path);
            g_free(path);
        }
    }
    g_rmdir(folder);
    g_free(folder);
}

char *lesson_run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *complaints = NULL;
    char *output = NULL;
    int status;
    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output,
                      &complaints, &status, &error))
        fail_msg("%s: %s", argv[0], error->message);
    if (!g_spawn_check_wait_status(status, NULL) || complaints[0])
        fail_msg("%s ended with %d and said: %s", argv[0], status, complaints);
    return output;
}
