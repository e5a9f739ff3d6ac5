// SPDX-License-Identifier: MIT
// Our depayloaders against GStreamer's: the same packets into both, the same access units out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/media/aac.h"
#include "common/media/bytes.h"
#include "common/media/h264.h"
#include "tests/unit/media/gst_capture.h"

typedef struct {
    GBytes *bytes;
    guint32 rtp_timestamp;
    gboolean key, config_changed;
} Frame;

static void clear_frame(gpointer frame)
{
    g_bytes_unref(((Frame *)frame)->bytes);
}

static GArray *new_frames(void)
{
    GArray *frames = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_array_set_clear_func(frames, clear_frame);
    return frames;
}

static void keep_frame(const TkFrame *frame, void *user_data)
{
    Frame kept = {
        .bytes = g_bytes_new(frame->data, frame->size),
        .rtp_timestamp = frame->rtp_timestamp,
        .key = frame->key,
        .config_changed = frame->config_changed,
    };
    g_array_append_val((GArray *)user_data, kept);
}

static TkRtp parse_packet(GBytes *packet)
{
    TkRtp rtp;
    gsize size;
    const guint8 *data = g_bytes_get_data(packet, &size);
    assert_true(tk_rtp_parse(data, size, &rtp));
    return rtp;
}

// GStreamer leaves delimiters in; an MP4 sample has none.
static GBytes *without_delimiters(GBytes *unit)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(unit, &size);
    TkReader r = tk_reader(data, size);
    GByteArray *out = g_byte_array_new();
    while (tk_reader_left(&r) > 0) {
        guint32 length = tk_reader_u32(&r);
        const guint8 *nal = tk_reader_take(&r, length);
        assert_non_null(nal);
        guint type = nal[0] & 0x1f;
        if (type >= 7 && type <= 12)
            continue;
        tk_put(out, length, 4);
        g_byte_array_append(out, nal, length);
    }
    return g_byte_array_free_to_bytes(out);
}

static void assert_same_time(const Frame *ours, const Frame *first, GstSample *theirs,
                             GstSample *their_first, guint clock_rate)
{
    GstClockTime pts = GST_BUFFER_PTS(gst_sample_get_buffer(theirs));
    GstClockTime origin = GST_BUFFER_PTS(gst_sample_get_buffer(their_first));
    gint64 ns = (gint64)pts - (gint64)origin;
    gint64 ticks = (gint32)(ours->rtp_timestamp - first->rtp_timestamp);
    gint64 difference_ns = ns - ticks * (gint64)GST_SECOND / clock_rate;
    assert_true(ABS(difference_ns) <= (gint64)GST_SECOND / clock_rate + 1);
}

static void compare(GArray *ours, GPtrArray *theirs, guint clock_rate, gboolean video)
{
    assert_true(theirs->len > 10);
    assert_int_equal(ours->len, theirs->len);
    for (guint i = 0; i < ours->len; i++) {
        const Frame *frame = &g_array_index(ours, Frame, i);
        GstSample *sample = g_ptr_array_index(theirs, i);
        GBytes *bytes = gst_capture_bytes(sample);
        GBytes *wanted = video ? without_delimiters(bytes) : g_bytes_ref(bytes);
        gboolean delta =
            GST_BUFFER_FLAG_IS_SET(gst_sample_get_buffer(sample), GST_BUFFER_FLAG_DELTA_UNIT);
        assert_true(g_bytes_equal(frame->bytes, wanted));
        if (video)
            assert_int_equal(frame->key, !delta);
        assert_same_time(frame, &g_array_index(ours, Frame, 0), sample,
                         g_ptr_array_index(theirs, 0), clock_rate);
        g_bytes_unref(wanted);
        g_bytes_unref(bytes);
    }
}

// Profile, level and the sets themselves; GStreamer ends its record there.
static void compare_config(const TkH264Depay *depay, GstSample *sample)
{
    GstStructure *structure = gst_caps_get_structure(gst_sample_get_caps(sample), 0);
    const GValue *value = gst_structure_get_value(structure, "codec_data");
    GstMapInfo theirs;
    gsize size;
    TkH264Sps sps;
    gint width, height;
    const guint8 *ours = tk_h264_depay_config(depay, &size, &sps);
    assert_non_null(ours);
    assert_true(gst_buffer_map(gst_value_get_buffer(value), &theirs, GST_MAP_READ));
    assert_true(theirs.size <= size);
    assert_memory_equal(ours, theirs.data, theirs.size);
    gst_buffer_unmap(gst_value_get_buffer(value), &theirs);
    if (gst_structure_get_int(structure, "width", &width) &&
        gst_structure_get_int(structure, "height", &height)) {
        assert_int_equal(sps.width, width);
        assert_int_equal(sps.height, height);
    }
}

static void run_video(GstCapture *capture, const char *source, const char *payloader)
{
    g_autofree char *pipeline =
        g_strconcat(source, " ! ", payloader, " ! tee name=t t. ! " CAPTURE_SINK("packets"),
                    "t. ! rtph264depay ! video/x-h264,stream-format=avc,alignment=au ! h264parse "
                    "! video/x-h264,stream-format=avc,alignment=au ! " CAPTURE_SINK("frames"),
                    NULL);
    gst_capture_run(capture, pipeline);
}

// All packets into ours, but for those that `loss` (if not NULL) takes away, `percent` of them.
static TkH264Depay *depay_video(const GstCapture *capture, GArray *frames, GRand *loss,
                                gint32 percent)
{
    TkH264Depay *depay = tk_h264_depay_new(keep_frame, frames);
    gboolean lost = FALSE;
    tk_h264_depay_set_sprop(depay, gst_capture_fmtp(capture, "sprop-parameter-sets"));
    for (guint i = 0; i < capture->packets->len; i++) {
        if (loss && g_rand_int_range(loss, 0, 100) < percent) {
            lost = TRUE;
            continue;
        }
        g_autoptr(GBytes) packet = gst_capture_bytes(g_ptr_array_index(capture->packets, i));
        TkRtp rtp = parse_packet(packet);
        tk_h264_depay_push(depay, &rtp, lost);
        lost = FALSE;
    }
    return depay;
}

static void check_video(const char *source, const char *payloader)
{
    GstCapture capture;
    run_video(&capture, source, payloader);
    g_autoptr(GArray) frames = new_frames();
    g_autoptr(TkH264Depay) depay = depay_video(&capture, frames, NULL, 0);
    compare(frames, capture.frames, 90000, TRUE);
    compare_config(depay, g_ptr_array_index(capture.frames, 0));
    assert_int_equal(tk_h264_depay_dropped(depay), 0);
    for (guint i = 0; i < frames->len; i++)
        assert_int_equal(g_array_index(frames, Frame, i).config_changed, i == 0);
    gst_capture_clear(&capture);
}

static gboolean ends_with(GBytes *whole, GBytes *end)
{
    gsize whole_size, end_size;
    const guint8 *a = g_bytes_get_data(whole, &whole_size);
    const guint8 *b = g_bytes_get_data(end, &end_size);
    return whole_size >= end_size && memcmp(a + whole_size - end_size, b, end_size) == 0;
}

// What comes out under loss came out without it too, and goes on at a key frame after every hole.
// A unit may lack SEI in front when that was a packet of its own.
static void assert_honest(const GArray *kept, const GArray *all)
{
    guint next = 0;
    for (guint i = 0; i < kept->len; i++) {
        const Frame *frame = &g_array_index(kept, Frame, i);
        guint at = next;
        while (at < all->len && g_array_index(all, Frame, at).rtp_timestamp != frame->rtp_timestamp)
            at++;
        assert_true(at < all->len);
        assert_true(at == next || frame->key);
        assert_true(ends_with(g_array_index(all, Frame, at).bytes, frame->bytes));
        next = at + 1;
    }
}

static void check_loss(const char *source, const char *payloader)
{
    GstCapture capture;
    run_video(&capture, source, payloader);
    g_autoptr(GArray) all = new_frames();
    tk_h264_depay_free(depay_video(&capture, all, NULL, 0));
    guint sum = 0;
    for (guint seed = 0; seed < 50; seed++) {
        GRand *loss = g_rand_new_with_seed(seed);
        g_autoptr(GArray) kept = new_frames();
        tk_h264_depay_free(depay_video(&capture, kept, loss, 1 + (gint32)seed % 5));
        assert_honest(kept, all);
        sum += kept->len;
        g_rand_free(loss);
    }
    assert_in_range(sum, 50, 50 * all->len - 1);
    gst_capture_clear(&capture);
}

#define TEST_PICTURE "videotestsrc num-buffers=40 pattern=ball ! video/x-raw,framerate=25/1,"

static const char *const encoders[] = {
    TEST_PICTURE "width=320,height=240 ! x264enc tune=zerolatency speed-preset=ultrafast "
                 "key-int-max=15 ! video/x-h264,profile=constrained-baseline",
    TEST_PICTURE "width=320,height=180 ! x264enc bframes=3 b-pyramid=true key-int-max=12 aud=true "
                 "! video/x-h264,profile=high",
    TEST_PICTURE "width=320,height=240 ! x264enc option-string=slices=4:intra-refresh=0 "
                 "key-int-max=10 ! video/x-h264,profile=main",
    TEST_PICTURE "width=320,height=240 ! openh264enc gop-size=10",
};

static const char *const payloaders[] = {
    "rtph264pay mtu=1400",
    "rtph264pay mtu=100 config-interval=-1",
    "rtph264pay mtu=1400 config-interval=-1 aggregate-mode=zero-latency",
    "rtph264pay mtu=9000 aggregate-mode=max-stap config-interval=1",
    "rtph264pay mtu=65000 perfect-rtptime=false",
};

static void test_video_matrix(void **state)
{
    for (guint e = 0; e < G_N_ELEMENTS(encoders); e++)
        for (guint p = 0; p < G_N_ELEMENTS(payloaders); p++)
            check_video(encoders[e], payloaders[p]);
}

static void test_video_loss(void **state)
{
    for (guint e = 0; e < G_N_ELEMENTS(encoders); e++)
        for (guint p = 0; p < G_N_ELEMENTS(payloaders); p++)
            check_loss(encoders[e], payloaders[p]);
}

static void test_video_1080p(void **state)
{
    check_video(TEST_PICTURE "width=1920,height=1080 ! x264enc speed-preset=ultrafast "
                             "key-int-max=15 ! video/x-h264,profile=high",
                "rtph264pay config-interval=-1");
}

static void test_video_lesson(void **state)
{
    if (!gst_capture_lesson())
        return;
    g_autofree char *source = g_strdup_printf(
        "filesrc location=%s ! qtdemux name=d d.video_0 ! h264parse", gst_capture_lesson());
    check_video(source, "rtph264pay config-interval=-1");
    check_video(source, "rtph264pay aggregate-mode=zero-latency mtu=700");
}

static guint number_of(const GstCapture *capture, const char *field)
{
    return (guint)g_ascii_strtoull(gst_capture_fmtp(capture, field), NULL, 10);
}

static TkAacMode mode_of(const GstCapture *capture)
{
    return (TkAacMode){
        .size_bits = number_of(capture, "sizelength"),
        .index_bits = number_of(capture, "indexlength"),
        .index_delta_bits = number_of(capture, "indexdeltalength"),
    };
}

static guint clock_rate_of(const GstCapture *capture)
{
    GstCaps *caps = gst_sample_get_caps(g_ptr_array_index(capture->packets, 0));
    gint rate = 0;
    gst_structure_get_int(gst_caps_get_structure(caps, 0), "clock-rate", &rate);
    return (guint)rate;
}

static GBytes *config_of(const GstCapture *capture)
{
    const char *hex = gst_capture_fmtp(capture, "config");
    GByteArray *out = g_byte_array_new();
    for (; hex[0] && hex[1]; hex += 2)
        tk_put(out, (guint64)(g_ascii_xdigit_value(hex[0]) << 4 | g_ascii_xdigit_value(hex[1])), 1);
    return g_byte_array_free_to_bytes(out);
}

static void run_audio(GstCapture *capture, const char *source, const char *payloader)
{
    g_autofree char *pipeline =
        g_strconcat(source, " ! ", payloader, " ! tee name=t t. ! " CAPTURE_SINK("packets"),
                    "t. ! rtpmp4gdepay ! " CAPTURE_SINK("frames"), NULL);
    gst_capture_run(capture, pipeline);
}

static void compare_audio(const GstCapture *capture, guint frame_samples, guint rate)
{
    g_autoptr(GArray) frames = new_frames();
    g_autoptr(TkAacDepay) depay =
        tk_aac_depay_new(mode_of(capture), frame_samples, keep_frame, frames);
    for (guint i = 0; i < capture->packets->len; i++) {
        g_autoptr(GBytes) packet = gst_capture_bytes(g_ptr_array_index(capture->packets, i));
        TkRtp rtp = parse_packet(packet);
        tk_aac_depay_push(depay, &rtp, FALSE);
    }
    compare(frames, capture->frames, rate, FALSE);
    assert_int_equal(tk_aac_depay_dropped(depay), 0);
}

static void check_audio(const char *source, const char *payloader, guint rate, guint channels)
{
    GstCapture capture;
    run_audio(&capture, source, payloader);
    TkAacConfig config;
    g_autoptr(GBytes) specific = config_of(&capture);
    assert_true(
        tk_aac_config_parse(g_bytes_get_data(specific, NULL), g_bytes_get_size(specific), &config));
    assert_int_equal(config.object_type, 2);
    assert_int_equal(config.rate, rate);
    assert_int_equal(config.channels, channels);
    assert_int_equal(clock_rate_of(&capture), rate);
    compare_audio(&capture, config.frame_samples, rate);
    gst_capture_clear(&capture);
}

// An RTP packet of `count` units as RFC 3640 section 3.2.1 aggregates them. GStreamer's payloader
// never does; ffmpeg's and cameras' do.
static GBytes *aggregate(GPtrArray *frames, guint first, guint count, guint16 sequence)
{
    const guint rate = 48000;
    GByteArray *out = g_byte_array_new();
    GstClockTime origin = GST_BUFFER_PTS(gst_sample_get_buffer(frames->pdata[0]));
    GstClockTime time = GST_BUFFER_PTS(gst_sample_get_buffer(frames->pdata[first])) - origin;
    tk_put(out, 0x80e1, 2);
    tk_put(out, sequence, 2);
    tk_put(out, gst_util_uint64_scale_round(time, rate, GST_SECOND), 4);
    tk_put(out, 0x3640, 4);
    tk_put(out, 16 * count, 2);
    for (guint i = first; i < first + count; i++)
        tk_put(out, gst_buffer_get_size(gst_sample_get_buffer(frames->pdata[i])) << 3, 2);
    for (guint i = first; i < first + count; i++) {
        g_autoptr(GBytes) unit = gst_capture_bytes(frames->pdata[i]);
        g_byte_array_append(out, g_bytes_get_data(unit, NULL), (guint)g_bytes_get_size(unit));
    }
    return g_byte_array_free_to_bytes(out);
}

static void test_audio_aggregated(void **state)
{
    GstCapture single, many;
    run_audio(&single,
              "audiotestsrc wave=pink-noise num-buffers=80 ! audio/x-raw,rate=48000,channels=2 "
              "! avenc_aac bitrate=128000",
              "rtpmp4gpay");
    g_autoptr(GPtrArray) packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (guint first = 0, count = 1; first < single.frames->len; first += count) {
        count = MIN(1 + first % 5, single.frames->len - first);
        g_ptr_array_add(packets, aggregate(single.frames, first, count, (guint16)packets->len));
    }
    gst_capture_feed(&many,
                     "appsrc name=source format=time ! tee name=t t. ! " CAPTURE_SINK(
                         "packets") "t. ! rtpmp4gdepay ! " CAPTURE_SINK("frames"),
                     gst_capture_caps(&single), packets);
    assert_int_equal(many.frames->len, single.frames->len);
    assert_true(packets->len < single.frames->len);
    g_autoptr(GArray) frames = new_frames();
    g_autoptr(TkAacDepay) depay = tk_aac_depay_new(TK_AAC_MODE_HBR, 1024, keep_frame, frames);
    for (guint i = 0; i < packets->len; i++) {
        TkRtp rtp = parse_packet(packets->pdata[i]);
        tk_aac_depay_push(depay, &rtp, FALSE);
    }
    compare(frames, single.frames, 48000, FALSE); // the times of GStreamer's aggregates are rough
    for (guint i = 0; i < frames->len; i++) {
        g_autoptr(GBytes) theirs = gst_capture_bytes(many.frames->pdata[i]);
        assert_true(g_bytes_equal(g_array_index(frames, Frame, i).bytes, theirs));
    }
    gst_capture_clear(&single);
    gst_capture_clear(&many);
}

static void test_audio(void **state)
{
    static const char source[] = "audiotestsrc wave=pink-noise num-buffers=60 ! "
                                 "audio/x-raw,rate=%u,channels=%u ! avenc_aac bitrate=128000";
    static const struct {
        guint rate, channels;
    } formats[] = {{48000, 1}, {48000, 2}, {44100, 2}, {16000, 1}};
    for (guint i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *encoded = g_strdup_printf(source, formats[i].rate, formats[i].channels);
        check_audio(encoded, "rtpmp4gpay", formats[i].rate, formats[i].channels);
        check_audio(encoded, "rtpmp4gpay mtu=90", formats[i].rate, formats[i].channels);
    }
}

static void test_audio_lesson(void **state)
{
    if (!gst_capture_lesson())
        return;
    g_autofree char *source = g_strdup_printf(
        "filesrc location=%s ! qtdemux name=d d.audio_0 ! aacparse", gst_capture_lesson());
    check_audio(source, "rtpmp4gpay", 48000, 1);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_video_matrix), cmocka_unit_test(test_video_loss),
        cmocka_unit_test(test_video_1080p),  cmocka_unit_test(test_video_lesson),
        cmocka_unit_test(test_audio),        cmocka_unit_test(test_audio_aggregated),
        cmocka_unit_test(test_audio_lesson),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
