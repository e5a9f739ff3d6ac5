// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// A bounds-checked cursor over borrowed bytes with a sticky error: read on, test `failed` once.
// Integers are big-endian. After a failure every read gives 0 / NULL and moves nothing.
typedef struct {
    const guint8 *data;
    gsize size, at;
    gboolean failed;
} TkReader;

static inline TkReader tk_reader(const void *data, gsize size)
{
    return (TkReader){.data = data, .size = size};
}

static inline gsize tk_reader_left(const TkReader *r)
{
    return r->failed ? 0 : r->size - r->at;
}

// The next `n` bytes, borrowed, or NULL.
static inline const guint8 *tk_reader_take(TkReader *r, gsize n)
{
    if (r->failed || n > r->size - r->at) {
        r->failed = TRUE;
        return NULL;
    }
    const guint8 *p = r->data + r->at;
    r->at += n;
    return p;
}

static inline guint64 tk_reader_uint(TkReader *r, guint bytes)
{
    const guint8 *p = tk_reader_take(r, bytes);
    guint64 value = 0;
    for (guint i = 0; p && i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static inline guint8 tk_reader_u8(TkReader *r) { return (guint8)tk_reader_uint(r, 1); }
static inline guint16 tk_reader_u16(TkReader *r) { return (guint16)tk_reader_uint(r, 2); }
static inline guint32 tk_reader_u24(TkReader *r) { return (guint32)tk_reader_uint(r, 3); }
static inline guint32 tk_reader_u32(TkReader *r) { return (guint32)tk_reader_uint(r, 4); }
static inline guint64 tk_reader_u64(TkReader *r) { return tk_reader_uint(r, 8); }

// Writing: big-endian integers over bytes that are there already; returns what follows them.
static inline guint8 *tk_poke(guint8 *at, guint64 value, guint bytes)
{
    for (guint i = 0; i < bytes; i++)
        at[i] = (guint8)(value >> (8 * (bytes - 1 - i)));
    return at + bytes;
}

// The same appended to a GByteArray.
static inline void tk_put(GByteArray *out, guint64 value, guint bytes)
{
    guint8 b[8];
    tk_poke(b, value, bytes);
    g_byte_array_append(out, b, bytes);
}

// Overwrites 4 bytes at `at`: a box's size once it is known.
static inline void tk_patch_u32(GByteArray *out, gsize at, guint32 value)
{
    tk_poke(out->data + at, value, 4);
}
