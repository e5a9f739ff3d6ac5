// SPDX-License-Identifier: MIT
#include "common/media/latm.h"

#include "common/media/bits.h"
#include "common/media/bytes.h"

#define OBJECT_AAC_LC 2
#define RATE_ESCAPE 15

// The AudioSpecificConfig of AAC-LC: object type, rate (by index or in full), channels and three
// flags; `at` stands before it.
static guint config_bits(TkBits at)
{
    if (tk_bits_uint(&at, 5) != OBJECT_AAC_LC)
        return 0;
    guint bits = tk_bits_uint(&at, 4) == RATE_ESCAPE ? 40 : 16;
    return at.failed ? 0 : bits;
}

gboolean tk_latm_config_parse(const guint8 *data, gsize size, TkAacConfig *ret)
{
    TkBits b = tk_bits(data, size);
    gboolean version = tk_bits_flag(&b);
    gboolean same_framing = tk_bits_flag(&b);
    guint more_frames = tk_bits_uint(&b, 6);
    guint more_programs = tk_bits_uint(&b, 4);
    guint more_layers = tk_bits_uint(&b, 3);
    guint bits = config_bits(b);
    if (version || !same_framing || more_frames || more_programs || more_layers || !bits)
        return FALSE;
    guint8 config[5];
    for (guint i = 0; i < bits / 8; i++)
        config[i] = (guint8)tk_bits_uint(&b, 8);
    // What follows (an SBR extension, frameLengthType 0, fullness) senders write in several ways.
    return !b.failed && tk_aac_config_parse(config, bits / 8, ret);
}

// PayloadLengthInfo: bytes that are added up, to the first below 255.
const guint8 *tk_latm_frame(const guint8 *payload, gsize size, gsize *ret_bytes)
{
    TkReader r = tk_reader(payload, size);
    gsize bytes = 0;
    guint8 part;
    do {
        part = tk_reader_u8(&r);
        bytes += part;
    } while (part == 255);
    const guint8 *frame = tk_reader_take(&r, bytes);
    if (!frame || !bytes)
        return NULL;
    *ret_bytes = bytes;
    return frame;
}
