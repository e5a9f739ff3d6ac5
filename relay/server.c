// SPDX-License-Identifier: MIT
#include "relay/server.h"

#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "relay/net/api.h"
#include "relay/net/cores.h"
#include "relay/net/dscp.h"
#include "relay/net/listener.h"
#include "relay/net/metrics.h"
#include "relay/net/mirror.h"
#include "relay/net/rtsp.h"

#define BITS_PER_KBIT 1000

struct _RelayServer {
    const TkConfig *config;
    RelayDoor *door;
    RelayMailbox *desk;
    int desk_fd; // an eventfd: the desk has letters
    guint desk_watch;
    RelayUdp udp[RELAY_WORKERS_MAX]; // of each packet worker
    RelayHandoff handoff;
    RelayIngest *ingest;
    RelayLessons *lessons;
    RelayMulticast *multicast; // NULL: off
    RelayRtsp *rtsp;
    RelayMirror *mirror;
    RelayConns *conns[RELAY_WORKERS_MAX];
    guint next_conns, next_web;
    RelayHosts *hosts;
    RelaySchools *schools;
    RelayListener *rtsp_listener, *web_listener;
    RelayApi api;
};

static const char *text(const RelayServer *s, const char *group, const char *key)
{
    return tk_config_string(s->config, group, key);
}

static gint64 number(const RelayServer *s, const char *group, const char *key)
{
    return tk_config_int(s->config, group, key);
}

static gboolean beyond_loopback(const char *host)
{
    RelayAddress address;
    return !relay_address_parse(host, 0, &address, NULL) || !relay_address_is_loopback(&address);
}

static gboolean open_door(RelayServer *s, GError **error)
{
    s->door = relay_door_new(text(s, "auth", "key_file"), error);
    if (!s->door)
        return FALSE;
    static const char *const groups[] = {"rtsp", "web"};
    for (guint i = 0; i < G_N_ELEMENTS(groups); i++) {
        const char *host = text(s, groups[i], "listen");
        if (!relay_door_is_open(s->door) || !beyond_loopback(host))
            continue;
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "%s.listen = %s reaches beyond this machine, and there is no auth.key_file: "
                    "make one with `tongkectl key new FILE` and name it, or listen on 127.0.0.1",
                    groups[i], host);
        return FALSE;
    }
    return TRUE;
}

static void wake_desk(gpointer data)
{
    RelayServer *s = data;
    guint64 one = 1;
    (void)!write(s->desk_fd, &one, sizeof one);
}

static gboolean desk_ready(gint fd, GIOCondition condition, gpointer data)
{
    RelayServer *s = data;
    guint64 count;
    (void)!read(fd, &count, sizeof count);
    relay_mailbox_run(s->desk, s->lessons);
    return G_SOURCE_CONTINUE;
}

static gboolean make_packet_workers(RelayServer *s, GError **error)
{
    RelayHandoff *h = &s->handoff;
    gint64 span_ns = number(s, "history", "packet_s") * TK_NS_PER_S;
    gsize bytes = (gsize)number(s, "history", "packet_mib") << 20;
    guint count = (guint)number(s, "workers", "packet");
    if (!relay_udp_open(s->udp, count, text(s, "rtsp", "listen"),
                        (guint16)number(s, "rtsp", "rtp_port"), text(s, "udp", "backend"), error))
        return FALSE;
    for (guint i = 0; i < count; i++) {
        relay_dscp_mark(s->udp[i].rtp_fd, (guint)number(s, "qos", "dscp"));
        relay_dscp_mark(s->udp[i].rtcp_fd, (guint)number(s, "qos", "dscp"));
        g_autofree char *name = g_strdup_printf("packets-%u", i);
        h->workers[i] = relay_worker_new(name, error);
        if (!h->workers[i])
            return FALSE;
        h->packet_count++;
        // The ingest's tick comes before its own fan-out's: what came in leaves in the same round.
        if (i == 0 &&
            !(s->ingest = relay_ingest_new(h->workers[0], &s->udp[0], &relay_handoff_sink, h,
                                           tk_config_bool(s->config, "repair", "enabled"), error)))
            return FALSE;
        h->fanouts[i] = relay_fanout_new(h->workers[i], i, &s->udp[i], span_ns, bytes,
                                         tk_config_bool(s->config, "pacing", "enabled"));
    }
    return TRUE;
}

static char *metrics(gpointer user)
{
    RelayServer *s = user;
    return relay_metrics_text(s->lessons, &s->handoff, s->ingest, s->udp, s->multicast, s->hosts,
                              s->schools);
}

static RelayWebResponse on_request(gpointer user, const RelayWebRequest *request)
{
    return relay_api_answer(&((RelayServer *)user)->api, request);
}

static char *on_snapshot(gpointer user, const TkClaims *claims)
{
    return relay_api_snapshot(&((RelayServer *)user)->api, claims);
}

static void on_viewer(gpointer user, RelayStream *stream, gint change, const char *school)
{
    RelayServer *s = user;
    relay_lessons_count_viewer(s->lessons, stream, RELAY_VIEWER_WS, change, school);
}

static gboolean make_web_workers(RelayServer *s, GError **error)
{
    const char *page = text(s, "web", "page");
    guint count = (guint)number(s, "workers", "web");
    RelayWebSpec spec = {
        .page = *page ? page : TONGKE_PAGE_DIR,
        .bbr = g_str_equal(text(s, "web", "congestion"), "bbr"),
        .dscp = (guint)number(s, "qos", "dscp"),
        .connections_max = (guint)number(s, "limits", "connections"),
        .history_span_ns = number(s, "history", "chunk_s") * TK_NS_PER_S,
        .history_bytes_max = (gsize)number(s, "history", "chunk_mib") << 20,
        .door = s->door,
        .schools = s->schools,
        .desk = {s->desk, on_request, on_viewer, on_snapshot, s},
    };
    for (guint i = 0; i < count; i++) {
        s->handoff.webs[i] = relay_web_new(i, &spec, error);
        if (!s->handoff.webs[i])
            return FALSE;
        s->handoff.web_count++;
    }
    return TRUE;
}

static void on_web_accept(gpointer user, int fd, const RelayAddress *peer)
{
    RelayServer *s = user;
    relay_web_adopt(s->handoff.webs[s->next_web], fd);
    s->next_web = (s->next_web + 1) % s->handoff.web_count;
}

static void on_rtsp_accept(gpointer user, int fd, const RelayAddress *peer)
{
    RelayServer *s = user;
    relay_dscp_mark(fd, (guint)number(s, "qos", "dscp")); // it may carry media
    relay_rtsp_accept(s->rtsp, s->conns[s->next_conns], fd, peer);
    s->next_conns = (s->next_conns + 1) % s->handoff.packet_count;
}

// Groups are left by the interface that multicast.interface names, else by the one that listens.
static gboolean make_multicast(RelayServer *s, GError **error)
{
    RelayMulticastSpec spec = {.ttl = (guint8)number(s, "multicast", "ttl")};
    const char *interface = text(s, "multicast", "interface");
    const char *host = *interface ? interface : text(s, "rtsp", "listen");
    if (!tk_config_bool(s->config, "multicast", "enabled"))
        return TRUE;
    if (!relay_group_range_parse(text(s, "multicast", "groups"),
                                 (guint)number(s, "multicast", "groups_max"),
                                 (guint16)number(s, "multicast", "port"), &spec.range, error) ||
        !relay_address_parse(host, 0, &spec.interface, error))
        return FALSE;
    s->multicast = relay_multicast_new(&s->handoff, &spec, s->udp, error);
    return s->multicast != NULL;
}

static void make_signalling(RelayServer *s)
{
    RelayLessonsLimits limits = {.away_ns = number(s, "lesson", "away_s") * TK_NS_PER_S,
                                 .teardown_ns = number(s, "lesson", "teardown_s") * TK_NS_PER_S,
                                 .stall_ns = number(s, "lesson", "stall_s") * TK_NS_PER_S,
                                 .lessons_max = (guint)number(s, "limits", "lessons")};
    s->lessons = relay_lessons_new(&s->handoff, s->ingest, &limits);
    RelayRtspSpec rtsp = {.rtp_port = s->udp->port,
                          .connections_max = (guint)number(s, "limits", "connections"),
                          .repair = tk_config_bool(s->config, "repair", "enabled"),
                          .schools = s->schools,
                          .multicast = s->multicast};
    s->rtsp = relay_rtsp_new(s->lessons, s->door, &rtsp);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        s->conns[i] = relay_conns_new(s->handoff.workers[i], s->handoff.fanouts[i],
                                      s->handoff.workers[0], s->ingest, s->desk);
}

static RelayListener *listen_at(RelayServer *s, const char *group, const char *refusal,
                                void (*on_accept)(gpointer, int, const RelayAddress *),
                                GError **error)
{
    return relay_listener_new(text(s, group, "listen"), (guint16)number(s, group, "port"), s->hosts,
                              refusal, on_accept, s, error);
}

#define TOO_MANY "too many connections from this host"

static gboolean open_ports(RelayServer *s, GError **error)
{
    s->hosts = relay_hosts_new((guint)number(s, "limits", "connections_per_host"));
    s->rtsp_listener = listen_at(s, "rtsp",
                                 "RTSP/1.0 503 Service Unavailable\r\nX-Tongke-Reason: " TOO_MANY
                                 "\r\nRetry-After: 10\r\n\r\n",
                                 on_rtsp_accept, error);
    if (!s->rtsp_listener)
        return FALSE;
    s->web_listener = listen_at(s, "web",
                                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                                "Retry-After: 10\r\nContent-Type: text/plain\r\n\r\n" TOO_MANY "\n",
                                on_web_accept, error);
    return s->web_listener != NULL;
}

static gboolean follow_upstreams(RelayServer *s, GError **error)
{
    static const char *const transports[] = {"auto", "udp", "tcp", NULL};
    RelayMirrorSpec spec = {.name = text(s, "relay", "name"),
                            .rtsp_port = relay_listener_port(s->rtsp_listener),
                            .upstreams = text(s, "upstream", "relays"),
                            .token_file = text(s, "upstream", "token_file"),
                            .ahead = text(s, "upstream", "ahead"),
                            .moves = g_str_equal(text(s, "upstream", "rendition"), "auto"),
                            .return_ns = number(s, "upstream", "return_s") * TK_NS_PER_S};
    while (!g_str_equal(transports[spec.transport], text(s, "upstream", "transport")))
        spec.transport++;
    s->mirror = relay_mirror_new(&spec, s->lessons, s->conns[0], error);
    return s->mirror != NULL;
}

// Each thread on its core, if it is to have one: packet workers first, then web workers.
static gboolean start_workers(RelayServer *s, RelayCores *cores, GError **error)
{
    for (guint i = 0; i < s->handoff.packet_count; i++) {
        if (!relay_cores_enter_next(cores, error))
            return FALSE;
        relay_worker_start(s->handoff.workers[i]);
    }
    for (guint i = 0; i < s->handoff.web_count; i++) {
        if (!relay_cores_enter_next(cores, error))
            return FALSE;
        relay_web_start(s->handoff.webs[i]);
    }
    return TRUE;
}

static gboolean start(RelayServer *s, GError **error)
{
    RelayCores *cores = relay_cores_new(text(s, "workers", "pin"), error);
    if (!cores)
        return FALSE;
    s->api = (RelayApi){.lessons = s->lessons,
                        .mirror = s->mirror,
                        .schools = s->schools,
                        .door = s->door,
                        .name = text(s, "relay", "name"),
                        .library = text(s, "web", "library"),
                        .rtsp_port = relay_listener_port(s->rtsp_listener),
                        .started_wall_ns = tk_clock_wall_ns(),
                        .metrics = metrics,
                        .user = s};
    s->desk_watch = g_unix_fd_add(s->desk_fd, G_IO_IN, desk_ready, s);
    gboolean started = start_workers(s, cores, error);
    relay_cores_leave(cores);
    relay_cores_free(cores);
    return started;
}

RelayServer *relay_server_new(const TkConfig *config, GError **error)
{
    RelayServer *s = g_new0(RelayServer, 1);
    s->config = config;
    for (guint i = 0; i < RELAY_WORKERS_MAX; i++)
        s->udp[i] = RELAY_UDP_NONE;
    s->schools = relay_schools_new(number(s, "limits", "total_kbps") * BITS_PER_KBIT,
                                   number(s, "limits", "school_kbps") * BITS_PER_KBIT);
    s->desk_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->desk = s->handoff.desk = relay_mailbox_new(G_MAXUINT, wake_desk, s);
    if (open_door(s, error) && make_packet_workers(s, error) && make_web_workers(s, error) &&
        make_multicast(s, error)) {
        make_signalling(s);
        if (open_ports(s, error) && follow_upstreams(s, error) && start(s, error))
            return s;
    }
    relay_server_free(s);
    return NULL;
}

// Threads first, then what lived on them, then what they spoke to.
void relay_server_free(RelayServer *server)
{
    RelayServer *s = server;
    if (!s)
        return;
    relay_listener_free(s->rtsp_listener);
    relay_listener_free(s->web_listener);
    relay_hosts_free(s->hosts);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_worker_stop(s->handoff.workers[i]);
    for (guint i = 0; i < s->handoff.web_count; i++)
        relay_web_stop(s->handoff.webs[i]);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_conns_close(s->conns[i]);
    // What senders and viewers leave behind is told to the workers: they have to be there yet.
    relay_mailbox_run(s->desk, s->lessons);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_worker_settle(s->handoff.workers[i]);
    relay_mailbox_run(s->desk, s->lessons);
    for (guint i = 0; i < s->handoff.web_count; i++)
        relay_web_free(s->handoff.webs[i]);
    relay_mailbox_run(s->desk, s->lessons);
    relay_mirror_free(s->mirror);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_conns_free(s->conns[i]);
    relay_ingest_free(s->ingest);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_fanout_free(s->handoff.fanouts[i]);
    relay_rtsp_free(s->rtsp);
    relay_multicast_free(s->multicast);
    relay_lessons_free(s->lessons);
    for (guint i = 0; i < s->handoff.packet_count; i++)
        relay_worker_free(s->handoff.workers[i]);
    for (guint i = 0; i < RELAY_WORKERS_MAX; i++)
        relay_udp_close(&s->udp[i]);
    if (s->desk_watch)
        g_source_remove(s->desk_watch);
    close(s->desk_fd);
    relay_mailbox_free(s->desk);
    relay_schools_free(s->schools);
    relay_door_free(s->door);
    g_free(s);
}

char *relay_server_addresses(const RelayServer *server)
{
    const char *rtsp = text(server, "rtsp", "listen"), *web = text(server, "web", "listen");
    return g_strdup_printf("listening rtsp %s:%u\nlistening rtp %s:%u\nlistening http %s:%u\n",
                           rtsp, relay_listener_port(server->rtsp_listener), rtsp,
                           server->udp->port, web, relay_listener_port(server->web_listener));
}
