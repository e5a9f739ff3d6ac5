// SPDX-License-Identifier: MIT
#include "relay/net/ingest.h"

#include <string.h>
#include <sys/epoll.h>

#include "common/base/clock.h"
#include "common/base/name.h"
#include "relay/net/endpoints.h"

#define TICK_NS (20 * TK_NS_PER_MS)
#define REPORT_INTERVAL_NS TK_NS_PER_S

// A socket of one sender's own.
typedef struct {
    RelayWatch watch;
    RelayIngestStream *owner;
    guint track;
    gboolean rtcp;
    gint64 wall_ns; // of this round
} Port;

struct _RelayIngestStream {
    RelayIngest *ingest;
    RelayStream *stream;
    RelayInput *input;
    gboolean active;        // it has a source
    RelaySenderSpec sender; // valid while active; its user is NULL while the source is adrift
    gint64 adrift_ns;       // since when
    Port ports[RELAY_INPUT_TRACKS_MAX][2];
    GPtrArray *packets;    // RelayUnit of this round
    gint64 report_ns;      // when receiver reports and clocks are due
    gboolean clocks_known; // of all tracks, and handed on
};

typedef struct {
    RelayWatch watch;
    RelayIngest *ingest;
    gboolean rtcp;
    gint64 wall_ns; // of this round
} Socket;

struct _RelayIngest {
    RelayWorker *worker;
    RelayUdp *udp;
    RelayIngestSink sink;
    gpointer user;
    gboolean repair;
    GPtrArray *streams;  // RelayIngestStream, owned
    GHashTable *viewers; // key (user) -> RelayUdpViewer, owned
    RelayEndpoints *endpoints;
    GByteArray *report;
    Socket sockets[2];
    RelayUdpReceiver *receiver;
    guint64 strangers; // relaxed atomic
};

static void on_packet(void *user, guint track, RelayUnit *packet)
{
    RelayIngestStream *s = user;
    packet->track = track;
    if (packet->flags & RELAY_UNIT_KEY)
        relay_stat_set(s->stream->key_in_ns, packet->arrived_ns);
    g_ptr_array_add(s->packets, packet);
}

static void on_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    RelayIngestStream *s = user;
    GBytes *configs[RELAY_INPUT_TRACKS_MAX] = {0};
    for (guint track = 0; track < relay_input_tracks(s->input); track++) {
        gsize bytes = 0;
        const guint8 *config = relay_input_config(s->input, track, &bytes);
        configs[track] = config ? g_bytes_new(config, bytes) : NULL;
    }
    s->ingest->sink.on_init(s->ingest->user, s->stream, init, format, configs);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        g_clear_pointer(&configs[track], g_bytes_unref);
}

static void on_chunk(void *user, RelayUnit *chunk)
{
    RelayIngestStream *s = user;
    relay_stat_set(s->stream->blind_in, (chunk->flags & RELAY_UNIT_BLIND) != 0);
    s->ingest->sink.on_chunk(s->ingest->user, s->stream, chunk);
}

static void on_sound_init(void *user, RelayUnit *init, const RelayStreamFormat *format)
{
    RelayIngestStream *s = user;
    init->flags |= RELAY_UNIT_SOUND;
    s->ingest->sink.on_sound(s->ingest->user, s->stream, init, format);
}

static void on_sound_chunk(void *user, RelayUnit *chunk)
{
    on_sound_init(user, chunk, NULL);
}

static void hand_on_packets(RelayIngestStream *s)
{
    if (s->packets->len == 0)
        return;
    s->ingest->sink.on_packets(s->ingest->user, s->stream, (RelayUnit **)s->packets->pdata,
                               s->packets->len);
    g_ptr_array_set_size(s->packets, 0);
}

static void input_media(RelayIngestStream *s, guint track, gboolean rtcp, const guint8 *data,
                        gsize size, gint64 wall_ns)
{
    gint64 now_ns = relay_worker_now_ns(s->ingest->worker);
    if (rtcp) {
        relay_input_rtcp(s->input, track, data, size, now_ns, wall_ns);
        return;
    }
    if (relay_input_rtp(s->input, track, data, size, now_ns, wall_ns))
        relay_stat_set(s->stream->last_packet_ns, now_ns);
    relay_stat_add(s->stream->packets_in, 1);
    relay_stat_add(s->stream->bytes_in, size);
}

static void take_from_viewer(RelayIngest *g, RelayUdpViewer *viewer, guint track, gboolean rtcp,
                             const guint8 *data, gsize size, gint64 wall_ns)
{
    RelayQuestion question;
    if (rtcp && relay_repair_read(data, size, wall_ns, &question)) {
        if (!g->repair)
            question.count = 0;
        viewer->asked(viewer->user, track, &question);
    } else if (relay_worker_now_ns(g->worker) - viewer->heard_ns > TK_NS_PER_S) {
        viewer->heard_ns = relay_worker_now_ns(g->worker);
        viewer->heard(viewer->user);
    }
}

// Something comes from an unknown port. Players open the ways of their tracks in the order in which
// they said them; a sender's packet tells of itself.
static gboolean follow_nat(RelayIngest *g, gboolean rtcp, const RelayAddress *from,
                           const guint8 *data, gsize size, RelayEndpoint *ret)
{
    guint silent;
    if (!relay_endpoints_guess(g->endpoints, rtcp, from, ret, &silent))
        return FALSE;
    if (ret->kind == RELAY_ENDPOINT_SENDER) {
        const RelayIngestStream *s = ret->owner;
        silent &= relay_input_tracks_of(s->input, rtcp, data, size);
        if (!silent)
            return FALSE;
        ret->track = (guint)g_bit_nth_lsf(silent, -1);
    }
    relay_endpoints_move(g->endpoints, rtcp, from, ret->owner, ret->track);
    ret->moved = TRUE;
    return TRUE;
}

static void take_datagram(gpointer user, const RelayAddress *from, const guint8 *data, gsize size,
                          gint64 came_wall_ns)
{
    Socket *socket = user;
    RelayIngest *g = socket->ingest;
    RelayEndpoint endpoint;
    if (!relay_endpoints_find(g->endpoints, socket->rtcp, from, &endpoint) &&
        !follow_nat(g, socket->rtcp, from, data, size, &endpoint)) {
        relay_stat_add(g->strangers, 1);
        return;
    }
    if (endpoint.kind == RELAY_ENDPOINT_VIEWER) {
        RelayUdpViewer *viewer = endpoint.owner;
        if (endpoint.moved)
            viewer->moved(viewer->user, endpoint.track, socket->rtcp, from);
        // A busy relay's own lateness is no part of the line's round trip.
        take_from_viewer(g, viewer, endpoint.track, socket->rtcp, data, size,
                         came_wall_ns ? came_wall_ns : socket->wall_ns);
        return;
    }
    RelayIngestStream *s = endpoint.owner;
    if (endpoint.moved && socket->rtcp)
        s->sender.rtcp[endpoint.track] = *from;
    input_media(s, endpoint.track, socket->rtcp, data, size, socket->wall_ns);
}

static void receive(RelayWatch *watch, guint32 epoll_events)
{
    Socket *socket = (Socket *)watch;
    socket->wall_ns = tk_clock_wall_ns();
    relay_udp_receive(socket->ingest->receiver, watch->fd, take_datagram, socket);
}

static void take_own(gpointer user, const RelayAddress *from, const guint8 *data, gsize size,
                     gint64 came_wall_ns)
{
    Port *port = user;
    input_media(port->owner, port->track, port->rtcp, data, size, port->wall_ns);
}

static void receive_own(RelayWatch *watch, guint32 epoll_events)
{
    Port *port = (Port *)watch;
    port->wall_ns = tk_clock_wall_ns();
    relay_udp_receive(port->owner->ingest->receiver, watch->fd, take_own, port);
}

static void send_to_sender(RelayIngestStream *s, guint track, const GByteArray *packet)
{
    if (s->sender.interleaved)
        s->sender.send_rtcp(s->sender.user, track, packet);
    else if (s->sender.ports[track])
        (void)!send(s->sender.ports[track]->fds[1], packet->data, packet->len, MSG_NOSIGNAL);
    else
        relay_udp_send_rtcp(s->ingest->udp, &s->sender.rtcp[track], packet);
}

static void ask_sender(RelayIngestStream *s, gint64 now_ns)
{
    GByteArray *packet = s->ingest->report;
    for (guint track = 0; track < s->sender.tracks_count && s->ingest->repair; track++) {
        g_byte_array_set_size(packet, 0);
        relay_input_nack(s->input, track, now_ns, packet);
        if (packet->len)
            send_to_sender(s, track, packet);
    }
}

static void report_to_sender(RelayIngestStream *s, gint64 now_ns)
{
    RelayIngest *g = s->ingest;
    for (guint track = 0; track < s->sender.tracks_count; track++) {
        g_byte_array_set_size(g->report, 0);
        relay_input_receiver_report(s->input, track, now_ns, g->report);
        if (g->report->len)
            send_to_sender(s, track, g->report);
    }
}

static void hand_on_clocks(RelayIngestStream *s)
{
    s->clocks_known = TRUE;
    for (guint track = 0; track < s->sender.tracks_count; track++) {
        RelayTrackClock clock = {.identity = relay_input_identity(s->input, track)};
        clock.known = relay_input_clock(s->input, track, &clock.wall_ns, &clock.rtp_timestamp);
        s->clocks_known &= clock.known;
        if (clock.known)
            s->ingest->sink.on_clock(s->ingest->user, s->stream, track, &clock);
    }
}

static void note_stats(RelayIngestStream *s)
{
    guint64 lost = 0, dropped = 0, asked = 0, repaired = 0;
    for (guint track = 0; track < s->sender.tracks_count; track++) {
        RelayInputStats stats;
        relay_input_stats(s->input, track, &stats);
        relay_stat_set(s->stream->wanted_in[track], stats.wanted);
        if (track == 0 && stats.has_delay)
            relay_stat_set(s->stream->delay_in_ns, MAX(stats.delay_ns, 1));
        lost += stats.lost;
        dropped += stats.frames_dropped;
        asked += stats.asked;
        repaired += stats.repaired;
    }
    relay_stat_set(s->stream->packets_lost_in, lost);
    relay_stat_set(s->stream->frames_dropped_in, dropped);
    relay_stat_set(s->stream->packets_asked_in, asked);
    relay_stat_set(s->stream->packets_repaired_in, repaired);
}

static void finish(RelayIngestStream *s)
{
    s->active = FALSE;
    relay_input_end(s->input, relay_worker_now_ns(s->ingest->worker));
    hand_on_packets(s);
    note_stats(s);
    relay_stat_set(s->stream->blind_in, FALSE);
}

static void tend_sender(RelayIngestStream *s, gint64 now_ns)
{
    ask_sender(s, now_ns);
    if (!s->clocks_known)
        hand_on_clocks(s);
    if (now_ns < s->report_ns)
        return;
    s->report_ns = now_ns + REPORT_INTERVAL_NS;
    report_to_sender(s, now_ns);
    hand_on_clocks(s);
}

static gint64 tick(gpointer user, gint64 now_ns)
{
    RelayIngest *g = user;
    gboolean any = FALSE;
    for (guint i = 0; i < g->streams->len; i++) {
        RelayIngestStream *s = g->streams->pdata[i];
        if (!s->active)
            continue;
        any = TRUE;
        relay_input_tick(s->input, now_ns, tk_clock_wall_ns());
        if (s->sender.user)
            tend_sender(s, now_ns);
        hand_on_packets(s);
        note_stats(s);
        if (!s->sender.user && now_ns - s->adrift_ns > RELAY_INGEST_ADRIFT_S * TK_NS_PER_S)
            finish(s);
    }
    return any ? now_ns + TICK_NS : G_MAXINT64;
}

static void stream_free(gpointer data)
{
    RelayIngestStream *s = data;
    s->stream->ingest = NULL;
    relay_input_free(s->input);
    for (guint i = 0; i < s->packets->len; i++)
        relay_unit_unref(s->packets->pdata[i]);
    g_ptr_array_unref(s->packets);
    relay_stream_unref(s->stream);
    g_free(s);
}

RelayIngest *relay_ingest_new(RelayWorker *worker, RelayUdp *udp, const RelayIngestSink *sink,
                              gpointer user, gboolean repair, GError **error)
{
    RelayIngest *g = g_new0(RelayIngest, 1);
    g->worker = worker;
    g->udp = udp;
    g->sink = *sink;
    g->user = user;
    g->repair = repair;
    g->streams = g_ptr_array_new_with_free_func(stream_free);
    g->viewers = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    g->endpoints = relay_endpoints_new();
    g->report = g_byte_array_new();
    g->receiver = relay_udp_receiver_new();
    g->sockets[0] = (Socket){{.fd = udp->rtp_fd, .ready = receive}, g, .rtcp = FALSE};
    g->sockets[1] = (Socket){{.fd = udp->rtcp_fd, .ready = receive}, g, .rtcp = TRUE};
    for (guint i = 0; i < 2; i++) {
        if (!relay_worker_watch(worker, &g->sockets[i].watch, EPOLLIN, error)) {
            relay_ingest_free(g);
            return NULL;
        }
    }
    relay_worker_add_tick(worker, tick, g);
    return g;
}

void relay_ingest_free(RelayIngest *ingest)
{
    if (!ingest)
        return;
    g_ptr_array_unref(ingest->streams);
    g_hash_table_unref(ingest->viewers);
    relay_endpoints_free(ingest->endpoints);
    g_byte_array_unref(ingest->report);
    relay_udp_receiver_free(ingest->receiver);
    g_free(ingest);
}

void relay_ingest_open(RelayIngest *ingest, RelayStream *stream, gint64 epoch_wall_ns)
{
    static const RelayInputSink alone = {on_packet, on_init, on_chunk};
    static const RelayInputSink with_sound = {on_packet, on_init, on_chunk, on_sound_init,
                                              on_sound_chunk};
    RelayIngestStream *s = g_new0(RelayIngestStream, 1);
    guint64 seed = (guint64)g_random_int() << 32 | g_random_int();
    s->ingest = ingest;
    s->stream = relay_stream_ref(stream);
    s->packets = g_ptr_array_new();
    gboolean main = g_str_equal(stream->name, TK_STREAM_MAIN);
    s->input = relay_input_new(epoch_wall_ns, seed, main ? &with_sound : &alone, s);
    stream->ingest = s;
    g_ptr_array_add(ingest->streams, s);
}

void relay_ingest_close(RelayIngest *ingest, RelayStream *stream)
{
    relay_ingest_end(ingest, stream, NULL);
    if (stream->ingest)
        g_ptr_array_remove_fast(ingest->streams, stream->ingest);
}

// The sender of now leaves; its source may be adrift then.
static void detach(RelayIngestStream *s)
{
    s->sender.user = NULL;
    s->adrift_ns = relay_worker_now_ns(s->ingest->worker);
    relay_endpoints_remove(s->ingest->endpoints, s);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        for (guint rtcp = 0; s->sender.ports[track] && rtcp < 2; rtcp++)
            relay_worker_unwatch(s->ingest->worker, &s->ports[track][rtcp].watch);
    memset(s->sender.ports, 0, sizeof s->sender.ports);
}

static gboolean goes_on(const RelayIngestStream *s, const RelaySenderSpec *spec)
{
    gboolean same = s->active && s->sender.lingers && spec->resumes &&
                    s->sender.interleaved == spec->interleaved &&
                    s->sender.tracks_count == spec->tracks_count;
    for (guint track = 0; same && track < spec->tracks_count; track++) {
        const RelayTrackFormat *was = &s->sender.formats[track], *is = &spec->formats[track];
        same = was->kind == is->kind && was->payload_type == is->payload_type &&
               was->clock_rate == is->clock_rate && was->rtx_payload_type == is->rtx_payload_type;
    }
    return same;
}

static gboolean watch_ports(RelayIngestStream *s, guint track)
{
    RelayIngest *g = s->ingest;
    for (guint rtcp = 0; rtcp < 2; rtcp++) {
        Port *port = &s->ports[track][rtcp];
        *port = (Port){{.fd = s->sender.ports[track]->fds[rtcp], .ready = receive_own},
                       .owner = s,
                       .track = track,
                       .rtcp = rtcp == 1};
        if (!relay_worker_watch(g->worker, &port->watch, EPOLLIN, NULL))
            return FALSE;
    }
    return TRUE;
}

static gboolean attach(RelayIngestStream *s)
{
    RelayEndpoints *endpoints = s->ingest->endpoints;
    const RelaySenderSpec *sender = &s->sender;
    for (guint track = 0; track < sender->tracks_count && !sender->interleaved; track++) {
        gboolean ok = sender->ports[track]
                          ? watch_ports(s, track)
                          : relay_endpoints_add(endpoints, RELAY_ENDPOINT_SENDER, s, track,
                                                &sender->rtp[track], &sender->rtcp[track]);
        if (!ok)
            return FALSE;
    }
    return TRUE;
}

gboolean relay_ingest_begin(RelayIngest *ingest, RelayStream *stream, const RelaySenderSpec *spec)
{
    RelayIngestStream *s = stream->ingest;
    gint64 now_ns = relay_worker_now_ns(ingest->worker);
    if (!s)
        return FALSE;
    if (s->active)
        detach(s);
    gboolean anew = !goes_on(s, spec);
    if (s->active && anew)
        finish(s);
    if (anew && !relay_input_begin(s->input, spec->formats, spec->tracks_count, spec->interleaved,
                                   now_ns, tk_clock_wall_ns()))
        return FALSE;
    if (spec->relayed && anew)
        relay_input_is_relayed(s->input);
    if (spec->lingers)
        relay_input_be_patient(s->input);
    s->active = TRUE;
    s->sender = *spec;
    s->report_ns = now_ns;
    s->clocks_known = FALSE;
    if (attach(s))
        return TRUE;
    relay_ingest_end(ingest, stream, NULL);
    return FALSE;
}

void relay_ingest_end(RelayIngest *ingest, RelayStream *stream, gconstpointer user)
{
    RelayIngestStream *s = stream->ingest;
    if (!s || !s->active || (user && user != s->sender.user))
        return;
    detach(s);
    if (!user || !s->sender.lingers)
        finish(s);
}

void relay_ingest_frame(RelayIngest *ingest, RelayStream *stream, gconstpointer user, guint track,
                        gboolean rtcp, const guint8 *data, gsize size)
{
    RelayIngestStream *s = stream->ingest;
    if (s && s->active && s->sender.user == user && track < s->sender.tracks_count)
        input_media(s, track, rtcp, data, size, tk_clock_wall_ns());
}

gboolean relay_ingest_add_viewer(RelayIngest *ingest, const RelayUdpViewer *viewer, guint track,
                                 const RelayAddress *rtp, const RelayAddress *rtcp)
{
    RelayUdpViewer *known = g_hash_table_lookup(ingest->viewers, viewer->user);
    RelayUdpViewer *owner = known ? known : g_memdup2(viewer, sizeof *viewer);
    gboolean ok =
        relay_endpoints_add(ingest->endpoints, RELAY_ENDPOINT_VIEWER, owner, track, rtp, rtcp);
    if (ok && !known)
        g_hash_table_insert(ingest->viewers, owner->user, owner);
    else if (!known)
        g_free(owner);
    return ok;
}

void relay_ingest_remove_viewer(RelayIngest *ingest, gpointer user)
{
    RelayUdpViewer *viewer = g_hash_table_lookup(ingest->viewers, user);
    if (!viewer)
        return;
    relay_endpoints_remove(ingest->endpoints, viewer);
    g_hash_table_remove(ingest->viewers, user);
}

void relay_ingest_stats(const RelayIngest *ingest, RelayIngestStats *ret)
{
    relay_udp_receiver_stats(ingest->receiver, &ret->udp);
    ret->strangers = relay_stat_get(ingest->strangers);
}
