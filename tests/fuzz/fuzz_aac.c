// SPDX-License-Identifier: MIT
#include "common/media/aac.h"
#include "common/media/latm.h"
#include "tests/fuzz/packets.h"
#include "tests/fuzz/target.h"

static void on_frame(const TkFrame *frame, void *user_data)
{
    g_assert(frame->size > 0 && frame->size <= TK_FRAME_BYTES_MAX);
    g_assert(frame->key && !frame->config_changed);
    *(guint8 *)user_data ^= frame->data[frame->size - 1];
}

static void parse_config(const uint8_t *data, size_t size)
{
    TkAacConfig config;

    if (!tk_aac_config_parse(data, size, &config))
        return;
    g_assert(config.rate > 0 && config.channels >= 1 && config.channels <= 8);
    g_assert(config.object_type >= 1 && config.object_type <= 4);
    g_assert(config.config_bytes == size && size <= TK_AAC_CONFIG_MAX);
}

static void parse_latm(const uint8_t *data, size_t size)
{
    TkAacConfig config;
    gsize bytes;

    if (tk_latm_config_parse(data, size, &config))
        g_assert(config.object_type == 2 && config.config_bytes <= 5);
    const guint8 *frame = tk_latm_frame(data, size, &bytes);
    g_assert(!frame || (frame > data && bytes > 0 && frame + bytes <= data + size));
}

// The first three bytes are the mode; the rest are packets.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TkReader r = tk_reader(data, size);
    TkRtp rtp = {0};
    gboolean lost;
    guint8 sum = 0, *packet;

    parse_config(data, size);
    parse_latm(data, size);
    TkAacMode mode;
    mode.size_bits = tk_reader_u8(&r);
    mode.index_bits = tk_reader_u8(&r);
    mode.index_delta_bits = tk_reader_u8(&r);
    g_autoptr(TkAacDepay) depay = tk_aac_depay_new(mode, 1024, on_frame, &sum);
    while (depay && (packet = tk_fuzz_packet_next(&r, &rtp, &lost))) {
        tk_aac_depay_push(depay, &rtp, lost);
        g_free(packet);
    }
    return 0;
}
