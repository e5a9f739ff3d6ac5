// SPDX-License-Identifier: MIT
#include "common/media/rtp.h"

#include "common/media/bytes.h"

gboolean tk_rtp_parse(const guint8 *data, gsize size, TkRtp *ret)
{
    TkReader r = tk_reader(data, size);
    guint8 first = tk_reader_u8(&r);
    guint8 second = tk_reader_u8(&r);
    TkRtp rtp = {.payload_type = second & 0x7f, .marker = second >> 7};
    rtp.sequence = tk_reader_u16(&r);
    rtp.timestamp = tk_reader_u32(&r);
    rtp.ssrc = tk_reader_u32(&r);
    tk_reader_take(&r, 4u * (first & 0x0f)); // CSRCs
    if (first & 0x10) {
        tk_reader_u16(&r); // the extension's profile
        guint words = tk_reader_u16(&r);
        tk_reader_take(&r, 4u * words);
    }
    if (r.failed || first >> 6 != 2)
        return FALSE;

    rtp.payload_bytes = tk_reader_left(&r);
    if (first & 0x20) {
        guint padding = rtp.payload_bytes ? data[size - 1] : 0;
        if (padding == 0 || padding > rtp.payload_bytes)
            return FALSE;
        rtp.payload_bytes -= padding;
    }
    rtp.payload = tk_reader_take(&r, rtp.payload_bytes);
    *ret = rtp;
    return TRUE;
}

void tk_rtp_rewrite(guint8 *data, guint8 payload_type, guint16 sequence, guint32 timestamp,
                    guint32 ssrc)
{
    data[1] = (data[1] & 0x80) | (payload_type & 0x7f);
    tk_poke(data + 2, sequence, 2);
    tk_poke(data + 4, timestamp, 4);
    tk_poke(data + 8, ssrc, 4);
}

guint64 tk_rtp_unwrap(guint64 last, guint32 wrapped, guint bits)
{
    const guint64 period = G_GUINT64_CONSTANT(1) << bits;
    guint64 ahead = (wrapped - last) & (period - 1);
    guint64 value = last + ahead;
    gboolean nearer_behind = ahead > period / 2 && value >= period;
    return nearer_behind ? value - period : value;
}
