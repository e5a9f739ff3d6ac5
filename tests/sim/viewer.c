// SPDX-License-Identifier: MIT
#include "tests/sim/world.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"

// rtpjitterbuffer waits so long for packets that are merely late, and longer on lines that shuffle.
#define PATIENCE_MS 20
#define ASK_EVERY_MS 80
#define REPORT_EVERY_MS 2000
#define HOUSEKEEPING_MS 500
#define LIVE_MS 50 // behind by less: has caught up
#define PACING_STEP_NS (RELAY_PACER_TRAIN_NS / 4)
#define STALL_EVERY_MS 9000
#define AWAY_EVERY_MS 5000
// relay/net: what a viewer may have waiting in its link, or in the kernel.
#define LINK_BYTES (256 << 10)
#define NOTSENT_BYTES (128 << 10)
// A question is answered so soon: a train that is under way, the second copy.
#define ANSWER_MS 60
#define PACKET_BYTES 1100.0 // at most
#define STORM 200           // packets that are asked for all the time

static void arrive_at_player(gpointer to, const NetEvent *event, gint64 now_ms);
static void arrive_at_relay(gpointer to, const NetEvent *event, gint64 now_ms);

void viewer_init(Viewer *viewer, World *world, const Role *role, guint id)
{
    Viewer *v = viewer;
    v->world = world;
    v->role = role;
    v->id = id;
    v->down = net_line(&role->down, world->seed, 4 * id + 8);
    v->up = net_line(&role->up, world->seed, 4 * id + 9);
    v->random = net_random(world->seed, 4 * id + 10);
    v->join_ms = role->join_ms + net_random_below(&v->random, role->join_within_ms + 1);
    v->hashes = g_array_new(FALSE, FALSE, sizeof(guint64));
    v->pipe.units = g_array_new(FALSE, FALSE, sizeof(RelayUnit *));
    v->due = g_array_new(FALSE, FALSE, sizeof(Due));
    for (guint t = 0; role->kind == VIEWER_UDP && t < RELAY_INPUT_TRACKS_MAX; t++)
        v->fates[t] = g_new0(Fate, FATES);
}

static void empty_pipe(Pipe *pipe)
{
    for (; pipe->next < pipe->units->len; pipe->next++)
        relay_unit_unref(g_array_index(pipe->units, RelayUnit *, pipe->next));
    g_array_set_size(pipe->units, 0);
    pipe->next = 0;
    pipe->queued = 0;
}

void viewer_clear(Viewer *viewer)
{
    viewer_leave(viewer);
    g_array_unref(viewer->hashes);
    g_array_unref(viewer->pipe.units);
    g_array_unref(viewer->due);
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        g_free(viewer->fates[t]);
}

void viewer_join(Viewer *viewer)
{
    Viewer *v = viewer;
    World *w = v->world;
    v->present = TRUE;
    v->began = v->gap_told = v->init_sent = FALSE;
    if (v->role->kind == VIEWER_WEB) {
        relay_web_viewer_init(&v->web, w->web, v->last_chunk ? v->last_chunk + 1 : 0);
        return;
    }
    guint every_ms = v->role->ask_every_ms ? v->role->ask_every_ms : ASK_EVERY_MS;
    v->player = (Player){.buffer_ms = v->role->buffer_ms,
                         .patience_ms = MAX(PATIENCE_MS, v->role->down.jitter_ms),
                         .ask_every_ms = every_ms,
                         .asks = w->repairs};
    v->reported_ms = 0;
    relay_viewer_init(&v->place, w->history);
    gint64 now_ns = w->now_ms * TK_NS_PER_MS;
    relay_line_rate_init(&v->rate, w->need_bps, now_ns);
    relay_pacer_init(&v->pacer, relay_line_rate_bps(&v->rate), RELAY_PACER_TRAIN_MIN_BYTES, now_ns);
    v->pending = TRUE;
}

void viewer_leave(Viewer *viewer)
{
    viewer->present = FALSE;
    g_clear_pointer(&viewer->repair, relay_repair_free);
    memset(viewer->spans, 0, sizeof viewer->spans);
    empty_pipe(&viewer->pipe);
}

// What came to the viewer and when: two runs must agree in it.
static void note(Viewer *v, guint64 what)
{
    v->hash =
        (v->hash ^ (what << 20) ^ (guint64)v->world->now_ms) * G_GUINT64_CONSTANT(0x100000001b3);
}

// Over UDP

static void put_on_line(Viewer *v, const RelayUnit *unit, gboolean again)
{
    gint64 at_ms = net_line_put(&v->down, unit->bytes, v->world->now_ms);
    TkRtp rtp;
    if (!tk_rtp_parse(unit->data, unit->bytes, &rtp))
        world_fail(v->world, v, "what is sent is RTP");
    NetEvent event = {
        arrive_at_player,
        v,
        NULL,
        {unit->number, rtp.ssrc, rtp.timestamp, rtp.sequence, (guint8)unit->track, again}};
    if (again && rtp.payload_bytes >= 2) // RFC 4588: the number of the original
        event.packet.sequence = (guint16)(rtp.payload[0] << 8 | rtp.payload[1]);
    if (at_ms != NET_LOST)
        net_wheel_put(v->world->wheel, &event, at_ms);
    v->lost += at_ms == NET_LOST && !again;
}

static Fate *fate_of(Viewer *v, guint track, guint64 number)
{
    return &v->fates[track][number % FATES];
}

static void expect(Viewer *v, const RelayUnit *unit)
{
    gint64 arrived_ms = unit->arrived_ns / TK_NS_PER_MS;
    if (!v->began_ms) {
        v->began_ms = v->world->now_ms + v->role->down.delay_ms;
        v->began_at_ms = arrived_ms;
    }
    // The player begins with the first packet and goes on at the lesson's pace, until it has all
    // that there is: then its jitter buffer's clock settles on packets that come at once.
    v->live |= v->world->now_ms - arrived_ms < LIVE_MS;
    gint64 from_ms = arrived_ms + v->role->down.delay_ms;
    if (!v->live)
        from_ms = MAX(from_ms, v->began_ms + arrived_ms - v->began_at_ms);
    Due due = {from_ms + v->role->buffer_ms, unit->number, unit->track};
    *fate_of(v, unit->track, unit->number) = (Fate){.number = unit->number, .due_ms = due.due_ms};
    g_array_append_val(v->due, due);
    v->sent++;
}

static void judge_due(Viewer *v)
{
    for (; v->due_next < v->due->len; v->due_next++) {
        const Due *d = &g_array_index(v->due, Due, v->due_next);
        if (d->due_ms > v->world->now_ms)
            break;
        const Fate *f = fate_of(v, d->track, d->number);
        require(v->world, v, f->number == d->number);
        v->missing += !f->came_ms;
    }
    if (v->due_next > FATES) {
        g_array_remove_range(v->due, 0, v->due_next);
        v->due_next = 0;
    }
}

static void arrive_at_player(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Viewer *v = to;
    const NetPacket *p = &event->packet;
    if (!v->present)
        return;
    if (event->bytes) {
        player_take_report(&v->player, p->track, event->bytes, now_ms);
        return;
    }
    note(v, p->number << 2 | (guint64)p->track << 1 | (guint64)p->again);
    Fate *f = fate_of(v, p->track, p->number);
    if (f->number == p->number && !f->came_ms)
        f->came_ms = now_ms;
    player_take(&v->player, p, now_ms);
}

// The answer to a question that came at `timestamp` has left, or another one a round trip before
// it: what can be repaired is.
static void check_answer(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Viewer *v = to;
    const NetPacket *p = &event->packet;
    const Fate *f = fate_of(v, p->track, p->number);
    const NetSpec *down = &v->role->down, *up = &v->role->up;
    gint64 round_ms = down->delay_ms + down->jitter_ms + up->delay_ms + up->jitter_ms;
    gint64 again_ms = MAX(round_ms, RELAY_REPAIR_RTT_GUESS_NS / TK_NS_PER_MS) + 10;
    if (!v->present || f->number != p->number || p->number < v->spans[p->track].first)
        return;
    require(v->world, v, f->answered_ms && f->answered_ms >= (gint64)p->timestamp - again_ms);
}

static void note_questions(Viewer *v, guint track, const RelayQuestion *q)
{
    World *w = v->world;
    const NetSpec *down = &v->role->down, *up = &v->role->up;
    gint64 round_ms = down->delay_ms + down->jitter_ms + up->delay_ms + up->jitter_ms;
    // What is asked for and has not left yet counts, copies too.
    double per_ms = (double)v->rate.rate_bps / 8000;
    v->asked_bytes -= MIN(v->asked_bytes, (double)(w->now_ms - v->asked_ms) * per_ms);
    v->asked_ms = w->now_ms;
    v->asked_bytes += 2 * q->count * PACKET_BYTES;
    gint64 check_ms = w->now_ms + ANSWER_MS + (gint64)(v->asked_bytes / per_ms);
    if (v->role->bad || v->allowance < v->asked_bytes)
        return;
    for (guint i = 0; i < q->count; i++) {
        guint64 number = tk_rtp_unwrap(v->spans[track].last, q->sequences[i], 16);
        NetEvent event = {
            check_answer,
            v,
            NULL,
            {.number = number, .timestamp = (guint32)w->now_ms, .track = (guint8)track}};
        const RelayUnit *unit = relay_repair_index_find(w->index, w->history, track, number);
        // What left less than a round trip ago may still be on its way, or has yet to leave.
        if (unit && fate_of(v, track, number)->number == number &&
            w->now_ms - unit->arrived_ns / TK_NS_PER_MS > round_ms &&
            number >= v->spans[track].first && number <= v->spans[track].last)
            net_wheel_put(w->wheel, &event, check_ms);
    }
}

// What its repairs may cost by docs/architecture.md: half of the stream's rate, and half a second
// of that at once.
static void allow(Viewer *v)
{
    double share = (double)v->world->need_bps / 8 / RELAY_REPAIR_SHARE;
    double depth = MAX(share / 2, RELAY_REPAIR_BURST_MIN);
    v->allowance = v->repair ? MIN(v->allowance + share / 1000, depth) : depth;
}

// As relay/net/ingest.c and relay_rtp_viewer_asked.
static void arrive_at_relay(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Viewer *v = to;
    World *w = v->world;
    RelayQuestion q;
    gsize size;
    const guint8 *data = g_bytes_get_data(event->bytes, &size);
    guint track = event->packet.track;
    gint64 now_ns = now_ms * TK_NS_PER_MS;
    if (!v->present || !relay_repair_read(data, size, w->source.epoch_wall_ns + now_ns, &q))
        return;
    relay_repair_line_note(&v->line, &q);
    if (q.reported)
        relay_line_rate_report(&v->rate, &q, now_ns);
    if (q.count == 0)
        return;
    if (!v->repair)
        v->repair = relay_repair_new(now_ns);
    note_questions(v, track, &q);
    relay_repair_ask(v->repair, w->index, w->history, track, &v->spans[track], v->place.position,
                     &v->line, &q, w->need_bps, now_ns);
    v->pending = TRUE;
}

static void send_reports(Viewer *v)
{
    World *w = v->world;
    gint64 wall_ns = w->source.epoch_wall_ns + w->now_ms * TK_NS_PER_MS, clock_wall_ns;
    guint32 timestamp;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        if (!relay_input_clock(w->input, track, &clock_wall_ns, &timestamp))
            continue;
        RelayTrackIdentity identity = relay_input_identity(w->input, track);
        timestamp +=
            (guint32)((wall_ns - clock_wall_ns) * (gint64)identity.clock_rate / TK_NS_PER_S);
        GByteArray *out = g_byte_array_new();
        tk_rtcp_put_sender_report(out, identity.ssrc, tk_clock_ntp_from_wall(wall_ns), timestamp, 1,
                                  1);
        gint64 at_ms = net_line_put(&v->down, out->len, w->now_ms);
        NetEvent event = {
            arrive_at_player, v, g_byte_array_free_to_bytes(out), {.track = (guint8)track}};
        if (at_ms == NET_LOST)
            g_bytes_unref(event.bytes);
        else
            net_wheel_put(w->wheel, &event, at_ms);
        v->reported_ms = w->now_ms;
    }
    if (v->reported_ms == w->now_ms)
        relay_line_rate_mark(&v->rate, (guint32)(tk_clock_ntp_from_wall(wall_ns) >> 16),
                             w->now_ms * TK_NS_PER_MS);
}

static gboolean send_repairs(Viewer *v, gint64 now_ns)
{
    World *w = v->world;
    RelayUnit *unit;
    while (v->repair && relay_pacer_ready(&v->pacer, now_ns) &&
           (unit = relay_repair_next(v->repair, w->index, w->history, now_ns))) {
        g_autoptr(RelayUnit) again =
            relay_repair_rtx(unit, NULL, v->again_sequences[unit->track]++);
        Fate *f = fate_of(v, unit->track, unit->number);
        if (f->number == unit->number)
            f->answered_ms = w->now_ms;
        put_on_line(v, again, TRUE);
        relay_pacer_spend(&v->pacer, again->bytes);
        v->round_bytes += again->bytes;
        v->allowance -= unit->bytes;
        require(w, v, v->allowance >= -2 * PACKET_BYTES);
        relay_repair_done(v->repair);
        v->resent++;
    }
    return v->repair && relay_repair_waiting(v->repair);
}

// RTP

// Forward only, and over what is left out only to a keyframe.
static void check_order(Viewer *v, const RelayUnit *unit)
{
    guint64 position = v->place.position;
    gboolean follows = v->began && position == v->last_position + 1;
    require(v->world, v, !v->began || position > v->last_position);
    require(v->world, v, follows || unit->flags & RELAY_UNIT_KEY);
    v->drops += v->began && !follows;
    require(v->world, v, v->role->bad || !v->drops);
    v->began = TRUE;
    v->last_position = position;
}

static gboolean send_unit(Viewer *v, RelayUnit *unit, gint64 now_ns)
{
    if (v->role->kind == VIEWER_TCP) {
        if (v->pipe.queued >= LINK_BYTES)
            return FALSE;
        relay_unit_ref(unit);
        g_array_append_val(v->pipe.units, unit);
        v->pipe.queued += unit->bytes;
        check_order(v, unit);
        return TRUE;
    }
    if (!relay_pacer_ready(&v->pacer, now_ns))
        return FALSE;
    relay_pacer_spend(&v->pacer, unit->bytes);
    v->round_bytes += unit->bytes;
    check_order(v, unit);
    expect(v, unit);
    put_on_line(v, unit, FALSE);
    relay_repair_span_add(&v->spans[unit->track], unit->number);
    return TRUE;
}

static RelayUnit *send_media(Viewer *v, gint64 now_ns)
{
    RelayUnit *unit;
    while ((unit = relay_viewer_next(&v->place, v->world->history)) && send_unit(v, unit, now_ns))
        relay_viewer_advance(&v->place);
    return unit;
}

static void serve_udp(Viewer *v, gint64 now_ns)
{
    World *w = v->world;
    gint64 due_ns = G_MAXINT64;
    v->round_bytes = 0;
    relay_line_rate_need(&v->rate, w->need_bps);
    relay_pacer_set_rate(&v->pacer, relay_line_rate_bps(&v->rate));
    gboolean waiting = send_repairs(v, now_ns);
    RelayUnit *unit = send_media(v, now_ns);
    if (relay_line_rate_sent(&v->rate, v->round_bytes, unit != NULL, now_ns) ||
        relay_line_rate_curious(&v->rate, now_ns))
        send_reports(v);
    if (waiting)
        due_ns = now_ns + PACING_STEP_NS;
    if (unit)
        due_ns = MIN(due_ns, MAX(relay_pacer_due_ns(&v->pacer), now_ns + PACING_STEP_NS));
    v->due_ms = due_ns / TK_NS_PER_MS + 1;
}

// As tick() of relay/net/fanout.c and relay_rtp_viewer_serve, but that nobody is served because
// somebody else is: the sockets' side of the relay serves all viewers of a stream when one of them
// is due.
void viewer_serve(Viewer *viewer, gboolean fresh)
{
    Viewer *v = viewer;
    World *w = v->world;
    gint64 now_ns = w->now_ms * TK_NS_PER_MS;
    if (!v->present || v->role->kind == VIEWER_WEB ||
        !(fresh || v->pending || w->now_ms >= v->due_ms))
        return;
    v->pending = FALSE;
    v->due_ms = G_MAXINT64;
    RelayViewerLimits limits = RELAY_VIEWER_LIMITS_DEFAULT;
    if (relay_viewer_judge(&v->place, w->history, &limits, now_ns)) {
        memset(v->spans, 0, sizeof v->spans);
        if (v->repair)
            relay_repair_forget(v->repair);
    }
    if (v->role->kind == VIEWER_UDP && !v->reported_ms)
        send_reports(v);
    if (v->role->kind == VIEWER_UDP)
        serve_udp(v, now_ns);
    else
        send_media(v, now_ns);
    if (v->place.state == RELAY_VIEWER_GONE) {
        require(w, v, v->role->bad);
        v->over = TRUE;
        viewer_leave(v);
    }
}

// Over WebSocket

static void check_message(Viewer *v, RelayWebNext next, const RelayUnit *message)
{
    World *w = v->world;
    if (next == RELAY_WEB_TEXT) {
        v->gap_told |= g_strstr_len((const char *)message->data + RELAY_WEB_HEADROOM,
                                    message->bytes - RELAY_WEB_HEADROOM, "\"gap\"") != NULL;
        return;
    }
    if (message->flags & RELAY_UNIT_INIT) {
        v->init_sent = TRUE;
        return;
    }
    gboolean follows = message->number == v->last_chunk + 1 && v->last_chunk;
    require(w, v, v->init_sent);
    require(w, v, message->number > v->last_chunk);
    require(w, v, follows || message->flags & RELAY_UNIT_KEY);
    require(w, v, follows || !v->last_chunk || v->gap_told);
    v->drops += v->last_chunk && !follows;
    require(w, v, v->role->bad || !v->drops);
    v->gap_told = FALSE;
    v->last_chunk = message->number;
    v->told++;
}

static void write_messages(Viewer *v)
{
    World *w = v->world;
    while (v->present && v->pipe.queued < NOTSENT_BYTES) {
        RelayUnit *message = NULL;
        RelayWebNext next = relay_web_viewer_next(&v->web, &message);
        if (next == RELAY_WEB_NOTHING)
            return;
        if (next == RELAY_WEB_TOO_SLOW) {
            require(w, v, v->role->bad);
            v->over = TRUE;
            viewer_leave(v);
            return;
        }
        check_message(v, next, message);
        g_array_append_val(v->pipe.units, message);
        v->pipe.queued += message->bytes;
    }
}

void viewer_chunk_came(Viewer *viewer)
{
    Viewer *v = viewer;
    RelayViewerLimits limits = RELAY_VIEWER_LIMITS_DEFAULT;
    if (!v->present || v->role->kind != VIEWER_WEB)
        return;
    relay_web_viewer_judge(&v->web, &limits, v->world->now_ms * TK_NS_PER_MS);
    if (v->web.place.state == RELAY_VIEWER_GONE) {
        require(v->world, v, v->role->bad);
        v->over = TRUE;
        viewer_leave(v);
        return;
    }
    write_messages(v);
}

// Its own side

static void read_pipe(Viewer *v)
{
    Pipe *p = &v->pipe;
    gint64 ms = v->world->now_ms - v->join_ms;
    if (v->role->stalls_ms && ms % STALL_EVERY_MS < v->role->stalls_ms)
        return;
    p->credit = MIN(p->credit, 65536) + (double)v->role->rate_bps / 8000;
    while (p->next < p->units->len) {
        RelayUnit *unit = g_array_index(p->units, RelayUnit *, p->next);
        if (unit->bytes > p->credit)
            break;
        p->credit -= unit->bytes;
        p->queued -= unit->bytes;
        p->next++;
        note(v, unit->number << 2 | unit->track << 1);
        relay_unit_unref(unit);
    }
    if (p->next == p->units->len || p->next >= FATES) {
        g_array_remove_range(p->units, 0, p->next);
        p->next = 0;
    }
}

static void put_on_way_back(Viewer *v, guint track, GBytes *rtcp)
{
    gint64 at_ms = net_line_put(&v->up, g_bytes_get_size(rtcp), v->world->now_ms);
    NetEvent event = {arrive_at_relay, v, rtcp, {.track = (guint8)track}};
    if (at_ms == NET_LOST)
        g_bytes_unref(rtcp);
    else
        net_wheel_put(v->world->wheel, &event, at_ms);
}

static void storm(Viewer *v)
{
    const PlayerTrack *t = &v->player.tracks[0];
    guint16 sequences[STORM];
    for (guint i = 0; i < STORM; i++)
        sequences[i] = (guint16)(t->highest - STORM + i);
    GByteArray *out = g_byte_array_new();
    tk_rtcp_put_nack(out, ~t->ssrc, t->ssrc, sequences, STORM);
    put_on_way_back(v, 0, g_byte_array_free_to_bytes(out));
}

static void come_and_go(Viewer *v)
{
    gint64 ms = v->world->now_ms - v->join_ms;
    if (ms == 0)
        viewer_join(v);
    if (!v->role->away_ms || ms <= 0)
        return;
    if (v->present && ms % AWAY_EVERY_MS == 0)
        viewer_leave(v);
    else if (!v->present && ms % AWAY_EVERY_MS == v->role->away_ms)
        viewer_join(v);
}

static gboolean wants_report(const Viewer *v)
{
    gint64 now_ns = v->world->now_ms * TK_NS_PER_MS;
    return relay_line_rate_curious(&v->rate, now_ns) ||
           (v->world->now_ms - v->reported_ms >= REPORT_EVERY_MS &&
            !relay_line_rate_expects(&v->rate, now_ns));
}

void viewer_step(Viewer *viewer)
{
    Viewer *v = viewer;
    if (v->over)
        return;
    come_and_go(v);
    if (v->world->now_ms % 1000 == 0)
        g_array_append_val(v->hashes, v->hash);
    if (!v->present)
        return;
    if (v->role->kind != VIEWER_UDP) {
        read_pipe(v);
        if (v->role->kind == VIEWER_WEB)
            write_messages(v);
        return;
    }
    judge_due(v);
    allow(v);
    if (v->world->now_ms % HOUSEKEEPING_MS == 0 && wants_report(v))
        send_reports(v);
    if (v->role->storms && v->world->now_ms % 10 == 0)
        storm(v);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        GBytes *rtcp = player_rtcp(&v->player, track, v->world->now_ms);
        if (rtcp)
            put_on_way_back(v, track, rtcp);
    }
}
