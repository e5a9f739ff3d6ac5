// SPDX-License-Identifier: MIT
#include "relay/core/input.h"

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "relay/core/arrival.h"
#include "relay/core/decode.h"
#include "relay/core/input_part.h"
#include "relay/core/keyframe.h"
#include "relay/core/packet_copy.h"
#include "relay/core/ticks.h"
#include "relay/core/video_config.h"

#define PACKET_BYTES_MAX 65535 // of a datagram, and of an interleaved frame
// A patient input's source is silent after this: longer than pictures and sounds are apart.
#define SILENCE_NS (300 * TK_NS_PER_MS)
#define VIDEO_PAYLOAD_TYPE 96
#define AUDIO_PAYLOAD_TYPE 97

RelayInput *relay_input_new(gint64 epoch_wall_ns, guint64 seed, const RelayInputSink *sink,
                            void *user)
{
    RelayInput *input = g_new0(RelayInput, 1);
    guint32 words[2] = {(guint32)seed, (guint32)(seed >> 32)};
    input->random = g_rand_new_with_seed_array(words, G_N_ELEMENTS(words));
    input->sink = *sink;
    input->user = user;
    input->epoch_wall_ns = epoch_wall_ns;
    relay_hold_init(&input->hold);
    return input;
}

static void drop_depacketisers(RelayInputTrack *t)
{
    if (t->h264)
        t->dropped_earlier += tk_h264_depay_dropped(t->h264);
    if (t->aac)
        t->dropped_earlier += tk_aac_depay_dropped(t->aac);
    g_clear_pointer(&t->h264, tk_h264_depay_free);
    g_clear_pointer(&t->aac, tk_aac_depay_free);
}

void relay_input_free(RelayInput *input)
{
    if (!input)
        return;
    for (guint i = 0; i < input->count; i++) {
        drop_depacketisers(&input->tracks[i]);
        relay_reorder_clear(&input->tracks[i].reorder);
        g_clear_pointer(&input->tracks[i].config, g_bytes_unref);
    }
    relay_hold_clear(&input->hold);
    relay_packager_free(input->packager);
    relay_packager_free(input->sound);
    g_rand_free(input->random);
    g_free(input);
}

// The wall clock at the first call, carried on by the monotonic one: a step of the wall clock in
// the middle of a lesson must not show in media times.
static void enter(RelayInput *input, gint64 now_ns, gint64 wall_ns)
{
    if (!input->has_wall)
        input->wall_offset_ns = wall_ns - now_ns;
    input->has_wall = TRUE;
    input->now_ns = now_ns;
    input->wall_ns = now_ns + input->wall_offset_ns;
}

// Frames to samples

// Whether the picture goes on.
static gboolean joins(RelayInput *input, const RelaySample *sample)
{
    guint32 clock_rate = input->tracks[sample->track].format.clock_rate;
    RelayJoinPlace place =
        input->join.open ? relay_join_look(&input->join, sample, clock_rate) : RELAY_JOIN_BEHIND;
    if (place == RELAY_JOIN_LAST)
        relay_packager_go_on(input->packager);
    if (place == RELAY_JOIN_BEHIND)
        relay_join_note(&input->join, sample);
    return place == RELAY_JOIN_BEHIND;
}

static void package(RelayInput *input, guint track, const TkFrame *frame, GBytes *config,
                    gint64 wall_ns)
{
    RelayTimeline *timeline = &input->timeline;
    const RelayInputTrack *t = &input->tracks[track];
    RelaySample sample = {
        .track = track,
        .presentation = relay_timeline_place(timeline, track, frame->rtp_timestamp, wall_ns),
        .captured_wall_ns = relay_timeline_captured(timeline, track, frame->rtp_timestamp),
        .key = frame->key,
        .data = frame->data,
        .size = frame->size,
        .config = config,
    };
    gboolean video = t->format.kind == TK_TRACK_VIDEO;
    if (video && input->relayed && !joins(input, &sample))
        return;
    if (input->relayed && (video || input->count == 1))
        input->ahead_ns = relay_ticks_to_ns(sample.presentation, t->format.clock_rate) -
                          (sample.captured_wall_ns - input->epoch_wall_ns);
    relay_packager_push(input->packager, &sample, input->now_ns);
    if (!input->sound || video)
        return;
    sample.track = 0;
    relay_packager_push(input->sound, &sample, input->now_ns);
}

static gint64 given_out_ns(const RelayInput *input)
{
    gint64 end_ns = relay_packager_end_ns(input->packager);
    return input->sound ? MAX(end_ns, relay_packager_end_ns(input->sound)) : end_ns;
}

static gint64 decode_lead_ns(GBytes *config)
{
    RelayVideoConfig c;
    if (!config || !relay_video_config_parse(config, &c))
        return 0;
    RelayDecode decode;
    relay_decode_start(&decode, c.sps.reorder_frames);
    return relay_decode_lead(&decode, c.frame_ns);
}

// Media time of the first decoding, as far as what is held tells: pictures decide where there are
// any, since sound before them is dropped.
static gint64 held_start_ns(const RelayInput *input)
{
    gint64 start_ns = G_MAXINT64;
    for (guint i = 0; i < input->count; i++) {
        const RelayHeldFrame *first = relay_hold_first(&input->hold, i);
        if (!first)
            continue;
        gint64 ns = relay_timeline_preview(&input->timeline, i, first->frame.rtp_timestamp);
        if (input->tracks[i].format.kind == TK_TRACK_VIDEO)
            return ns - decode_lead_ns(first->config);
        start_ns = MIN(start_ns, ns);
    }
    return start_ns;
}

// What a sender has kept since before the lesson began is left out by the packager, not moved: so
// streams stay in step. Who is so early that no wait explains it has a wrong clock.
static gboolean is_kept_from_before(const RelayInput *input, gint64 start_ns, gint64 floor_ns)
{
    return floor_ns == 0 && start_ns >= -RELAY_TIMELINE_JUMP_NS &&
           relay_timeline_settled(&input->timeline);
}

// So is what came by another relay before.
static gboolean is_known_by_now(const RelayInput *input, gint64 floor_ns)
{
    return input->relayed && floor_ns > 0 && relay_timeline_settled(&input->timeline);
}

// The sender's clock is as well known as it will be: its media times are fixed, so that they lie
// behind everything given out before, and what was held goes on.
static void release(RelayInput *input)
{
    input->holding = FALSE;
    for (guint i = 0; i < input->count; i++) {
        if (input->tracks[i].format.kind == TK_TRACK_VIDEO && !input->timeline.tracks[i].has_report)
            relay_arrival_anchor(&input->timeline, i, &input->hold);
    }
    gint64 floor_ns = given_out_ns(input);
    gboolean known = is_known_by_now(input, floor_ns);
    if (known) // a camera's clock drifts away from the reports that its media time was fixed by
        relay_timeline_move(&input->timeline, input->ahead_ns);
    gint64 start_ns = held_start_ns(input);
    if (start_ns < floor_ns && !known && !is_kept_from_before(input, start_ns, floor_ns))
        relay_timeline_move(&input->timeline, floor_ns - start_ns);
    for (;;) {
        g_autoptr(RelayHeldFrame) held = relay_hold_pop(&input->hold);
        if (!held)
            break;
        package(input, held->track, &held->frame, held->config, held->wall_ns);
    }
}

static void release_when_due(RelayInput *input)
{
    if (!input->holding || !input->has_packet)
        return;
    if (relay_timeline_settled(&input->timeline) || relay_hold_full(&input->hold) ||
        input->now_ns - input->first_packet_ns >= RELAY_HOLD_WAIT_NS)
        release(input);
}

static void note_config(RelayInputTrack *t)
{
    gsize size;
    const guint8 *data = tk_h264_depay_config(t->h264, &size, NULL);
    if (!data || (t->config && g_bytes_get_size(t->config) == size &&
                  memcmp(g_bytes_get_data(t->config, NULL), data, size) == 0))
        return;
    g_clear_pointer(&t->config, g_bytes_unref);
    t->config = g_bytes_new(data, size);
}

static void on_frame(const TkFrame *frame, void *user_data)
{
    RelayInputTrack *t = user_data;
    RelayInput *input = t->input;
    GBytes *config = NULL;
    if (t->h264 && (frame->key || frame->config_changed)) {
        note_config(t);
        config = t->config;
    }
    if (input->holding)
        relay_hold_push(&input->hold, t->index, frame, config, input->wall_ns);
    else
        package(input, t->index, frame, config, input->wall_ns);
    release_when_due(input);
}

// Packets to frames

static void depacketise(RelayInputTrack *t, const RelayUnit *packet, gboolean lost_before)
{
    TkRtp rtp;
    if (!tk_rtp_parse(packet->data, packet->bytes, &rtp))
        return;
    if (t->h264)
        tk_h264_depay_push(t->h264, &rtp, lost_before || t->lost);
    else
        tk_aac_depay_push(t->aac, &rtp, lost_before || t->lost);
    t->lost = FALSE;
}

static void deliver(RelayInputTrack *t, gint64 now_ns)
{
    gboolean lost_before;
    // A line that is cut loses nothing yet: time stands still for what is missing.
    if (t->input->patient && now_ns != G_MAXINT64)
        now_ns = MIN(now_ns, t->renumber.newest_ns + SILENCE_NS);
    t->reorder.wait_ns = relay_wanted_wait_ns(&t->wanted);
    for (;;) {
        g_autoptr(RelayUnit) packet = relay_reorder_pop(&t->reorder, now_ns, &lost_before);
        if (!packet)
            break;
        depacketise(t, packet, lost_before);
    }
}

static void put_in_order(RelayInputTrack *t, RelayUnit *packet, gint64 now_ns)
{
    if (!relay_reorder_fits(&t->reorder, packet))
        deliver(t, G_MAXINT64);
    if (!relay_reorder_push(&t->reorder, packet))
        t->stats.late++;
    deliver(t, now_ns);
}

// Datagrams to packets

static void apply_report(RelayInputTrack *t)
{
    const RelaySenderReport *r = &t->report;
    if (!r->known || !t->receiver.has_source || r->ssrc != t->receiver.ssrc || !r->ntp)
        return;
    relay_timeline_report(&t->input->timeline, t->index,
                          relay_renumber_timestamp(&t->renumber, r->rtp_timestamp),
                          tk_clock_wall_from_ntp(r->ntp), r->wall_ns);
}

static gboolean is_key_start(RelayInputTrack *t, const TkRtp *rtp, guint32 timestamp)
{
    if (t->format.kind == TK_TRACK_AUDIO)
        return t->input->count == 1;
    if ((t->has_key && t->key_timestamp == timestamp) ||
        !relay_keyframe_starts(rtp->payload, rtp->payload_bytes))
        return FALSE;
    t->has_key = TRUE;
    t->key_timestamp = timestamp;
    return TRUE;
}

static void place_packet(RelayInputTrack *t, const TkRtp *rtp, gint64 sequence, RelayUnit *packet)
{
    guint32 timestamp;
    gint64 now_ns = t->input->now_ns;
    guint64 number =
        relay_renumber_packet(&t->renumber, sequence, rtp->timestamp, now_ns, &timestamp);
    tk_rtp_rewrite(packet->data, t->renumber.payload_type, (guint16)number, timestamp,
                   t->renumber.ssrc);
    packet->number = number;
    packet->rtp_timestamp = timestamp;
    packet->arrived_ns = now_ns;
    if (is_key_start(t, rtp, timestamp)) {
        packet->flags |= RELAY_UNIT_KEY;
        if (relay_keyframe_configures(rtp->payload, rtp->payload_bytes))
            packet->flags |= RELAY_UNIT_CONFIG;
    }
    if (rtp->marker)
        packet->flags |= RELAY_UNIT_FRAME_END;
    if (t->format.kind == TK_TRACK_AUDIO)
        packet->flags |= RELAY_UNIT_SOUND;
}

// A source ends and another begins: what waits for its missing packets waits no longer.
static void change_source(RelayInputTrack *t, const TkRtp *rtp, gint64 sequence,
                          gboolean same_clock)
{
    deliver(t, G_MAXINT64);
    t->lost = TRUE;
    relay_wanted_start(&t->wanted, t->wanted.enabled);
    relay_renumber_source(&t->renumber, sequence, rtp->timestamp, same_clock, t->input->now_ns);
}

static gboolean accept(RelayInputTrack *t, const TkRtp *rtp, gint64 *ret_sequence)
{
    switch (relay_receiver_take(&t->receiver, rtp, t->input->now_ns, ret_sequence)) {
    case RELAY_RECEIVE_OK:
        return TRUE;
    case RELAY_RECEIVE_NEW_SOURCE:
        change_source(t, rtp, *ret_sequence, FALSE);
        return TRUE;
    case RELAY_RECEIVE_RESUMED:
        change_source(t, rtp, *ret_sequence, TRUE);
        return TRUE;
    case RELAY_RECEIVE_DUPLICATE:
        t->stats.duplicate++;
        return FALSE;
    case RELAY_RECEIVE_LATE:
        t->stats.late++;
        return FALSE;
    case RELAY_RECEIVE_FOREIGN:
        t->stats.foreign++;
        return FALSE;
    }
    return FALSE;
}

// A retransmission goes on as the packet that it repeats.
static gboolean take_retransmission(RelayInputTrack *t, const guint8 *data, gsize size,
                                    const TkRtp *rtp)
{
    gsize bytes;
    g_autofree guint8 *original = relay_wanted_restore(
        &t->wanted, data, size, rtp, t->format.payload_type, t->receiver.ssrc, &bytes);
    if (original)
        return relay_input_rtp(t->input, t->index, original, bytes, t->input->now_ns,
                               t->input->wall_ns);
    t->stats.duplicate++;
    return FALSE;
}

gboolean relay_input_rtp(RelayInput *input, guint track, const guint8 *data, gsize size,
                         gint64 now_ns, gint64 wall_ns)
{
    if (!input->present || track >= input->count)
        return FALSE;
    enter(input, now_ns, wall_ns);
    RelayInputTrack *t = &input->tracks[track];
    TkRtp rtp;
    if (size > PACKET_BYTES_MAX || !tk_rtp_parse(data, size, &rtp)) {
        t->stats.malformed++;
        return FALSE;
    }
    if (t->format.rtx_payload_type && rtp.payload_type == t->format.rtx_payload_type) {
        return take_retransmission(t, data, size, &rtp);
    }
    g_autoptr(RelayUnit) packet = relay_packet_copy(&rtp, data, size, t->format.latm);
    gint64 sequence;
    if (!packet)
        t->stats.malformed++;
    if (!packet || !accept(t, &rtp, &sequence))
        return FALSE;
    relay_wanted_arrived(&t->wanted, sequence, now_ns);
    t->stats.packets++;
    t->stats.bytes += size;
    if (!input->has_packet)
        input->first_packet_ns = now_ns;
    input->has_packet = TRUE;

    place_packet(t, &rtp, sequence, packet);
    gboolean first = !input->timeline.tracks[track].has_packet;
    relay_timeline_packet(&input->timeline, track, packet->rtp_timestamp, input->wall_ns);
    if (first)
        apply_report(t);
    input->sink.on_packet(input->user, track, relay_unit_ref(packet));
    put_in_order(t, packet, now_ns);
    release_when_due(input);
    return TRUE;
}

void relay_input_rtcp(RelayInput *input, guint track, const guint8 *data, gsize size, gint64 now_ns,
                      gint64 wall_ns)
{
    if (!input->present || track >= input->count)
        return;
    enter(input, now_ns, wall_ns);
    RelayInputTrack *t = &input->tracks[track];
    TkRtcp rtcp;
    gsize offset = 0;
    while (tk_rtcp_next(data, size, &offset, &rtcp)) {
        if (rtcp.type != TK_RTCP_SENDER_REPORT ||
            (t->receiver.has_source && rtcp.ssrc != t->receiver.ssrc))
            continue;
        t->report = (RelaySenderReport){.known = TRUE,
                                        .ssrc = rtcp.ssrc,
                                        .rtp_timestamp = rtcp.rtp_timestamp,
                                        .ntp = rtcp.ntp,
                                        .arrived_ns = now_ns,
                                        .wall_ns = input->wall_ns};
        apply_report(t);
    }
    if (offset != size)
        t->stats.malformed++;
    release_when_due(input);
}

void relay_input_tick(RelayInput *input, gint64 now_ns, gint64 wall_ns)
{
    if (!input->present)
        return;
    enter(input, now_ns, wall_ns);
    for (guint i = 0; i < input->count; i++)
        deliver(&input->tracks[i], now_ns);
    release_when_due(input);
    if (input->holding)
        return;
    relay_packager_tick(input->packager, now_ns);
    if (input->sound)
        relay_packager_tick(input->sound, now_ns);
}

// Senders

static gboolean formats_are_usable(const RelayInput *input, const RelayTrackFormat *formats,
                                   guint count)
{
    if (count == 0 || count > RELAY_INPUT_TRACKS_MAX || (input->count && count != input->count))
        return FALSE;
    if (count == 2 && formats[0].kind == formats[1].kind)
        return FALSE;
    for (guint i = 0; i < count; i++) {
        const RelayTrackFormat *known = &input->tracks[i].format;
        if (!relay_track_format_usable(&formats[i]))
            return FALSE;
        if (input->count &&
            (known->kind != formats[i].kind || known->clock_rate != formats[i].clock_rate))
            return FALSE;
    }
    return TRUE;
}

static guint sound_track(const RelayTrackFormat *formats)
{
    return formats[0].kind == TK_TRACK_AUDIO ? 0 : 1;
}

// Beside pictures the sound is packaged a second time, for viewers whose lines carry no more.
static RelayPackager *make_sound(const RelayInput *input, const RelayTrackFormat *formats)
{
    RelayInputSink sink = {.on_init = input->sink.on_sound_init,
                           .on_chunk = input->sink.on_sound_chunk};
    return sink.on_chunk ? relay_packager_new(&formats[sound_track(formats)], 1,
                                              RELAY_PACKAGER_SOUND_CHUNK_NS, &sink, input->user)
                         : NULL;
}

static void first_begin(RelayInput *input, const RelayTrackFormat *formats, guint count)
{
    input->count = count;
    input->packager =
        relay_packager_new(formats, count, RELAY_PACKAGER_CHUNK_NS, &input->sink, input->user);
    input->sound = count == 2 ? make_sound(input, formats) : NULL;
    for (guint i = 0; i < count; i++) {
        RelayInputTrack *t = &input->tracks[i];
        gboolean video = formats[i].kind == TK_TRACK_VIDEO;
        t->input = input;
        t->index = i;
        t->report_ssrc = g_rand_int(input->random);
        guint32 ssrc = g_rand_int(input->random), timestamp = g_rand_int(input->random);
        relay_renumber_init(&t->renumber, video ? VIDEO_PAYLOAD_TYPE : AUDIO_PAYLOAD_TYPE, ssrc,
                            formats[i].clock_rate, (guint16)g_rand_int(input->random), timestamp);
    }
}

static gboolean start_track(RelayInputTrack *t, const RelayTrackFormat *format, gboolean ordered)
{
    TkH264Depay *h264 = NULL;
    TkAacDepay *aac = NULL;
    if (format->kind == TK_TRACK_VIDEO) {
        h264 = tk_h264_depay_new(on_frame, t);
        tk_h264_depay_set_sprop(h264, format->sprop);
    } else {
        guint64 ticks = (guint64)format->aac.frame_samples * format->clock_rate / format->aac.rate;
        TkAacMode mode = format->latm ? TK_AAC_MODE_HBR : format->aac_mode;
        aac = tk_aac_depay_new(mode, (guint)ticks, on_frame, t);
    }
    t->format = *format;
    t->h264 = h264;
    t->aac = aac;
    t->report.known = FALSE;
    t->lost = FALSE;
    relay_receiver_start(&t->receiver, format->payload_type, format->clock_rate);
    relay_reorder_start(&t->reorder, ordered);
    relay_wanted_start(&t->wanted, format->nack && !ordered);
    return h264 || aac;
}

gboolean relay_input_begin(RelayInput *input, const RelayTrackFormat *formats, guint count,
                           gboolean ordered, gint64 now_ns, gint64 wall_ns)
{
    if (!formats_are_usable(input, formats, count))
        return FALSE;
    relay_input_end(input, now_ns);
    enter(input, now_ns, wall_ns);
    if (!input->count)
        first_begin(input, formats, count);
    gboolean usable = TRUE;
    for (guint i = 0; i < count; i++)
        usable = start_track(&input->tracks[i], &formats[i], ordered) && usable;
    if (!usable) {
        for (guint i = 0; i < count; i++)
            drop_depacketisers(&input->tracks[i]);
        return FALSE;
    }
    relay_timeline_start(&input->timeline, input->epoch_wall_ns, formats, count);
    relay_packager_start(input->packager, formats, now_ns);
    if (input->sound)
        relay_packager_start(input->sound, &formats[sound_track(formats)], now_ns);
    input->present = input->holding = TRUE;
    input->patient = input->relayed = FALSE;
    input->has_packet = FALSE;
    return TRUE;
}

void relay_input_be_patient(RelayInput *input)
{
    input->patient = TRUE;
}

void relay_input_is_relayed(RelayInput *input)
{
    input->relayed = TRUE;
    relay_join_open(&input->join);
}

void relay_input_end(RelayInput *input, gint64 now_ns)
{
    if (!input->present)
        return;
    enter(input, now_ns, 0);
    for (guint i = 0; i < input->count; i++)
        deliver(&input->tracks[i], G_MAXINT64);
    if (input->holding)
        release(input);
    relay_packager_flush(input->packager, now_ns);
    if (input->sound)
        relay_packager_flush(input->sound, now_ns);
    for (guint i = 0; i < input->count; i++)
        drop_depacketisers(&input->tracks[i]);
    input->present = FALSE;
}
