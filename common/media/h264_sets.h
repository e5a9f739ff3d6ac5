// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/h264.h"

// The parameter sets of one H.264 stream, newest of each id, and the decoder configuration record
// that they make.
#define TK_H264_SPS_IDS 32
#define TK_H264_PPS_IDS 256
#define TK_H264_SETS_BYTES_MAX (16u << 10) // of all sets together; real ones take under 200

typedef struct {
    GBytes *sps[TK_H264_SPS_IDS];
    GBytes *pps[TK_H264_PPS_IDS];
    gsize bytes;
    TkH264Sps newest;   // of the SPS that changed last
    GByteArray *record; // AVCDecoderConfigurationRecord; empty until both kinds are known
} TkH264Sets;

void tk_h264_sets_init(TkH264Sets *sets);
void tk_h264_sets_clear(TkH264Sets *sets);

// Remembers an SPS or PPS NAL unit. TRUE when that changed `record`; one that does not parse, or
// would exceed the bound, is passed over.
gboolean tk_h264_sets_put(TkH264Sets *sets, const guint8 *nal, gsize size);
