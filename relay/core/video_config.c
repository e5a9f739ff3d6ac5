// SPDX-License-Identifier: MIT
#include "relay/core/video_config.h"

#include "common/media/bytes.h"
#include "relay/core/ticks.h"

#define FRAME_NS_UNKNOWN (40 * TK_NS_PER_MS)

static gint64 frame_ns(const TkH264Sps *sps)
{
    if (!sps->fps_num || !sps->fps_den)
        return FRAME_NS_UNKNOWN;
    double ns = (double)TK_NS_PER_S * sps->fps_den / sps->fps_num;
    gboolean sane = ns >= (double)TK_NS_PER_S / RELAY_VIDEO_FPS_MAX && ns <= (double)TK_NS_PER_S;
    return sane ? (gint64)ns : FRAME_NS_UNKNOWN;
}

// ISO/IEC 14496-15 section 5.3.3.1.
gboolean relay_video_config_parse(GBytes *record, RelayVideoConfig *ret)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(record, &size);
    TkReader r = tk_reader(data, size);
    tk_reader_take(&r, 6);
    guint16 bytes = tk_reader_u16(&r);
    const guint8 *nal = tk_reader_take(&r, bytes);
    TkH264Sps sps;
    if (!nal || !tk_h264_sps_parse(nal, bytes, &sps))
        return FALSE;
    gboolean says = sps.fps_num && sps.fps_den;
    *ret = (RelayVideoConfig){.sps = sps,
                              .fps = says ? (double)sps.fps_num / sps.fps_den : 0,
                              .frame_ns = frame_ns(&sps)};
    return TRUE;
}
