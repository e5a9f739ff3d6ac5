// SPDX-License-Identifier: MIT
#include "relay/net/pull.h"

#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "relay/net/dial.h"
#include "relay/net/ports.h"
#include "relay/net/transport.h"

// The other relay may wait for its own sender's first keyframe before it describes a stream.
#define ANSWER_S 10
// Well inside the minute after which a silent viewer is left.
#define KEEP_ALIVE_S 20

typedef enum { STEP_DIAL, STEP_DESCRIBE, STEP_SETUP, STEP_PLAY, STEP_PLAYING, STEP_OVER } Step;

struct _RelayPull {
    gint refs; // the owner's and the connection's; main thread only
    RelayConns *conns;
    RelayStream *stream;
    char *host, *token;
    RelayPullSpec spec;
    const RelayPullHandler *handler;
    gpointer user; // NULL handler: freed by its owner

    Step step;
    RelayDial *dial;
    RelayConn *conn;
    RelayAddress local, peer;
    guint cseq, track; // STEP_SETUP: which
    guint timer;
    char *base, *session;
    RelayOffer offer;
    RelayPorts *ports[RELAY_INPUT_TRACKS_MAX];
};

static void pull_unref(RelayPull *p)
{
    if (--p->refs)
        return;
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        relay_ports_unref(p->ports[i]);
    relay_offer_clear(&p->offer);
    relay_stream_unref(p->stream);
    g_free(p->host);
    g_free(p->token);
    g_free(p->base);
    g_free(p->session);
    g_free(p);
}

static void close_conn(RelayPull *p, const char *why)
{
    if (p->conn)
        relay_conn_close(p->conn, why);
    g_clear_pointer(&p->conn, relay_conn_unref);
}

static void over(RelayPull *p, const char *why)
{
    if (p->step == STEP_OVER)
        return;
    p->step = STEP_OVER;
    g_clear_handle_id(&p->timer, g_source_remove);
    close_conn(p, why);
    if (p->handler)
        p->handler->on_over(p->user, p, why);
}

static gboolean answer_late(gpointer user)
{
    RelayPull *p = user;
    p->timer = 0;
    over(p, "no answer from the other relay");
    return G_SOURCE_REMOVE;
}

// `headers` may be NULL.
static void ask(RelayPull *p, const char *method, const char *uri, const char *headers)
{
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "%s %s RTSP/1.0\r\nCSeq: %u\r\nUser-Agent: tongke-relay\r\n",
                           method, uri, ++p->cseq);
    if (p->token)
        g_string_append_printf(text, "Authorization: Bearer %s\r\n", p->token);
    if (p->session)
        g_string_append_printf(text, "Session: %s\r\n", p->session);
    g_string_append_printf(text, "%s\r\n", headers ? headers : "");
    relay_conn_ask(p->conn, g_string_free(text, FALSE));
    g_clear_handle_id(&p->timer, g_source_remove);
    p->timer = g_timeout_add_seconds(ANSWER_S, answer_late, p);
}

static gboolean keep_alive(gpointer user)
{
    RelayPull *p = user;
    p->timer = 0;
    ask(p, "GET_PARAMETER", p->base, NULL);
    return G_SOURCE_REMOVE;
}

static void set_up(RelayPull *p)
{
    g_autoptr(GError) error = NULL;
    const char *control = p->offer.controls[p->track] ? p->offer.controls[p->track] : "";
    gboolean absolute = g_str_has_prefix(control, "rtsp://");
    g_autofree char *uri =
        absolute ? g_strdup(control) : g_strdup_printf("%s/%s", p->base, control);
    g_autofree char *header = NULL;
    if (p->spec.tcp) {
        header = g_strdup_printf("Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u\r\n",
                                 2 * p->track, 2 * p->track + 1);
    } else {
        RelayPorts *ports = p->ports[p->track] = relay_ports_new(&p->local, &error);
        if (!ports) {
            over(p, error->message);
            return;
        }
        const char *profile = p->offer.formats[p->track].nack ? "RTP/AVPF" : "RTP/AVP";
        header = g_strdup_printf("Transport: %s;unicast;client_port=%u-%u\r\n", profile,
                                 ports->ports[0], ports->ports[1]);
    }
    ask(p, "SETUP", uri, header);
}

static void play(RelayPull *p)
{
    gboolean resumes = p->spec.resumes && p->spec.resumes == p->offer.session;
    RelaySenderSpec sender = {.tracks_count = p->offer.tracks_count,
                              .interleaved = p->spec.tcp,
                              .lingers = !p->spec.moves,
                              .relayed = TRUE,
                              .resumes = resumes};
    guint8 channels[RELAY_INPUT_TRACKS_MAX];
    g_autoptr(GString) resume = g_string_new(NULL);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        sender.formats[i] = p->offer.formats[i];
        sender.ports[i] = p->ports[i];
        channels[i] = (guint8)(2 * i);
        if (resumes && i < p->offer.tracks_count)
            g_string_append_printf(resume, "%s%u=%u", i ? ";" : "X-Tongke-Resume: ", i,
                                   p->spec.resume[i]);
    }
    if (resume->len)
        g_string_append(resume, "\r\n");
    // Before the answer: what comes with it has to find its way.
    relay_conn_record(p->conn, p->stream, &sender, channels);
    p->step = STEP_PLAY;
    ask(p, "PLAY", p->base, resume->str);
}

static void take_description(RelayPull *p, const TkRtspMessage *answer)
{
    g_autoptr(GError) error = NULL;
    const char *base = tk_rtsp_header(answer, "Content-Base");
    if (!relay_sdp_parse(answer->body, answer->body_bytes, &p->offer, &error) || !p->handler ||
        !p->handler->on_offer(p->user, p, &p->offer, p->conn, &error)) {
        over(p, error ? error->message : "given up");
        return;
    }
    if (base) {
        g_free(p->base);
        p->base = g_strdup(base);
        if (g_str_has_suffix(p->base, "/"))
            p->base[strlen(p->base) - 1] = '\0';
    }
    p->step = STEP_SETUP;
    p->track = 0;
    set_up(p);
}

static void take_set_up(RelayPull *p, const TkRtspMessage *answer)
{
    g_autoptr(GError) error = NULL;
    const char *session = tk_rtsp_header(answer, "Session");
    if (session && !p->session)
        p->session = g_strndup(session, strcspn(session, "; "));
    if (!p->spec.tcp) {
        RelayAddress rtp, rtcp;
        if (!relay_transport_read_server(tk_rtsp_header(answer, "Transport"), &p->peer, &rtp,
                                         &rtcp)) {
            over(p, "the other relay names no UDP ports");
            return;
        }
        if (!relay_ports_connect(p->ports[p->track], &rtp, &rtcp, &error)) {
            over(p, error->message);
            return;
        }
    }
    if (++p->track < p->offer.tracks_count)
        set_up(p);
    else
        play(p);
}

static void take_playing(RelayPull *p)
{
    gboolean begins = p->step == STEP_PLAY;
    p->step = STEP_PLAYING;
    p->timer = g_timeout_add_seconds(KEEP_ALIVE_S, keep_alive, p);
    if (begins && p->handler)
        p->handler->on_playing(p->user, p);
}

static void on_answer(gpointer user, RelayConn *conn, TkRtspMessage *given)
{
    RelayPull *p = user;
    g_autoptr(TkRtspMessage) answer = given;
    if (p->step == STEP_OVER)
        return;
    g_clear_handle_id(&p->timer, g_source_remove);
    if (answer->status != 200) {
        const char *reason = tk_rtsp_header(answer, "X-Tongke-Reason");
        g_autofree char *why = reason
                                   ? g_strdup(reason)
                                   : g_strdup_printf("the other relay answers %u", answer->status);
        over(p, why);
        return;
    }
    if (p->step == STEP_DESCRIBE)
        take_description(p, answer);
    else if (p->step == STEP_SETUP)
        take_set_up(p, answer);
    else
        take_playing(p);
}

static void on_closed(gpointer user, RelayConn *conn, const char *why)
{
    RelayPull *p = user;
    over(p, why);
    pull_unref(p);
}

static gboolean take_addresses(RelayPull *p, int fd)
{
    p->local.bytes = p->peer.bytes = sizeof p->local.to;
    return getsockname(fd, (struct sockaddr *)&p->local.to, &p->local.bytes) == 0 &&
           getpeername(fd, (struct sockaddr *)&p->peer.to, &p->peer.bytes) == 0;
}

static void on_dialed(gpointer user, int fd, const char *why)
{
    RelayPull *p = user;
    if (fd < 0) {
        over(p, why);
        return;
    }
    if (!take_addresses(p, fd)) {
        close(fd);
        over(p, "the connection ended at once");
        return;
    }
    RelayConnDesk desk = {.on_answer = on_answer, .on_closed = on_closed, .user = p};
    p->refs++;
    p->conn = relay_conn_ref(relay_conn_dialed(p->conns, fd, &p->peer, &desk));
    p->step = STEP_DESCRIBE;
    ask(p, "DESCRIBE", p->base, "Accept: application/sdp\r\n");
}

RelayPull *relay_pull_new(RelayConns *conns, RelayStream *stream, const RelayPullSpec *spec,
                          const RelayPullHandler *handler, gpointer user)
{
    RelayPull *p = g_new0(RelayPull, 1);
    gboolean ipv6 = strchr(spec->host, ':') != NULL;
    p->refs = 1;
    p->conns = conns;
    p->stream = relay_stream_ref(stream);
    p->host = g_strdup(spec->host);
    p->token = g_strdup(spec->token);
    p->spec = *spec;
    p->handler = handler;
    p->user = user;
    p->base = g_strdup_printf(ipv6 ? "rtsp://[%s]:%u/%s" : "rtsp://%s:%u/%s", spec->host,
                              spec->port, spec->path);
    p->dial = relay_dial_new(p->host, spec->port, spec->dial_s, on_dialed, p);
    return p;
}

void relay_pull_free(RelayPull *pull)
{
    if (!pull)
        return;
    pull->handler = NULL;
    g_clear_pointer(&pull->dial, relay_dial_free);
    over(pull, "not wanted any more");
    pull_unref(pull);
}
