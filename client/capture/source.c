// SPDX-License-Identifier: MIT
#include "client/capture/source.h"

#include <string.h>

#include "client/capture/test_lesson.h"
#include "common/base/error.h"
#include "common/gst/pipeline.h"

#define RTSP_LATENCY_MS 200u

struct _CapSource {
    CapSourceSpec spec; // where is owned
    CapSourceFormat format;
    CapSourceOutputs outputs;
    GstClock *clock;
    GstClockTime base_time;
    CapSourceEvents events;
    void *user;
    TkPipeline *pipeline;
    CapTestLesson *test;
    gboolean live, looping, started;
    // Set by streaming threads as pads come, read by the main thread: atomics.
    gint pictures, coded, sound;
};

static char *picture_tail(const CapSource *source, const char *appsink)
{
    const CapSourceFormat *f = &source->format;

    return g_strdup_printf(
        "queue max-size-buffers=4 max-size-bytes=0 max-size-time=0 ! videoconvert ! "
        "videoscale add-borders=true ! videorate skip-to-first=true ! "
        "video/x-raw,format=I420,width=%u,height=%u,framerate=%u/1,pixel-aspect-ratio=1/1 ! "
        "appsink name=%s max-buffers=4 sync=%s",
        f->width, f->height, f->fps, appsink, source->live ? "false" : "true");
}

static char *sound_tail(const CapSource *source)
{
    return g_strdup_printf("queue ! audioconvert ! audioresample ! " CAP_SOUND_CAPS
                           " ! appsink name=sound async=false sync=%s",
                           source->live ? "false" : "true");
}

static char *coded_tail(const CapSource *source)
{
    return g_strdup_printf("queue ! h264parse config-interval=-1 ! "
                           "video/x-h264,stream-format=avc,alignment=au ! "
                           "appsink name=coded sync=%s",
                           source->live ? "false" : "true");
}

// The description of sources whose pads are all there from the start; NULL for addresses and files.
static char *describe(const CapSource *source)
{
    const CapSourceFormat *f = &source->format;
    g_autofree char *pictures = picture_tail(source, "pictures");
    g_autofree char *sound = sound_tail(source);

    switch (source->spec.kind) {
    case CAP_SOURCE_TEST: {
        g_autofree char *picture =
            !f->picture
                ? g_strdup("")
                : g_strdup_printf("videotestsrc is-live=true pattern=solid-color ! "
                                  "video/x-raw,format=BGRx,width=%u,height=%u,framerate=%u/1 ! "
                                  "cairooverlay name=draw ! %s",
                                  f->width, f->height, f->fps, pictures);
        g_autofree char *voice =
            !f->sound
                ? g_strdup("")
                : g_strdup_printf("audiotestsrc is-live=true wave=silence samplesperbuffer=960 "
                                  "! " CAP_SOUND_CAPS " ! identity name=voice ! %s",
                                  sound);
        return g_strconcat(picture, "  ", voice, NULL);
    }
    case CAP_SOURCE_CAMERA:
        // The size and rate that are wanted, raw before compressed; else what the camera has.
        return g_strdup_printf(
            "v4l2src name=device ! capsfilter caps=\""
            "video/x-raw,width=%u,height=%u,framerate=[%u/1,60/1];"
            "image/jpeg,width=%u,height=%u,framerate=[%u/1,60/1];video/x-raw;image/jpeg\" ! "
            "decodebin ! %s",
            f->width, f->height, MIN(f->fps, 20), f->width, f->height, MIN(f->fps, 20), pictures);
    case CAP_SOURCE_SCREEN:
        return g_strdup_printf("ximagesrc name=device use-damage=false ! "
                               "video/x-raw,framerate=%u/1 ! %s",
                               f->fps, pictures);
    case CAP_SOURCE_MIC: {
        const char *where = source->spec.where;
        const char *element = !where ? "autoaudiosrc" : strchr(where, ':') ? "alsasrc" : "pulsesrc";
        return g_strdup_printf("%s name=device ! %s", element, sound);
    }
    default:
        return NULL;
    }
}

static void connect_sink(CapSource *source, GstElement *bin, const char *name, TkJoint *joint,
                         gint *slot)
{
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(bin), name);

    if (!sink || !joint)
        return;
    guint number = tk_joint_connect(joint, sink, 0);
    g_atomic_int_set(slot, (gint)number);
    tk_joint_prefer(joint, number);
}

static void on_lost(void *user, const GError *error, const char *debug)
{
    CapSource *source = user;

    source->events.on_lost(source->user, error);
}

static void lost(CapSource *source, const char *reason)
{
    g_autoptr(GError) error = g_error_new_literal(TK_ERROR, TK_ERROR_CLOSED, reason);

    source->events.on_lost(source->user, error);
}

static gboolean seek_to_start(CapSource *source, GstSeekFlags flags)
{
    return gst_element_seek(tk_pipeline_bin(source->pipeline), 1.0, GST_FORMAT_TIME, flags,
                            GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_NONE, -1);
}

static void on_eos(void *user)
{
    CapSource *source = user;

    if (source->live)
        lost(source, "the source has ended");
    else
        source->events.on_end(source->user);
}

static void on_ready(void *user)
{
    CapSource *source = user;

    if (source->live || source->started)
        return;
    // Loops are gapless when the file can play as one segment behind the other; a file that cannot
    // ends and is opened again.
    if (source->format.loop && !source->looping) {
        source->looping = TRUE;
        if (seek_to_start(source, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_SEGMENT))
            return; // comes again
    }
    source->events.on_ready(source->user);
}

static void on_message(void *user, GstMessage *message)
{
    CapSource *source = user;

    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_SEGMENT_DONE &&
        !seek_to_start(source, GST_SEEK_FLAG_SEGMENT))
        source->events.on_end(source->user);
}

// A branch for a new pad, in the pad's streaming thread.
static gboolean add_branch(CapSource *source, GstPad *pad, const char *tail)
{
    g_autoptr(GError) error = NULL;
    GstElement *branch = gst_parse_bin_from_description(tail, TRUE, &error);
    if (!branch) {
        GST_ELEMENT_ERROR(tk_pipeline_bin(source->pipeline), CORE, MISSING_PLUGIN,
                          ("%s", error->message), (NULL));
        return FALSE;
    }
    connect_sink(source, branch, "pictures", source->outputs.pictures, &source->pictures);
    connect_sink(source, branch, "coded", source->outputs.coded, &source->coded);
    connect_sink(source, branch, "sound", source->outputs.sound, &source->sound);
    gst_bin_add(GST_BIN(tk_pipeline_bin(source->pipeline)), branch);
    g_autoptr(GstPad) sink = gst_element_get_static_pad(branch, "sink");
    gboolean linked = gst_pad_link(pad, sink) == GST_PAD_LINK_OK;
    gst_element_sync_state_with_parent(branch);
    return linked;
}

static void on_pad(GstElement *decode, GstPad *pad, gpointer data)
{
    CapSource *source = data;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    g_autofree char *tail = NULL;

    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    const char *type = gst_structure_get_name(gst_caps_get_structure(caps, 0));
    gboolean has_picture = g_atomic_int_get(&source->pictures) || g_atomic_int_get(&source->coded);
    if (g_str_equal(type, "video/x-h264") && source->format.picture && !has_picture)
        tail = coded_tail(source);
    else if (g_str_has_prefix(type, "video/") && source->format.picture && !has_picture)
        tail = picture_tail(source, "pictures");
    else if (g_str_equal(type, "audio/x-raw") && source->format.sound &&
             !g_atomic_int_get(&source->sound))
        tail = sound_tail(source);
    // What is not wanted still has to flow, or the rest would stand still.
    add_branch(source, pad, tail ? tail : "fakesink async=false sync=false");
}

static void on_no_more_pads(GstElement *decode, gpointer data)
{
    CapSource *source = data;

    if (source->format.picture && !g_atomic_int_get(&source->pictures) &&
        !g_atomic_int_get(&source->coded))
        GST_ELEMENT_ERROR(decode, STREAM, WRONG_TYPE, ("there is no picture in it"), (NULL));
}

static void on_source_setup(GstElement *decode, GstElement *element, gpointer data)
{
    GstElementFactory *factory = gst_element_get_factory(element);

    if (factory && g_str_equal(GST_OBJECT_NAME(factory), "rtspsrc"))
        g_object_set(element, "latency", RTSP_LATENCY_MS, "timeout", (guint64)3000000,
                     "tcp-timeout", (guint64)5000000, "drop-on-latency", TRUE, NULL);
}

static char *uri_of(const CapSource *source, GError **error)
{
    const char *where = source->spec.where;

    if (source->spec.kind == CAP_SOURCE_FILE)
        return gst_filename_to_uri(where, error);
    if (g_str_has_prefix(where, "srt://") && !strstr(where, "mode="))
        return g_strconcat(where, strchr(where, '?') ? "&" : "?", "mode=listener", NULL);
    return g_strdup(where);
}

static gboolean build_uri(CapSource *source, GError **error)
{
    g_autofree char *uri = uri_of(source, error);
    GstElement *decode = gst_element_factory_make("uridecodebin", NULL);

    if (!uri || !decode) {
        if (!decode)
            g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                        "the element uridecodebin is not installed");
        gst_clear_object(&decode);
        return FALSE;
    }
    g_autoptr(GstCaps) caps = gst_caps_from_string(
        source->format.copy ? "video/x-h264; video/x-raw(ANY); audio/x-raw(ANY)"
                            : "video/x-raw(ANY); audio/x-raw(ANY)");
    g_object_set(decode, "uri", uri, "caps", caps, "expose-all-streams", FALSE, NULL);
    g_signal_connect(decode, "pad-added", G_CALLBACK(on_pad), source);
    g_signal_connect(decode, "no-more-pads", G_CALLBACK(on_no_more_pads), source);
    g_signal_connect(decode, "source-setup", G_CALLBACK(on_source_setup), source);
    gst_bin_add(GST_BIN(tk_pipeline_bin(source->pipeline)), decode);
    return TRUE;
}

static void set_device(CapSource *source)
{
    const char *where = source->spec.where;

    if (source->spec.kind == CAP_SOURCE_SCREEN && where)
        g_object_set(tk_pipeline_get(source->pipeline, "device"), "display-name", where, NULL);
    else if ((source->spec.kind == CAP_SOURCE_CAMERA || source->spec.kind == CAP_SOURCE_MIC) &&
             where)
        g_object_set(tk_pipeline_get(source->pipeline, "device"), "device", where, NULL);
}

static void attach_test(CapSource *source, const char *title)
{
    source->test =
        cap_test_lesson_new(source->format.slides ? CAP_TEST_SLIDES : CAP_TEST_PICTURE, title);
    if (source->format.picture)
        cap_test_lesson_attach_picture(source->test, tk_pipeline_get(source->pipeline, "draw"));
    if (source->format.sound) {
        g_autoptr(GstPad) pad =
            gst_element_get_static_pad(tk_pipeline_get(source->pipeline, "voice"), "sink");
        cap_test_lesson_attach_voice(source->test, pad, CAP_SOUND_CHANNELS);
    }
}

CapSource *cap_source_new(const CapSourceSpec *spec, const CapSourceFormat *format,
                          const CapSourceOutputs *outputs, GstClock *clock, GstClockTime base_time,
                          const CapSourceEvents *events, void *user, GError **error)
{
    const TkPipelineEvents pipeline_events = {on_lost, on_eos, on_ready, on_message};
    g_autoptr(CapSource) source = g_new0(CapSource, 1);

    source->spec = (CapSourceSpec){spec->kind, g_strdup(spec->where)};
    source->format = *format;
    source->outputs = *outputs;
    source->clock = gst_object_ref(clock);
    source->base_time = base_time;
    source->events = *events;
    source->user = user;
    source->live = spec->kind != CAP_SOURCE_FILE;

    g_autofree char *description = describe(source);
    g_autofree char *name = cap_source_spec_describe(spec);
    source->pipeline = tk_pipeline_new(name, description, &pipeline_events, source, error);
    if (!source->pipeline || (!description && !build_uri(source, error)))
        return NULL;
    tk_pipeline_set_time(source->pipeline, clock, source->live ? base_time : GST_CLOCK_TIME_NONE);
    if (description) {
        set_device(source);
        GstElement *bin = tk_pipeline_bin(source->pipeline);
        connect_sink(source, bin, "pictures", outputs->pictures, &source->pictures);
        connect_sink(source, bin, "sound", outputs->sound, &source->sound);
    }
    if (spec->kind == CAP_SOURCE_TEST)
        attach_test(source, format->title);
    source->format.title = NULL;
    return g_steal_pointer(&source);
}

gboolean cap_source_open(CapSource *source, GError **error)
{
    return tk_pipeline_set_state(source->pipeline,
                                 source->live ? GST_STATE_PLAYING : GST_STATE_PAUSED, error);
}

gboolean cap_source_start(CapSource *source, GstClockTime at, GError **error)
{
    gint64 offset = GST_CLOCK_DIFF(source->base_time, at);

    source->started = TRUE;
    if (source->pictures)
        tk_joint_set_offset(source->outputs.pictures, (guint)source->pictures, offset);
    if (source->coded)
        tk_joint_set_offset(source->outputs.coded, (guint)source->coded, offset);
    if (source->sound)
        tk_joint_set_offset(source->outputs.sound, (guint)source->sound, offset);
    tk_pipeline_set_time(source->pipeline, source->clock, at);
    return tk_pipeline_set_state(source->pipeline, GST_STATE_PLAYING, error);
}

guint cap_source_pictures(const CapSource *source)
{
    return (guint)g_atomic_int_get(&source->pictures);
}

guint cap_source_coded(const CapSource *source)
{
    return (guint)g_atomic_int_get(&source->coded);
}

guint cap_source_sound(const CapSource *source)
{
    return (guint)g_atomic_int_get(&source->sound);
}

void cap_source_free(CapSource *source)
{
    if (!source)
        return;
    tk_pipeline_free(source->pipeline);
    if (source->pictures)
        tk_joint_disconnect(source->outputs.pictures, (guint)source->pictures);
    if (source->coded)
        tk_joint_disconnect(source->outputs.coded, (guint)source->coded);
    if (source->sound)
        tk_joint_disconnect(source->outputs.sound, (guint)source->sound);
    cap_test_lesson_free(source->test);
    g_clear_object(&source->clock);
    cap_source_spec_clear(&source->spec);
    g_free(source);
}
