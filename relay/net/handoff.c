// SPDX-License-Identifier: MIT
#include "relay/net/handoff.h"

#include "relay/net/audience_mail.h"
#include "relay/net/lessons.h"

typedef struct {
    RelayHandoff *handoff;
    guint worker;
    RelayStream *stream;
    guint count;
    RelayUnit *units[];
} Packets;

static void push_packets(gpointer owner, gpointer data)
{
    Packets *p = data;
    relay_fanout_push(p->handoff->fanouts[p->worker], p->stream, p->units, p->count);
    relay_stream_unref(p->stream);
    g_free(p);
}

static void offer_packets(RelayHandoff *h, guint worker, RelayStream *stream, RelayUnit **units,
                          guint count)
{
    Packets *p = g_malloc(sizeof *p + count * sizeof *units);
    *p = (Packets){h, worker, relay_stream_ref(stream), count};
    for (guint i = 0; i < count; i++)
        p->units[i] = relay_unit_ref(units[i]);
    if (relay_worker_offer(h->workers[worker], push_packets, p))
        return;
    relay_stat_add(h->dropped, count);
    for (guint i = 0; i < count; i++)
        relay_unit_unref(units[i]);
    relay_stream_unref(stream);
    g_free(p);
}

// The ingest lives on packet worker 0: its own fan-out needs no mailbox.
static void on_packets(gpointer user, RelayStream *stream, RelayUnit **units, guint count)
{
    RelayHandoff *h = user;
    for (guint worker = 1; worker < h->packet_count; worker++)
        offer_packets(h, worker, stream, units, count);
    relay_fanout_push(h->fanouts[0], stream, units, count);
}

typedef struct {
    RelayHandoff *handoff;
    guint worker, track;
    RelayStream *stream;
    RelayTrackClock clock;
} Clock;

static void set_clock(gpointer owner, gpointer data)
{
    Clock *c = data;
    relay_fanout_set_clock(c->handoff->fanouts[c->worker], c->stream, c->track, &c->clock);
    relay_stream_unref(c->stream);
    g_free(c);
}

static void on_clock(gpointer user, RelayStream *stream, guint track, const RelayTrackClock *clock)
{
    RelayHandoff *h = user;
    for (guint worker = 0; worker < h->packet_count; worker++) {
        Clock *c = g_new(Clock, 1);
        *c = (Clock){h, worker, track, relay_stream_ref(stream), *clock};
        relay_worker_do(h->workers[worker], set_clock, c);
    }
}

static void offer_chunk(RelayHandoff *h, RelayStream *stream, RelayUnit *chunk)
{
    for (guint worker = 0; worker < h->web_count; worker++)
        if (!relay_audience_mail_chunk(relay_web_mailbox(h->webs[worker]), stream, chunk))
            relay_stat_add(h->dropped, 1);
    relay_unit_unref(chunk);
}

static void on_init(gpointer user, RelayStream *stream, RelayUnit *init,
                    const RelayStreamFormat *format, GBytes *const configs[RELAY_INPUT_TRACKS_MAX])
{
    RelayHandoff *h = user;
    relay_audience_mail_init(stream, init, format);
    relay_lessons_post_format(h->desk, stream, format, configs);
}

static void on_chunk(gpointer user, RelayStream *stream, RelayUnit *chunk)
{
    // Told before it is given: who has it may ask what there is.
    relay_stat_set(stream->chunk_newest, chunk->number);
    offer_chunk(user, stream, chunk);
}

static void on_sound(gpointer user, RelayStream *stream, RelayUnit *piece,
                     const RelayStreamFormat *format)
{
    if (format)
        relay_audience_mail_init(stream, piece, format);
    else
        offer_chunk(user, stream, piece);
}

const RelayIngestSink relay_handoff_sink = {on_packets, on_clock, on_init, on_chunk, on_sound};
