// SPDX-License-Identifier: MIT
#include "tests/sim/source.h"

#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "common/media/rtcp.h"
#include "common/media/rtp.h"

#define FRAME_MS 40
#define KEY_EVERY 50
#define KEY_BYTES 20000
#define PICTURE_BYTES 2300
#define REPORT_EVERY_MS 500
#define RTX_PAYLOAD_TYPE 99

static void arrive(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Source *s = to;
    gsize size;
    const guint8 *data = g_bytes_get_data(event->bytes, &size);
    gint64 now_ns = now_ms * TK_NS_PER_MS, wall_ns = s->epoch_wall_ns + now_ns;
    if (event->packet.report)
        relay_input_rtcp(s->input, event->packet.track, data, size, now_ns, wall_ns);
    else
        relay_input_rtp(s->input, event->packet.track, data, size, now_ns, wall_ns);
}

static void send(Source *s, guint track, gboolean report, GBytes *bytes, gint64 now_ms)
{
    gint64 at_ms = net_line_put(&s->out, g_bytes_get_size(bytes), now_ms);
    NetEvent event = {arrive, s, bytes, {.track = (guint8)track, .report = report}};
    if (at_ms == NET_LOST)
        g_bytes_unref(bytes);
    else
        net_wheel_put(s->wheel, &event, at_ms);
}

static void send_frame(Source *s, guint track, gint64 ticks, gboolean key, gsize size,
                       gint64 now_ms)
{
    guint16 sequence = s->senders[track].sequence;
    g_autoptr(GPtrArray) packets = sender_frame(&s->senders[track], ticks, key, size);
    for (guint i = 0; i < packets->len; i++) {
        GBytes **kept = &s->kept[track][(guint16)(sequence + i) % SOURCE_KEPT];
        g_clear_pointer(kept, g_bytes_unref);
        *kept = g_bytes_ref(packets->pdata[i]);
        send(s, track, FALSE, g_bytes_ref(packets->pdata[i]), now_ms);
    }
}

void source_init(Source *source, NetWheel *wheel, const NetSpec *line, RelayInput *input,
                 gint64 epoch_wall_ns, guint32 seed)
{
    *source = (Source){.wheel = wheel,
                       .out = net_line(line, seed, 1),
                       .random = net_random(seed, 2),
                       .input = input,
                       .epoch_wall_ns = epoch_wall_ns};
    sender_formats(&source->formats[0], &source->formats[1]);
    for (guint t = 0; t < 2; t++) {
        source->formats[t].nack = TRUE;
        // Every other sender has retransmission packets (RFC 4588).
        source->formats[t].rtx_payload_type = seed % 2 ? RTX_PAYLOAD_TYPE : 0;
    }
}

void source_clear(Source *source)
{
    for (guint t = 0; t < 2; t++)
        for (guint i = 0; i < SOURCE_KEPT; i++)
            g_clear_pointer(&source->kept[t][i], g_bytes_unref);
}

void source_begin(Source *source, gint64 now_ms)
{
    Source *s = source;
    gint64 now_ns = now_ms * TK_NS_PER_MS;
    source_clear(s);
    for (guint t = 0; t < 2; t++)
        s->senders[t] = (Sender){.kind = t ? TK_TRACK_AUDIO : TK_TRACK_VIDEO,
                                 .ssrc = net_random_below(&s->random, G_MAXUINT32),
                                 .timestamp_base = net_random_below(&s->random, G_MAXUINT32),
                                 .sequence = (guint16)net_random_below(&s->random, 65536)};
    s->present =
        relay_input_begin(s->input, s->formats, 2, FALSE, now_ns, s->epoch_wall_ns + now_ns);
    g_assert_true(s->present);
    s->began_ms = now_ms;
    s->pictures = s->sounds = 0;
}

void source_end(Source *source, gint64 now_ms)
{
    relay_input_end(source->input, now_ms * TK_NS_PER_MS);
    source->present = FALSE;
}

void source_step(Source *source, gint64 now_ms)
{
    Source *s = source;
    gint64 ms = now_ms - s->began_ms;
    if (!s->present)
        return;
    for (guint t = 0; ms % REPORT_EVERY_MS == 0 && t < 2; t++)
        send(s, t, TRUE,
             g_byte_array_free_to_bytes(sender_report(&s->senders[t], ms * (t ? 48 : 90),
                                                      s->epoch_wall_ns + now_ms * TK_NS_PER_MS)),
             now_ms);
    if (ms >= s->pictures * FRAME_MS) {
        gboolean key = s->pictures % KEY_EVERY == 0;
        gsize size =
            key ? KEY_BYTES : PICTURE_BYTES / 2 + net_random_below(&s->random, PICTURE_BYTES);
        send_frame(s, 0, s->pictures * FRAME_MS * 90, key, size, now_ms);
        s->pictures++;
    }
    if (ms * 48 >= s->sounds * 1024) {
        send_frame(s, 1, s->sounds * 1024, TRUE, 150 + net_random_below(&s->random, 100), now_ms);
        s->sounds++;
    }
}

static GBytes *retransmission(Source *s, GBytes *original)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(original, &size);
    TkRtp rtp;
    gboolean valid = tk_rtp_parse(data, size, &rtp);
    g_assert_true(valid);
    GByteArray *out = g_byte_array_new();
    g_byte_array_append(out, data, TK_RTP_HEADER_BYTES);
    tk_put(out, rtp.sequence, 2);
    g_byte_array_append(out, data + TK_RTP_HEADER_BYTES, (guint)(size - TK_RTP_HEADER_BYTES));
    tk_rtp_rewrite(out->data, RTX_PAYLOAD_TYPE, s->again_sequence++, rtp.timestamp, ~rtp.ssrc);
    return g_byte_array_free_to_bytes(out);
}

void source_asked(Source *source, guint track, GBytes *rtcp, gint64 now_ms)
{
    Source *s = source;
    gsize size, offset = 0, cursor = 0;
    const guint8 *data = g_bytes_get_data(rtcp, &size);
    TkRtcp part;
    guint16 sequence;
    while (s->present && tk_rtcp_next(data, size, &offset, &part)) {
        if (part.type != TK_RTCP_NACK || part.media_ssrc != s->senders[track].ssrc)
            continue;
        while (tk_rtcp_nack_next(&part, &cursor, &sequence)) {
            GBytes *kept = s->kept[track][sequence % SOURCE_KEPT];
            if (kept && (guint16)(s->senders[track].sequence - sequence) <= SOURCE_KEPT)
                send(s, track, FALSE,
                     s->formats[track].rtx_payload_type ? retransmission(s, kept)
                                                        : g_bytes_ref(kept),
                     now_ms);
        }
    }
}
