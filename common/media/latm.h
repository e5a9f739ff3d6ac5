// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/aac.h"

// MP4A-LATM (RFC 6416), the other way to send AAC over RTP: what GStreamer's rtspclientsink picks
// by itself. Read in the form that senders use: configuration out of band, one program with one
// layer, one whole frame a packet.

// StreamMuxConfig (ISO/IEC 14496-3 section 1.7.3) as in the fmtp value "config" with cpresent=0.
// Only AAC-LC.
gboolean tk_latm_config_parse(const guint8 *data, gsize size,
                              TkAacConfig *ret) G_GNUC_WARN_UNUSED_RESULT;

// The frame in an RTP payload (an AudioMuxElement without configuration), borrowed. NULL when it is
// not whole.
const guint8 *tk_latm_frame(const guint8 *payload, gsize size, gsize *ret_bytes);
