// SPDX-License-Identifier: MIT
#include "client/player/screen.h"

#include <gst/video/videooverlay.h>

#include "client/player/window.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"

#define SOUND_RETRY_S 5

struct _PlayScreen {
    const PlayOptions *options;
    guint delay_ms;
    TkJoint *pictures, *sound;
    GstClock *clock;
    GstClockTime base_time;
    PlayScreenEvents events;
    void *user;
    PlayWindow *window; // NULL: the sink has its own
    TkPipeline *picture_pipeline, *sound_pipeline;
    GstElement *picture_sink; // borrowed from its pipeline
    guint sound_retry;
    gboolean sound_warned;
};

static gboolean start_sound(PlayScreen *screen, GError **error);

static void on_exposed(void *user)
{
    PlayScreen *screen = user;

    if (screen->picture_sink)
        gst_video_overlay_expose(GST_VIDEO_OVERLAY(screen->picture_sink));
}

static void on_window_closed(void *user)
{
    PlayScreen *screen = user;

    screen->events.on_closed(screen->user);
}

// Whether an element of that kind exists and finds its device.
static gboolean works(const char *name)
{
    GstElement *element = gst_element_factory_make(name, NULL);

    if (!element)
        return FALSE;
    gst_object_ref_sink(element);
    gboolean ready = gst_element_set_state(element, GST_STATE_READY) == GST_STATE_CHANGE_SUCCESS;
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
    return ready;
}

static const char *choose_picture_sink(const PlayScreen *screen)
{
    static const char *const x11[] = {"xvimagesink", "ximagesink"};

    if (screen->options->video_sink)
        return screen->options->video_sink;
    for (guint i = 0; screen->window && i < G_N_ELEMENTS(x11); i++)
        if (works(x11[i]))
            return x11[i];
    if (g_getenv("WAYLAND_DISPLAY") && works("waylandsink"))
        return "waylandsink";
    return works("kmssink") ? "kmssink" : "autovideosink";
}

static void on_picture_error(void *user, const GError *error, const char *debug)
{
    PlayScreen *screen = user;

    // The X sinks end so when somebody closes their window.
    if (g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND) && !screen->window)
        screen->events.on_closed(screen->user);
    else
        screen->events.on_failed(screen->user, error);
}

static void place_in_time(const PlayScreen *screen, TkPipeline *pipeline, TkJoint *joint)
{
    GstElement *in = tk_pipeline_get(pipeline, "in");

    g_object_set(in, "min-latency", (gint64)screen->delay_ms * GST_MSECOND, NULL);
    tk_pipeline_set_time(pipeline, screen->clock, screen->base_time);
    tk_joint_set_output(joint, in);
}

static gboolean start_pictures(PlayScreen *screen, GError **error)
{
    const TkPipelineEvents events = {.on_error = on_picture_error};
    const char *name = choose_picture_sink(screen);
    g_autofree char *text =
        g_strdup_printf("appsrc name=in is-live=true format=time ! videoconvert ! "
                        "videoscale ! %s name=sink",
                        name);

    screen->picture_pipeline = tk_pipeline_new("screen", text, &events, screen, error);
    if (!screen->picture_pipeline)
        return FALSE;
    GstElement *sink = tk_pipeline_get(screen->picture_pipeline, "sink");
    if (screen->window && GST_IS_VIDEO_OVERLAY(sink)) {
        screen->picture_sink = sink;
        gst_video_overlay_set_window_handle(GST_VIDEO_OVERLAY(sink),
                                            play_window_handle(screen->window));
        gst_video_overlay_handle_events(GST_VIDEO_OVERLAY(sink), FALSE);
    }
    if (g_str_equal(name, "waylandsink"))
        g_object_set(sink, "fullscreen", !screen->options->window, NULL);
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(sink), "sync"))
        g_object_set(sink, "sync", TRUE, NULL);
    place_in_time(screen, screen->picture_pipeline, screen->pictures);
    return tk_pipeline_set_state(screen->picture_pipeline, GST_STATE_PLAYING, error);
}

static void drop_sound(PlayScreen *screen)
{
    tk_joint_set_output(screen->sound, NULL);
    g_clear_pointer(&screen->sound_pipeline, tk_pipeline_free);
}

static gboolean on_sound_retry(gpointer data)
{
    PlayScreen *screen = data;
    g_autoptr(GError) error = NULL;

    if (!start_sound(screen, &error)) {
        drop_sound(screen);
        return G_SOURCE_CONTINUE;
    }
    screen->sound_retry = 0;
    return G_SOURCE_REMOVE;
}

static void sound_failed(PlayScreen *screen, const char *reason)
{
    if (!screen->sound_warned)
        tk_warning("no sound: %s; tried again every %d s", reason, SOUND_RETRY_S);
    screen->sound_warned = TRUE;
    drop_sound(screen);
    if (!screen->sound_retry)
        screen->sound_retry = g_timeout_add_seconds(SOUND_RETRY_S, on_sound_retry, screen);
}

static void on_sound_error(void *user, const GError *error, const char *debug)
{
    sound_failed(user, error->message);
}

static gboolean start_sound(PlayScreen *screen, GError **error)
{
    const TkPipelineEvents events = {.on_error = on_sound_error};
    const char *name = screen->options->audio_sink ? screen->options->audio_sink : "autoaudiosink";
    g_autofree char *text =
        g_strdup_printf("appsrc name=in is-live=true format=time ! audioconvert ! "
                        "audioresample ! %s",
                        name);

    screen->sound_pipeline = tk_pipeline_new("loudspeaker", text, &events, screen, error);
    if (!screen->sound_pipeline)
        return FALSE;
    place_in_time(screen, screen->sound_pipeline, screen->sound);
    return tk_pipeline_set_state(screen->sound_pipeline, GST_STATE_PLAYING, error);
}

PlayScreen *play_screen_new(const PlayOptions *options, guint delay_ms, TkJoint *pictures,
                            TkJoint *sound, GstClock *clock, GstClockTime base_time,
                            const PlayScreenEvents *events, void *user, GError **error)
{
    const PlayWindowEvents window_events = {on_exposed, on_window_closed};
    g_autoptr(PlayScreen) screen = g_new0(PlayScreen, 1);
    g_autoptr(GError) reason = NULL;

    screen->options = options;
    screen->delay_ms = delay_ms;
    screen->pictures = tk_joint_ref(pictures);
    screen->sound = tk_joint_ref(sound);
    screen->clock = gst_object_ref(clock);
    screen->base_time = base_time;
    screen->events = *events;
    screen->user = user;
    if (g_getenv("DISPLAY") &&
        (!options->video_sink || g_str_has_suffix(options->video_sink, "imagesink")))
        screen->window = play_window_new("同课 · Tongke", !options->window, &window_events, screen);
    if (!start_pictures(screen, error))
        return NULL;
    if (!start_sound(screen, &reason))
        sound_failed(screen, reason->message);
    return g_steal_pointer(&screen);
}

void play_screen_free(PlayScreen *screen)
{
    if (!screen)
        return;
    if (screen->sound_retry)
        g_source_remove(screen->sound_retry);
    tk_joint_set_output(screen->pictures, NULL);
    g_clear_pointer(&screen->picture_pipeline, tk_pipeline_free);
    drop_sound(screen);
    play_window_free(screen->window);
    tk_joint_unref(screen->pictures);
    tk_joint_unref(screen->sound);
    gst_object_unref(screen->clock);
    g_free(screen);
}
