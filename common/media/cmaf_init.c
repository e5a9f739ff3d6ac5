// SPDX-License-Identifier: MIT
#include "common/media/cmaf.h"

#include "common/media/box.h"

#define MOVIE_TIMESCALE 1000
#define LANGUAGE_UNDETERMINED 0x55c4 // "und", three letters of 5 bits
#define DPI_72 0x00480000            // 16.16

// Descriptors of ISO/IEC 14496-1 section 7.2.6.
enum { TAG_ES = 3, TAG_DECODER_CONFIG = 4, TAG_DECODER_SPECIFIC = 5, TAG_SYNC_LAYER = 6 };
#define OBJECT_TYPE_MPEG4_AUDIO 0x40
#define STREAM_TYPE_AUDIO 0x15
#define SYNC_LAYER_MP4 2

static void put_zeros(GByteArray *out, guint bytes)
{
    for (guint i = 0; i < bytes; i++)
        tk_put(out, 0, 1);
}

static void put_bytes(GByteArray *out, const guint8 *data, gsize bytes)
{
    if (bytes > 0)
        g_byte_array_append(out, data, (guint)bytes);
}

static void put_unity_matrix(GByteArray *out)
{
    static const guint32 matrix[] = {0x00010000, 0, 0, 0, 0x00010000, 0, 0, 0, 0x40000000};
    for (guint i = 0; i < G_N_ELEMENTS(matrix); i++)
        tk_put(out, matrix[i], 4);
}

static void put_ftyp(GByteArray *out)
{
    static const char brands[] = "iso6cmfcmp42avc1";
    gsize box = tk_box_begin(out, TK_FOURCC('f', 't', 'y', 'p'));
    tk_put(out, TK_FOURCC('i', 's', 'o', '6'), 4);
    tk_put(out, 0, 4); // minor version
    put_bytes(out, (const guint8 *)brands, sizeof brands - 1);
    tk_box_end(out, box);
}

static void put_mvhd(GByteArray *out, guint32 next_track_id)
{
    gsize box = tk_box_begin_full(out, TK_FOURCC('m', 'v', 'h', 'd'), 0, 0);
    put_zeros(out, 8); // made, changed
    tk_put(out, MOVIE_TIMESCALE, 4);
    tk_put(out, 0, 4);          // duration: told by the fragments
    tk_put(out, 0x00010000, 4); // rate 1.0
    tk_put(out, 0x0100, 2);     // volume 1.0
    put_zeros(out, 10);
    put_unity_matrix(out);
    put_zeros(out, 24);
    tk_put(out, next_track_id, 4);
    tk_box_end(out, box);
}

static void put_tkhd(GByteArray *out, const TkCmafTrack *track)
{
    gboolean video = track->kind == TK_TRACK_VIDEO;
    gsize box = tk_box_begin_full(out, TK_FOURCC('t', 'k', 'h', 'd'), 0, 3); // enabled, in movie
    put_zeros(out, 8);
    tk_put(out, track->track_id, 4);
    put_zeros(out, 4 + 4 + 8); // reserved, duration, reserved
    put_zeros(out, 2 + 2);     // layer, alternate group
    tk_put(out, video ? 0 : 0x0100, 2);
    put_zeros(out, 2);
    put_unity_matrix(out);
    tk_put(out, video ? (guint64)track->width << 16 : 0, 4); // 16.16
    tk_put(out, video ? (guint64)track->height << 16 : 0, 4);
    tk_box_end(out, box);
}

static void put_mdhd(GByteArray *out, const TkCmafTrack *track)
{
    gsize box = tk_box_begin_full(out, TK_FOURCC('m', 'd', 'h', 'd'), 0, 0);
    put_zeros(out, 8);
    tk_put(out, track->timescale, 4);
    tk_put(out, 0, 4);
    tk_put(out, LANGUAGE_UNDETERMINED, 2);
    put_zeros(out, 2);
    tk_box_end(out, box);
}

static void put_hdlr(GByteArray *out, const TkCmafTrack *track)
{
    gboolean video = track->kind == TK_TRACK_VIDEO;
    gsize box = tk_box_begin_full(out, TK_FOURCC('h', 'd', 'l', 'r'), 0, 0);
    put_zeros(out, 4);
    tk_put(out, video ? TK_FOURCC('v', 'i', 'd', 'e') : TK_FOURCC('s', 'o', 'u', 'n'), 4);
    put_zeros(out, 12);
    tk_put(out, 0, 1); // an empty name
    tk_box_end(out, box);
}

static void put_media_header(GByteArray *out, const TkCmafTrack *track)
{
    gboolean video = track->kind == TK_TRACK_VIDEO;
    gsize box = video ? tk_box_begin_full(out, TK_FOURCC('v', 'm', 'h', 'd'), 0, 1)
                      : tk_box_begin_full(out, TK_FOURCC('s', 'm', 'h', 'd'), 0, 0);
    put_zeros(out, video ? 8 : 4);
    tk_box_end(out, box);
}

static void put_dinf(GByteArray *out)
{
    gsize dinf = tk_box_begin(out, TK_FOURCC('d', 'i', 'n', 'f'));
    gsize dref = tk_box_begin_full(out, TK_FOURCC('d', 'r', 'e', 'f'), 0, 0);
    tk_put(out, 1, 4);
    tk_box_end(out, tk_box_begin_full(out, TK_FOURCC('u', 'r', 'l', ' '), 0, 1)); // this file
    tk_box_end(out, dref);
    tk_box_end(out, dinf);
}

static gsize begin_sample_entry(GByteArray *out, guint32 type)
{
    gsize box = tk_box_begin(out, type);
    put_zeros(out, 6);
    tk_put(out, 1, 2); // data reference index
    return box;
}

static void put_avc1(GByteArray *out, const TkCmafTrack *track)
{
    gsize entry = begin_sample_entry(out, TK_FOURCC('a', 'v', 'c', '1'));
    put_zeros(out, 16);
    tk_put(out, track->width, 2);
    tk_put(out, track->height, 2);
    tk_put(out, DPI_72, 4);
    tk_put(out, DPI_72, 4);
    put_zeros(out, 4);
    tk_put(out, 1, 2);      // frames per sample
    put_zeros(out, 32);     // compressor's name
    tk_put(out, 0x0018, 2); // colour without alpha
    tk_put(out, 0xffff, 2);
    gsize avcc = tk_box_begin(out, TK_FOURCC('a', 'v', 'c', 'C'));
    put_bytes(out, track->config, track->config_bytes);
    tk_box_end(out, avcc);
    tk_box_end(out, entry);
}

static void put_descriptor(GByteArray *out, guint8 tag, gsize bytes)
{
    tk_put(out, tag, 1);
    tk_put(out, bytes, 1);
}

static void put_esds(GByteArray *out, const TkCmafTrack *track)
{
    gsize specific = 2 + track->config_bytes;
    gsize decoder = 2 + 13 + specific;
    gsize sync_layer = 2 + 1;
    gsize box = tk_box_begin_full(out, TK_FOURCC('e', 's', 'd', 's'), 0, 0);
    put_descriptor(out, TAG_ES, 3 + decoder + sync_layer);
    put_zeros(out, 3); // ES_ID, flags
    put_descriptor(out, TAG_DECODER_CONFIG, 13 + specific);
    tk_put(out, OBJECT_TYPE_MPEG4_AUDIO, 1);
    tk_put(out, STREAM_TYPE_AUDIO, 1);
    put_zeros(out, 3 + 4 + 4); // buffer size and bit rates: not known
    put_descriptor(out, TAG_DECODER_SPECIFIC, track->config_bytes);
    put_bytes(out, track->config, track->config_bytes);
    put_descriptor(out, TAG_SYNC_LAYER, 1);
    tk_put(out, SYNC_LAYER_MP4, 1);
    tk_box_end(out, box);
}

static void put_mp4a(GByteArray *out, const TkCmafTrack *track)
{
    gsize entry = begin_sample_entry(out, TK_FOURCC('m', 'p', '4', 'a'));
    put_zeros(out, 8);
    tk_put(out, track->channels, 2);
    tk_put(out, 16, 2); // bits per sample
    put_zeros(out, 4);
    tk_put(out, track->rate <= G_MAXUINT16 ? (guint64)track->rate << 16 : 0, 4); // 16.16
    put_esds(out, track);
    tk_box_end(out, entry);
}

static void put_empty_table(GByteArray *out, guint32 type, guint bytes)
{
    gsize box = tk_box_begin_full(out, type, 0, 0);
    put_zeros(out, bytes);
    tk_box_end(out, box);
}

static void put_stbl(GByteArray *out, const TkCmafTrack *track)
{
    gsize stbl = tk_box_begin(out, TK_FOURCC('s', 't', 'b', 'l'));
    gsize stsd = tk_box_begin_full(out, TK_FOURCC('s', 't', 's', 'd'), 0, 0);
    tk_put(out, 1, 4);
    if (track->kind == TK_TRACK_VIDEO)
        put_avc1(out, track);
    else
        put_mp4a(out, track);
    tk_box_end(out, stsd);
    put_empty_table(out, TK_FOURCC('s', 't', 't', 's'), 4);
    put_empty_table(out, TK_FOURCC('s', 't', 's', 'c'), 4);
    put_empty_table(out, TK_FOURCC('s', 't', 's', 'z'), 8);
    put_empty_table(out, TK_FOURCC('s', 't', 'c', 'o'), 4);
    tk_box_end(out, stbl);
}

static void put_trak(GByteArray *out, const TkCmafTrack *track)
{
    gsize trak = tk_box_begin(out, TK_FOURCC('t', 'r', 'a', 'k'));
    put_tkhd(out, track);
    gsize mdia = tk_box_begin(out, TK_FOURCC('m', 'd', 'i', 'a'));
    put_mdhd(out, track);
    put_hdlr(out, track);
    gsize minf = tk_box_begin(out, TK_FOURCC('m', 'i', 'n', 'f'));
    put_media_header(out, track);
    put_dinf(out);
    put_stbl(out, track);
    tk_box_end(out, minf);
    tk_box_end(out, mdia);
    tk_box_end(out, trak);
}

static void put_trex(GByteArray *out, const TkCmafTrack *track)
{
    gsize box = tk_box_begin_full(out, TK_FOURCC('t', 'r', 'e', 'x'), 0, 0);
    tk_put(out, track->track_id, 4);
    tk_put(out, 1, 4); // sample description
    put_zeros(out, 12);
    tk_box_end(out, box);
}

GBytes *tk_cmaf_init_write(const TkCmafTrack *tracks, guint count)
{
    g_assert(count >= 1 && count <= TK_CMAF_TRACKS_MAX);
    GByteArray *out = g_byte_array_new();
    guint32 last_id = 0;
    put_ftyp(out);
    gsize moov = tk_box_begin(out, TK_FOURCC('m', 'o', 'o', 'v'));
    for (guint i = 0; i < count; i++)
        last_id = MAX(last_id, tracks[i].track_id);
    put_mvhd(out, last_id + 1);
    for (guint i = 0; i < count; i++)
        put_trak(out, &tracks[i]);
    gsize mvex = tk_box_begin(out, TK_FOURCC('m', 'v', 'e', 'x'));
    for (guint i = 0; i < count; i++)
        put_trex(out, &tracks[i]);
    tk_box_end(out, mvex);
    tk_box_end(out, moov);
    return g_byte_array_free_to_bytes(out);
}

static void append_codec(GString *out, const TkCmafTrack *track)
{
    const guint8 *config = track->config;
    if (track->kind == TK_TRACK_VIDEO && track->config_bytes >= 4)
        g_string_append_printf(out, "avc1.%02X%02X%02X", config[1], config[2], config[3]);
    else if (track->kind == TK_TRACK_AUDIO && track->config_bytes >= 1)
        g_string_append_printf(out, "mp4a.40.%u", config[0] >> 3);
}

char *tk_cmaf_codecs(const TkCmafTrack *tracks, guint count)
{
    GString *out = g_string_new(NULL);
    for (guint i = 0; i < count; i++) {
        if (out->len > 0)
            g_string_append_c(out, ',');
        append_codec(out, &tracks[i]);
    }
    return g_string_free(out, FALSE);
}
