// SPDX-License-Identifier: MIT
#include "client/capture/encoder.h"

#include "client/capture/source.h"
#include "common/base/error.h"
#include "common/gst/pipeline.h"

#define KEYFRAME_S 2
#define PROBE_TIMEOUT (5 * GST_SECOND)

struct _CapEncoder {
    TkPipeline *pipeline;
    TkJoint *from, *to;
    guint input;
    char *name;
    CapEncoderFailed on_failed;
    void *user;
};

typedef struct {
    const char *element;
    // Settings with the bitrate (%1$u, kbit/s) and the distance of keyframes (%2$u, pictures).
    const char *settings;
} Codec;

// x264's presets differ in a third of the processor time: small machines take the faster.
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
                    "usage-type=camera enable-frame-skip=false"},
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
static char *codec_describe(const Codec *codec, guint bitrate_kbps, guint keyframe_distance)
{
    const char *preset = g_get_num_processors() >= 4 ? "veryfast" : "superfast";
    g_autofree char *settings =
        g_strdup_printf(codec->settings, bitrate_kbps, keyframe_distance, preset);

    return g_strdup_printf("%s %s", codec->element, settings);
}
#pragma GCC diagnostic pop

// Whether it really encodes: drivers are often installed where the hardware is not.
static gboolean works(const Codec *codec)
{
    if (!is_installed(codec->element))
        return FALSE;
    g_autofree char *encoder = codec_describe(codec, 500, 50);
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

static const Codec *choose_picture(const char *name, GError **error)
{
    for (guint i = 0; i < G_N_ELEMENTS(pictures); i++)
        if ((!name || g_str_equal(name, pictures[i].element)) && works(&pictures[i]))
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

static CapEncoder *start(const Codec *codec, const char *description, TkJoint *from, TkJoint *to,
                         GstClock *clock, GstClockTime base_time, CapEncoderFailed on_failed,
                         void *user, GError **error)
{
    const TkPipelineEvents events = {.on_error = on_error};
    g_autoptr(CapEncoder) encoder = g_new0(CapEncoder, 1);

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
    if (!tk_pipeline_set_state(encoder->pipeline, GST_STATE_PLAYING, error))
        return NULL;
    return g_steal_pointer(&encoder);
}

CapEncoder *cap_encoder_new_picture(const CapPictureCoding *coding, TkJoint *from, TkJoint *to,
                                    GstClock *clock, GstClockTime base_time,
                                    CapEncoderFailed on_failed, void *user, GError **error)
{
    const Codec *codec = choose_picture(coding->name, error);

    if (!codec)
        return NULL;
    g_autofree char *encoder =
        codec_describe(codec, coding->bitrate_kbps, coding->fps * KEYFRAME_S);
    g_autofree char *text = g_strdup_printf(
        "appsrc name=in is-live=true format=time ! videoconvert ! %s ! "
        "capsfilter caps=\"video/x-h264,profile=(string){main,constrained-baseline,baseline}\" ! "
        "h264parse config-interval=-1 ! video/x-h264,stream-format=avc,alignment=au ! "
        "appsink name=out sync=false async=false",
        encoder);
    return start(codec, text, from, to, clock, base_time, on_failed, user, error);
}

CapEncoder *cap_encoder_new_sound(guint bitrate_kbps, TkJoint *from, TkJoint *to, GstClock *clock,
                                  GstClockTime base_time, CapEncoderFailed on_failed, void *user,
                                  GError **error)
{
    const Codec *codec = choose_sound(error);

    if (!codec)
        return NULL;
    g_autofree char *encoder = codec_describe(codec, bitrate_kbps, 0);
    g_autofree char *text = g_strdup_printf(
        "appsrc name=in is-live=true format=time ! audiorate tolerance=40000000 skip-to-first=true "
        "! "
        "audioconvert ! %s ! aacparse ! audio/mpeg,mpegversion=4,stream-format=raw ! "
        "appsink name=out sync=false async=false",
        encoder);
    return start(codec, text, from, to, clock, base_time, on_failed, user, error);
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
    g_free(encoder->name);
    g_free(encoder);
}
