// SPDX-License-Identifier: MIT
#include "common/media/aac.h"

#include <string.h>

#include "common/media/bits.h"

enum {
    OBJECT_AAC_MAIN = 1,
    OBJECT_AAC_LTP = 4,
    OBJECT_SBR = 5,
    OBJECT_PS = 29,
    OBJECT_ESCAPE = 31,
};

#define RATE_ESCAPE 15

// ISO/IEC 14496-3 table 1.18.
static const guint rates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000,
                              22050, 16000, 12000, 11025, 8000,  7350};

// Table 1.19; 0: reserved, or told by a program_config_element.
static const guint8 channels[16] = {0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0};

static guint read_object_type(TkBits *b)
{
    guint type = tk_bits_uint(b, 5);
    return type == OBJECT_ESCAPE ? 32 + tk_bits_uint(b, 6) : type;
}

static guint read_rate(TkBits *b)
{
    guint index = tk_bits_uint(b, 4);
    if (index == RATE_ESCAPE)
        return tk_bits_uint(b, 24);
    return index < G_N_ELEMENTS(rates) ? rates[index] : 0;
}

static guint read_elements(TkBits *b, guint count)
{
    guint sum = 0;
    for (guint i = 0; i < count; i++) {
        sum += tk_bits_flag(b) ? 2 : 1; // a pair, or one channel
        tk_bits_skip(b, 4);
    }
    return sum;
}

// program_config_element(), section 4.5.1.2, as far as it counts channels.
static guint read_program_channels(TkBits *b)
{
    tk_bits_skip(b, 4 + 2 + 4); // tag, profile, rate
    guint front = tk_bits_uint(b, 4);
    guint side = tk_bits_uint(b, 4);
    guint back = tk_bits_uint(b, 4);
    guint low = tk_bits_uint(b, 2);
    tk_bits_skip(b, 3 + 4); // associated data and coupling elements
    if (tk_bits_flag(b))
        tk_bits_skip(b, 4); // mono mixdown
    if (tk_bits_flag(b))
        tk_bits_skip(b, 4); // stereo mixdown
    if (tk_bits_flag(b))
        tk_bits_skip(b, 3); // matrix mixdown
    return read_elements(b, front + side + back) + low;
}

gboolean tk_aac_config_parse(const guint8 *data, gsize size, TkAacConfig *ret)
{
    if (size < 2 || size > TK_AAC_CONFIG_MAX)
        return FALSE;
    TkBits b = tk_bits(data, size);
    guint type = read_object_type(&b);
    guint rate = read_rate(&b);
    guint layout = tk_bits_uint(&b, 4);
    if (type == OBJECT_SBR || type == OBJECT_PS) {
        read_rate(&b); // of the extension
        type = read_object_type(&b);
    }
    // GASpecificConfig, section 4.4.1.
    guint frame_samples = tk_bits_flag(&b) ? 960 : 1024;
    if (tk_bits_flag(&b))
        tk_bits_skip(&b, 14); // delay of the core coder
    tk_bits_flag(&b);         // extensionFlag
    guint count = layout == 0 ? read_program_channels(&b) : channels[layout];
    if (b.failed || type < OBJECT_AAC_MAIN || type > OBJECT_AAC_LTP)
        return FALSE;
    if (rate == 0 || count < 1 || count > 8)
        return FALSE;

    *ret = (TkAacConfig){
        .object_type = (guint8)type,
        .rate = rate,
        .channels = count,
        .frame_samples = frame_samples,
        .config_bytes = size,
    };
    memcpy(ret->config, data, size);
    return TRUE;
}
