// SPDX-License-Identifier: MIT
#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "relay/core/input_part.h"
#include "relay/core/ticks.h"

#define CNAME "tongke-relay"

guint relay_input_tracks(const RelayInput *input)
{
    return input->count;
}

static gboolean is_of(const RelayInputTrack *t, const TkRtp *rtp)
{
    const RelayTrackFormat *format = &t->format;
    return rtp->payload_type == format->payload_type ||
           (format->rtx_payload_type && rtp->payload_type == format->rtx_payload_type);
}

// Of a sender's one track there is no doubt, before its first packet either.
static gboolean is_from(const RelayInputTrack *t, const TkRtcp *report)
{
    const RelayReceiver *receiver = &t->receiver;
    return t->input->count == 1 || (receiver->has_source && receiver->ssrc == report->ssrc);
}

guint relay_input_tracks_of(const RelayInput *input, gboolean rtcp, const guint8 *data, gsize size)
{
    TkRtcp report;
    TkRtp rtp;
    gsize offset = 0;
    guint tracks = 0;
    if (rtcp ? !tk_rtcp_next(data, size, &offset, &report) : !tk_rtp_parse(data, size, &rtp))
        return 0;
    for (guint i = 0; i < input->count; i++) {
        if (rtcp ? is_from(&input->tracks[i], &report) : is_of(&input->tracks[i], &rtp))
            tracks |= 1u << i;
    }
    return tracks;
}

RelayTrackIdentity relay_input_identity(const RelayInput *input, guint track)
{
    const RelayRenumber *r = &input->tracks[track].renumber;
    RelayTrackIdentity identity = {r->payload_type, r->ssrc, r->clock_rate, 0};
    const TkAacConfig *aac = &input->tracks[track].format.aac;
    for (gsize i = 0; i < aac->config_bytes; i++)
        identity.sound = (identity.sound ^ aac->config[i]) * 16777619u;
    return identity;
}

gboolean relay_input_clock(const RelayInput *input, guint track, gint64 *ret_wall_ns,
                           guint32 *ret_rtp_timestamp)
{
    return track < input->count &&
           relay_timeline_point(&input->timeline, track, ret_wall_ns, ret_rtp_timestamp);
}

void relay_input_receiver_report(RelayInput *input, guint track, gint64 now_ns, GByteArray *out)
{
    if (track >= input->count)
        return;
    RelayInputTrack *t = &input->tracks[track];
    TkRtcpReport block;
    if (!relay_receiver_report(&t->receiver, &block))
        return;
    if (t->report.known) {
        gint64 delay = relay_ticks_from_ns(now_ns - t->report.arrived_ns, 65536);
        block.last_sr = (guint32)(t->report.ntp >> 16);
        block.delay_since_sr = (guint32)CLAMP(delay, 0, G_MAXUINT32);
    }
    tk_rtcp_put_receiver_report(out, t->report_ssrc, &block, 1);
    tk_rtcp_put_sdes(out, t->report_ssrc, CNAME);
}

void relay_input_nack(RelayInput *input, guint track, gint64 now_ns, GByteArray *out)
{
    guint16 sequences[RELAY_WANTED_MAX];
    RelayInputTrack *t = &input->tracks[track];
    guint count = track < input->count ? relay_wanted_due(&t->wanted, now_ns, sequences) : 0;
    if (count == 0)
        return;
    tk_rtcp_put_receiver_report(out, t->report_ssrc, NULL, 0);
    tk_rtcp_put_sdes(out, t->report_ssrc, CNAME);
    tk_rtcp_put_nack(out, t->report_ssrc, t->receiver.ssrc, sequences, count);
}

const RelayStreamFormat *relay_input_format(const RelayInput *input)
{
    return input->packager ? relay_packager_format(input->packager) : NULL;
}

const guint8 *relay_input_config(const RelayInput *input, guint track, gsize *ret_bytes)
{
    const RelayInputTrack *t = &input->tracks[track];
    if (track < input->count && t->format.kind == TK_TRACK_AUDIO) {
        *ret_bytes = t->format.aac.config_bytes;
        return t->format.aac.config;
    }
    if (track >= input->count || !t->config)
        return NULL;
    return g_bytes_get_data(t->config, ret_bytes);
}

static gboolean note_delay(const RelayInputTrack *t, gint64 *ret_delay_ns)
{
    const RelayInput *input = t->input;
    gint64 wall_ns;
    guint32 timestamp;
    if (!input || !t->renumber.started || !input->has_wall ||
        !relay_timeline_point(&input->timeline, t->index, &wall_ns, &timestamp))
        return FALSE;
    gint64 since = (gint32)(t->renumber.newest_timestamp - timestamp);
    gint64 captured_ns = wall_ns + since * TK_NS_PER_S / t->renumber.clock_rate;
    *ret_delay_ns = t->renumber.newest_ns + input->wall_offset_ns - captured_ns;
    return TRUE;
}

void relay_input_stats(const RelayInput *input, guint track, RelayInputStats *ret)
{
    const RelayInputTrack *t = &input->tracks[track];
    *ret = t->stats;
    ret->lost = relay_receiver_lost(&t->receiver);
    ret->has_delay = note_delay(t, &ret->delay_ns);
    ret->wanted = t->reorder.started ? (guint16)((gint64)t->reorder.next - t->renumber.number_shift)
                                     : (guint16)(t->receiver.highest + 1);
    ret->asked = t->wanted.asked;
    ret->repaired = t->wanted.repaired;
    ret->jitter_ns = (guint64)relay_receiver_jitter_ns(&t->receiver);
    ret->frames_dropped = t->dropped_earlier + (t->h264 ? tk_h264_depay_dropped(t->h264) : 0) +
                          (t->aac ? tk_aac_depay_dropped(t->aac) : 0);
    if (input->packager) {
        ret->frames_dropped += relay_packager_dropped(input->packager, track);
        ret->chunks = relay_packager_chunks(input->packager);
    }
}
