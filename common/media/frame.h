// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// One access unit as it goes into an MP4 sample: H.264 as NAL units each behind a 4-byte length,
// without parameter sets, delimiters and filler; AAC as one raw_data_block. Borrowed for the call.
typedef struct {
    const guint8 *data;
    gsize size;
    guint32 rtp_timestamp; // of its presentation, in the track's clock rate
    gboolean key;          // H.264: an IDR picture; AAC: always
    gboolean config_changed; // the decoder configuration differs from that of the frame before
} TkFrame;

typedef void (*TkFrameFunc)(const TkFrame *frame, void *user_data);

// Bound on one access unit; a larger one is dropped and counted as damaged.
#define TK_FRAME_BYTES_MAX (4u << 20)
