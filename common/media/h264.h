// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/frame.h"
#include "common/media/rtp.h"

// What a sequence parameter set says (ITU-T H.264 section 7.3.2.1.1 and annex E).
typedef struct {
    guint8 id; // 0..31
    guint8 profile, constraints, level;
    guint8 chroma_format;          // 0 grey, 1 = 4:2:0, 2 = 4:2:2, 3 = 4:4:4
    guint8 luma_bits, chroma_bits; // per sample
    guint width, height; // cropped, pixels
    guint fps_num, fps_den; // 0/1 when the VUI does not say
    guint reorder_frames; // max_num_reorder_frames; 0 for baseline or POC type 2; 16 when unknown
} TkH264Sps;

// `nal`: with its NAL header byte, emulation prevention still in.
gboolean tk_h264_sps_parse(const guint8 *nal, gsize size, TkH264Sps *ret) G_GNUC_WARN_UNUSED_RESULT;

// RFC 6184 packets to access units: single NAL, STAP-A, FU-A (packetization-mode 0 and 1).
typedef struct _TkH264Depay TkH264Depay;

// `on_frame` is called from inside push, once per access unit, in order of arrival.
//
// A key frame is an IDR picture, or one of intra slices only with a recovery point SEI that says
// "from here, at once" (open GOPs; H.264 annex D). Streams that refresh bit by bit over many
// pictures have neither after the first, and stay silent after a loss. Pictures that are shown
// before an open GOP's key frame are dropped.
TkH264Depay *tk_h264_depay_new(TkFrameFunc on_frame, void *user_data);
void tk_h264_depay_free(TkH264Depay *depay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkH264Depay, tk_h264_depay_free)

// The fmtp value sprop-parameter-sets (RFC 6184 section 8.1): base64, comma-separated; may be NULL.
// Parts that do not parse are passed over.
void tk_h264_depay_set_sprop(TkH264Depay *depay, const char *sprop);

// Packets in order of sequence. `lost_before`: packets are missing between this one and the last;
// the unit they belonged to is dropped, and nothing is given out before the next key frame. A unit
// ends at the marker or when the timestamp changes.
void tk_h264_depay_push(TkH264Depay *depay, const TkRtp *rtp, gboolean lost_before);

// Access units dropped: incomplete, malformed, over-long, waiting for a key frame or leading one.
guint64 tk_h264_depay_dropped(const TkH264Depay *depay);

// AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1) of the newest parameter sets.
// Borrowed until the next push; NULL until an SPS and a PPS are known. `ret_sps` may be NULL.
const guint8 *tk_h264_depay_config(const TkH264Depay *depay, gsize *ret_size, TkH264Sps *ret_sps);
