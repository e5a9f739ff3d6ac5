// SPDX-License-Identifier: MIT
#include "tests/unit/relay/sender.h"

#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "common/media/rtcp.h"

#define VIDEO_SPROP "Z0LAFdkBQZ+fAWoMDA1KAAADAAIAAAMAZR4sXJA=,aMuMsg=="
const char sender_other_sprop[] = "Z0LAHtkAoC/5cBagwMDUoAAAAwAgAAAGUeLFyQ==,aMuMsg==";

void sender_formats(RelayTrackFormat *ret_video, RelayTrackFormat *ret_audio)
{
    *ret_video = (RelayTrackFormat){
        .kind = TK_TRACK_VIDEO, .payload_type = 96, .clock_rate = 90000, .sprop = VIDEO_SPROP};
    *ret_audio = (RelayTrackFormat){.kind = TK_TRACK_AUDIO,
                                    .payload_type = 97,
                                    .clock_rate = 48000,
                                    .aac_mode = TK_AAC_MODE_HBR};
    static const guint8 lc_48k_mono[] = {0x11, 0x88};
    g_assert_true(tk_aac_config_parse(lc_48k_mono, sizeof lc_48k_mono, &ret_audio->aac));
}

static GByteArray *begin_packet(Sender *s, gint64 ticks, gboolean marker)
{
    GByteArray *out = g_byte_array_new();
    tk_put(out, 0x80, 1);
    tk_put(out, (marker ? 0x80u : 0u) | (s->kind == TK_TRACK_VIDEO ? 96u : 97u), 1);
    tk_put(out, s->sequence++, 2);
    tk_put(out, s->timestamp_base + (guint32)ticks, 4);
    tk_put(out, s->ssrc, 4);
    return out;
}

static void put_filler(GByteArray *out, gsize bytes)
{
    for (gsize i = 0; i < bytes; i++)
        tk_put(out, 0x55, 1);
}

static GPtrArray *picture(Sender *s, gint64 ticks, gboolean key, gsize bytes)
{
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    guint8 header = key ? 0x65 : 0x41;
    // first_mb_in_slice 0, slice_type 7 (all I) or 5 (all P)
    guint8 slice = key ? 0x88 : 0x98;
    gsize left = bytes - 2; // behind the header and the slice's first byte
    for (gboolean first = TRUE; first || left; first = FALSE) {
        gsize n = MIN(left, SENDER_PAYLOAD_BYTES);
        gboolean last = n == left;
        GByteArray *out = begin_packet(s, ticks, last);
        if (first && last) {
            tk_put(out, header, 1);
        } else {
            tk_put(out, (header & 0xe0) | 28, 1);
            tk_put(out, (first ? 0x80u : 0u) | (last ? 0x40u : 0u) | (header & 0x1f), 1);
        }
        if (first)
            tk_put(out, slice, 1);
        put_filler(out, n);
        left -= n;
        g_ptr_array_add(packets, g_byte_array_free_to_bytes(out));
    }
    return packets;
}

static GPtrArray *sound(Sender *s, gint64 ticks, gsize bytes)
{
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    GByteArray *out = begin_packet(s, ticks, TRUE);
    tk_put(out, 16, 2);
    tk_put(out, bytes << 3, 2);
    put_filler(out, bytes);
    g_ptr_array_add(packets, g_byte_array_free_to_bytes(out));
    return packets;
}

GPtrArray *sender_frame(Sender *s, gint64 ticks, gboolean key, gsize bytes)
{
    g_assert_cmpuint(bytes, >=, SENDER_FRAME_BYTES_MIN);
    return s->kind == TK_TRACK_VIDEO ? picture(s, ticks, key, bytes) : sound(s, ticks, bytes);
}

GPtrArray *sender_parameter_sets(Sender *s, gint64 ticks, const char *sprop)
{
    GPtrArray *packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    g_auto(GStrv) sets = g_strsplit(sprop, ",", -1);
    for (guint i = 0; sets[i]; i++) {
        gsize size;
        g_autofree guint8 *set = g_base64_decode(sets[i], &size);
        GByteArray *out = begin_packet(s, ticks, FALSE);
        g_byte_array_append(out, set, (guint)size);
        g_ptr_array_add(packets, g_byte_array_free_to_bytes(out));
    }
    return packets;
}

GByteArray *sender_report(const Sender *s, gint64 ticks, gint64 wall_ns)
{
    GByteArray *out = g_byte_array_new();
    tk_rtcp_put_sender_report(out, s->ssrc, tk_clock_ntp_from_wall(wall_ns),
                              s->timestamp_base + (guint32)ticks, 1, 1);
    return out;
}
