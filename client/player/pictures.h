// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// Whether every picture was decoded: their times say where one is missing.
typedef struct {
    guint decoded, missing;  // relaxed atomics
    GstClockTime last, step; // the streaming thread's own
} PlayPictures;

// Watches what passes `pad` from now on; `pictures` lives as long as the pad.
void play_pictures_watch(PlayPictures *pictures, GstPad *pad);
