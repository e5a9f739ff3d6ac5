// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// Whether all sound came, by its RTP timestamps (AAC-LC, one frame a packet): the jitter buffer's
// times are smoothed.
typedef struct {
    guint frames, missing, twice; // relaxed atomics
    gboolean began;               // the streaming thread's own
    guint32 newest;
} PlaySounds;

// Watches the RTP packets that pass `pad` from now on; `sounds` lives as long as the pad.
void play_sounds_watch(PlaySounds *sounds, GstPad *pad);
