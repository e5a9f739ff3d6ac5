// SPDX-License-Identifier: MIT
#include "relay/core/input.h"

#define AUDIO_RATE_MIN 7350 // ISO/IEC 14496-3 table 1.18
#define AUDIO_RATE_MAX 96000

gboolean relay_track_format_usable(const RelayTrackFormat *format)
{
    if (format->rtx_payload_type && format->rtx_payload_type == format->payload_type)
        return FALSE;
    if (format->kind == TK_TRACK_VIDEO)
        return format->clock_rate == TK_CMAF_VIDEO_TIMESCALE;
    return format->clock_rate >= AUDIO_RATE_MIN && format->clock_rate <= AUDIO_RATE_MAX &&
           format->aac.rate >= AUDIO_RATE_MIN && format->aac.rate <= AUDIO_RATE_MAX &&
           format->aac.frame_samples > 0 && format->aac.frame_samples <= 2048 &&
           format->aac.config_bytes > 0 && format->aac.config_bytes <= TK_AAC_CONFIG_MAX;
}
