// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"

// RTP as GStreamer's payloaders make it, gathered in memory: the packets of a pipeline's appsinks
// named "video" and "audio" (each behind a payloader), in the order of their decode times.
typedef struct {
    guint track;
    gint64 decode_ns, presentation_ns; // from the pipeline's beginning
    guint32 rtp_timestamp;
    GBytes *bytes;
} PayloadPacket;

typedef struct {
    GArray *packets; // of PayloadPacket
    RelayTrackFormat formats[RELAY_INPUT_TRACKS_MAX];
    guint tracks;
} Payload;

// Runs `launch` to its end. NULL when it fails, with the reason on stderr.
Payload *payload_run(const char *launch);
void payload_free(Payload *payload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Payload, payload_free)
