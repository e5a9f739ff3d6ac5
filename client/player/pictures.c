// SPDX-License-Identifier: MIT
#include "client/player/pictures.h"

// A time that stands still, or a step of minutes, is a new beginning and no loss.
#define STEP_MAX (10 * GST_SECOND)

static GstPadProbeReturn on_picture(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    PlayPictures *pictures = data;
    const GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    GstClockTime at = GST_BUFFER_PTS(buffer), step = GST_BUFFER_DURATION(buffer);

    g_atomic_int_inc(&pictures->decoded);
    if (!GST_CLOCK_TIME_IS_VALID(at))
        return GST_PAD_PROBE_OK;
    GstClockTime passed = pictures->last && at > pictures->last ? at - pictures->last : 0;
    pictures->last = at;
    if (passed == 0 || passed > STEP_MAX)
        return GST_PAD_PROBE_OK;
    if (GST_CLOCK_TIME_IS_VALID(step) && step > 0)
        pictures->step = step;
    else if (!pictures->step || passed < pictures->step)
        pictures->step = passed;
    guint steps = (guint)((passed + pictures->step / 2) / pictures->step);
    if (steps > 1)
        g_atomic_int_add(&pictures->missing, (gint)steps - 1);
    return GST_PAD_PROBE_OK;
}

void play_pictures_watch(PlayPictures *pictures, GstPad *pad)
{
    *pictures = (PlayPictures){0};
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_picture, pictures, NULL);
}
