// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// One access unit as it goes into an MP4 sample: H.264 as NAL units each behind a 4-byte length,
// without parameter sets, delimiters and filler; AAC as one raw_data_block. Borrowed for the call.
typedef struct {
    const guint8 *data;
    gsize size;
    guint32 rtp_timestamp; // of its presentation, in the track's clock rate
    gboolean key;            // H.264: decoding may begin here (see h264.h); AAC: always
    gboolean config_changed; // H.264: the decoder configuration differs from that of the frame
                             // before, or this is the first; AAC: never (the SDP tells it)
} TkFrame;

typedef void (*TkFrameFunc)(const TkFrame *frame, void *user_data);

// Bound on one access unit; a larger one is dropped and counted as damaged.
#define TK_FRAME_BYTES_MAX (4u << 20)
