// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/h264.h"

// What an AVCDecoderConfigurationRecord says about pictures and their rhythm.
typedef struct {
    TkH264Sps sps;
    double fps;      // 0: it does not say
    gint64 frame_ns; // 40 ms where it does not say, or says nonsense
} RelayVideoConfig;

#define RELAY_VIDEO_FPS_MAX 240 // a shorter step between pictures is a fault, not a rate

// FALSE when its first SPS does not parse.
gboolean relay_video_config_parse(GBytes *record, RelayVideoConfig *ret) G_GNUC_WARN_UNUSED_RESULT;
