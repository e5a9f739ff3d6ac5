// SPDX-License-Identifier: MIT
#include "client/capture/track.h"

#include "common/media/aac.h"
#include "common/media/bytes.h"
#include "common/media/h264_nal.h"
#include "common/media/h264_sets.h"

#define LENGTH_BYTES 4 // of a NAL unit; what h264parse gives

struct _CapTrack {
    TkH264Sets sets;
    TkAacConfig sound;
    GByteArray *unit;
    GstCaps *seen[2]; // by TkTrackKind
};

CapTrack *cap_track_new(void)
{
    CapTrack *track = g_new0(CapTrack, 1);
    tk_h264_sets_init(&track->sets);
    track->unit = g_byte_array_new();
    return track;
}

void cap_track_free(CapTrack *track)
{
    tk_h264_sets_clear(&track->sets);
    g_byte_array_unref(track->unit);
    gst_clear_caps(&track->seen[0]);
    gst_clear_caps(&track->seen[1]);
    g_free(track);
}

static void take_sets(CapTrack *track, TkReader *r, guint count)
{
    for (guint i = 0; i < count; i++) {
        guint16 size = tk_reader_u16(r);
        const guint8 *nal = tk_reader_take(r, size);
        if (nal && size)
            (void)tk_h264_sets_put(&track->sets, nal, size);
    }
}

// ISO/IEC 14496-15 section 5.3.3.1.
static void take_record(CapTrack *track, const guint8 *data, gsize size)
{
    TkReader r = tk_reader(data, size);
    tk_reader_take(&r, 5);
    take_sets(track, &r, tk_reader_u8(&r) & 0x1f);
    take_sets(track, &r, tk_reader_u8(&r));
}

void cap_track_caps(CapTrack *track, TkTrackKind kind, GstCaps *caps)
{
    GstMapInfo map;

    if (!caps || caps == track->seen[kind])
        return;
    gst_caps_replace(&track->seen[kind], caps);
    const GValue *value = gst_structure_get_value(gst_caps_get_structure(caps, 0), "codec_data");
    GstBuffer *buffer = value ? gst_value_get_buffer(value) : NULL;
    if (!buffer || !gst_buffer_map(buffer, &map, GST_MAP_READ))
        return;
    if (kind == TK_TRACK_VIDEO)
        take_record(track, map.data, map.size);
    else
        (void)!tk_aac_config_parse(map.data, map.size, &track->sound);
    gst_buffer_unmap(buffer, &map);
}

gboolean cap_track_has_sound(const CapTrack *track)
{
    return track->sound.config_bytes > 0;
}

guint cap_track_describe(const CapTrack *track, TkCmafTrack *ret)
{
    guint count = 0;
    if (track->sets.record->len)
        ret[count++] = (TkCmafTrack){.kind = TK_TRACK_VIDEO,
                                     .track_id = 1,
                                     .timescale = TK_CMAF_VIDEO_TIMESCALE,
                                     .config = track->sets.record->data,
                                     .config_bytes = track->sets.record->len,
                                     .width = track->sets.newest.width,
                                     .height = track->sets.newest.height};
    if (track->sound.config_bytes)
        ret[count++] = (TkCmafTrack){.kind = TK_TRACK_AUDIO,
                                     .track_id = 2,
                                     .timescale = track->sound.rate,
                                     .config = (guint8 *)track->sound.config,
                                     .config_bytes = track->sound.config_bytes,
                                     .channels = track->sound.channels,
                                     .rate = track->sound.rate};
    return count;
}

gboolean cap_track_picture(CapTrack *track, const guint8 *data, gsize size, gboolean key,
                           TkCmafMuxSample *ret)
{
    TkReader r = tk_reader(data, size);
    gboolean slices = FALSE;

    g_byte_array_set_size(track->unit, 0);
    while (tk_reader_left(&r) > 0) {
        guint32 length = tk_reader_u32(&r);
        const guint8 *nal = tk_reader_take(&r, length);
        if (!nal || length == 0)
            break;
        guint type = tk_h264_nal_type(nal[0]);
        if (type == TK_H264_SPS || type == TK_H264_PPS)
            (void)tk_h264_sets_put(&track->sets, nal, length);
        slices |= type >= TK_H264_SLICE && type <= TK_H264_SLICE_IDR;
        if (tk_h264_nal_in_sample(type))
            g_byte_array_append(track->unit, nal - LENGTH_BYTES, length + LENGTH_BYTES);
    }
    ret->data = track->unit->data;
    ret->size = track->unit->len;
    ret->key = key;
    return slices && !r.failed && track->sets.record->len > 0;
}

gboolean cap_track_sound(CapTrack *track, const guint8 *data, gsize size, TkCmafMuxSample *ret)
{
    ret->data = data;
    ret->size = size;
    ret->key = TRUE;
    return size > 0 && cap_track_has_sound(track);
}

gint64 cap_track_ticks(const CapTrack *track, TkTrackKind kind, gint64 base_ns, gint64 running_ns)
{
    guint64 scale = kind == TK_TRACK_VIDEO ? TK_CMAF_VIDEO_TIMESCALE : track->sound.rate;
    return (gint64)(gst_util_uint64_scale((guint64)base_ns, scale, GST_SECOND) +
                    gst_util_uint64_scale((guint64)running_ns, scale, GST_SECOND));
}
