// SPDX-License-Identifier: MIT
#include "common/media/h264_nal.h"

#include "common/media/bits.h"
#include "common/media/bytes.h"

// Enough of a slice header for its first two numbers.
#define SLICE_HEAD_BYTES 16
#define SEI_HEAD_BYTES 1024

#define SEI_RECOVERY_POINT 6

gsize tk_h264_unescape(const guint8 *nal, gsize size, guint8 *ret, gsize max)
{
    gsize length = 0;
    guint zeros = 0;
    for (gsize i = 1; i < size && length < max; i++) {
        if (zeros >= 2 && nal[i] == 3) {
            zeros = 0;
            continue;
        }
        zeros = nal[i] == 0 ? zeros + 1 : 0;
        ret[length++] = nal[i];
    }
    return length;
}

gboolean tk_h264_slice_is_first(const guint8 *nal, gsize size)
{
    return size >= 2 && nal[1] & 0x80; // first_mb_in_slice 0 is the single bit 1
}

gboolean tk_h264_slice_is_intra(const guint8 *nal, gsize size)
{
    guint8 head[SLICE_HEAD_BYTES];
    TkBits bits = tk_bits(head, tk_h264_unescape(nal, size, head, sizeof head));
    tk_bits_ue(&bits); // first_mb_in_slice
    guint32 slice_type = tk_bits_ue(&bits);
    return !bits.failed && (slice_type % 5 == 2 || slice_type % 5 == 4);
}

// payloadType and payloadSize: bytes of 255 and a last one, summed up.
static guint read_sei_number(TkReader *r)
{
    guint value = 0;
    guint8 byte;
    do {
        byte = tk_reader_u8(r);
        value += byte;
    } while (byte == 0xff);
    return value;
}

gboolean tk_h264_sei_is_recovery_point(const guint8 *nal, gsize size)
{
    guint8 head[SEI_HEAD_BYTES];
    TkReader r = tk_reader(head, tk_h264_unescape(nal, size, head, sizeof head));
    while (tk_reader_left(&r) > 1) { // the last byte is rbsp_trailing_bits
        guint type = read_sei_number(&r);
        guint bytes = read_sei_number(&r);
        const guint8 *payload = tk_reader_take(&r, bytes);
        if (payload && type == SEI_RECOVERY_POINT) {
            TkBits bits = tk_bits(payload, bytes);
            return tk_bits_ue(&bits) == 0 && !bits.failed;
        }
    }
    return FALSE;
}
