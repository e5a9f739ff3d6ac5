// SPDX-License-Identifier: MIT
#include "common/media/aac.h"

#include "common/media/bits.h"
#include "common/media/bytes.h"

// The unit that comes in fragments.
typedef struct {
    GByteArray *bytes;
    gsize expected; // 0: no unit is open
    guint32 timestamp;
    gboolean damaged;
} Fragments;

struct _TkAacDepay {
    TkAacMode mode;
    guint frame_samples;
    TkFrameFunc on_frame;
    void *user_data;
    Fragments fragments;
    guint64 dropped;
};

TkAacDepay *tk_aac_depay_new(TkAacMode mode, guint frame_samples, TkFrameFunc on_frame,
                             void *user_data)
{
    guint64 index_bits = MAX(mode.index_bits, mode.index_delta_bits);
    if (mode.size_bits == 0 || mode.size_bits + index_bits > 32)
        return NULL;
    TkAacDepay *depay = g_new0(TkAacDepay, 1);
    depay->mode = mode;
    depay->frame_samples = frame_samples;
    depay->on_frame = on_frame;
    depay->user_data = user_data;
    depay->fragments.bytes = g_byte_array_new();
    return depay;
}

void tk_aac_depay_free(TkAacDepay *depay)
{
    if (!depay)
        return;
    g_byte_array_unref(depay->fragments.bytes);
    g_free(depay);
}

static void give(TkAacDepay *depay, const guint8 *data, gsize size, guint32 timestamp)
{
    TkFrame frame = {.data = data, .size = size, .rtp_timestamp = timestamp, .key = TRUE};
    depay->on_frame(&frame, depay->user_data);
}

static void end_fragments(TkAacDepay *depay)
{
    Fragments *open = &depay->fragments;
    if (open->expected == 0)
        return;
    if (!open->damaged && open->bytes->len == open->expected)
        give(depay, open->bytes->data, open->expected, open->timestamp);
    else
        depay->dropped++;
    open->expected = 0;
}

// RFC 3640 section 3.2.3.1: every fragment's packet carries the header of the whole unit.
static void push_fragment(TkAacDepay *depay, const TkRtp *rtp, gsize unit_bytes, TkReader *r)
{
    Fragments *open = &depay->fragments;
    if (open->expected == 0) {
        g_byte_array_set_size(open->bytes, 0);
        open->expected = unit_bytes;
        open->timestamp = rtp->timestamp;
        open->damaged = unit_bytes > TK_FRAME_BYTES_MAX;
    }
    gsize size = tk_reader_left(r);
    if (open->expected != unit_bytes || size > open->expected - open->bytes->len)
        open->damaged = TRUE;
    if (!open->damaged)
        g_byte_array_append(open->bytes, tk_reader_take(r, size), (guint)size);
    if (rtp->marker || open->bytes->len == open->expected)
        end_fragments(depay);
}

// Units one behind the other, in order: an AU-Index(-delta) other than 0 means interleaving, which
// AAC-hbr senders do not do and which is not understood here.
static void push_units(TkAacDepay *depay, const TkRtp *rtp, TkBits headers, TkReader *units)
{
    const TkAacMode *mode = &depay->mode;
    guint index_bits = mode->index_bits;
    for (guint32 n = 0; headers.at < headers.bits; n++) {
        gsize size = tk_bits_uint(&headers, mode->size_bits);
        guint32 index = tk_bits_uint(&headers, index_bits);
        const guint8 *unit = tk_reader_take(units, size);
        if (headers.failed || index != 0 || size == 0 || !unit) {
            depay->dropped++;
            return;
        }
        give(depay, unit, size, rtp->timestamp + n * depay->frame_samples);
        index_bits = mode->index_delta_bits;
    }
}

// The size in a packet's only header when that is more than the packet holds, else 0.
static gsize fragmented_size(const TkAacMode *mode, TkBits headers, gsize held)
{
    if (headers.bits != mode->size_bits + mode->index_bits)
        return 0;
    gsize size = tk_bits_uint(&headers, mode->size_bits);
    return size > held ? size : 0;
}

void tk_aac_depay_push(TkAacDepay *depay, const TkRtp *rtp, gboolean lost_before)
{
    Fragments *open = &depay->fragments;
    if (lost_before)
        open->damaged = TRUE;
    if (open->expected != 0 && open->timestamp != rtp->timestamp)
        end_fragments(depay);

    TkReader r = tk_reader(rtp->payload, rtp->payload_bytes);
    guint header_bits = tk_reader_u16(&r);
    const guint8 *header = tk_reader_take(&r, (header_bits + 7) / 8);
    if (r.failed) {
        depay->dropped++;
        return;
    }
    TkBits headers = {.data = header, .bits = header_bits};
    gsize size = fragmented_size(&depay->mode, headers, tk_reader_left(&r));
    if (size > 0) {
        push_fragment(depay, rtp, size, &r);
    } else {
        open->damaged = TRUE; // a whole unit between the fragments of another
        end_fragments(depay);
        push_units(depay, rtp, headers, &r);
    }
}

guint64 tk_aac_depay_dropped(const TkAacDepay *depay)
{
    return depay->dropped;
}
