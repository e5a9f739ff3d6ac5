// SPDX-License-Identifier: MIT
// A player as GStreamer makes it, untuned: what tongke-player's tuning is worth is measured against
// it. Prints what it lost when standard input ends.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/player/losses.h"
#include "client/player/pictures.h"

#define SOUND_STEP 1024 // of AAC-LC, and one frame in a packet

static PlayPictures pictures;
static struct {
    gboolean began;
    guint32 newest; // RTP timestamp
    guint frames, missing;
    gint twice; // came again, or not in order
} sounds;

// By RTP's own timestamps: the jitter buffer smooths its times.
static GstPadProbeReturn on_sound(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    guint8 header[12];
    if (gst_buffer_extract(GST_PAD_PROBE_INFO_BUFFER(info), 0, header, sizeof header) < 12)
        return GST_PAD_PROBE_OK;
    guint32 timestamp = GST_READ_UINT32_BE(header + 4);
    gint32 step = (gint32)(timestamp - sounds.newest);
    sounds.frames++;
    if (sounds.began && step <= 0)
        sounds.twice++;
    if (sounds.began && step > SOUND_STEP)
        sounds.missing += (guint)(step + SOUND_STEP / 2) / SOUND_STEP - 1;
    if (!sounds.began || step > 0)
        sounds.newest = timestamp;
    sounds.began = TRUE;
    return GST_PAD_PROBE_OK;
}

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
        play_pictures_watch(&pictures, in);
    else
        gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_sound, NULL, NULL);
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
           " repaired; %d pictures, %d missing; %u sounds, %u missing, %d twice\n",
           losses.packets, losses.lost, losses.late, losses.asked, losses.repaired,
           g_atomic_int_get(&pictures.decoded), g_atomic_int_get(&pictures.missing), sounds.frames,
           sounds.missing, sounds.twice);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return EXIT_SUCCESS;
}
