// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// A bounds-checked cursor over borrowed bits, most significant first, with a sticky error: read on,
// test `failed` once. After a failure every read gives 0.
typedef struct {
    const guint8 *data;
    gsize bits, at;
    gboolean failed;
} TkBits;

static inline TkBits tk_bits(const guint8 *data, gsize bytes)
{
    return (TkBits){.data = data, .bits = bytes * 8};
}

// The next `count` (0..32) bits.
static inline guint32 tk_bits_uint(TkBits *b, guint count)
{
    if (b->failed || count > b->bits - b->at) {
        b->failed = TRUE;
        return 0;
    }
    guint32 value = 0;
    for (guint i = 0; i < count; i++, b->at++)
        value = value << 1 | (b->data[b->at / 8] >> (7 - b->at % 8) & 1u);
    return value;
}

static inline gboolean tk_bits_flag(TkBits *b) { return tk_bits_uint(b, 1) != 0; }

static inline void tk_bits_skip(TkBits *b, gsize count)
{
    if (b->failed || count > b->bits - b->at)
        b->failed = TRUE;
    else
        b->at += count;
}

// ue(v) and se(v), ITU-T H.264 section 9.1. Codes of more than 32 bits of value fail.
static inline guint32 tk_bits_ue(TkBits *b)
{
    guint zeros = 0;
    while (!b->failed && !tk_bits_flag(b))
        zeros++;
    if (b->failed || zeros > 31) {
        b->failed = TRUE;
        return 0;
    }
    return (1u << zeros) - 1 + tk_bits_uint(b, zeros);
}

static inline gint32 tk_bits_se(TkBits *b)
{
    guint32 code = tk_bits_ue(b);
    gint32 magnitude = (gint32)(code / 2 + code % 2);
    return code % 2 ? magnitude : -magnitude;
}
