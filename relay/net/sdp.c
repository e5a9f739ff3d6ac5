// SPDX-License-Identifier: MIT
#include "relay/net/sdp.h"

#include <gst/sdp/gstsdpmessage.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/ulid.h"
#include "common/media/bytes.h"
#include "common/media/latm.h"
#include "relay/core/repair.h"
#include "relay/net/rtsp_url.h"

#define LESSON_ATTRIBUTE "x-tongke-lesson"
#define LESSON_JSON_MAX 16384

void relay_offer_clear(RelayOffer *offer)
{
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        g_clear_pointer(&offer->controls[i], g_free);
    g_clear_pointer(&offer->id, g_free);
    g_clear_pointer(&offer->info, tk_lesson_info_free);
}

gint relay_offer_track(const RelayOffer *offer, const char *uri,
                       const gboolean set_up[RELAY_INPUT_TRACKS_MAX])
{
    for (guint i = 0; i < offer->tracks_count; i++)
        if (offer->controls[i] && relay_rtsp_url_has_control(uri, offer->controls[i]))
            return (gint)i;
    for (guint i = 0; i < offer->tracks_count; i++)
        if (!set_up[i])
            return (gint)i;
    return -1;
}

// The value of `key` in an fmtp line "96 key=value; key=value". Newly allocated or NULL.
static char *fmtp_value(const char *fmtp, const char *key)
{
    const char *parameters = fmtp ? strchr(fmtp, ' ') : NULL;
    g_auto(GStrv) parts = g_strsplit(parameters ? parameters + 1 : "", ";", 64);
    for (guint i = 0; parts[i]; i++) {
        char *equals = strchr(parts[i], '=');
        if (!equals)
            continue;
        *equals = '\0';
        if (g_ascii_strcasecmp(g_strstrip(parts[i]), key) == 0)
            return g_strstrip(g_strdup(equals + 1));
    }
    return NULL;
}

static guint fmtp_uint(const char *fmtp, const char *key, guint fallback)
{
    g_autofree char *value = fmtp_value(fmtp, key);
    guint64 number;
    return value && g_ascii_string_to_unsigned(value, 10, 0, 65535, &number, NULL) ? (guint)number
                                                                                   : fallback;
}

// The attribute `name` of the media's one payload type: "96 …".
static const char *format_attribute(const GstSDPMedia *media, const char *name, guint8 payload_type)
{
    g_autofree char *prefix = g_strdup_printf("%u ", payload_type);
    for (guint i = 0; i < gst_sdp_media_attributes_len(media); i++) {
        const GstSDPAttribute *attribute = gst_sdp_media_get_attribute(media, i);
        if (g_str_equal(attribute->key, name) && attribute->value &&
            g_str_has_prefix(attribute->value, prefix))
            return attribute->value;
    }
    return NULL;
}

static gboolean refuse(GError **error, const char *what)
{
    g_set_error(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                "%s: send one H.264 track (RFC 6184) and at most one AAC track (RFC 3640)", what);
    return FALSE;
}

static gboolean parse_video(const char *fmtp, RelayTrackFormat *ret, GError **error)
{
    if (fmtp_uint(fmtp, "packetization-mode", 0) > 1)
        return refuse(error, "H.264 packetization-mode 2 is not supported");
    g_autofree char *sprop = fmtp_value(fmtp, "sprop-parameter-sets");
    ret->kind = TK_TRACK_VIDEO;
    ret->clock_rate = TK_CMAF_VIDEO_TIMESCALE;
    if (sprop && strlen(sprop) < sizeof ret->sprop)
        g_strlcpy(ret->sprop, sprop, sizeof ret->sprop);
    return TRUE;
}

static gboolean parse_hex_config(const char *hex, gboolean latm, TkAacConfig *ret)
{
    guint8 bytes[TK_AAC_CONFIG_MAX];
    gsize count = hex ? strlen(hex) / 2 : 0;
    if (count == 0 || count > sizeof bytes)
        return FALSE;
    for (gsize i = 0; i < count; i++) {
        gint high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return FALSE;
        bytes[i] = (guint8)(high << 4 | low);
    }
    return latm ? tk_latm_config_parse(bytes, count, ret) : tk_aac_config_parse(bytes, count, ret);
}

static gboolean parse_audio(const char *rtpmap, const char *fmtp, RelayTrackFormat *ret,
                            GError **error)
{
    g_autofree char *mode = fmtp_value(fmtp, "mode"), *config = fmtp_value(fmtp, "config");
    const char *slash = strchr(rtpmap, '/');
    if (mode && g_ascii_strcasecmp(mode, "AAC-hbr") != 0 &&
        g_ascii_strcasecmp(mode, "AAC-lbr") != 0)
        return refuse(error, "this MPEG-4 mode is not supported");
    ret->latm = g_ascii_strncasecmp(rtpmap, "MP4A-LATM/", 10) == 0;
    if (ret->latm && fmtp_uint(fmtp, "cpresent", 1) != 0)
        return refuse(error, "the LATM track has its configuration inside (cpresent=0 is needed)");
    if (!parse_hex_config(config, ret->latm, &ret->aac) || !slash)
        return refuse(error, "the AAC track has no valid config");
    ret->kind = TK_TRACK_AUDIO;
    ret->clock_rate = (guint32)strtoul(slash + 1, NULL, 10);
    ret->aac_mode =
        (TkAacMode){fmtp_uint(fmtp, "sizelength", 13), fmtp_uint(fmtp, "indexlength", 3),
                    fmtp_uint(fmtp, "indexdeltalength", 3)};
    if (ret->clock_rate != ret->aac.rate)
        return refuse(error, "the AAC track's clock differs from its sample rate");
    return TRUE;
}

// The payload type of the media's retransmissions (RFC 4588 section 8.6), or 0.
static guint8 rtx_type(const GstSDPMedia *media, guint8 payload_type)
{
    for (guint i = 1; i < gst_sdp_media_formats_len(media); i++) {
        guint64 type;
        if (!g_ascii_string_to_unsigned(gst_sdp_media_get_format(media, i), 10, 1, 127, &type,
                                        NULL))
            continue;
        const char *rtpmap = format_attribute(media, "rtpmap", (guint8)type);
        const char *fmtp = format_attribute(media, "fmtp", (guint8)type);
        if (rtpmap && g_ascii_strncasecmp(strchr(rtpmap, ' ') + 1, "rtx/", 4) == 0 &&
            fmtp_uint(fmtp, "apt", 128) == payload_type && type != payload_type)
            return (guint8)type;
    }
    return 0;
}

static gboolean takes_nack(const GstSDPMedia *media)
{
    const char *value;
    for (guint n = 0; (value = gst_sdp_media_get_attribute_val_n(media, "rtcp-fb", n)); n++) {
        const char *kind = strchr(value, ' ');
        if (kind && g_ascii_strcasecmp(kind + 1, "nack") == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean parse_media(const GstSDPMedia *media, RelayTrackFormat *ret, GError **error)
{
    const char *format = gst_sdp_media_get_format(media, 0);
    guint64 payload_type;
    if (!format || !g_ascii_string_to_unsigned(format, 10, 0, 127, &payload_type, NULL))
        return refuse(error, "a track without a payload type");
    *ret = (RelayTrackFormat){.payload_type = (guint8)payload_type};
    ret->rtx_payload_type = rtx_type(media, ret->payload_type);
    ret->nack = ret->rtx_payload_type || takes_nack(media);
    const char *rtpmap = format_attribute(media, "rtpmap", ret->payload_type);
    const char *fmtp = format_attribute(media, "fmtp", ret->payload_type);
    const char *encoding = rtpmap ? strchr(rtpmap, ' ') + 1 : "";
    if (g_ascii_strncasecmp(encoding, "H264/90000", 10) == 0)
        return parse_video(fmtp, ret, error);
    if (g_ascii_strncasecmp(encoding, "mpeg4-generic/", 14) == 0 ||
        g_ascii_strncasecmp(encoding, "MP4A-LATM/", 10) == 0)
        return parse_audio(encoding, fmtp, ret, error);
    return refuse(error, "a track is neither H.264 nor AAC");
}

static gboolean parse_tracks(const GstSDPMessage *sdp, RelayOffer *ret, GError **error)
{
    guint count = gst_sdp_message_medias_len(sdp);
    if (count == 0 || count > RELAY_INPUT_TRACKS_MAX)
        return refuse(error, count ? "too many tracks" : "no tracks");
    for (guint i = 0; i < count; i++) {
        const GstSDPMedia *media = gst_sdp_message_get_media(sdp, i);
        if (!parse_media(media, &ret->formats[i], error))
            return FALSE;
        ret->controls[i] = g_strdup(gst_sdp_media_get_attribute_val(media, "control"));
        ret->tracks_count++;
    }
    if (count == 2 && ret->formats[0].kind == ret->formats[1].kind)
        return refuse(error, "two tracks of one kind");
    if (count == 2 && ret->formats[0].kind == TK_TRACK_AUDIO) {
        RelayTrackFormat audio = ret->formats[0];
        char *control = ret->controls[0];
        ret->formats[0] = ret->formats[1];
        ret->controls[0] = ret->controls[1];
        ret->formats[1] = audio;
        ret->controls[1] = control;
    }
    return TRUE;
}

// What strangers write where they have no title.
static gboolean is_title(const char *name)
{
    static const char *const fillers[] = {
        "", "-", "No Name", "Session streamed with GStreamer", "Unnamed", NULL};
    g_autofree char *stripped = name ? g_strstrip(g_strdup(name)) : NULL;
    return stripped && !g_strv_contains(fillers, stripped);
}

static gboolean parse_lesson(const GstSDPMessage *sdp, RelayOffer *ret, GError **error)
{
    const char *session = gst_sdp_message_get_origin(sdp)->sess_id;
    if (!session || !g_ascii_string_to_unsigned(session, 10, 0, G_MAXUINT64, &ret->session, NULL))
        ret->session = 0;
    ret->info = tk_lesson_info_new();
    const char *text = gst_sdp_message_get_attribute_val(sdp, LESSON_ATTRIBUTE);
    if (text) {
        g_autoptr(json_t) object = tk_json_parse(text, strlen(text), LESSON_JSON_MAX, error);
        if (!object || !tk_lesson_info_merge_json(ret->info, object, FALSE, error))
            return FALSE;
        const char *id = tk_json_string(object, "id", NULL);
        if (id && tk_ulid_valid(id))
            ret->id = g_strdup(id);
    }
    const char *name = gst_sdp_message_get_session_name(sdp);
    // A stranger's over-long or odd title is no reason to refuse its lesson.
    if (!ret->info->title && is_title(name))
        (void)!tk_lesson_info_set(ret->info, "title", name, NULL);
    return TRUE;
}

gboolean relay_sdp_parse(const char *text, gsize size, RelayOffer *ret, GError **error)
{
    RelayOffer offer = {0};
    GstSDPMessage *sdp = NULL;
    gst_sdp_message_new(&sdp);
    gboolean ok =
        size > 0 && g_utf8_validate(text, (gssize)size, NULL) &&
        gst_sdp_message_parse_buffer((const guint8 *)text, (guint)size, sdp) == GST_SDP_OK;
    if (!ok)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "the session description does not parse");
    ok = ok && parse_tracks(sdp, &offer, error) && parse_lesson(sdp, &offer, error);
    gst_sdp_message_free(sdp);
    if (ok)
        *ret = offer;
    else
        relay_offer_clear(&offer);
    return ok;
}

// "Z0IAKeKQ…,aM48gA==" from an avcC record (ISO/IEC 14496-15 section 5.3.3.1).
static char *sprop_of(const guint8 *avcc, gsize size)
{
    GString *text = g_string_new(NULL);
    TkReader r = tk_reader(avcc, size);
    tk_reader_take(&r, 5);
    for (guint set = 0; set < 2; set++) { // sequence sets, then picture sets
        guint count = tk_reader_u8(&r) & (set == 0 ? 0x1f : 0xff);
        for (guint i = 0; i < count && !r.failed; i++) {
            guint16 bytes = tk_reader_u16(&r);
            const guint8 *nal = tk_reader_take(&r, bytes);
            if (!nal)
                break;
            g_autofree char *base64 = g_base64_encode(nal, bytes);
            g_string_append_printf(text, "%s%s", text->len ? "," : "", base64);
        }
    }
    return g_string_free(text, FALSE);
}

#define RTX_TIME_MS 2000 // how long a packet can be had again: well inside the history

static void add_feedback(GstSDPMedia *media, guint payload_type, guint clock_rate)
{
    guint rtx = payload_type + RELAY_REPAIR_PT_STEP;
    g_autofree char *format = g_strdup_printf("%u", rtx);
    g_autofree char *feedback = g_strdup_printf("%u nack", payload_type);
    g_autofree char *rtpmap = g_strdup_printf("%u rtx/%u", rtx, clock_rate);
    g_autofree char *fmtp =
        g_strdup_printf("%u apt=%u;rtx-time=%u", rtx, payload_type, RTX_TIME_MS);
    gst_sdp_media_add_format(media, format);
    gst_sdp_media_add_attribute(media, "rtcp-fb", feedback);
    gst_sdp_media_add_attribute(media, "rtpmap", rtpmap);
    gst_sdp_media_add_attribute(media, "fmtp", fmtp);
}

static void add_media(GstSDPMessage *sdp, const RelayDescription *d, guint track, gboolean video)
{
    gsize size;
    const guint8 *config = g_bytes_get_data(d->configs[track], &size);
    g_autofree char *rtpmap = NULL, *fmtp = NULL;
    guint clock_rate = TK_CMAF_VIDEO_TIMESCALE;
    if (video) {
        g_autofree char *sprop = sprop_of(config, size);
        rtpmap = g_strdup("96 H264/90000");
        fmtp = g_strdup_printf("96 packetization-mode=1;profile-level-id=%02X%02X%02X;"
                               "sprop-parameter-sets=%s",
                               config[1], config[2], config[3], sprop);
    } else {
        TkAacConfig aac = {0};
        GString *hex = g_string_new(NULL);
        for (gsize i = 0; i < size; i++)
            g_string_append_printf(hex, "%02X", config[i]);
        clock_rate = tk_aac_config_parse(config, size, &aac) ? aac.rate : 48000;
        rtpmap = g_strdup_printf("97 mpeg4-generic/%u/%u", clock_rate, MAX(aac.channels, 1));
        fmtp = g_strdup_printf("97 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;"
                               "indexlength=3;indexdeltalength=3;config=%s",
                               hex->str);
        g_string_free(hex, TRUE);
    }
    g_autofree char *control = g_strdup_printf("track=%u", track);
    GstSDPMedia *media = NULL;
    gst_sdp_media_new(&media);
    gst_sdp_media_set_media(media, video ? "video" : "audio");
    gst_sdp_media_set_port_info(media, 0, 1);
    gst_sdp_media_set_proto(media, d->feedback ? "RTP/AVPF" : "RTP/AVP");
    gst_sdp_media_add_format(media, video ? "96" : "97");
    gst_sdp_media_add_attribute(media, "rtpmap", rtpmap);
    gst_sdp_media_add_attribute(media, "fmtp", fmtp);
    if (d->feedback)
        add_feedback(media, video ? 96 : 97, clock_rate);
    gst_sdp_media_add_attribute(media, "control", control);
    gst_sdp_message_add_media(sdp, media);
    gst_sdp_media_free(media);
}

char *relay_sdp_write(const RelayDescription *description)
{
    const RelayDescription *d = description;
    const char *family = d->ipv6 ? "IP6" : "IP4";
    GstSDPMessage *sdp = NULL;
    gst_sdp_message_new(&sdp);
    gst_sdp_message_set_version(sdp, "0");
    g_autofree char *session = g_strdup_printf("%" G_GUINT64_FORMAT, d->session);
    gst_sdp_message_set_origin(sdp, "-", session, "1", "IN", family, d->host);
    gst_sdp_message_set_session_name(sdp, d->title && *d->title ? d->title : "-");
    gst_sdp_message_set_connection(sdp, "IN", family, d->ipv6 ? "::" : "0.0.0.0", 0, 0);
    gst_sdp_message_add_time(sdp, "0", "0", NULL);
    gst_sdp_message_add_attribute(sdp, "range", "npt=now-");
    gst_sdp_message_add_attribute(sdp, "control", "*");
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        if (d->configs[track])
            add_media(sdp, d, track, track == 0 && d->format->has_video);
    char *text = gst_sdp_message_as_text(sdp);
    gst_sdp_message_free(sdp);
    return text;
}
