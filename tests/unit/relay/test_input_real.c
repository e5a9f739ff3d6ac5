// SPDX-License-Identifier: MIT
// What comes out when real encoders' and payloaders' packets go in, judged by ffprobe and ffmpeg.
#include "tests/unit/check.h"

#include <glib/gstdio.h>

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "tests/unit/relay/collect.h"
#include "tests/unit/relay/payload.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define LEAD_NS (2 * TK_NS_PER_S)   // by which media time begins before the sender does
#define START_NS (77 * TK_NS_PER_S) // monotonic

static void feed_report(Collect *c, const PayloadPacket *p, gint64 now_ns, gint64 wall_ns)
{
    TkRtp rtp;
    assert_true(tk_rtp_parse(g_bytes_get_data(p->bytes, NULL), g_bytes_get_size(p->bytes), &rtp));
    g_autoptr(GByteArray) out = g_byte_array_new();
    guint64 ntp = tk_clock_ntp_from_wall(EPOCH_NS + p->presentation_ns);
    tk_rtcp_put_sender_report(out, rtp.ssrc, ntp, rtp.timestamp, 1, 1);
    relay_input_rtcp(c->input, p->track, out->data, out->len, now_ns, wall_ns);
}

// Plays the packets at the pace of their decode times, with a report before each track's first or
// without any.
static void feed(Collect *c, const Payload *payload, gboolean reports)
{
    assert_true(
        relay_input_begin(c->input, payload->formats, payload->tracks, FALSE, START_NS, EPOCH_NS));
    gboolean reported[RELAY_INPUT_TRACKS_MAX] = {FALSE};
    gint64 first_ns = g_array_index(payload->packets, PayloadPacket, 0).decode_ns, passed_ns = 0;
    for (guint i = 0; i < payload->packets->len; i++) {
        const PayloadPacket *p = &g_array_index(payload->packets, PayloadPacket, i);
        passed_ns = p->decode_ns - first_ns;
        gint64 now_ns = START_NS + passed_ns, wall_ns = EPOCH_NS + passed_ns;
        if (reports && !reported[p->track])
            feed_report(c, p, now_ns, wall_ns);
        reported[p->track] = TRUE;
        gsize size;
        const guint8 *data = g_bytes_get_data(p->bytes, &size);
        relay_input_rtp(c->input, p->track, data, size, now_ns, wall_ns);
        relay_input_tick(c->input, now_ns, wall_ns);
    }
    relay_input_end(c->input, START_NS + passed_ns);
}

static char *run(const char *command)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *errors = NULL;
    char *output = NULL;
    gint status = 0;
    if (!g_spawn_command_line_sync(command, &output, &errors, &status, &error))
        fail_msg("%s", error->message);
    if (status != 0 || *errors)
        fail_msg("%s: %s", command, errors);
    return output;
}

static double probe(const char *path, const char *stream, const char *entry)
{
    g_autofree char *command = g_strdup_printf(
        "ffprobe -v error -select_streams %s -show_entries %s -of csv=p=0 %s", stream, entry, path);
    g_autofree char *output = run(command);
    return g_ascii_strtod(output, NULL);
}

// From the first picture shown to the last one's end.
static double shown_s(const char *path)
{
    g_autofree char *command = g_strdup_printf("ffprobe -v error -select_streams v -show_entries "
                                               "packet=pts_time,duration_time -of csv=p=0 %s",
                                               path);
    g_autofree char *output = run(command);
    double first = G_MAXDOUBLE, end = 0;
    g_auto(GStrv) lines = g_strsplit(g_strchomp(output), "\n", 0);
    for (guint i = 0; lines[i]; i++) {
        char *rest;
        double pts = g_ascii_strtod(lines[i], &rest);
        double duration = *rest == ',' ? g_ascii_strtod(rest + 1, NULL) : 0;
        first = MIN(first, pts);
        end = MAX(end, pts + duration);
    }
    return end - first;
}

static void check_file(Collect *c, double duration_s, double audio_lag_s)
{
    g_autofree char *path = collect_write(c);
    g_autofree char *decode = g_strdup_printf("ffmpeg -v error -i %s -f null -", path);
    g_free(run(decode));
    double video_s = probe(path, "v", "stream=start_time");
    assert_float_equal(shown_s(path), duration_s, 0.001);
    if (c->format.has_audio)
        assert_float_equal(probe(path, "a", "stream=start_time") - video_s, audio_lag_s, 0.025);
    g_unlink(path);
}

// Every picture's presentation time stands in the file as the encoder meant it.
static void check_presentations(const Collect *c, const Payload *payload)
{
    g_autoptr(GArray) samples = collect_samples(c, 1);
    assert_true(samples->len > 0);
    guint at = 0;
    gint64 origin = 0;
    guint32 last = 0;
    for (guint i = 0; i < payload->packets->len; i++) {
        const PayloadPacket *p = &g_array_index(payload->packets, PayloadPacket, i);
        if (p->track != 0 || (at && p->rtp_timestamp == last))
            continue;
        last = p->rtp_timestamp;
        assert_true(at < samples->len);
        const CollectSample *s = &g_array_index(samples, CollectSample, at);
        if (!at)
            origin = s->presentation - p->rtp_timestamp;
        assert_int_equal(s->presentation - origin, p->rtp_timestamp);
        assert_true(s->decode <= s->presentation);
        at++;
    }
    assert_int_equal(at, samples->len);
}

static void check_chunks(const Collect *c)
{
    g_autoptr(GArray) samples = collect_samples(c, 1);
    guint64 chunk = 0;
    gint64 begin = 0;
    for (guint i = 0; i < samples->len; i++) {
        const CollectSample *s = &g_array_index(samples, CollectSample, i);
        if (s->key)
            assert_true(s->chunk != chunk);
        if (s->chunk != chunk)
            begin = s->decode;
        chunk = s->chunk;
        assert_in_range(s->decode + s->duration - begin, 1, 90000 / 10 + s->duration / 2 + 1);
    }
}

static void play_with(const char *launch, double duration_s, double audio_lag_s, gboolean reports)
{
    g_autoptr(Payload) payload = payload_run(launch);
    assert_non_null(payload);
    g_autoptr(Collect) c = collect_new(EPOCH_NS - LEAD_NS, 1);
    feed(c, payload, reports);
    check_presentations(c, payload);
    check_chunks(c);
    check_file(c, duration_s, audio_lag_s);
    RelayInputStats stats;
    for (guint i = 0; i < payload->tracks; i++) {
        relay_input_stats(c->input, i, &stats);
        assert_int_equal(stats.lost + stats.late + stats.malformed + stats.foreign, 0);
        if (payload->formats[i].kind == TK_TRACK_VIDEO)
            assert_int_equal(stats.frames_dropped, 0);
    }
}

static void play(const char *launch, double duration_s, double audio_lag_s)
{
    play_with(launch, duration_s, audio_lag_s, TRUE);
}

#define VIDEO "videotestsrc num-buffers=100 ! video/x-raw,width=320,height=180,framerate=25/1 ! "
#define SINK " ! appsink sync=false name="
#define LATM                                                                                       \
    " audiotestsrc samplesperbuffer=1024 num-buffers=187 ! audio/x-raw,rate=48000,channels=2"      \
    " ! audioconvert ! avenc_aac ! aacparse ! rtpmp4apay" SINK "audio"
#define SOUND                                                                                      \
    " audiotestsrc samplesperbuffer=1024 num-buffers=187 ! audio/x-raw,rate=48000,channels=1"      \
    " ! audioconvert ! avenc_aac ! aacparse ! rtpmp4gpay" SINK "audio"

static void plays_camera(void **state)
{
    play(VIDEO "x264enc tune=zerolatency key-int-max=50 ! rtph264pay config-interval=-1" SINK
               "video" SOUND,
         4.0, 0);
}

static void plays_reordered_pictures(void **state)
{
    play(VIDEO "x264enc bframes=3 b-pyramid=true key-int-max=50 ! rtph264pay" SINK "video" SOUND,
         4.0, 0);
}

static void plays_reordered_pictures_without_reports(void **state)
{
    play_with(VIDEO "x264enc bframes=3 b-pyramid=true key-int-max=50 ! rtph264pay" SINK
                    "video" SOUND,
              4.0, 0, FALSE);
}

static void plays_latm(void **state)
{
    play(VIDEO "x264enc tune=zerolatency ! rtph264pay" SINK "video" LATM, 4.0, 0);
}

static void plays_aggregated_packets(void **state)
{
    play(VIDEO "x264enc tune=zerolatency sliced-threads=true ! "
               "rtph264pay aggregate-mode=max-stap config-interval=-1 mtu=600" SINK "video",
         4.0, 0);
}

#ifdef SHARED_MEDIA
static void plays_teacher(void **state)
{
    play("filesrc location=" SHARED_MEDIA "/teacher.mp4 ! qtdemux name=d"
         " d.video_0 ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0"
         " ! h264parse ! rtph264pay config-interval=-1" SINK "video"
         " d.audio_0 ! queue max-size-buffers=0 max-size-bytes=0 max-size-time=0"
         " ! aacparse ! rtpmp4gpay" SINK "audio",
         44.0, 0);
}

static void plays_slides(void **state)
{
    play("filesrc location=" SHARED_MEDIA "/slides.mp4 ! qtdemux ! h264parse ! rtph264pay" SINK
         "video",
         44.0, 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plays_camera),
        cmocka_unit_test(plays_reordered_pictures),
        cmocka_unit_test(plays_reordered_pictures_without_reports),
        cmocka_unit_test(plays_latm),
        cmocka_unit_test(plays_aggregated_packets),
#ifdef SHARED_MEDIA
        cmocka_unit_test(plays_teacher),
        cmocka_unit_test(plays_slides),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
