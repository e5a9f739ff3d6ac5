// SPDX-License-Identifier: MIT
#include "tests/unit/relay/payload.h"

#include <gst/app/gstappsink.h>
#include <gst/gst.h>

#include "common/base/clock.h"
#include "common/media/latm.h"
#include "common/media/rtp.h"

static guint read_length(const GstStructure *s, const char *name)
{
    const char *text = gst_structure_get_string(s, name);
    return text ? (guint)atoi(text) : 0;
}

static void read_format(const GstCaps *caps, RelayTrackFormat *f)
{
    const GstStructure *s = gst_caps_get_structure(caps, 0);
    gint payload_type = 0, clock_rate = 0;
    gst_structure_get_int(s, "payload", &payload_type);
    gst_structure_get_int(s, "clock-rate", &clock_rate);
    f->payload_type = (guint8)payload_type;
    f->clock_rate = (guint32)clock_rate;
    const char *sprop = gst_structure_get_string(s, "sprop-parameter-sets");
    g_strlcpy(f->sprop, sprop ? sprop : "", sizeof f->sprop);
    const char *config = gst_structure_get_string(s, "config");
    if (f->kind == TK_TRACK_AUDIO && config) {
        guint8 bytes[TK_AAC_CONFIG_MAX];
        gsize n = MIN(strlen(config) / 2, sizeof bytes);
        for (gsize i = 0; i < n; i++)
            bytes[i] = (guint8)(g_ascii_xdigit_value(config[2 * i]) << 4 |
                                g_ascii_xdigit_value(config[2 * i + 1]));
        f->latm = g_strcmp0(gst_structure_get_string(s, "encoding-name"), "MP4A-LATM") == 0;
        g_assert_true(f->latm ? tk_latm_config_parse(bytes, n, &f->aac)
                              : tk_aac_config_parse(bytes, n, &f->aac));
        f->aac_mode = (TkAacMode){read_length(s, "sizelength"), read_length(s, "indexlength"),
                                  read_length(s, "indexdeltalength")};
    }
}

static gint64 running_ns(const GstSegment *segment, GstClockTime at)
{
    guint64 ns = 0;
    gint sign = gst_segment_to_running_time_full(segment, GST_FORMAT_TIME, at, &ns);
    return sign < 0 ? -(gint64)ns : (gint64)ns;
}

// Packets of one frame share the times of its first.
static void add_buffer(Payload *payload, guint track, GstBuffer *buffer, const GstSegment *segment,
                       PayloadPacket *last)
{
    GstMapInfo map;
    g_assert_true(gst_buffer_map(buffer, &map, GST_MAP_READ));
    TkRtp rtp;
    g_assert_true(tk_rtp_parse(map.data, map.size, &rtp));
    PayloadPacket p = *last;
    if (!last->bytes || last->rtp_timestamp != rtp.timestamp) {
        p.presentation_ns = running_ns(segment, GST_BUFFER_PTS(buffer));
        p.decode_ns = GST_BUFFER_DTS_IS_VALID(buffer) ? running_ns(segment, GST_BUFFER_DTS(buffer))
                                                      : p.presentation_ns;
    }
    p.track = track;
    p.rtp_timestamp = rtp.timestamp;
    p.bytes = g_bytes_new(map.data, map.size);
    g_array_append_val(payload->packets, p);
    gst_buffer_unmap(buffer, &map);
    *last = p;
}

static void drain(Payload *payload, GstElement *sink, TkTrackKind kind)
{
    guint track = payload->tracks++;
    payload->formats[track].kind = kind;
    PayloadPacket last = {0};
    for (;;) {
        GstSample *sample = gst_app_sink_pull_sample(GST_APP_SINK(sink));
        if (!sample)
            break;
        read_format(gst_sample_get_caps(sample), &payload->formats[track]);
        const GstSegment *segment = gst_sample_get_segment(sample);
        GstBufferList *list = gst_sample_get_buffer_list(sample);
        for (guint i = 0; list && i < gst_buffer_list_length(list); i++)
            add_buffer(payload, track, gst_buffer_list_get(list, i), segment, &last);
        if (!list)
            add_buffer(payload, track, gst_sample_get_buffer(sample), segment, &last);
        gst_sample_unref(sample);
    }
    gst_object_unref(sink);
}

static gint by_decode_time(gconstpointer a, gconstpointer b)
{
    gint64 x = ((const PayloadPacket *)a)->decode_ns, y = ((const PayloadPacket *)b)->decode_ns;
    return (x > y) - (x < y);
}

Payload *payload_run(const char *launch)
{
    gst_init(NULL, NULL);
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);
    if (!pipeline || error) {
        g_printerr("%s\n", error ? error->message : "no pipeline");
        return NULL;
    }
    Payload *payload = g_new0(Payload, 1);
    payload->packets = g_array_new(FALSE, FALSE, sizeof(PayloadPacket));
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    GstElement *video = gst_bin_get_by_name(GST_BIN(pipeline), "video");
    GstElement *audio = gst_bin_get_by_name(GST_BIN(pipeline), "audio");
    if (video)
        drain(payload, video, TK_TRACK_VIDEO);
    if (audio)
        drain(payload, audio, TK_TRACK_AUDIO);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    g_array_sort(payload->packets, by_decode_time); // stable: merge sort
    return payload;
}

void payload_free(Payload *payload)
{
    if (!payload)
        return;
    for (guint i = 0; i < payload->packets->len; i++)
        g_bytes_unref(g_array_index(payload->packets, PayloadPacket, i).bytes);
    g_array_unref(payload->packets);
    g_free(payload);
}
