// SPDX-License-Identifier: MIT
#include "tests/sim/studio.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "common/media/rtp.h"

#define MARK 0x7b7d
#define MARK_BYTES 9
enum { MARK_KEY = 1, MARK_LAST = 2 };

#define REPORT_EVERY_MS 1000
#define STAP_A 0x78

static const struct {
    guint every; // of main's pictures
    guint key_bytes, picture_bytes;
} sizes[STUDIO_STREAMS] = {{1, 40000, 5200}, {2, 9000, 1500}};
#define SOUND_BYTES 85
#define SOUND_SPREAD 20

gboolean studio_read_mark(const guint8 *data, gsize bytes, StudioMark *ret)
{
    if (bytes < MARK_BYTES)
        return FALSE;
    TkReader r = tk_reader(data + bytes - MARK_BYTES, MARK_BYTES);
    if (tk_reader_u16(&r) != MARK)
        return FALSE;
    ret->stream = tk_reader_u8(&r);
    ret->frame = tk_reader_u32(&r);
    ret->part = tk_reader_u8(&r);
    guint flags = tk_reader_u8(&r);
    ret->key = (flags & MARK_KEY) != 0;
    ret->last = (flags & MARK_LAST) != 0;
    return TRUE;
}

static void put_mark(GByteArray *packet, const StudioMark *m)
{
    g_byte_array_set_size(packet, packet->len - MARK_BYTES);
    tk_put(packet, MARK, 2);
    tk_put(packet, m->stream, 1);
    tk_put(packet, m->frame, 4);
    tk_put(packet, m->part, 1);
    tk_put(packet, (m->key ? MARK_KEY : 0u) | (m->last ? MARK_LAST : 0u), 1);
}

// SPS and PPS in one packet (RFC 6184 section 5.7.1).
static GByteArray *config_payload(const char *sprop)
{
    g_auto(GStrv) sets = g_strsplit(sprop, ",", 2);
    GByteArray *out = g_byte_array_new();
    tk_put(out, STAP_A, 1);
    for (guint i = 0; i < 2; i++) {
        gsize bytes;
        g_autofree guint8 *set = g_base64_decode(sets[i], &bytes);
        tk_put(out, bytes, 2);
        g_byte_array_append(out, set, (guint)bytes);
    }
    return out;
}

static void formats_of(StudioStream stream, RelayTrackFormat ret[2])
{
    sender_formats(&ret[0], &ret[1]);
    if (stream == STUDIO_LOW)
        g_strlcpy(ret[0].sprop, sender_other_sprop, sizeof ret[0].sprop);
}

gboolean studio_is_config(const guint8 *data, gsize bytes, StudioStream stream)
{
    RelayTrackFormat formats[2];
    formats_of(stream, formats);
    g_autoptr(GByteArray) expected = config_payload(formats[0].sprop);
    return bytes == expected->len && memcmp(data, expected->data, bytes) == 0;
}

gint64 studio_made_ms(guint track, guint frame)
{
    return track ? (gint64)frame * STUDIO_SOUND_TICKS / 48 : (gint64)frame * STUDIO_FRAME_MS;
}

static void arrive(gpointer to, const NetEvent *event, gint64 now_ms)
{
    const Studio *s = to;
    gsize size;
    const guint8 *data = g_bytes_get_data(event->bytes, &size);
    gint64 now_ns = now_ms * TK_NS_PER_MS, wall_ns = s->epoch_wall_ns + now_ns;
    RelayInput *input = s->streams[event->packet.number].input;
    if (!s->streams[event->packet.number].present)
        return;
    if (event->packet.report)
        relay_input_rtcp(input, event->packet.track, data, size, now_ns, wall_ns);
    else
        relay_input_rtp(input, event->packet.track, data, size, now_ns, wall_ns);
}

static void put_on_line(Studio *s, StudioStream stream, guint track, gboolean report,
                        GByteArray *bytes, gint64 now_ms)
{
    gint64 at_ms = net_line_put(&s->streams[stream].out, bytes->len, now_ms);
    NetEvent event = {arrive,
                      s,
                      g_byte_array_free_to_bytes(bytes),
                      {.number = stream, .track = (guint8)track, .report = report}};
    g_assert_true(at_ms != NET_LOST);
    net_wheel_put(s->wheel, &event, at_ms);
}

static void send_config(Studio *s, StudioStream stream, guint32 ticks, gint64 now_ms)
{
    Sender *sender = &s->streams[stream].senders[0];
    g_autoptr(GByteArray) sets = config_payload(s->streams[stream].formats[0].sprop);
    GByteArray *out = g_byte_array_new();
    tk_put(out, 0x80, 1);
    tk_put(out, s->streams[stream].formats[0].payload_type, 1);
    tk_put(out, sender->sequence++, 2);
    tk_put(out, sender->timestamp_base + ticks, 4);
    tk_put(out, sender->ssrc, 4);
    g_byte_array_append(out, sets->data, sets->len);
    put_on_line(s, stream, 0, FALSE, out, now_ms);
}

static void send_frame(Studio *s, StudioStream stream, guint track, StudioMark mark, gsize bytes,
                       gint64 now_ms)
{
    gsize rest = (bytes - 2) % SENDER_PAYLOAD_BYTES;
    guint32 ticks = mark.frame * (guint32)(track ? STUDIO_SOUND_TICKS : STUDIO_FRAME_TICKS);
    if (track == 0 && rest < 2 * MARK_BYTES) // each packet has room for its mark
        bytes += 2 * MARK_BYTES;
    if (track == 0 && mark.key)
        send_config(s, stream, ticks, now_ms);
    g_autoptr(GPtrArray) packets =
        sender_frame(&s->streams[stream].senders[track], ticks, mark.key, bytes);
    for (guint i = 0; i < packets->len; i++) {
        GByteArray *packet = g_bytes_unref_to_array(g_bytes_ref(packets->pdata[i]));
        mark.part = i;
        mark.last = i + 1 == packets->len;
        put_mark(packet, &mark);
        put_on_line(s, stream, track, FALSE, packet, now_ms);
    }
}

void studio_init(Studio *studio, const StudioPlan *plan, NetWheel *wheel, gint64 epoch_wall_ns,
                 RelayInput *main, RelayInput *low, guint32 seed)
{
    *studio = (Studio){.plan = plan,
                       .wheel = wheel,
                       .random = net_random(seed, 1),
                       .epoch_wall_ns = epoch_wall_ns};
    studio->streams[STUDIO_MAIN].input = main;
    studio->streams[STUDIO_LOW].input = low;
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        studio->streams[i].out = net_line(&plan->line[i], seed, 2 + i);
        formats_of(i, studio->streams[i].formats);
    }
}

static void begin(Studio *s, StudioStream stream, gint64 now_ms)
{
    gint64 now_ns = now_ms * TK_NS_PER_MS;
    for (guint t = 0; t < 2; t++)
        s->streams[stream].senders[t] =
            (Sender){.kind = t ? TK_TRACK_AUDIO : TK_TRACK_VIDEO,
                     .ssrc = net_random_below(&s->random, G_MAXUINT32),
                     .timestamp_base = net_random_below(&s->random, G_MAXUINT32),
                     .sequence = (guint16)net_random_below(&s->random, 65536)};
    s->streams[stream].present =
        relay_input_begin(s->streams[stream].input, s->streams[stream].formats, 2, FALSE, now_ns,
                          s->epoch_wall_ns + now_ns);
    g_assert_true(s->streams[stream].present);
}

static void come_and_go(Studio *s, gint64 now_ms)
{
    const StudioPlan *p = s->plan;
    if (now_ms == 1)
        begin(s, STUDIO_MAIN, now_ms);
    if (now_ms == 1 + p->late_ms || (p->back_ms && now_ms == p->back_ms))
        begin(s, STUDIO_LOW, now_ms);
    if (p->gone_ms && now_ms == p->gone_ms) {
        s->streams[STUDIO_LOW].present = FALSE;
        relay_input_end(s->streams[STUDIO_LOW].input, now_ms * TK_NS_PER_MS);
    }
}

static void send_reports(Studio *s, StudioStream stream, gint64 now_ms)
{
    for (guint t = 0; t < 2; t++) {
        gint64 off_ns =
            s->plan->shake_ns
                ? (gint64)(net_random_double(&s->random) * 2 * (double)s->plan->shake_ns) -
                      s->plan->shake_ns
                : 0;
        gint64 wall_ns = s->epoch_wall_ns + now_ms * TK_NS_PER_MS + off_ns;
        put_on_line(s, stream, t, TRUE,
                    sender_report(&s->streams[stream].senders[t], now_ms * (t ? 48 : 90), wall_ns),
                    now_ms);
    }
}

static void make_picture(Studio *s, gint64 now_ms)
{
    StudioMark mark = {.frame = s->pictures++, .key = (s->pictures - 1) % STUDIO_KEY_EVERY == 0};
    double movement = 0.5 + net_random_double(&s->random);
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        if (!s->streams[i].present || mark.frame % sizes[i].every)
            continue;
        mark.stream = i;
        send_frame(s, i, 0, mark,
                   mark.key ? sizes[i].key_bytes : (gsize)(movement * sizes[i].picture_bytes),
                   now_ms);
    }
}

static void make_sound(Studio *s, gint64 now_ms)
{
    StudioMark mark = {.frame = s->sounds++, .key = TRUE};
    gsize bytes = SOUND_BYTES + net_random_below(&s->random, SOUND_SPREAD);
    for (guint i = 0; i < STUDIO_STREAMS; i++)
        if (s->streams[i].present)
            send_frame(s, i, 1, mark, bytes, now_ms);
}

void studio_step(Studio *studio, gint64 now_ms)
{
    Studio *s = studio;
    come_and_go(s, now_ms);
    for (guint i = 0; now_ms % REPORT_EVERY_MS == 1 && i < STUDIO_STREAMS; i++)
        if (s->streams[i].present)
            send_reports(s, i, now_ms);
    if (now_ms >= studio_made_ms(0, s->pictures))
        make_picture(s, now_ms);
    if (now_ms >= studio_made_ms(1, s->sounds))
        make_sound(s, now_ms);
}
