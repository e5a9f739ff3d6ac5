// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/world.h"

#include "common/base/clock.h"
#include "common/media/cmaf_read.h"
#include "common/media/rtp.h"
#include "tests/sim/units.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define HISTORY_UNITS_MAX 65536
#define INGEST_TICK_MS 20
// Media whose sender is away: timestamps go on by the time that passed, within so much.
#define RETURN_MS 300
// Of the units that a history of WORLD_HISTORY_BYTES holds, and the one in hand.
#define HEADS_BYTES (128 << 10)

void world_fail(const World *world, const Viewer *viewer, const char *what)
{
    print_error("TONGKE_SIM=%u: at %d ms, %s viewer %u: %s\n", world->seed, (int)world->now_ms,
                viewer ? viewer->role->name : "no", viewer ? viewer->id : 0, what);
    fail();
    abort();
}

// One SSRC, no number twice, and no step but where the sender was another.
static void check_packet(World *w, guint track, const RelayUnit *packet)
{
    RelayTrackIdentity identity = relay_input_identity(w->input, track);
    TkRtp rtp;
    gboolean valid = tk_rtp_parse(packet->data, packet->bytes, &rtp);
    require(w, NULL, valid && rtp.ssrc == identity.ssrc && rtp.sequence == (guint16)packet->number);
    require(w, NULL, !w->ssrc[track] || w->ssrc[track] == rtp.ssrc);
    RelayUnit *known = relay_repair_index_find(w->index, w->history, track, packet->number);
    require(w, NULL, !known);
    if (w->ssrc[track] && packet->number > w->highest[track]) {
        gint64 passed_ms = (packet->arrived_ns - w->arrived_ns[track]) / TK_NS_PER_MS;
        gint64 stepped_ms = (gint32)(rtp.timestamp - w->timestamp[track]) * (gint64)1000 /
                            (gint64)identity.clock_rate;
        require(w, NULL, packet->number - w->highest[track] < SOURCE_KEPT);
        require(w, NULL, stepped_ms >= 0 && ABS(passed_ms - stepped_ms) <= RETURN_MS);
    }
    w->ssrc[track] = rtp.ssrc;
    if (packet->number > w->highest[track]) {
        w->highest[track] = packet->number;
        w->timestamp[track] = rtp.timestamp;
        w->arrived_ns[track] = packet->arrived_ns;
    }
}

static void on_packet(void *user, guint track, RelayUnit *packet)
{
    World *w = user;
    packet->track = track;
    check_packet(w, track, packet);
    relay_repair_index_note(w->index, packet, relay_history_head(w->history));
    relay_stream_rate_note(&w->rate, packet);
    relay_history_push(w->history, packet);
    w->fresh = TRUE;
}

static void on_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    World *w = user;
    relay_web_feed_push(w->web, init, format);
    relay_unit_unref(init);
}

static void check_chunk(World *w, const RelayUnit *chunk)
{
    TkCmafChunk parsed;
    gsize bytes;
    TkCmafPiece piece = tk_cmaf_piece(chunk->data, chunk->bytes, &parsed, &bytes);
    require(w, NULL, piece == TK_CMAF_CHUNK && bytes == chunk->bytes);
    require(w, NULL, parsed.sequence == w->chunks + 1 && chunk->number == parsed.sequence);
    w->chunks++;
    for (guint i = 0; i < parsed.runs_count; i++) {
        guint track = parsed.runs[i].track_id - 1;
        gint64 decode = (gint64)parsed.runs[i].decode_time;
        require(w, NULL, decode >= w->decoded[track]);
        w->steps[track] += w->decoded[track] && decode > w->decoded[track];
        TkCmafCursor cursor = {0};
        TkCmafSampleAt at;
        while (tk_cmaf_sample_next(&parsed.runs[i], &cursor, &at))
            decode += at.sample.duration;
        w->decoded[track] = decode;
    }
}

static void on_chunk(void *user, RelayUnit *chunk)
{
    World *w = user;
    check_chunk(w, chunk);
    relay_web_feed_push(w->web, chunk, NULL);
    relay_unit_unref(chunk);
    for (guint i = 0; i < w->count; i++)
        viewer_chunk_came(&w->viewers[i]);
}

World *world_new(const NetSpec *line, const Role *roles, gboolean with_bad, guint32 seed)
{
    static const RelayInputSink sink = {on_packet, on_init, on_chunk};
    World *w = g_new0(World, 1);
    w->seed = seed;
    w->units_before = sim_units_bytes();
    w->repairs = TRUE;
    w->wheel = net_wheel_new();
    w->input = relay_input_new(EPOCH_NS, seed, &sink, w);
    w->history = relay_history_new(WORLD_HISTORY_NS, WORLD_HISTORY_BYTES, HISTORY_UNITS_MAX);
    w->index = relay_repair_index_new();
    w->web = relay_web_feed_new("main", NULL, WORLD_HISTORY_NS, WORLD_HISTORY_BYTES);
    relay_web_feed_set_state(w->web, "live", "{}");
    source_init(&w->source, w->wheel, line, w->input, EPOCH_NS, seed);
    w->back = net_line(line, seed, 3);
    for (const Role *r = roles; r->name; r++)
        w->count += r->count;
    w->viewers = g_new0(Viewer, w->count);
    guint id = 0;
    for (const Role *r = roles; r->name; r++) {
        for (guint i = 0; i < r->count; i++, id++) {
            viewer_init(&w->viewers[id], w, r, id);
            w->viewers[id].over = r->bad && !with_bad;
            w->tcp += r->kind == VIEWER_TCP;
        }
    }
    return w;
}

void world_free(World *world)
{
    if (!world)
        return;
    for (guint i = 0; i < world->count; i++)
        viewer_clear(&world->viewers[i]);
    g_free(world->viewers);
    source_clear(&world->source);
    net_wheel_free(world->wheel);
    relay_input_free(world->input);
    relay_history_free(world->history);
    relay_repair_index_free(world->index);
    relay_web_feed_free(world->web);
    g_free(world);
}

static void arrive_at_source(gpointer to, const NetEvent *event, gint64 now_ms)
{
    source_asked(to, event->packet.track, event->bytes, now_ms);
}

static void ask_source(World *w)
{
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        GByteArray *packet = g_byte_array_new();
        relay_input_nack(w->input, track, w->now_ms * TK_NS_PER_MS, packet);
        gint64 at_ms = packet->len ? net_line_put(&w->back, packet->len, w->now_ms) : NET_LOST;
        NetEvent event = {arrive_at_source,
                          &w->source,
                          g_byte_array_free_to_bytes(packet),
                          {.track = (guint8)track}};
        if (at_ms == NET_LOST)
            g_bytes_unref(event.bytes);
        else
            net_wheel_put(w->wheel, &event, at_ms);
    }
}

// docs/architecture.md, "What a peer can make the relay hold": two histories, and what stands in
// each TCP viewer's queue.
static void check_memory(World *w)
{
    gsize most = 2 * (WORLD_HISTORY_BYTES + HEADS_BYTES);
    for (guint i = 0; i < w->count; i++)
        most += w->viewers[i].pipe.queued;
    require(w, NULL, relay_history_bytes(w->history) <= WORLD_HISTORY_BYTES);
    require(w, NULL, sim_units_bytes() - w->units_before <= most);
    guint64 tail = relay_history_tail(w->history), head = relay_history_head(w->history);
    if (head > tail)
        require(w, NULL,
                relay_history_at(w->history, head - 1)->arrived_ns -
                        relay_history_at(w->history, tail)->arrived_ns <=
                    WORLD_HISTORY_NS);
}

static gint64 need_of(const World *w)
{
    guint64 tail = relay_history_tail(w->history), head = relay_history_head(w->history);
    if (w->rate.bps || tail == head)
        return w->rate.bps;
    gint64 span_ns = relay_history_at(w->history, head - 1)->arrived_ns -
                     relay_history_at(w->history, tail)->arrived_ns;
    return (gint64)((double)relay_history_bytes(w->history) * 8 * TK_NS_PER_S /
                    (double)MAX(span_ns, TK_NS_PER_S));
}

void world_step(World *world)
{
    World *w = world;
    gint64 now_ms = ++w->now_ms, now_ns = now_ms * TK_NS_PER_MS;
    source_step(&w->source, now_ms);
    net_wheel_turn(w->wheel, now_ms);
    if (now_ms % INGEST_TICK_MS == 0 && w->source.present) {
        relay_input_tick(w->input, now_ns, EPOCH_NS + now_ns);
        ask_source(w);
    }
    w->need_bps = need_of(w);
    for (guint i = 0; i < w->count; i++)
        viewer_serve(&w->viewers[i], w->fresh);
    w->fresh = FALSE;
    for (guint i = 0; i < w->count; i++)
        viewer_step(&w->viewers[i]);
    check_memory(w);
}
