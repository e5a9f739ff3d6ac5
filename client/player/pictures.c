// SPDX-License-Identifier: MIT
#include "client/player/pictures.h"

#define CLOCK_RATE 90000
// A step of more is a new beginning and no loss.
#define STEP_MAX (10 * CLOCK_RATE)
// How far a picture may be from its packets while it is not known how long one lasts.
#define AWAY_MAX (100 * GST_MSECOND)
#define HEADER_BYTES 12

void play_pictures_came(PlayPictures *pictures, GstClockTime at, guint32 timestamp)
{
    g_mutex_lock(&pictures->lock);
    guint slot = pictures->came++ % PLAY_PICTURES_UNDER_WAY;
    guint before = (slot + PLAY_PICTURES_UNDER_WAY - 1) % PLAY_PICTURES_UNDER_WAY;
    // A picture's other packets tell nothing new.
    if (pictures->came > 1 && pictures->under_way[before].timestamp == timestamp)
        pictures->came--;
    else {
        pictures->under_way[slot].at = at;
        pictures->under_way[slot].timestamp = timestamp;
    }
    g_mutex_unlock(&pictures->lock);
}

// Whose time is nearest, for a depayloader may take a picture's time of any of its packets; of
// equal times, which a stream begins with, the first that was not decoded yet. Further than a
// picture away is none that is known.
static gboolean take(PlayPictures *pictures, GstClockTime at, guint32 *timestamp)
{
    guint found = PLAY_PICTURES_UNDER_WAY;
    GstClockTime max =
        pictures->step ? gst_util_uint64_scale(pictures->step, GST_SECOND, CLOCK_RATE) : AWAY_MAX;
    GstClockTime least = max + 1;

    g_mutex_lock(&pictures->lock);
    guint first = pictures->came - MIN(pictures->came, PLAY_PICTURES_UNDER_WAY);
    for (guint i = first; i != pictures->came; i++) {
        GstClockTime sent = pictures->under_way[i % PLAY_PICTURES_UNDER_WAY].at;
        GstClockTime away = sent > at ? sent - at : at - sent;
        if (GST_CLOCK_TIME_IS_VALID(sent) && away < least) {
            least = away;
            found = i % PLAY_PICTURES_UNDER_WAY;
        }
    }
    if (found < PLAY_PICTURES_UNDER_WAY) {
        *timestamp = pictures->under_way[found].timestamp;
        pictures->under_way[found].at = GST_CLOCK_TIME_NONE;
    }
    g_mutex_unlock(&pictures->lock);
    return found < PLAY_PICTURES_UNDER_WAY;
}

void play_pictures_decoded(PlayPictures *pictures, GstClockTime at, GstClockTime lasts)
{
    guint32 timestamp;

    g_atomic_int_inc(&pictures->decoded);
    if (!GST_CLOCK_TIME_IS_VALID(at))
        return;
    if (!take(pictures, at, &timestamp)) {
        pictures->began = FALSE;
        return;
    }
    gint32 passed = pictures->began ? (gint32)(timestamp - pictures->newest) : 0;
    pictures->began = TRUE;
    pictures->newest = timestamp;
    if (passed <= 0 || passed > STEP_MAX)
        return;
    if (GST_CLOCK_TIME_IS_VALID(lasts) && lasts > 0)
        pictures->step = (guint32)gst_util_uint64_scale_round(lasts, CLOCK_RATE, GST_SECOND);
    else if (!pictures->step || (guint32)passed < pictures->step)
        pictures->step = (guint32)passed;
    guint steps = pictures->step ? ((guint32)passed + pictures->step / 2) / pictures->step : 0;
    if (steps > 1)
        g_atomic_int_add(&pictures->missing, (gint)steps - 1);
}

static GstPadProbeReturn on_packet(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    guint8 header[HEADER_BYTES];
    GstBuffer *packet = GST_PAD_PROBE_INFO_BUFFER(info);

    if (GST_BUFFER_PTS_IS_VALID(packet) &&
        gst_buffer_extract(packet, 0, header, sizeof header) == sizeof header)
        play_pictures_came(data, GST_BUFFER_PTS(packet), GST_READ_UINT32_BE(header + 4));
    return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn on_picture(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    const GstBuffer *picture = GST_PAD_PROBE_INFO_BUFFER(info);

    play_pictures_decoded(data, GST_BUFFER_PTS(picture), GST_BUFFER_DURATION(picture));
    return GST_PAD_PROBE_OK;
}

void play_pictures_watch(PlayPictures *pictures, GstPad *packets, GstPad *decoded)
{
    *pictures = (PlayPictures){0};
    gst_pad_add_probe(packets, GST_PAD_PROBE_TYPE_BUFFER, on_packet, pictures, NULL);
    gst_pad_add_probe(decoded, GST_PAD_PROBE_TYPE_BUFFER, on_picture, pictures, NULL);
}
