// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/bytes.h"

// ISO base media boxes (ISO/IEC 14496-12 section 4.2) with 32-bit sizes.
#define TK_BOX_HEADER_BYTES 8
#define TK_BOX_FULL_HEADER_BYTES 12

#define TK_FOURCC(a, b, c, d) ((guint32)(a) << 24 | (guint32)(b) << 16 | (guint32)(c) << 8 | (d))

// trun and tfhd as the writer makes them and the reader wants them.
#define TK_TFHD_FLAGS 0x020000u // default-base-is-moof
#define TK_TRUN_FLAGS 0x000f01u // data offset; each sample's duration, size, flags, cts offset
#define TK_PRFT_FLAGS 24u       // the time of capture

#define TK_SAMPLE_FLAGS_KEY 0x02000000u   // depends on no other
#define TK_SAMPLE_FLAGS_OTHER 0x01010000u // depends on others, is not a sync sample

// Sizes of the boxes of a chunk.
#define TK_PRFT_BYTES 32
#define TK_MFHD_BYTES 16
#define TK_TFHD_BYTES 16
#define TK_TFDT_BYTES 20
#define TK_TRUN_HEAD_BYTES 20
#define TK_TRUN_SAMPLE_BYTES 16

// Writing into a GByteArray: begin returns where the box stands, end sets its size.
static inline gsize tk_box_begin(GByteArray *out, guint32 type)
{
    gsize at = out->len;
    tk_put(out, 0, 4);
    tk_put(out, type, 4);
    return at;
}

static inline gsize tk_box_begin_full(GByteArray *out, guint32 type, guint8 version, guint32 flags)
{
    gsize at = tk_box_begin(out, type);
    tk_put(out, version, 1);
    tk_put(out, flags, 3);
    return at;
}

static inline void tk_box_end(GByteArray *out, gsize at)
{
    tk_patch_u32(out, at, (guint32)(out->len - at));
}

// Reading: takes the next whole box from `r`; FALSE (and `r` has failed) when it does not fit.
static inline gboolean tk_box_next(TkReader *r, guint32 *ret_type, TkReader *ret_body)
{
    guint32 size = tk_reader_u32(r);
    guint32 type = tk_reader_u32(r);
    if (r->failed || size < TK_BOX_HEADER_BYTES) {
        r->failed = TRUE;
        return FALSE;
    }
    const guint8 *body = tk_reader_take(r, size - TK_BOX_HEADER_BYTES);
    if (!body)
        return FALSE;
    *ret_type = type;
    *ret_body = tk_reader(body, size - TK_BOX_HEADER_BYTES);
    return TRUE;
}
