// SPDX-License-Identifier: MIT
// A player as GStreamer makes it, untuned: what tongke-player's tuning is worth is measured against
// it. Prints what it lost when standard input ends.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/player/losses.h"
#include "client/player/pictures.h"
#include "client/player/sounds.h"

static PlayPictures pictures;
static PlaySounds sounds;

static void on_pad(GstElement *src, GstPad *pad, gpointer bin)
{
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    const GstStructure *s = caps ? gst_caps_get_structure(caps, 0) : NULL;
    gboolean video = s && g_strcmp0(gst_structure_get_string(s, "media"), "video") == 0;
    g_autofree char *text = g_strconcat(video ? "rtph264depay ! h264parse ! avdec_h264 ! " : "",
                                        "fakesink name=out sync=false async=false", NULL);
    GstElement *branch = gst_parse_bin_from_description(text, TRUE, NULL);
    g_autoptr(GstElement) out = gst_bin_get_by_name(GST_BIN(branch), "out");
    g_autoptr(GstPad) in = gst_element_get_static_pad(out, "sink");
    g_autoptr(GstPad) door = gst_element_get_static_pad(branch, "sink");
    if (video)
        play_pictures_watch(&pictures, pad, in);
    else
        play_sounds_watch(&sounds, pad);
    gst_bin_add(bin, branch);
    gst_pad_link(pad, door);
    gst_element_sync_state_with_parent(branch);
}

int main(int argc, char **argv)
{
    char byte;
    PlayLosses losses;
    gst_init(&argc, &argv);
    if (argc != 2)
        return EXIT_FAILURE;
    GstElement *pipeline = gst_pipeline_new(NULL);
    GstElement *src = gst_element_factory_make("rtspsrc", NULL);
    g_object_set(src, "location", argv[1], "latency", 1000u, NULL);
    gst_util_set_object_arg(G_OBJECT(src), "protocols", "udp");
    g_signal_connect(src, "pad-added", G_CALLBACK(on_pad), pipeline);
    gst_bin_add(GST_BIN(pipeline), src);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    play_losses_read(pipeline, &losses);
    printf("received %" G_GUINT64_FORMAT " packets; %" G_GUINT64_FORMAT " lost, %" G_GUINT64_FORMAT
           " late; %" G_GUINT64_FORMAT " asked for again, %" G_GUINT64_FORMAT
           " repaired; %d pictures, %d missing; %d sounds, %d missing, %d twice\n",
           losses.packets, losses.lost, losses.late, losses.asked, losses.repaired,
           g_atomic_int_get(&pictures.decoded), g_atomic_int_get(&pictures.missing), sounds.frames,
           sounds.missing, sounds.twice);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return EXIT_SUCCESS;
}
