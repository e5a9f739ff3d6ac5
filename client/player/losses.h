// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// How well a stream came through: what all the jitter buffers inside a bin have counted.
typedef struct {
    guint64 packets, lost, late; // lost: given up; late: came after that
    guint64 asked, repaired;     // asked for again; came then
} PlayLosses;

void play_losses_read(GstElement *bin, PlayLosses *ret);
