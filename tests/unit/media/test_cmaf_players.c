// SPDX-License-Identifier: MIT
// A lesson's packets through depayloaders and writer into a file, and that file into ffprobe and
// ffmpeg: strangers must read what we write.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <glib/gstdio.h>

#include "common/media/aac.h"
#include "common/media/bytes.h"
#include "common/media/cmaf_read.h"
#include "common/media/h264.h"
#include "tests/unit/media/gst_capture.h"

#define FRAMES_PER_CHUNK 3

typedef struct {
    guint32 timescale;
    guint32 first_timestamp;
    GArray *samples;   // TkCmafSample
    GArray *times;     // guint64, of presentation, in order of decoding
    GByteArray *bytes; // the samples one behind the other
    guint next;        // sample to be written
    gsize next_byte;
    guint64 next_time; // of decoding
} Track;

static void track_init(Track *track, guint32 timescale)
{
    *track = (Track){
        .timescale = timescale,
        .samples = g_array_new(FALSE, FALSE, sizeof(TkCmafSample)),
        .times = g_array_new(FALSE, FALSE, sizeof(guint64)),
        .bytes = g_byte_array_new(),
    };
}

static void track_clear(Track *track)
{
    g_array_unref(track->samples);
    g_array_unref(track->times);
    g_byte_array_unref(track->bytes);
}

static void keep_frame(const TkFrame *frame, void *user_data)
{
    Track *track = user_data;
    TkCmafSample sample = {.size = (guint32)frame->size, .key = frame->key};
    if (track->times->len == 0)
        track->first_timestamp = frame->rtp_timestamp;
    guint64 time = (guint32)(frame->rtp_timestamp - track->first_timestamp);
    g_array_append_val(track->samples, sample);
    g_array_append_val(track->times, time);
    g_byte_array_append(track->bytes, frame->data, (guint)frame->size);
}

static gint compare_times(gconstpointer a, gconstpointer b)
{
    guint64 x = *(const guint64 *)a, y = *(const guint64 *)b;
    return x < y ? -1 : x > y;
}

// Pictures are decoded at the sorted times of their presentation; with B-frames offsets may be
// negative, as version 1 of trun allows.
static void track_set_timing(Track *track)
{
    g_autoptr(GArray) sorted = g_array_copy(track->times);
    g_array_sort(sorted, compare_times);
    guint32 duration = 0;
    for (guint i = 0; i < sorted->len; i++) {
        TkCmafSample *sample = &g_array_index(track->samples, TkCmafSample, i);
        guint64 decode = g_array_index(sorted, guint64, i);
        gint64 offset = (gint64)(g_array_index(track->times, guint64, i) - decode);
        if (i + 1 < sorted->len)
            duration = (guint32)(g_array_index(sorted, guint64, i + 1) - decode);
        sample->duration = duration;
        sample->cts_offset = (gint32)offset;
    }
}

static TkCmafRun take_run(Track *track, guint32 track_id, guint count)
{
    TkCmafRun run = {
        .track_id = track_id,
        .decode_time = track->next_time,
        .samples = &g_array_index(track->samples, TkCmafSample, track->next),
        .samples_count = count,
        .data = track->bytes->data + track->next_byte,
    };
    for (guint i = 0; i < count; i++) {
        run.data_bytes += run.samples[i].size;
        track->next_time += run.samples[i].duration;
    }
    track->next += count;
    track->next_byte += run.data_bytes;
    return run;
}

static guint count_video(const Track *video)
{
    guint count = 0;
    while (video->next + count < video->samples->len && count < FRAMES_PER_CHUNK) {
        if (count > 0 && g_array_index(video->samples, TkCmafSample, video->next + count).key)
            break;
        count++;
    }
    return count;
}

static guint count_audio(const Track *audio, double until_s)
{
    guint count = 0;
    guint64 time = audio->next_time;
    while (audio->next + count < audio->samples->len && (double)time / audio->timescale < until_s)
        time += g_array_index(audio->samples, TkCmafSample, audio->next + count++).duration;
    return count;
}

static void append_chunk(GByteArray *file, guint32 sequence, const TkCmafRun *runs, guint count)
{
    const guint64 ntp = G_GUINT64_CONSTANT(0xe8f7000080000000) + sequence;
    gsize bytes = tk_cmaf_chunk_bytes(runs, count, TRUE);
    gsize at = file->len;
    g_byte_array_set_size(file, (guint)(at + bytes));
    tk_cmaf_chunk_write(file->data + at, sequence, ntp, runs, count);
}

static void append_chunks(GByteArray *file, Track *video, Track *audio)
{
    for (guint32 sequence = 1; video->next < video->samples->len; sequence++) {
        TkCmafRun runs[TK_CMAF_TRACKS_MAX] = {take_run(video, 1, count_video(video))};
        guint samples = count_audio(audio, (double)video->next_time / video->timescale);
        if (samples > 0)
            runs[1] = take_run(audio, 2, samples);
        append_chunk(file, sequence, runs, samples > 0 ? 2 : 1);
    }
}

static void depay_video(const GstCapture *capture, TkH264Depay *depay)
{
    tk_h264_depay_set_sprop(depay, gst_capture_fmtp(capture, "sprop-parameter-sets"));
    for (guint i = 0; i < capture->packets->len; i++) {
        g_autoptr(GBytes) packet = gst_capture_bytes(g_ptr_array_index(capture->packets, i));
        TkRtp rtp;
        assert_true(tk_rtp_parse(g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), &rtp));
        tk_h264_depay_push(depay, &rtp, FALSE);
    }
}

static void depay_audio(const GstCapture *capture, Track *track, TkAacConfig *ret_config)
{
    const char *hex = gst_capture_fmtp(capture, "config");
    guint8 config[TK_AAC_CONFIG_MAX];
    gsize size = 0;
    for (; hex[0] && hex[1] && size < sizeof config; hex += 2)
        config[size++] = (guint8)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1]));
    assert_true(tk_aac_config_parse(config, size, ret_config));
    track_init(track, ret_config->rate);
    g_autoptr(TkAacDepay) depay =
        tk_aac_depay_new(TK_AAC_MODE_HBR, ret_config->frame_samples, keep_frame, track);
    for (guint i = 0; i < capture->packets->len; i++) {
        g_autoptr(GBytes) packet = gst_capture_bytes(g_ptr_array_index(capture->packets, i));
        TkRtp rtp;
        assert_true(tk_rtp_parse(g_bytes_get_data(packet, NULL), g_bytes_get_size(packet), &rtp));
        tk_aac_depay_push(depay, &rtp, FALSE);
    }
}

// Returns the file's path; newly allocated.
static char *write_file(const char *folder, const char *video_source, const char *audio_source)
{
    GstCapture pictures, sound;
    Track video, audio;
    TkH264Sps sps;
    TkAacConfig aac;
    g_autofree char *video_line =
        g_strconcat(video_source, " ! rtph264pay ! " CAPTURE_SINK("packets"), NULL);
    g_autofree char *audio_line =
        g_strconcat(audio_source, " ! rtpmp4gpay ! " CAPTURE_SINK("packets"), NULL);
    gst_capture_run(&pictures, video_line);
    gst_capture_run(&sound, audio_line);
    track_init(&video, TK_CMAF_VIDEO_TIMESCALE);
    g_autoptr(TkH264Depay) depay = tk_h264_depay_new(keep_frame, &video);
    depay_video(&pictures, depay);
    depay_audio(&sound, &audio, &aac);
    track_set_timing(&video);
    track_set_timing(&audio);

    TkCmafTrack tracks[] = {
        {.kind = TK_TRACK_VIDEO, .track_id = 1, .timescale = TK_CMAF_VIDEO_TIMESCALE},
        {.kind = TK_TRACK_AUDIO,
         .track_id = 2,
         .timescale = aac.rate,
         .config = aac.config,
         .config_bytes = aac.config_bytes,
         .channels = aac.channels,
         .rate = aac.rate},
    };
    const guint8 *record = tk_h264_depay_config(depay, &tracks[0].config_bytes, &sps);
    tracks[0].config = (guint8 *)record;
    tracks[0].width = sps.width;
    tracks[0].height = sps.height;
    g_autoptr(GBytes) init = tk_cmaf_init_write(tracks, 2);
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_byte_array_append(file, g_bytes_get_data(init, NULL), (guint)g_bytes_get_size(init));
    append_chunks(file, &video, &audio);

    char *path = g_build_filename(folder, "lesson.mp4", NULL);
    assert_true(g_file_set_contents(path, (char *)file->data, file->len, NULL));
    track_clear(&video);
    track_clear(&audio);
    gst_capture_clear(&pictures);
    gst_capture_clear(&sound);
    return path;
}

// What the program says on stdout, after it has said nothing on stderr. Newly allocated.
static char *run_quietly(const char *const *argv)
{
    char *out = NULL;
    g_autofree char *complaints = NULL;
    int status = 0;
    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                             &complaints, &status, NULL));
    assert_string_equal(complaints, "");
    assert_int_equal(status, 0);
    return out;
}

static char *probe(const char *path, const char *stream, const char *entries)
{
    const char *const argv[] = {"ffprobe",
                                "-v",
                                "error",
                                "-count_packets",
                                "-select_streams",
                                stream,
                                "-show_entries",
                                entries,
                                "-of",
                                "csv=p=0",
                                path,
                                NULL};
    return g_strchomp(run_quietly(argv));
}

// `codec`: "copy" for a sum over the samples as they are, else of what they decode to.
static char *sum(const char *path, const char *stream, const char *codec)
{
    const char *const argv[] = {"ffmpeg", "-v",  "error", "-i",  path, "-map", stream,
                                "-c",     codec, "-f",    "md5", "-",  NULL};
    return run_quietly(argv);
}

static void with_folder(void (*check)(const char *folder))
{
    g_autofree char *folder = g_dir_make_tmp("tongke-cmaf-XXXXXX", NULL);
    assert_non_null(folder);
    check(folder);
    g_autofree char *path = g_build_filename(folder, "lesson.mp4", NULL);
    g_unlink(path);
    g_rmdir(folder);
}

static void check_generated(const char *folder)
{
    g_autofree char *path = write_file(
        folder,
        "videotestsrc pattern=ball num-buffers=75 ! "
        "video/x-raw,width=642,height=362,framerate=25/1 "
        "! x264enc bframes=2 key-int-max=25 speed-preset=veryfast ! video/x-h264,profile=high",
        "audiotestsrc num-buffers=141 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 "
        "! avenc_aac");
    g_autofree char *video =
        probe(path, "v", "stream=codec_name,profile,width,height,r_frame_rate,nb_read_packets");
    assert_string_equal(video, "h264,High,642,362,25/1,75");
    g_autofree char *audio = probe(path, "a", "stream=codec_name,profile,sample_rate,channels");
    assert_string_equal(audio, "aac,LC,48000,2");
    g_autofree char *duration = probe(path, "v", "format=duration");
    assert_float_equal(g_ascii_strtod(duration, NULL), 3.0, 0.09);
    g_free(sum(path, "0:v", "rawvideo"));
    g_free(sum(path, "0:a", "pcm_s16le"));
}

static void test_generated(void **state)
{
    with_folder(check_generated);
}

// Takes away the chunks before the second key frame, as a late viewer gets it.
static void begin_late(const char *path)
{
    g_autofree char *file = NULL;
    gsize size, bytes;
    guint keys = 0;
    g_autoptr(GByteArray) late = g_byte_array_new();
    assert_true(g_file_get_contents(path, &file, &size, NULL));
    for (gsize at = 0; at < size; at += bytes) {
        TkCmafChunk chunk;
        const guint8 *data = (const guint8 *)file + at;
        TkCmafPiece piece = tk_cmaf_piece(data, size - at, &chunk, &bytes);
        assert_true(piece == TK_CMAF_INIT || piece == TK_CMAF_CHUNK);
        keys += piece == TK_CMAF_CHUNK && chunk.runs[0].starts_key;
        if (piece == TK_CMAF_INIT || keys >= 2)
            g_byte_array_append(late, data, (guint)bytes);
    }
    assert_int_equal(keys, 5);
    assert_true(g_file_set_contents(path, (char *)late->data, late->len, NULL));
}

static void check_open_gop(const char *folder)
{
    g_autofree char *path = write_file(
        folder,
        "videotestsrc pattern=ball num-buffers=100 ! "
        "video/x-raw,width=320,height=240,framerate=25/1 "
        "! x264enc option-string=open-gop=1:b-adapt=0 bframes=3 b-pyramid=true key-int-max=20 "
        "! video/x-h264,profile=high",
        "audiotestsrc num-buffers=188 samplesperbuffer=1024 ! audio/x-raw,rate=48000,channels=2 "
        "! avenc_aac");
    g_free(sum(path, "0:v", "rawvideo"));
    begin_late(path);
    g_free(sum(path, "0:v", "rawvideo"));
    g_autofree char *first = probe(path, "v", "packet=pts,flags");
    char **rows = g_strsplit(first, "\n", -1);
    gint64 key_time = g_ascii_strtoll(rows[0], NULL, 10);
    assert_non_null(strchr(rows[0], 'K'));
    for (guint i = 1; rows[i]; i++)
        assert_true(g_ascii_strtoll(rows[i], NULL, 10) > key_time);
    g_strfreev(rows);
}

static void test_open_gop(void **state)
{
    with_folder(check_open_gop);
}

static void check_lesson(const char *folder)
{
    g_autofree char *source =
        g_strdup_printf("filesrc location=%s ! qtdemux name=d ", gst_capture_lesson());
    g_autofree char *video = g_strconcat(source, "d.video_0 ! h264parse", NULL);
    g_autofree char *audio = g_strconcat(source, "d.audio_0 ! aacparse", NULL);
    g_autofree char *path = write_file(folder, video, audio);
    g_autofree char *ours = sum(path, "0:v", "copy");
    g_autofree char *original = sum(gst_capture_lesson(), "0:v", "copy");
    assert_string_equal(ours, original);
    g_free(sum(path, "0:a", "pcm_s16le"));
    g_autofree char *duration = probe(path, "v", "format=duration");
    assert_float_equal(g_ascii_strtod(duration, NULL), 44.0, 0.09);
}

static void test_lesson(void **state)
{
    if (gst_capture_lesson())
        with_folder(check_lesson);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generated),
        cmocka_unit_test(test_open_gop),
        cmocka_unit_test(test_lesson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
