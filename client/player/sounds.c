// SPDX-License-Identifier: MIT
#include "client/player/sounds.h"

#define FRAME 1024
// A step of more is a new beginning and no loss: 20 s at 48 kHz.
#define STEP_MAX (1000 * FRAME)
#define HEADER_BYTES 12

static GstPadProbeReturn on_sound(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    PlaySounds *sounds = data;
    guint8 header[HEADER_BYTES];
    GstBuffer *packet = GST_PAD_PROBE_INFO_BUFFER(info);

    if (gst_buffer_extract(packet, 0, header, sizeof header) < sizeof header)
        return GST_PAD_PROBE_OK;
    guint32 timestamp = GST_READ_UINT32_BE(header + 4);
    gint32 step = (gint32)(timestamp - sounds->newest);
    g_atomic_int_inc(&sounds->frames);
    if (sounds->began && step <= 0 && step > -STEP_MAX) {
        g_atomic_int_inc(&sounds->twice);
        return GST_PAD_PROBE_OK;
    }
    if (sounds->began && step > FRAME && step < STEP_MAX)
        g_atomic_int_add(&sounds->missing, (step + FRAME / 2) / FRAME - 1);
    sounds->newest = timestamp;
    sounds->began = TRUE;
    return GST_PAD_PROBE_OK;
}

void play_sounds_watch(PlaySounds *sounds, GstPad *pad)
{
    *sounds = (PlaySounds){0};
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_sound, sounds, NULL);
}
