// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include "common/base/clock.h"
#include "tests/sim/units.h"

#define INGEST_TICK_MS 20
#define CLOCKS_EVERY_MS 1000
#define LESSON "01JD0000000000000000000000"
// Of units in hand; half of what the histories hold goes for the heads of sound's small ones.
#define HEADS_BYTES (64 << 10)

void hall_fail(const Watcher *watcher, const char *what)
{
    const Hall *h = watcher->hall;
    print_error("TONGKE_SIM=%u: at %d ms, %s viewer %u (%s, %d kbit/s): %s\n", h->seed,
                (int)h->now_ms, watcher->crowd->name, watcher->id,
                relay_rendition_word(watcher->at), (int)(watcher->rate_bps / 1000), what);
    fail();
    abort();
}

static void on_packet(void *user, guint track, RelayUnit *packet)
{
    const Way *way = user;
    packet->track = track;
    relay_fanout_push(way->hall->fanout, way->hall->streams[way->stream], &packet, 1);
}

static void on_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    const Way *way = user;
    relay_audience_push(way->hall->audience, way->hall->streams[way->stream], init, format);
    relay_unit_unref(init);
}

static void on_chunk(void *user, RelayUnit *chunk)
{
    on_init(user, chunk, NULL);
}

static void on_sound_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    init->flags |= RELAY_UNIT_SOUND;
    on_init(user, init, format);
}

static void on_sound_chunk(void *user, RelayUnit *chunk)
{
    on_sound_init(user, chunk, NULL);
}

static RelayInput *new_input(Hall *h, StudioStream stream)
{
    static const RelayInputSink with_sound = {on_packet, on_init, on_chunk, on_sound_init,
                                              on_sound_chunk};
    static const RelayInputSink alone = {on_packet, on_init, on_chunk, NULL, NULL};
    h->ways[stream] = (Way){h, stream};
    return relay_input_new(HALL_EPOCH_NS, h->seed * STUDIO_STREAMS + stream,
                           stream == STUDIO_MAIN ? &with_sound : &alone, &h->ways[stream]);
}

static void new_audience(Hall *h)
{
    RelayAudienceSpec spec = web_watcher_spec;
    spec.history_span_ns = HALL_HISTORY_NS;
    spec.history_bytes_max = HALL_HISTORY_BYTES;
    spec.sockets_max = h->count;
    spec.door = h->door = relay_door_new(NULL, NULL);
    spec.schools = h->schools;
    spec.user = h;
    h->audience = relay_audience_new(&spec);
}

Hall *hall_new(const StudioPlan *plan, const Crowd *crowds, gboolean with_all, guint32 seed)
{
    static const char *const names[STUDIO_STREAMS] = {"main", RELAY_RENDITION_LOW_STREAM};
    Hall *h = g_new0(Hall, 1);
    wire_use(h);
    h->seed = seed;
    h->units_before = sim_units_bytes();
    h->wheel = net_wheel_new();
    h->schools = relay_schools_new(0, 0);
    for (const Crowd *c = crowds; c->name; c++)
        h->count += c->count;
    new_audience(h);
    h->fanout = relay_fanout_new(NULL, 0, NULL, HALL_HISTORY_NS, HALL_HISTORY_BYTES, TRUE);
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        h->streams[i] = relay_stream_new(LESSON, "math", names[i]);
        h->inputs[i] = new_input(h, i);
        relay_fanout_open(h->fanout, h->streams[i]);
        relay_audience_set_state(h->audience, h->streams[i], "live", "{}");
    }
    studio_init(&h->studio, plan, h->wheel, HALL_EPOCH_NS, h->inputs[STUDIO_MAIN],
                h->inputs[STUDIO_LOW], seed);
    h->watchers = g_new0(Watcher, h->count);
    guint id = 0;
    for (const Crowd *c = crowds; c->name; c++) {
        for (guint i = 0; i < c->count; i++, id++) {
            watcher_init(&h->watchers[id], h, c, id);
            h->watchers[id].over = c->left_out && !with_all;
        }
    }
    return h;
}

void hall_free(Hall *hall)
{
    Hall *h = hall;
    if (!h)
        return;
    for (guint i = 0; i < h->count; i++)
        watcher_clear(&h->watchers[i]);
    net_wheel_free(h->wheel);
    relay_fanout_free(h->fanout);
    for (guint i = 0; i < STUDIO_STREAMS; i++)
        relay_audience_set_state(h->audience, h->streams[i], "ended", "{}");
    relay_audience_free(h->audience);
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        relay_input_free(h->inputs[i]);
        relay_stream_unref(h->streams[i]);
    }
    relay_door_free(h->door);
    relay_schools_free(h->schools);
    g_free(h->watchers);
    g_free(h);
    wire_use(NULL);
}

// As ingest.c: what the senders' clocks mean.
static void hand_on_clocks(Hall *h)
{
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++) {
            RelayTrackClock clock = {.identity = relay_input_identity(h->inputs[i], t)};
            clock.known = relay_input_clock(h->inputs[i], t, &clock.wall_ns, &clock.rtp_timestamp);
            if (clock.known)
                relay_fanout_set_clock(h->fanout, h->streams[i], t, &clock);
        }
    }
}

static void tend_inputs(Hall *h, gint64 now_ns)
{
    for (guint i = 0; i < STUDIO_STREAMS; i++)
        if (h->studio.streams[i].present)
            relay_input_tick(h->inputs[i], now_ns, HALL_EPOCH_NS + now_ns);
    if (h->now_ms % CLOCKS_EVERY_MS < INGEST_TICK_MS || h->now_ms < CLOCKS_EVERY_MS)
        hand_on_clocks(h);
}

static gsize bounded(const Hall *h, const RelayHistory *history)
{
    must(&h->watchers[0], relay_history_bytes(history) <= HALL_HISTORY_BYTES);
    return relay_history_bytes(history);
}

// docs/architecture.md, "What a peer can make the relay hold": the histories, with the heads of
// their units, and what is on its way by TCP.
static void check_memory(const Hall *h)
{
    gsize most = 0;
    for (guint i = 0; i < STUDIO_STREAMS; i++) {
        most += bounded(h, h->streams[i]->feeds[0]->packets.history);
        most += bounded(h, relay_web_feed_history(h->streams[i]->web_feeds[0]));
        if (h->streams[i]->web_sounds[0])
            most += bounded(h, relay_web_feed_history(h->streams[i]->web_sounds[0]));
    }
    most += most / 2 + HEADS_BYTES;
    for (guint i = 0; i < h->count; i++) {
        const Watcher *w = &h->watchers[i];
        most += w->tcp.written - w->tcp.arrived + (64 << 10) * (w->link != NULL);
    }
    must(&h->watchers[0], sim_units_bytes() - h->units_before <= most);
}

void hall_step(Hall *hall)
{
    Hall *h = hall;
    gint64 now_ms = ++h->now_ms, now_ns = now_ms * TK_NS_PER_MS;
    studio_step(&h->studio, now_ms);
    net_wheel_turn(h->wheel, now_ms);
    if (now_ms % INGEST_TICK_MS == 0)
        tend_inputs(h, now_ns);
    for (guint i = 0; h->strict && i < STUDIO_STREAMS; i++)
        h->streams[i]->feeds[0]->pending = TRUE;
    (void)!h->tick(h->tick_user, now_ns);
    for (guint i = 0; i < h->count; i++)
        watcher_step(&h->watchers[i]);
    if (now_ms % INGEST_TICK_MS == 0)
        check_memory(h);
}
