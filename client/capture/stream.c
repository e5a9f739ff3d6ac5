// SPDX-License-Identifier: MIT
#include "client/capture/stream.h"

#include "client/capture/encoder.h"
#include "client/peer/peer.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"
#include "common/gst/slate.h"

#define TICK_MS 100
#define SLATE_AFTER_NS (3 * TK_NS_PER_S / 2) // without a picture
#define SLATE_LAG_NS (TK_NS_PER_S / 2)       // behind now, so that returning pictures still fit
#define STALLED_AFTER_NS (8 * TK_NS_PER_S)   // a source that gives none is opened anew
#define SILENCE_AFTER_NS TK_NS_PER_S         // without sound
#define SILENCE_LAG_NS (TK_NS_PER_S / 2)     // behind now, so that returning sound still fits
#define BACKOFF_MAX_S 15
#define QUEUE_S 2 // of coded media before a slow relay
#define CODED_BYTES_MAX (8u << 20)
#define RAW_BUFFERS_MAX 6
#define RAW_BYTES_MAX (64u << 20)

// A source that is opened again when it is lost.
typedef struct {
    CapStream *stream;
    const char *what; // "picture", "sound"
    CapSourceSpec spec;
    CapSourceFormat format;
    CapSourceOutputs outputs;
    CapSource *source;
    gboolean ready, started, flowing;
    gint64 opened_ns, lost_ns; // monotonic; lost_ns 0 = not lost
    guint failures, retry;
    char *reason;
} Feed;

struct _CapStream {
    char *name;
    GstClock *clock;
    GstClockTime base_time;
    CapStreamEvents events;
    void *user;
    TkJoint *pictures, *coded, *sound_raw, *sound_coded;
    CapEncoder *picture_encoder, *sound_encoder;
    Feed picture, sound; // sound.spec NONE: it comes with the picture, or there is none
    gboolean has_sound, started;
    char *title;
    TkSlate *slate;
    TkPipeline *slate_pipeline; // NULL: not shown
    guint slate_input;
    CapPublisher *publisher;
    guint tick;
    TkJointStats last_picture, last_sound; // at the last cap_stream_stats()
    gint64 last_stats_ns;
};

static void feed_open(Feed *feed);

static GstClockTime running_now(const CapStream *stream)
{
    GstClockTime now = gst_clock_get_time(stream->clock);

    return now > stream->base_time ? now - stream->base_time : 0;
}

static void on_slate_error(void *user, const GError *error, const char *debug)
{
    CapStream *stream = user;

    tk_error("%s: no slate: %s", stream->name, error->message);
}

static void show_slate(CapStream *stream)
{
    const TkPipelineEvents events = {.on_error = on_slate_error};
    const CapSourceFormat *f = &stream->picture.format;
    g_autoptr(GError) error = NULL;

    if (stream->slate_pipeline)
        return;
    g_autofree char *picture = tk_slate_describe("slate", f->width, f->height, f->fps);
    g_autofree char *text = g_strdup_printf("%s ! videoconvert ! video/x-raw,format=I420,"
                                            "pixel-aspect-ratio=1/1 ! appsink name=out sync=false",
                                            picture);
    stream->slate_pipeline = tk_pipeline_new("slate", text, &events, stream, &error);
    if (stream->slate_pipeline) {
        tk_slate_attach(stream->slate, tk_pipeline_get(stream->slate_pipeline, "slate"));
        tk_pipeline_set_time(stream->slate_pipeline, stream->clock, stream->base_time);
        stream->slate_input = tk_joint_connect(
            stream->pictures, tk_pipeline_get(stream->slate_pipeline, "out"), -SLATE_LAG_NS);
        if (tk_pipeline_set_state(stream->slate_pipeline, GST_STATE_PLAYING, &error)) {
            tk_joint_select(stream->pictures, stream->slate_input);
            tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
            return;
        }
    }
    tk_error("%s: no slate: %s", stream->name, error->message);
}

static void hide_slate(CapStream *stream)
{
    if (!stream->slate_pipeline)
        return;
    tk_joint_disconnect(stream->pictures, stream->slate_input);
    g_clear_pointer(&stream->slate_pipeline, tk_pipeline_free);
    stream->slate_input = 0;
}

static void describe_slate(CapStream *stream, gint64 now_ns)
{
    const Feed *feed = &stream->picture;
    gint64 since = feed->lost_ns ? feed->lost_ns : feed->opened_ns;
    int seconds = (int)((now_ns - since) / TK_NS_PER_S);
    g_autofree char *what = cap_source_spec_describe(&feed->spec);
    g_autofree char *detail =
        feed->reason ? g_strdup_printf("%s: %s", what, feed->reason) : g_strdup(what);
    g_autofree char *note =
        g_strdup_printf("正在重试，已等待 %d 秒 · trying again, %d s so far", seconds, seconds);

    tk_slate_set(stream->slate,
                 feed->lost_ns ? "画面暂时中断\nThe picture is interrupted"
                               : "等待画面\nWaiting for the picture",
                 detail, note);
}

static void feed_lost(Feed *feed, const char *reason);

static gboolean on_retry(gpointer data)
{
    Feed *feed = data;

    feed->retry = 0;
    feed_open(feed);
    return G_SOURCE_REMOVE;
}

static void feed_close(Feed *feed)
{
    g_clear_pointer(&feed->source, cap_source_free);
    feed->ready = feed->flowing = FALSE;
}

static void feed_lost(Feed *feed, const char *reason)
{
    CapStream *stream = feed->stream;
    guint pause_s = client_backoff_s(feed->failures++, BACKOFF_MAX_S);
    g_autofree char *what = cap_source_spec_describe(&feed->spec);

    g_free(feed->reason);
    feed->reason = g_strdup(reason);
    feed_close(feed);
    if (!feed->lost_ns)
        feed->lost_ns = tk_clock_monotonic_ns();
    tk_warning("%s: %s lost: %s: %s; next try in %u s", stream->name, feed->what, what,
               feed->reason, pause_s);
    if (!feed->retry)
        feed->retry = g_timeout_add_seconds(pause_s, on_retry, feed);
    if (feed == &stream->picture) {
        describe_slate(stream, tk_clock_monotonic_ns());
        show_slate(stream);
        // A stream must not keep the others from starting.
        if (!stream->started && stream->events.on_ready)
            stream->events.on_ready(stream->user);
    }
}

static void on_source_lost(void *user, const GError *error)
{
    feed_lost(user, client_error_sentence(error));
}

static void feed_start(Feed *feed, GstClockTime at)
{
    g_autoptr(GError) error = NULL;

    feed->started = TRUE;
    feed->opened_ns = tk_clock_monotonic_ns();
    if (!cap_source_start(feed->source, at, &error))
        feed_lost(feed, error->message);
}

static void on_source_ready(void *user)
{
    Feed *feed = user;
    CapStream *stream = feed->stream;

    feed->ready = TRUE;
    if (stream->started)
        feed_start(feed, gst_clock_get_time(stream->clock));
    else
        stream->events.on_ready(stream->user);
}

static void on_source_end(void *user)
{
    Feed *feed = user;

    if (feed->format.loop) {
        feed_close(feed);
        feed_open(feed);
    } else {
        feed->stream->events.on_end(feed->stream->user);
    }
}

static void feed_open(Feed *feed)
{
    const CapSourceEvents events = {on_source_ready, on_source_lost, on_source_end};
    CapStream *stream = feed->stream;
    g_autoptr(GError) error = NULL;

    feed->format.title = stream->title;
    feed->started = feed->spec.kind != CAP_SOURCE_FILE;
    feed->opened_ns = tk_clock_monotonic_ns();
    feed->source = cap_source_new(&feed->spec, &feed->format, &feed->outputs, stream->clock,
                                  stream->base_time, &events, feed, &error);
    if (!feed->source || !cap_source_open(feed->source, &error))
        feed_lost(feed, error->message);
}

// A feed's first buffer: it takes over.
static void feed_flows(Feed *feed)
{
    CapStream *stream = feed->stream;

    feed->flowing = TRUE;
    feed->failures = 0;
    if (feed->lost_ns)
        tk_info("%s: %s is back after %.1f s", stream->name, feed->what,
                (double)(tk_clock_monotonic_ns() - feed->lost_ns) / (double)TK_NS_PER_S);
    feed->lost_ns = 0;
    g_clear_pointer(&feed->reason, g_free);
}

static void on_first_picture(void *user, guint input)
{
    CapStream *stream = user;
    const CapSource *source = stream->picture.source;

    if (!source || input != cap_source_pictures(source))
        return;
    tk_joint_select(stream->pictures, input);
    tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
    hide_slate(stream);
    feed_flows(&stream->picture);
}

static void on_first_coded(void *user, guint input)
{
    CapStream *stream = user;
    const CapSource *source = stream->picture.source;

    if (!source || input != cap_source_coded(source))
        return;
    tk_joint_select(stream->coded, input);
    hide_slate(stream);
    tk_info("%s: the source's H.264 is passed on as it is", stream->name);
    feed_flows(&stream->picture);
}

static void on_first_sound(void *user, guint input)
{
    CapStream *stream = user;
    Feed *feed = &stream->sound;

    if (feed->source && input == cap_source_sound(feed->source))
        feed_flows(feed);
    else if (!stream->picture.source || input != cap_source_sound(stream->picture.source))
        return;
    tk_joint_select(stream->sound_raw, input);
}

static void watch_picture(CapStream *stream, gint64 now_ns)
{
    Feed *feed = &stream->picture;
    TkJointInputStats stats = {0};

    if (feed->source && feed->started) {
        TkJointInputStats coded;
        tk_joint_input_stats(stream->pictures, cap_source_pictures(feed->source), &stats);
        tk_joint_input_stats(stream->coded, cap_source_coded(feed->source), &coded);
        if (coded.reordered > 0) {
            tk_warning("%s: the source's H.264 has B-frames, which live viewers cannot take: "
                       "it is encoded anew",
                       stream->name);
            feed->format.copy = FALSE;
            feed_close(feed);
            feed_open(feed);
            return;
        }
        gint64 seen_ns = MAX(stats.seen_ns, coded.seen_ns);
        gint64 quiet_ns = now_ns - MAX(seen_ns, feed->opened_ns);
        // Who listens for a caller waits as long as it takes.
        gboolean listens = !seen_ns && feed->spec.kind == CAP_SOURCE_URI &&
                           g_str_has_prefix(feed->spec.where, "srt:");
        if (quiet_ns > STALLED_AFTER_NS && !listens)
            feed_lost(feed, "it gives no pictures");
        else if (quiet_ns > SLATE_AFTER_NS && !stream->slate_pipeline)
            show_slate(stream);
    }
    if (stream->slate_pipeline)
        describe_slate(stream, now_ns);
}

static void fill_silence(CapStream *stream)
{
    TkJointStats stats;
    gint64 now = (gint64)running_now(stream);

    tk_joint_stats(stream->sound_raw, &stats);
    if (now < (gint64)stats.end + SILENCE_AFTER_NS)
        return;
    gint64 end = now - SILENCE_LAG_NS;
    gint64 from = MAX((gint64)stats.end, end - SILENCE_AFTER_NS);
    guint64 samples = gst_util_uint64_scale((guint64)(end - from), CAP_SOUND_RATE, GST_SECOND);
    gsize bytes = samples * CAP_SOUND_CHANNELS * sizeof(gint16);
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, bytes, NULL);
    gst_buffer_memset(buffer, 0, 0, bytes);
    GST_BUFFER_PTS(buffer) = (GstClockTime)from;
    GST_BUFFER_DURATION(buffer) = gst_util_uint64_scale(samples, GST_SECOND, CAP_SOUND_RATE);
    tk_joint_push(stream->sound_raw, buffer, gst_caps_from_string(CAP_SOUND_CAPS));
}

static gboolean on_tick(gpointer data)
{
    CapStream *stream = data;

    watch_picture(stream, tk_clock_monotonic_ns());
    if (stream->has_sound)
        fill_silence(stream);
    return G_SOURCE_CONTINUE;
}

static void on_publisher(void *user, CapPublisherState state, const char *why)
{
    CapStream *stream = user;

    switch (state) {
    case CAP_PUBLISHER_LIVE:
        tk_info("%s: connected", stream->name);
        break;
    case CAP_PUBLISHER_WAITING:
        tk_warning("%s: not connected: %s", stream->name, why);
        break;
    case CAP_PUBLISHER_REFUSED:
        tk_error("%s: refused: %s", stream->name, why);
        stream->events.on_failed(stream->user);
        break;
    case CAP_PUBLISHER_STOPPED:
        stream->events.on_stopped(stream->user);
        break;
    case CAP_PUBLISHER_CONNECTING:
        break;
    }
}

static void on_encoder_failed(void *user, const GError *error)
{
    CapStream *stream = user;

    tk_error("%s: the encoder failed: %s", stream->name, error->message);
    stream->events.on_failed(stream->user);
}

static gboolean make_encoders(CapStream *stream, const CapStreamConfig *config, GError **error)
{
    const CapPictureCoding coding = {config->encoder, config->format.width, config->format.height,
                                     config->format.fps, config->bitrate_kbps};

    stream->picture_encoder =
        cap_encoder_new_picture(&coding, stream->pictures, stream->coded, stream->clock,
                                stream->base_time, on_encoder_failed, stream, error);
    if (!stream->picture_encoder)
        return FALSE;
    tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
    if (!stream->has_sound)
        return TRUE;
    stream->sound_encoder =
        cap_encoder_new_sound(config->sound_bitrate_kbps, stream->sound_raw, stream->sound_coded,
                              stream->clock, stream->base_time, on_encoder_failed, stream, error);
    if (!stream->sound_encoder)
        return FALSE;
    tk_joint_select(stream->sound_coded, cap_encoder_input(stream->sound_encoder));
    return TRUE;
}

static void make_feeds(CapStream *stream, const CapStreamConfig *config)
{
    Feed *picture = &stream->picture, *sound = &stream->sound;
    gboolean with_picture =
        config->sound.kind == CAP_SOURCE_WITH_PICTURE ||
        (config->sound.kind == CAP_SOURCE_TEST && config->picture.kind == CAP_SOURCE_TEST);

    *picture = (Feed){.stream = stream,
                      .what = "picture",
                      .format = config->format,
                      .spec = {config->picture.kind, g_strdup(config->picture.where)}};
    picture->format.picture = TRUE;
    picture->format.sound = with_picture;
    picture->format.copy =
        config->copy == CAP_COPY_ALWAYS ||
        (config->copy == CAP_COPY_AUTO && config->picture.kind == CAP_SOURCE_URI);
    picture->outputs = (CapSourceOutputs){stream->pictures, stream->coded, stream->sound_raw};
    *sound = (Feed){.stream = stream, .what = "sound", .format = config->format};
    sound->format.picture = FALSE;
    sound->format.sound = TRUE;
    sound->outputs.sound = stream->sound_raw;
    if (stream->has_sound && !with_picture)
        sound->spec = (CapSourceSpec){config->sound.kind, g_strdup(config->sound.where)};
}

CapStream *cap_stream_new(const CapStreamConfig *config, GstClock *clock, GstClockTime base_time,
                          const CapStreamEvents *events, void *user, GError **error)
{
    g_autoptr(CapStream) stream = g_new0(CapStream, 1);
    const guint fps = config->format.fps;

    stream->name = g_strdup(config->name);
    stream->title = g_strdup(tk_lesson_info_get(config->publisher.info, "title"));
    stream->clock = gst_object_ref(clock);
    stream->base_time = base_time;
    stream->events = *events;
    stream->user = user;
    stream->has_sound = config->sound.kind != CAP_SOURCE_NONE;
    stream->slate = tk_slate_new();
    stream->pictures = tk_joint_new(TK_JOINT_PICTURES, RAW_BUFFERS_MAX, RAW_BYTES_MAX);
    stream->coded = tk_joint_new(TK_JOINT_CODED, MAX(fps, 2) * QUEUE_S, CODED_BYTES_MAX);
    stream->sound_raw = tk_joint_new(TK_JOINT_SOUND, 2 * 100, RAW_BYTES_MAX);
    stream->sound_coded = tk_joint_new(TK_JOINT_SOUND, QUEUE_S * 47, CODED_BYTES_MAX);
    tk_joint_set_on_first(stream->pictures, on_first_picture, stream);
    tk_joint_set_on_first(stream->coded, on_first_coded, stream);
    tk_joint_set_on_first(stream->sound_raw, on_first_sound, stream);
    stream->last_stats_ns = tk_clock_monotonic_ns();
    if (config->keep) {
        CapKeepStream *copy =
            cap_keep_stream(config->keep, config->name, stream->has_sound, clock, base_time);
        tk_joint_set_tap(stream->coded, cap_keep_picture, copy);
        tk_joint_set_tap(stream->sound_coded, cap_keep_sound, copy);
    }
    make_feeds(stream, config);
    if (!make_encoders(stream, config, error))
        return NULL;
    stream->publisher = cap_publisher_new(&config->publisher, stream->coded,
                                          stream->has_sound ? stream->sound_coded : NULL, clock,
                                          base_time, on_publisher, stream);
    g_autofree char *what = cap_source_spec_describe(&config->picture);
    g_autofree char *sound = cap_source_spec_describe(&config->sound);
    tk_info("%s: %s, %ux%u at %u/s, %s %u kbit/s; sound: %s, %s", stream->name, what,
            config->format.width, config->format.height, fps,
            cap_encoder_name(stream->picture_encoder), config->bitrate_kbps, sound,
            stream->sound_encoder ? cap_encoder_name(stream->sound_encoder) : "no track");
    return g_steal_pointer(&stream);
}

void cap_stream_open(CapStream *stream)
{
    stream->tick = g_timeout_add(TICK_MS, on_tick, stream);
    feed_open(&stream->picture);
    if (stream->sound.spec.kind != CAP_SOURCE_NONE)
        feed_open(&stream->sound);
}

gboolean cap_stream_is_ready(const CapStream *stream)
{
    const Feed *feed = &stream->picture;

    return feed->spec.kind != CAP_SOURCE_FILE || feed->ready || feed->lost_ns;
}

void cap_stream_start(CapStream *stream, GstClockTime at)
{
    stream->started = TRUE;
    if (stream->picture.ready)
        feed_start(&stream->picture, at);
    cap_publisher_start(stream->publisher);
}

void cap_stream_stop(CapStream *stream)
{
    cap_publisher_stop(stream->publisher);
}

char *cap_stream_stats(CapStream *stream)
{
    TkJointStats picture, sound;
    gint64 now_ns = tk_clock_monotonic_ns();
    double seconds = (double)(now_ns - stream->last_stats_ns) / (double)TK_NS_PER_S;

    tk_joint_stats(stream->coded, &picture);
    tk_joint_stats(stream->sound_coded, &sound);
    char *text = g_strdup_printf(
        "%s: %.0f kbit/s picture, %.1f pictures/s, %.0f kbit/s sound, %" G_GUINT64_FORMAT
        " dropped",
        stream->name, (double)(picture.bytes - stream->last_picture.bytes) * 8 / 1000 / seconds,
        (double)(picture.passed - stream->last_picture.passed) / seconds,
        (double)(sound.bytes - stream->last_sound.bytes) * 8 / 1000 / seconds,
        picture.dropped + sound.dropped);
    stream->last_picture = picture;
    stream->last_sound = sound;
    stream->last_stats_ns = now_ns;
    return text;
}

static void feed_clear(Feed *feed)
{
    if (feed->retry)
        g_source_remove(feed->retry);
    feed_close(feed);
    cap_source_spec_clear(&feed->spec);
    g_free(feed->reason);
}

void cap_stream_free(CapStream *stream)
{
    TkJoint *joints[] = {stream ? stream->pictures : NULL, stream ? stream->coded : NULL,
                         stream ? stream->sound_raw : NULL, stream ? stream->sound_coded : NULL};

    if (!stream)
        return;
    if (stream->tick)
        g_source_remove(stream->tick);
    for (guint i = 0; i < G_N_ELEMENTS(joints); i++)
        tk_joint_set_on_first(joints[i], NULL, NULL);
    cap_publisher_free(stream->publisher);
    feed_clear(&stream->picture);
    feed_clear(&stream->sound);
    hide_slate(stream);
    cap_encoder_free(stream->picture_encoder);
    cap_encoder_free(stream->sound_encoder);
    for (guint i = 0; i < G_N_ELEMENTS(joints); i++)
        tk_joint_unref(joints[i]);
    tk_slate_free(stream->slate);
    gst_clear_object(&stream->clock);
    g_free(stream->name);
    g_free(stream->title);
    g_free(stream);
}
