// SPDX-License-Identifier: MIT
#include "client/capture/encoder.h"

#include <gst/video/video.h>
#include <sys/resource.h>

#include "client/capture/source.h"
#include "common/base/error.h"
#include "common/gst/pipeline.h"

#define KEYFRAME_NS (2 * GST_SECOND)
// An encoder's own keyframes come so late that those it is told to make are always earlier.
#define OWN_KEYFRAME_S 3
#define OWN_KEYFRAME_FOLLOWER 1000 // pictures; that of its leader may not have come to it
#define FOLLOWER_NICE 10           // a tenth of the leader's share, where both want to run
#define PROBE_TIMEOUT (5 * GST_SECOND)

struct _CapEncoder {
    TkPipeline *pipeline;
    TkJoint *from, *to;
    guint input;
    char *name;
    CapEncoderFailed on_failed;
    void *user;
    gboolean follows;
    gint asked;            // for a keyframe; atomic
    GstClockTime next_key; // running time; the streaming thread's, as the next
    gboolean given_way;
    GMutex lock; // what follows
    TkJoint *follower;
    guint every, turn;
    gboolean led;                  // it has had a keyframe
    GstCaps *caps, *follower_caps; // of the pictures that came last
};

typedef struct {
    const char *element;
    // Settings with the bitrate (%1$u, kbit/s), the distance of keyframes (%2$u, pictures), and
    // what x264 may take its time for (%3$s).
    const char *settings;
} Codec;

static const Codec pictures[] = {
    {"vah264enc", "rate-control=cbr bitrate=%1$u key-int-max=%2$u b-frames=0 aud=false"},
    {"vah264lpenc", "rate-control=cbr bitrate=%1$u key-int-max=%2$u b-frames=0 aud=false"},
    {"vaapih264enc", "rate-control=cbr bitrate=%1$u keyframe-period=%2$u max-bframes=0"},
    {"v4l2h264enc", "extra-controls=\"controls,video_bitrate=%1$u000,video_gop_size=%2$u,"
                    "h264_i_frame_period=%2$u,video_b_frames=0\""},
    {"nvh264enc", "rc-mode=cbr bitrate=%1$u gop-size=%2$u bframes=0 zerolatency=true"},
    {"x264enc", "bitrate=%1$u key-int-max=%2$u bframes=0 tune=zerolatency speed-preset=%3$s "
                "vbv-buf-capacity=800 option-string=\"scenecut=0\" aud=false"},
    {"openh264enc", "bitrate=%1$u000 gop-size=%2$u complexity=low rate-control=bitrate "
                    "usage-type=camera scene-change-detection=false enable-frame-skip=false"},
};

static const Codec sounds[] = {
    {"fdkaacenc", "bitrate=%1$u000"},
    {"avenc_aac", "bitrate=%1$u000"},
    {"voaacenc", "bitrate=%1$u000"},
};

static gboolean is_installed(const char *element)
{
    g_autoptr(GstElementFactory) factory = gst_element_factory_find(element);

    return factory != NULL;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
static char *codec_describe(const Codec *codec, guint bitrate_kbps, guint keyframe_distance,
                            const char *effort)
{
    g_autofree char *settings =
        g_strdup_printf(codec->settings, bitrate_kbps, keyframe_distance, effort);

    return g_strdup_printf("%s %s", codec->element, settings);
}
#pragma GCC diagnostic pop

// Whether it really encodes: drivers are often installed where the hardware is not.
static gboolean works(const Codec *codec)
{
    if (!is_installed(codec->element))
        return FALSE;
    g_autofree char *encoder = codec_describe(codec, 500, 50, "superfast");
    g_autofree char *text =
        g_strdup_printf("videotestsrc num-buffers=2 ! video/x-raw,width=640,height=360,"
                        "framerate=25/1 ! videoconvert ! %s ! fakesink sync=false",
                        encoder);
    g_autoptr(GstElement) pipeline = gst_parse_launch(text, NULL);
    if (!pipeline)
        return FALSE;
    gst_object_ref_sink(pipeline);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_autoptr(GstMessage) message =
        gst_bus_timed_pop_filtered(bus, PROBE_TIMEOUT, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    return message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
}

char **cap_encoder_list(void)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();

    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++)
        if (works(&pictures[i]))
            g_strv_builder_add(names, pictures[i].element);
    return g_strv_builder_end(names);
}

static const Codec *choose_picture(const char *name, gboolean known, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++)
        if ((!name || g_str_equal(name, pictures[i].element)) && (known || works(&pictures[i])))
            return &pictures[i];
    if (name)
        g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                    "the encoder %s does not work here; --list-encoders shows those that do", name);
    else
        g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                    "no H.264 encoder works here; install gstreamer1.0-plugins-ugly (x264)");
    return NULL;
}

static const Codec *choose_sound(GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(sounds); i++)
        if (is_installed(sounds[i].element))
            return &sounds[i];
    g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                "no AAC encoder is installed; install gstreamer1.0-libav");
    return NULL;
}

static void on_error(void *user, const GError *error, const char *debug)
{
    CapEncoder *encoder = user;

    encoder->on_failed(encoder->user, error);
}

static CapEncoder *make(const Codec *codec, const char *description, TkJoint *from, TkJoint *to,
                        GstClock *clock, GstClockTime base_time, CapEncoderFailed on_failed,
                        void *user, GError **error)
{
    const TkPipelineEvents events = {.on_error = on_error};
    g_autoptr(CapEncoder) encoder = g_new0(CapEncoder, 1);

    g_mutex_init(&encoder->lock);
    encoder->name = g_strdup(codec->element);
    encoder->from = tk_joint_ref(from);
    encoder->to = tk_joint_ref(to);
    encoder->on_failed = on_failed;
    encoder->user = user;
    encoder->pipeline = tk_pipeline_new(codec->element, description, &events, encoder, error);
    if (!encoder->pipeline)
        return NULL;
    tk_pipeline_set_time(encoder->pipeline, clock, base_time);
    encoder->input = tk_joint_connect(to, tk_pipeline_get(encoder->pipeline, "out"), 0);
    tk_joint_set_output(from, tk_pipeline_get(encoder->pipeline, "in"));
    return g_steal_pointer(&encoder);
}

static gboolean start(CapEncoder *encoder, GError **error)
{
    return tk_pipeline_set_state(encoder->pipeline, GST_STATE_PLAYING, error);
}

static char *picture_describe(const Codec *codec, const CapPictureCoding *coding)
{
    // x264's presets differ in a third of the processor time: small machines take the faster. A
    // follower's pictures are small, and smaller in one piece.
    const char *effort = coding->follows               ? "veryfast threads=1"
                         : g_get_num_processors() >= 4 ? "veryfast"
                                                       : "superfast";
    guint distance = coding->follows ? OWN_KEYFRAME_FOLLOWER : coding->fps * OWN_KEYFRAME_S;
    g_autofree char *encoder = codec_describe(codec, coding->bitrate_kbps, distance, effort);

    return g_strdup_printf(
        "appsrc name=in is-live=true format=time ! videoconvert ! videoscale ! "
        "video/x-raw,width=%u,height=%u,pixel-aspect-ratio=1/1 ! %s ! "
        "capsfilter caps=\"video/x-h264,profile=(string){main,constrained-baseline,baseline}\" ! "
        "h264parse config-interval=-1 ! video/x-h264,stream-format=avc,alignment=au ! "
        "appsink name=out sync=false async=false",
        coding->width, coding->height, encoder);
}

// With the leader's lock held.
static void hand_on(CapEncoder *leader, GstPad *pad, GstBuffer *buffer, gboolean key)
{
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);

    // An encoder's first picture is a keyframe.
    leader->led |= key;
    leader->turn = key ? 0 : (leader->turn + 1) % leader->every;
    if (!leader->led || leader->turn != 0 || !caps)
        return;
    if (caps != leader->caps) {
        gint n = 0, d = 1;
        gst_caps_replace(&leader->caps, caps);
        gst_caps_take(&leader->follower_caps, gst_caps_copy(caps));
        if (gst_structure_get_fraction(gst_caps_get_structure(caps, 0), "framerate", &n, &d))
            gst_caps_set_simple(leader->follower_caps, "framerate", GST_TYPE_FRACTION, n,
                                d * (gint)leader->every, NULL);
    }
    GstBuffer *copy = gst_buffer_copy(buffer);
    if (key)
        GST_BUFFER_FLAG_SET(copy, GST_BUFFER_FLAG_MARKER);
    else
        GST_BUFFER_FLAG_UNSET(copy, GST_BUFFER_FLAG_MARKER);
    GST_BUFFER_DURATION(copy) = GST_CLOCK_TIME_NONE;
    tk_joint_push(leader->follower, copy, gst_caps_ref(leader->follower_caps));
}

// Which picture becomes a keyframe is settled before it goes into any encoder.
static GstPadProbeReturn on_picture(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    CapEncoder *encoder = data;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    GstClockTime time = GST_BUFFER_PTS(buffer);
    GstClockTime half = GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) / 2 : 0;
    gboolean key = encoder->follows ? GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_MARKER)
                                    : time + half >= encoder->next_key;

    if (!encoder->follows && g_atomic_int_compare_and_exchange(&encoder->asked, TRUE, FALSE))
        key = TRUE;
    if (key) {
        encoder->next_key = time + KEYFRAME_NS;
        // Without a running time it means the next buffer: GStreamer 1.22 passes over times that
        // are before the last keyframe as x264enc counts, who adds 1,000 hours.
        gst_pad_push_event(pad, gst_video_event_new_downstream_force_key_unit(
                                    time, time, GST_CLOCK_TIME_NONE, TRUE, 0));
    }
    g_mutex_lock(&encoder->lock);
    if (encoder->follower)
        hand_on(encoder, pad, buffer, key);
    g_mutex_unlock(&encoder->lock);
    return GST_PAD_PROBE_OK;
}

// Before the encoder is set up, so that threads of its own have it from this one.
static GstPadProbeReturn on_begin(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    CapEncoder *encoder = data;

    if (!encoder->given_way)
        setpriority(PRIO_PROCESS, 0, FOLLOWER_NICE);
    encoder->given_way = TRUE;
    return GST_PAD_PROBE_OK;
}

// A follower that lacks a keyframe waits for its leader's next: who has the better line must not
// pay for the weaker one's.
static GstPadProbeReturn on_asked(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    CapEncoder *encoder = data;

    if (!gst_video_event_is_force_key_unit(GST_PAD_PROBE_INFO_EVENT(info)))
        return GST_PAD_PROBE_OK;
    g_atomic_int_set(&encoder->asked, TRUE);
    return GST_PAD_PROBE_DROP;
}

static void watch(CapEncoder *encoder, const char *element, const char *pad_name,
                  GstPadProbeType type, GstPadProbeCallback on_probe)
{
    g_autoptr(GstPad) pad =
        gst_element_get_static_pad(tk_pipeline_get(encoder->pipeline, element), pad_name);

    gst_pad_add_probe(pad, type, on_probe, encoder, NULL);
}

CapEncoder *cap_encoder_new_picture(const CapPictureCoding *coding, TkJoint *from, TkJoint *to,
                                    GstClock *clock, GstClockTime base_time,
                                    CapEncoderFailed on_failed, void *user, GError **error)
{
    const Codec *codec = choose_picture(coding->name, coding->follows, error);

    if (!codec)
        return NULL;
    g_autofree char *text = picture_describe(codec, coding);
    g_autoptr(CapEncoder) encoder =
        make(codec, text, from, to, clock, base_time, on_failed, user, error);
    if (!encoder)
        return NULL;
    encoder->follows = coding->follows;
    watch(encoder, "in", "src", GST_PAD_PROBE_TYPE_BUFFER, on_picture);
    if (encoder->follows)
        watch(encoder, "in", "src", GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_begin);
    watch(encoder, "out", "sink", GST_PAD_PROBE_TYPE_EVENT_UPSTREAM, on_asked);
    return start(encoder, error) ? g_steal_pointer(&encoder) : NULL;
}

void cap_encoder_lead(CapEncoder *leader, TkJoint *follower, guint every)
{
    g_mutex_lock(&leader->lock);
    tk_joint_unref(leader->follower);
    leader->follower = follower ? tk_joint_ref(follower) : NULL;
    leader->every = every;
    leader->led = FALSE;
    gst_clear_caps(&leader->caps);
    g_mutex_unlock(&leader->lock);
}

CapEncoder *cap_encoder_new_sound(guint bitrate_kbps, TkJoint *from, TkJoint *to, GstClock *clock,
                                  GstClockTime base_time, CapEncoderFailed on_failed, void *user,
                                  GError **error)
{
    const Codec *codec = choose_sound(error);

    if (!codec)
        return NULL;
    g_autofree char *encoder = codec_describe(codec, bitrate_kbps, 0, "");
    g_autofree char *text = g_strdup_printf(
        "appsrc name=in is-live=true format=time ! audiorate tolerance=40000000 skip-to-first=true "
        "! audioconvert ! audio/x-raw,channels=%u ! "
        "%s ! aacparse ! audio/mpeg,mpegversion=4,stream-format=raw ! "
        "appsink name=out sync=false async=false",
        bitrate_kbps < CAP_STEREO_KBPS ? 1u : 2u, encoder);
    g_autoptr(CapEncoder) made =
        make(codec, text, from, to, clock, base_time, on_failed, user, error);
    return made && start(made, error) ? g_steal_pointer(&made) : NULL;
}

guint cap_encoder_input(const CapEncoder *encoder)
{
    return encoder->input;
}

const char *cap_encoder_name(const CapEncoder *encoder)
{
    return encoder->name;
}

void cap_encoder_free(CapEncoder *encoder)
{
    if (!encoder)
        return;
    tk_joint_set_output(encoder->from, NULL);
    tk_joint_disconnect(encoder->to, encoder->input);
    tk_pipeline_free(encoder->pipeline);
    tk_joint_unref(encoder->from);
    tk_joint_unref(encoder->to);
    tk_joint_unref(encoder->follower);
    gst_clear_caps(&encoder->caps);
    gst_clear_caps(&encoder->follower_caps);
    g_mutex_clear(&encoder->lock);
    g_free(encoder->name);
    g_free(encoder);
}
