// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// Pictures between the network and the decoder's end: what a decoder and its queues hold.
#define PLAY_PICTURES_UNDER_WAY 64u

// Whether every picture was decoded, by its RTP timestamp: the jitter buffer's times are smoothed,
// and while it learns a line they move by more than half a picture.
typedef struct {
    guint decoded, missing; // relaxed atomics
    GMutex lock;
    struct {
        GstClockTime at;
        guint32 timestamp;
    } under_way[PLAY_PICTURES_UNDER_WAY];
    guint came;
    gboolean began; // the decoding thread's own from here on
    guint32 newest, step;
} PlayPictures;

// Watches a stream's RTP packets and what is decoded of them; `pictures` lives as long as the pads.
void play_pictures_watch(PlayPictures *pictures, GstPad *packets, GstPad *decoded);

// One packet of RTP time `timestamp` (90 kHz) that is to be shown at `at`.
void play_pictures_came(PlayPictures *pictures, GstClockTime at, guint32 timestamp);
// One picture, shown at `at`; `lasts` as the stream says or GST_CLOCK_TIME_NONE.
void play_pictures_decoded(PlayPictures *pictures, GstClockTime at, GstClockTime lasts);
