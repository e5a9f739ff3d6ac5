// SPDX-License-Identifier: MIT
#include "client/capture/stream.h"

#include "client/capture/encoder.h"
#include "client/capture/feed.h"
#include "client/capture/stand_in.h"
#include "client/capture/yield.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#define TICK_MS 100
#define SLATE_AFTER_NS (3 * TK_NS_PER_S / 2) // without a picture
#define STALLED_AFTER_NS (8 * TK_NS_PER_S)   // a source that gives none is opened anew
// B-frames put a good part of the pictures out of order; a camera's clock that is corrected one.
#define REORDERED_MIN 3
#define REORDERED_SHARE 20
#define SILENCE_AFTER_NS TK_NS_PER_S     // without sound
#define SILENCE_LAG_NS (TK_NS_PER_S / 2) // behind now, so that returning sound still fits
#define QUEUE_S 2                        // of coded media before a slow relay
#define CODED_BYTES_MAX (8u << 20)
#define RAW_BUFFERS_MAX 6
#define RAW_BYTES_MAX (64u << 20)
#define RENDITION_BUFFERS_MAX 2 // what it cannot encode at once it lets go
// More pictures a second than these are halved in a rendition: at its rate half as many look
// better.
#define RENDITION_FPS_WHOLE 15

struct _CapStream {
    char *name;
    GstClock *clock;
    GstClockTime base_time;
    CapStreamEvents events;
    void *user;
    TkJoint *pictures, *coded, *sound_raw, *sound_coded;
    CapEncoder *picture_encoder, *sound_encoder;
    CapFeed picture, sound; // sound.spec NONE: it comes with the picture, or there is none
    gboolean has_sound, started;
    char *title;
    CapStandIn *slate;
    CapPublisher *publisher;
    gboolean live, publishing, stopping, given_up;
    CapKeepStream *copy; // NULL: none is kept
    // A rendition (of another stream, its leader) has that one's sound, and without a source of its
    // own that one's picture. Both NULL in a stream that has no part in this.
    CapStream *leader, *rendition;
    guint every;    // of the leader's pictures one goes over
    CapYield yield; // the rendition's
    GMutex lock;    // of the leader's rendition_sound
    TkJoint *rendition_sound;
    guint tick;
    TkJointStats last_picture, last_sound; // at the last cap_stream_stats()
    gint64 last_stats_ns;
};

static GstClockTime running_now(const CapStream *stream)
{
    GstClockTime now = gst_clock_get_time(stream->clock);

    return now > stream->base_time ? now - stream->base_time : 0;
}

// Whose picture is its leader's, encoded anew.
static gboolean follows(const CapStream *stream)
{
    return stream->leader && stream->picture.spec.kind == CAP_SOURCE_NONE;
}

static void show_slate(CapStream *stream)
{
    g_autoptr(GError) error = NULL;

    if (cap_stand_in_shown(stream->slate))
        return;
    if (cap_stand_in_show(stream->slate, &error)) {
        tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
        tk_info("%s: a slate is shown", stream->name);
    } else
        tk_error("%s: no slate: %s", stream->name, error->message);
}

static void describe_slate(CapStream *stream, gint64 now_ns)
{
    const CapFeed *feed = &stream->picture;
    gint64 since = feed->lost_ns ? feed->lost_ns : feed->opened_ns;

    cap_stand_in_tell(stream->slate, &feed->spec, feed->lost_ns != 0, feed->reason,
                      (int)((now_ns - since) / TK_NS_PER_S));
}

static void on_picture_lost(void *user)
{
    CapStream *stream = user;

    describe_slate(stream, tk_clock_monotonic_ns());
    show_slate(stream);
    // A stream must not keep the others from starting.
    if (!stream->started)
        stream->events.on_ready(stream->user);
}

static void on_file_ready(void *user)
{
    CapStream *stream = user;

    if (stream->started)
        cap_feed_start(&stream->picture, gst_clock_get_time(stream->clock));
    else
        stream->events.on_ready(stream->user);
}

static void on_file_end(void *user)
{
    CapStream *stream = user;

    tk_info("%s: the file is over", stream->name);
    stream->events.on_end(stream->user);
}

static void on_first_picture(void *user, guint input)
{
    CapStream *stream = user;
    const CapSource *source = stream->picture.source;

    if (!source || input != cap_source_pictures(source))
        return;
    tk_joint_select(stream->pictures, input);
    tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
    cap_stand_in_hide(stream->slate);
    cap_feed_flows(&stream->picture);
}

static void on_first_coded(void *user, guint input)
{
    CapStream *stream = user;
    const CapSource *source = stream->picture.source;

    if (!source || input != cap_source_coded(source))
        return;
    tk_joint_select(stream->coded, input);
    cap_stand_in_hide(stream->slate);
    tk_info("%s: the source's H.264 is passed on as it is", stream->name);
    cap_feed_flows(&stream->picture);
}

static void on_first_sound(void *user, guint input)
{
    CapStream *stream = user;
    CapFeed *feed = &stream->sound;

    if (feed->source && input == cap_source_sound(feed->source))
        cap_feed_flows(feed);
    else if (!stream->picture.source || input != cap_source_sound(stream->picture.source))
        return;
    tk_joint_select(stream->sound_raw, input);
}

// A rendition has nothing to say to a relay that does not know its leader.
static void publish(CapStream *stream)
{
    if (stream->publishing || !stream->started || stream->stopping || stream->given_up ||
        stream->yield.rests_until_ns || (stream->leader && !stream->leader->live))
        return;
    stream->publishing = TRUE;
    if (follows(stream))
        cap_encoder_lead(stream->leader->picture_encoder, stream->pictures, stream->every);
    cap_publisher_start(stream->publisher);
}

static void publish_no_more(CapStream *stream)
{
    if (follows(stream))
        cap_encoder_lead(stream->leader->picture_encoder, NULL, 1);
    stream->publishing = FALSE;
    cap_publisher_stop(stream->publisher);
}

static void fail(CapStream *stream)
{
    if (!stream->leader) {
        stream->events.on_failed(stream->user);
        return;
    }
    tk_warning("%s: it is given up; %s goes on", stream->name, stream->leader->name);
    stream->given_up = TRUE;
    publish_no_more(stream);
}

// A source that had only stood still goes on with the same input: it takes over as soon as it can,
// and then the slate goes.
static void go_on(CapStream *stream, TkJoint *joint, guint input,
                  void (*on_first)(void *user, guint input))
{
    if (tk_joint_selected(joint) == input)
        on_first(stream, input);
    else
        tk_joint_prefer(joint, input);
}

static void watch_picture(CapStream *stream, gint64 now_ns)
{
    CapFeed *feed = &stream->picture;
    TkJointInputStats stats = {0}, coded = {0};

    if (feed->source && feed->started) {
        tk_joint_input_stats(stream->pictures, cap_source_pictures(feed->source), &stats);
        tk_joint_input_stats(stream->coded, cap_source_coded(feed->source), &coded);
        if (coded.reordered >= REORDERED_MIN && coded.reordered > coded.seen / REORDERED_SHARE) {
            tk_warning("%s: the source's H.264 has B-frames, which live viewers cannot take: "
                       "it is encoded anew",
                       stream->name);
            feed->format.copy = FALSE;
            cap_feed_reopen(feed);
            return;
        }
        gint64 seen_ns = MAX(stats.seen_ns, coded.seen_ns);
        gint64 quiet_ns = now_ns - MAX(seen_ns, feed->opened_ns);
        // Who listens for a caller waits as long as it takes.
        gboolean listens = !seen_ns && feed->spec.kind == CAP_SOURCE_URI &&
                           g_str_has_prefix(feed->spec.where, "srt:");
        if (quiet_ns > STALLED_AFTER_NS && !listens)
            cap_feed_lost(feed, "it gives no pictures");
        else if (quiet_ns > SLATE_AFTER_NS && !cap_stand_in_shown(stream->slate))
            show_slate(stream);
        else if (quiet_ns < SLATE_AFTER_NS && cap_stand_in_shown(stream->slate) &&
                 coded.seen_ns > stats.seen_ns)
            go_on(stream, stream->coded, cap_source_coded(feed->source), on_first_coded);
        else if (quiet_ns < SLATE_AFTER_NS && cap_stand_in_shown(stream->slate) && seen_ns)
            go_on(stream, stream->pictures, cap_source_pictures(feed->source), on_first_picture);
    }
    if (cap_stand_in_shown(stream->slate))
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

// Its picture comes first.
static void watch_leader(CapStream *stream, gint64 now_ns)
{
    TkJointStats own, leader;

    tk_joint_stats(stream->pictures, &own);
    tk_joint_stats(stream->leader->pictures, &leader);
    switch (cap_yield_judge(&stream->yield, now_ns, leader.dropped, own.dropped,
                            stream->picture.format.fps)) {
    case CAP_YIELD_SHORT:
        tk_warning("%s: this machine is too slow for all of its pictures; %s comes first",
                   stream->name, stream->leader->name);
        break;
    case CAP_YIELD_REST:
        tk_warning("%s: this machine is too slow for %s beside it: it rests for %u s", stream->name,
                   stream->leader->name, cap_yield_rest_s(&stream->yield));
        publish_no_more(stream);
        break;
    case CAP_YIELD_RESUME:
        publish(stream);
        break;
    case CAP_YIELD_NOTHING:
        break;
    }
}

static gboolean on_tick(gpointer data)
{
    CapStream *stream = data;

    watch_picture(stream, tk_clock_monotonic_ns());
    if (!stream->leader && stream->has_sound)
        fill_silence(stream);
    if (follows(stream) && !stream->given_up)
        watch_leader(stream, tk_clock_monotonic_ns());
    return G_SOURCE_CONTINUE;
}

static void on_publisher(void *user, CapPublisherState state, const char *why)
{
    CapStream *stream = user;

    stream->live = state == CAP_PUBLISHER_LIVE;
    switch (state) {
    case CAP_PUBLISHER_LIVE:
        tk_info("%s: connected", stream->name);
        if (stream->rendition)
            publish(stream->rendition);
        break;
    case CAP_PUBLISHER_WAITING:
        tk_warning("%s: not connected: %s", stream->name, why);
        break;
    case CAP_PUBLISHER_REFUSED:
        tk_error("%s: refused: %s", stream->name, why);
        fail(stream);
        break;
    case CAP_PUBLISHER_OVER:
        tk_info("%s: %s", stream->name, why);
        stream->events.on_end(stream->user);
        break;
    case CAP_PUBLISHER_STOPPED:
        if (stream->stopping)
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
    fail(stream);
}

// On a streaming thread, with the joint's lock held.
static void on_coded_sound(void *user, GstBuffer *buffer, GstCaps *caps)
{
    CapStream *stream = user;

    if (stream->copy)
        cap_keep_sound(stream->copy, buffer, caps);
    g_mutex_lock(&stream->lock);
    if (stream->rendition_sound && caps)
        tk_joint_push(stream->rendition_sound, gst_buffer_ref(buffer), gst_caps_ref(caps));
    g_mutex_unlock(&stream->lock);
}

static void set_rendition(CapStream *leader, CapStream *rendition)
{
    leader->rendition = rendition;
    g_mutex_lock(&leader->lock);
    tk_joint_unref(leader->rendition_sound);
    leader->rendition_sound = rendition ? tk_joint_ref(rendition->sound_coded) : NULL;
    g_mutex_unlock(&leader->lock);
}

static gboolean make_encoders(CapStream *stream, const CapStreamConfig *config, GError **error)
{
    const CapPictureCoding coding = {
        follows(stream) ? cap_encoder_name(config->leader->picture_encoder) : config->encoder,
        config->format.width,
        config->format.height,
        config->format.fps,
        config->bitrate_kbps,
        follows(stream)};

    stream->picture_encoder =
        cap_encoder_new_picture(&coding, stream->pictures, stream->coded, stream->clock,
                                stream->base_time, on_encoder_failed, stream, error);
    if (!stream->picture_encoder)
        return FALSE;
    tk_joint_select(stream->coded, cap_encoder_input(stream->picture_encoder));
    if (!stream->has_sound || stream->leader)
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
    gboolean with_picture =
        config->sound.kind == CAP_SOURCE_WITH_PICTURE ||
        (config->sound.kind == CAP_SOURCE_TEST && config->picture.kind == CAP_SOURCE_TEST);
    const CapFeed common = {.stream = stream->name,
                            .format = config->format,
                            .clock = stream->clock,
                            .base_time = stream->base_time,
                            .user = stream};
    CapFeed *picture = &stream->picture, *sound = &stream->sound;

    *picture = *sound = common;
    picture->format.title = sound->format.title = stream->title;
    picture->what = "picture";
    picture->spec = (CapSourceSpec){config->picture.kind, g_strdup(config->picture.where)};
    picture->events = (CapFeedEvents){on_file_ready, on_picture_lost, on_file_end};
    picture->format.picture = TRUE;
    picture->format.sound = with_picture;
    picture->format.copy =
        config->copy == CAP_COPY_ALWAYS ||
        (config->copy == CAP_COPY_AUTO && config->picture.kind == CAP_SOURCE_URI);
    picture->outputs = (CapSourceOutputs){stream->pictures, stream->coded, stream->sound_raw};
    sound->what = "sound";
    sound->format.picture = FALSE;
    sound->format.sound = TRUE;
    sound->outputs.sound = stream->sound_raw;
    if (!with_picture)
        sound->spec = (CapSourceSpec){config->sound.kind, g_strdup(config->sound.where)};
}

static void make_joints(CapStream *stream, guint fps, gboolean small)
{
    stream->pictures = tk_joint_new(TK_JOINT_PICTURES,
                                    small ? RENDITION_BUFFERS_MAX : RAW_BUFFERS_MAX, RAW_BYTES_MAX);
    stream->coded = tk_joint_new(TK_JOINT_CODED, MAX(fps, 2) * QUEUE_S, CODED_BYTES_MAX);
    stream->sound_raw = tk_joint_new(TK_JOINT_SOUND, 2 * 100, RAW_BYTES_MAX);
    stream->sound_coded = tk_joint_new(TK_JOINT_SOUND, QUEUE_S * 47, CODED_BYTES_MAX);
    tk_joint_set_on_first(stream->pictures, on_first_picture, stream);
    tk_joint_set_on_first(stream->coded, on_first_coded, stream);
    tk_joint_set_on_first(stream->sound_raw, on_first_sound, stream);
    tk_joint_set_tap(stream->sound_coded, on_coded_sound, stream);
}

static void tell(const CapStream *stream, const CapStreamConfig *config)
{
    const CapStream *leader = stream->leader;
    guint every = stream->every;
    g_autofree char *own = cap_source_spec_describe(&config->picture);
    g_autofree char *sound = cap_source_spec_describe(&config->sound);
    const char *what = follows(stream) ? leader->name : own;

    tk_info("%s: %s, %ux%u at %g/s, %s %u kbit/s; sound: %s, %s", stream->name, what,
            config->format.width, config->format.height, (double)config->format.fps / every,
            cap_encoder_name(stream->picture_encoder), config->bitrate_kbps,
            leader ? leader->name : sound,
            leader                  ? "the same"
            : stream->sound_encoder ? cap_encoder_name(stream->sound_encoder)
                                    : "no track");
}

CapStream *cap_stream_new(const CapStreamConfig *config, GstClock *clock, GstClockTime base_time,
                          const CapStreamEvents *events, void *user, GError **error)
{
    g_autoptr(CapStream) stream = g_new0(CapStream, 1);
    const guint fps = config->format.fps;
    gboolean small = config->leader && config->picture.kind == CAP_SOURCE_NONE;

    g_mutex_init(&stream->lock);
    stream->name = g_strdup(config->name);
    stream->title = g_strdup(tk_lesson_info_get(config->publisher.info, "title"));
    stream->clock = gst_object_ref(clock);
    stream->base_time = base_time;
    stream->events = *events;
    stream->user = user;
    stream->has_sound =
        config->leader ? config->leader->has_sound : config->sound.kind != CAP_SOURCE_NONE;
    stream->leader = config->leader;
    stream->every = small && fps > RENDITION_FPS_WHOLE ? 2 : 1;
    stream->last_stats_ns = tk_clock_monotonic_ns();
    make_joints(stream, fps, small);
    stream->slate = cap_stand_in_new(&config->format, stream->pictures, clock, base_time);
    if (config->keep) {
        stream->copy =
            cap_keep_stream(config->keep, config->name, stream->has_sound, clock, base_time);
        tk_joint_set_tap(stream->coded, cap_keep_picture, stream->copy);
    }
    make_feeds(stream, config);
    if (!make_encoders(stream, config, error))
        return NULL;
    stream->publisher = cap_publisher_new(&config->publisher, stream->coded,
                                          stream->has_sound ? stream->sound_coded : NULL, clock,
                                          base_time, on_publisher, stream);
    if (stream->leader)
        set_rendition(stream->leader, stream);
    tell(stream, config);
    return g_steal_pointer(&stream);
}

void cap_stream_open(CapStream *stream)
{
    stream->tick = g_timeout_add(TICK_MS, on_tick, stream);
    if (stream->picture.spec.kind != CAP_SOURCE_NONE)
        cap_feed_open(&stream->picture);
    if (stream->sound.spec.kind != CAP_SOURCE_NONE)
        cap_feed_open(&stream->sound);
}

gboolean cap_stream_is_ready(const CapStream *stream)
{
    const CapFeed *feed = &stream->picture;

    return feed->spec.kind != CAP_SOURCE_FILE || feed->ready || feed->lost_ns;
}

void cap_stream_start(CapStream *stream, GstClockTime at)
{
    stream->started = TRUE;
    if (stream->picture.ready)
        cap_feed_start(&stream->picture, at);
    publish(stream);
}

void cap_stream_stop(CapStream *stream)
{
    stream->stopping = TRUE;
    publish_no_more(stream);
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

void cap_stream_free(CapStream *stream)
{
    if (!stream)
        return;
    TkJoint *joints[] = {stream->pictures, stream->coded, stream->sound_raw, stream->sound_coded};

    if (stream->leader && stream->leader->rendition == stream) {
        if (follows(stream))
            cap_encoder_lead(stream->leader->picture_encoder, NULL, 1);
        set_rendition(stream->leader, NULL);
    }
    if (stream->tick)
        g_source_remove(stream->tick);
    for (guint i = 0; i < G_N_ELEMENTS(joints); i++)
        tk_joint_set_on_first(joints[i], NULL, NULL);
    cap_publisher_free(stream->publisher);
    cap_feed_clear(&stream->picture);
    cap_feed_clear(&stream->sound);
    cap_stand_in_free(stream->slate);
    cap_encoder_free(stream->picture_encoder);
    cap_encoder_free(stream->sound_encoder);
    for (guint i = 0; i < G_N_ELEMENTS(joints); i++)
        tk_joint_unref(joints[i]);
    g_mutex_clear(&stream->lock);
    gst_clear_object(&stream->clock);
    g_free(stream->name);
    g_free(stream->title);
    g_free(stream);
}
