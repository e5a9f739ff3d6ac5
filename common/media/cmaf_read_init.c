// SPDX-License-Identifier: MIT
#include "common/media/cmaf_read.h"

#include <string.h>

#include "common/media/aac.h"
#include "common/media/box.h"
#include "common/media/h264_sets.h"

#define VIDEO_ENTRY_BYTES 78 // of fixed fields before the boxes inside
#define AUDIO_ENTRY_BYTES 28

#define AVCC_BYTES_MIN 7
#define AVCC_BYTES_MAX (TK_H264_SETS_BYTES_MAX + 1024)

enum { TAG_ES = 3, TAG_DECODER_CONFIG = 4, TAG_DECODER_SPECIFIC = 5 };

void tk_cmaf_init_clear(TkCmafInit *init)
{
    for (guint i = 0; i < G_N_ELEMENTS(init->tracks); i++)
        g_free(init->tracks[i].config);
    *init = (TkCmafInit){0};
}

// The body of the first box of `type` among those that stand in `boxes`.
static gboolean find_box(TkReader boxes, guint32 type, TkReader *ret)
{
    guint32 found;
    TkReader body;
    while (tk_reader_left(&boxes) > 0 && tk_box_next(&boxes, &found, &body)) {
        if (found == type) {
            *ret = body;
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean keep_config(TkCmafTrack *track, const guint8 *data, gsize bytes)
{
    if (!data)
        return FALSE;
    track->config = g_memdup2(data, bytes);
    track->config_bytes = bytes;
    return TRUE;
}

static gboolean read_avc1(TkReader entry, TkCmafTrack *track)
{
    TkReader avcc;
    tk_reader_take(&entry, 24);
    track->width = tk_reader_u16(&entry);
    track->height = tk_reader_u16(&entry);
    tk_reader_take(&entry, VIDEO_ENTRY_BYTES - 28);
    if (entry.failed || !find_box(entry, TK_FOURCC('a', 'v', 'c', 'C'), &avcc))
        return FALSE;
    if (avcc.size < AVCC_BYTES_MIN || avcc.size > AVCC_BYTES_MAX || avcc.data[0] != 1)
        return FALSE;
    return keep_config(track, avcc.data, avcc.size);
}

// Enters the next descriptor if it is a `tag`; its length takes up to four bytes of seven bits.
static gboolean enter_descriptor(TkReader *r, guint8 tag, TkReader *ret)
{
    if (tk_reader_u8(r) != tag)
        return FALSE;
    gsize length = 0;
    guint8 byte = 0x80;
    for (guint i = 0; i < 4 && byte & 0x80; i++) {
        byte = tk_reader_u8(r);
        length = length << 7 | (byte & 0x7f);
    }
    const guint8 *body = tk_reader_take(r, length);
    *ret = tk_reader(body, length);
    return body != NULL;
}

static gboolean read_esds(TkReader esds, TkCmafTrack *track)
{
    TkReader stream, decoder, specific;
    tk_reader_take(&esds, 4); // version, flags
    if (!enter_descriptor(&esds, TAG_ES, &stream))
        return FALSE;
    tk_reader_take(&stream, 3);
    if (!enter_descriptor(&stream, TAG_DECODER_CONFIG, &decoder))
        return FALSE;
    tk_reader_take(&decoder, 13);
    if (!enter_descriptor(&decoder, TAG_DECODER_SPECIFIC, &specific))
        return FALSE;
    if (specific.size < 2 || specific.size > TK_AAC_CONFIG_MAX)
        return FALSE;
    return keep_config(track, specific.data, specific.size);
}

static gboolean read_mp4a(TkReader entry, TkCmafTrack *track)
{
    TkReader esds;
    tk_reader_take(&entry, 16);
    track->channels = tk_reader_u16(&entry);
    tk_reader_take(&entry, AUDIO_ENTRY_BYTES - 18);
    track->rate = track->timescale; // the entry's own field is too narrow for high rates
    if (entry.failed || !find_box(entry, TK_FOURCC('e', 's', 'd', 's'), &esds))
        return FALSE;
    return read_esds(esds, track);
}

static gboolean read_sample_entry(TkReader stsd, TkCmafTrack *track)
{
    TkReader entry;
    tk_reader_take(&stsd, 8); // version, flags, count
    if (stsd.failed)
        return FALSE;
    if (find_box(stsd, TK_FOURCC('a', 'v', 'c', '1'), &entry)) {
        track->kind = TK_TRACK_VIDEO;
        return read_avc1(entry, track);
    }
    if (find_box(stsd, TK_FOURCC('m', 'p', '4', 'a'), &entry)) {
        track->kind = TK_TRACK_AUDIO;
        return read_mp4a(entry, track);
    }
    return FALSE;
}

// The 32-bit field behind the two dates of a tkhd or mdhd.
static guint32 read_after_dates(TkReader header)
{
    guint8 version = tk_reader_u8(&header);
    tk_reader_take(&header, version == 1 ? 3 + 16 : 3 + 8);
    return tk_reader_u32(&header);
}

static gboolean read_trak(TkReader trak, TkCmafTrack *track)
{
    TkReader tkhd, mdia, mdhd, minf, stbl, stsd;
    if (!find_box(trak, TK_FOURCC('t', 'k', 'h', 'd'), &tkhd) ||
        !find_box(trak, TK_FOURCC('m', 'd', 'i', 'a'), &mdia) ||
        !find_box(mdia, TK_FOURCC('m', 'd', 'h', 'd'), &mdhd) ||
        !find_box(mdia, TK_FOURCC('m', 'i', 'n', 'f'), &minf) ||
        !find_box(minf, TK_FOURCC('s', 't', 'b', 'l'), &stbl) ||
        !find_box(stbl, TK_FOURCC('s', 't', 's', 'd'), &stsd))
        return FALSE;
    track->track_id = read_after_dates(tkhd);
    track->timescale = read_after_dates(mdhd);
    if (track->track_id == 0 || track->timescale == 0)
        return FALSE;
    return read_sample_entry(stsd, track);
}

static gboolean read_moov(TkReader moov, TkCmafInit *init)
{
    guint32 type;
    TkReader body;
    while (tk_reader_left(&moov) > 0 && tk_box_next(&moov, &type, &body)) {
        if (type != TK_FOURCC('t', 'r', 'a', 'k'))
            continue;
        if (init->tracks_count == TK_CMAF_TRACKS_MAX)
            return FALSE;
        if (!read_trak(body, &init->tracks[init->tracks_count++]))
            return FALSE;
    }
    gboolean same_id = init->tracks[0].track_id == init->tracks[1].track_id;
    return !moov.failed && init->tracks_count > 0 && !same_id;
}

gboolean tk_cmaf_init_parse(const guint8 *data, gsize size, TkCmafInit *ret)
{
    TkReader r = tk_reader(data, size);
    TkReader ftyp, moov;
    guint32 type;
    TkCmafInit init = {0};
    if (!tk_box_next(&r, &type, &ftyp) || type != TK_FOURCC('f', 't', 'y', 'p'))
        return FALSE;
    if (!tk_box_next(&r, &type, &moov) || type != TK_FOURCC('m', 'o', 'o', 'v'))
        return FALSE;
    if (!read_moov(moov, &init)) {
        tk_cmaf_init_clear(&init);
        return FALSE;
    }
    *ret = init;
    return TRUE;
}
