// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/frame.h"
#include "common/media/rtp.h"

// AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1).
#define TK_AAC_CONFIG_MAX 64

typedef struct {
    guint8 object_type; // 2 = AAC-LC
    guint rate;         // Hz, of the core
    guint channels;     // 1..8
    guint frame_samples; // 1024 or 960
    guint8 config[TK_AAC_CONFIG_MAX];
    gsize config_bytes;
} TkAacConfig;

gboolean tk_aac_config_parse(const guint8 *data, gsize size, TkAacConfig *ret)
    G_GNUC_WARN_UNUSED_RESULT;

// The lengths that the fmtp line of RFC 3640 gives (sizelength, indexlength, indexdeltalength).
typedef struct {
    guint size_bits, index_bits, index_delta_bits;
} TkAacMode;

#define TK_AAC_MODE_HBR ((TkAacMode){13, 3, 3})

// RFC 3640 packets (AAC-hbr; one or more whole units, or one unit in fragments) to access units.
// Interleaved units are dropped.
typedef struct _TkAacDepay TkAacDepay;

// FALSE from mode checks gives NULL: lengths above 32 bits in total, or size_bits 0.
TkAacDepay *tk_aac_depay_new(TkAacMode mode, guint frame_samples, TkFrameFunc on_frame,
                             void *user_data);
void tk_aac_depay_free(TkAacDepay *depay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkAacDepay, tk_aac_depay_free)

// In order of sequence; the n-th unit of a packet gets timestamp + n * frame_samples.
void tk_aac_depay_push(TkAacDepay *depay, const TkRtp *rtp, gboolean lost_before);

guint64 tk_aac_depay_dropped(const TkAacDepay *depay);
