// SPDX-License-Identifier: MIT
#include "common/media/h264.h"
#include "tests/fuzz/packets.h"
#include "tests/fuzz/target.h"

typedef struct {
    TkH264Depay *depay;
    guint frames;
} Fuzz;

// Must be a sample: NAL units behind their lengths, without what does not belong into one.
static void on_frame(const TkFrame *frame, void *user_data)
{
    Fuzz *fuzz = user_data;
    TkReader r = tk_reader(frame->data, frame->size);
    gsize size;

    g_assert(frame->size > 4 && frame->size <= TK_FRAME_BYTES_MAX);
    while (tk_reader_left(&r) > 0) {
        const guint8 *nal = tk_reader_take(&r, tk_reader_u32(&r));
        g_assert(nal && nal < frame->data + frame->size);
        guint type = nal[0] & 0x1f;
        g_assert(nal[0] < 0x80 && type >= 1 && type <= 23 && (type < 7 || type > 12));
    }
    g_assert(tk_h264_depay_config(fuzz->depay, &size, NULL) && size < 20000);
    if (fuzz->frames++ == 0)
        g_assert(frame->key && frame->config_changed);
}

static void parse_sps(const uint8_t *data, size_t size)
{
    TkH264Sps sps;

    if (!tk_h264_sps_parse(data, size, &sps))
        return;
    g_assert(sps.width > 0 && sps.width < 40000 && sps.height > 0 && sps.height < 40000);
    g_assert(sps.fps_den > 0 && sps.reorder_frames <= 16 && sps.id < 32);
}

static void set_sprop(TkH264Depay *depay, const uint8_t *data, size_t size)
{
    g_autofree char *sprop = g_strndup((const char *)data, size);
    tk_h264_depay_set_sprop(depay, sprop);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz fuzz = {0};
    TkReader r = tk_reader(data, size);
    TkRtp rtp = {0};
    gboolean lost;
    guint8 *packet;

    fuzz.depay = tk_h264_depay_new(on_frame, &fuzz);
    parse_sps(data, size);
    set_sprop(fuzz.depay, data, size);
    while ((packet = tk_fuzz_packet_next(&r, &rtp, &lost))) {
        tk_h264_depay_push(fuzz.depay, &rtp, lost);
        g_free(packet);
    }
    tk_h264_depay_free(fuzz.depay);
    return 0;
}
