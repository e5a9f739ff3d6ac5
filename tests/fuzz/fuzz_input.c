// SPDX-License-Identifier: MIT
// Calls of a stream's way in, read from bytes: senders that come and go, packets as they are or
// with a sound header before any payload, reports, time. The sink asserts what must always hold.
#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "tests/fuzz/target.h"
#include "tests/unit/relay/collect.h"
#include "tests/unit/relay/sender.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define CALLS_MAX 2000

enum { BEGIN, END, TICK, RTP, RTCP, PACKET, REPORT, ASK, KINDS };

typedef struct {
    Collect *c;
    TkReader in;
    gint64 now_ns;
    RelayTrackFormat formats[2];
    guint16 sequence[2];
    guint32 timestamp[2];
} Fuzz;

static void begin(Fuzz *f)
{
    guint8 how = tk_reader_u8(&f->in);
    guint first = how & 1, count = 1 + (how >> 1 & 1);
    RelayTrackFormat formats[2] = {f->formats[first], f->formats[1 - first]};
    formats[0].latm = formats[1].latm = how & 16;
    if (how & 8)
        g_strlcpy(formats[0].sprop, sender_other_sprop, sizeof formats[0].sprop);
    if (!relay_input_begin(f->c->input, formats, count, how & 4, f->now_ns, EPOCH_NS + f->now_ns))
        g_assert_true(relay_input_tracks(f->c->input) > 0);
}

static void foreign(Fuzz *f, gboolean control)
{
    guint track = tk_reader_u8(&f->in) & 1;
    guint16 size = tk_reader_u16(&f->in);
    const guint8 *data = tk_reader_take(&f->in, size);
    if (!data)
        return;
    if (control)
        relay_input_rtcp(f->c->input, track, data, size, f->now_ns, EPOCH_NS + f->now_ns);
    else
        relay_input_rtp(f->c->input, track, data, size, f->now_ns, EPOCH_NS + f->now_ns);
}

static void packet(Fuzz *f)
{
    guint8 how = tk_reader_u8(&f->in);
    guint track = how & 1;
    f->sequence[track] += (guint16)(gint8)tk_reader_u8(&f->in);
    f->timestamp[track] += (guint32)(gint32)(gint16)tk_reader_u16(&f->in) * (how & 2 ? 900 : 1);
    guint8 size = tk_reader_u8(&f->in);
    const guint8 *payload = tk_reader_take(&f->in, size);
    if (!payload)
        return;
    g_autoptr(GByteArray) out = g_byte_array_new();
    tk_put(out, 0x80, 1);
    tk_put(out, (how & 0x80) | (f->formats[how >> 4 & 1 ? 1 - track : track].payload_type), 1);
    tk_put(out, f->sequence[track], 2);
    tk_put(out, f->timestamp[track], 4);
    tk_put(out, 1u + (how >> 5 & 1), 4);
    g_byte_array_append(out, payload, size);
    relay_input_rtp(f->c->input, track, out->data, out->len, f->now_ns, EPOCH_NS + f->now_ns);
}

static void report(Fuzz *f)
{
    guint8 how = tk_reader_u8(&f->in);
    guint track = how & 1;
    Sender sender = {.ssrc = 1u + (how >> 5 & 1), .timestamp_base = f->timestamp[track]};
    gint64 off_ns = (gint32)tk_reader_u32(&f->in) * (how & 2 ? TK_NS_PER_S : TK_NS_PER_MS);
    g_autoptr(GByteArray) sr = sender_report(&sender, (gint16)tk_reader_u16(&f->in),
                                             EPOCH_NS + f->now_ns + off_ns);
    relay_input_rtcp(f->c->input, track, sr->data, sr->len, f->now_ns, EPOCH_NS + f->now_ns);
}

static void ask(Fuzz *f)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    for (guint i = 0; i < relay_input_tracks(f->c->input); i++) {
        RelayInputStats stats;
        gint64 wall_ns;
        guint32 timestamp;
        gsize bytes = 0;
        relay_input_receiver_report(f->c->input, i, f->now_ns, out);
        relay_input_stats(f->c->input, i, &stats);
        relay_input_clock(f->c->input, i, &wall_ns, &timestamp);
        relay_input_config(f->c->input, i, &bytes);
        g_assert_cmpuint(stats.packets, ==, f->c->packets[i]->len);
        g_assert_cmpuint(stats.chunks, ==, f->c->chunks);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 1);
    Fuzz f = {.c = c, .in = tk_reader(data, size)};
    sender_formats(&f.formats[0], &f.formats[1]);
    for (guint call = 0; tk_reader_left(&f.in) && call < CALLS_MAX; call++) {
        switch (tk_reader_u8(&f.in) % KINDS) {
        case BEGIN:
            begin(&f);
            break;
        case END:
            relay_input_end(c->input, f.now_ns);
            break;
        case TICK:
            f.now_ns += tk_reader_u16(&f.in) * TK_NS_PER_MS;
            relay_input_tick(c->input, f.now_ns, EPOCH_NS + f.now_ns);
            break;
        case RTP:
            foreign(&f, FALSE);
            break;
        case RTCP:
            foreign(&f, TRUE);
            break;
        case PACKET:
            packet(&f);
            break;
        case REPORT:
            report(&f);
            break;
        default:
            ask(&f);
            break;
        }
    }
    relay_input_end(c->input, f.now_ns);
    return 0;
}
