// SPDX-License-Identifier: MIT
#include "relay/net/conn_part.h"

#include <string.h>

static void leave(RelayConn *c)
{
    if (c->viewer)
        relay_fanout_leave(c->conns->fanout, g_steal_pointer(&c->viewer));
}

void relay_conn_stop_viewing(RelayConn *conn)
{
    leave(conn);
    if (conn->expected)
        relay_ingest_mail_remove_viewer(&conn->conns->ingest, relay_conn_ref(conn));
    conn->expected = FALSE;
}

static void on_viewer_gone(gpointer user, const char *reason)
{
    RelayConn *c = user;
    leave(c);
    relay_conn_close(c, reason);
}

// Tasks that the ingest worker gives on to the viewer's worker.
typedef struct {
    RelayConn *conn;
    guint track;
    gboolean rtcp;
    RelayAddress address; // bytes 0: only heard
} Sighting;

static void take_sighting(gpointer owner, gpointer data)
{
    Sighting *sighting = data;
    RelayConn *c = sighting->conn;
    if (sighting->address.bytes)
        c->moved[sighting->track][sighting->rtcp] = sighting->address;
    if (c->viewer && sighting->address.bytes)
        relay_rtp_viewer_redirect(c->viewer, sighting->track, sighting->rtcp, &sighting->address);
    else if (c->viewer)
        relay_rtp_viewer_heard(c->viewer, relay_worker_now_ns(c->conns->worker));
    relay_conn_unref(c);
    g_free(sighting);
}

static void on_moved(gpointer user, guint track, gboolean rtcp, const RelayAddress *address)
{
    RelayConn *c = user;
    Sighting *sighting = g_new(Sighting, 1);
    *sighting = (Sighting){relay_conn_ref(c), track, rtcp, *address};
    relay_worker_do(c->conns->worker, take_sighting, sighting);
}

typedef struct {
    RelayConn *conn;
    guint track;
    RelayQuestion question;
} Question;

static void question_free(Question *q)
{
    relay_conn_unref(q->conn);
    g_free(q);
}

static void take_question(gpointer owner, gpointer data)
{
    Question *q = data;
    if (q->conn->viewer)
        relay_rtp_viewer_asked(q->conn->viewer, q->track, &q->question);
    question_free(q);
}

static void on_asked(gpointer user, guint track, const RelayQuestion *question)
{
    RelayConn *c = user;
    Question *q = g_new(Question, 1);
    *q = (Question){relay_conn_ref(c), track, *question};
    if (relay_worker_is_current(c->conns->worker))
        take_question(NULL, q);
    else if (!relay_worker_offer(c->conns->worker, take_question, q))
        question_free(q); // it will ask again
}

static void on_heard(gpointer user)
{
    RelayAddress none = {0};
    on_moved(user, 0, TRUE, &none);
}

// The ports of one track.
typedef struct {
    RelayConn *conn;
    guint track;
    RelayAddress rtp, rtcp;
    gboolean taken;
} Ports;

static void tell_expected(gpointer owner, gpointer data)
{
    g_autofree Ports *ports = data;
    const RelayConnDesk *desk = &ports->conn->desk;
    desk->on_expected(desk->user, ports->conn, ports->track, ports->taken);
    relay_conn_unref(ports->conn);
}

static void on_settled(gpointer user, guint track, gboolean taken)
{
    RelayConn *c = user;
    Ports *ports = g_new0(Ports, 1);
    *ports = (Ports){.conn = relay_conn_ref(c), .track = track, .taken = taken};
    relay_mailbox_post(c->conns->desk_mailbox, tell_expected, ports);
}

static void expect(gpointer owner, gpointer data)
{
    g_autofree Ports *ports = data;
    RelayConn *c = ports->conn;
    if (c->link) {
        RelayUdpViewer viewer = {
            .heard = on_heard, .moved = on_moved, .asked = on_asked, .user = relay_conn_ref(c)};
        c->expected = TRUE;
        c->moved[ports->track][0].bytes = c->moved[ports->track][1].bytes = 0;
        relay_ingest_mail_add_viewer(&c->conns->ingest, &viewer, ports->track, &ports->rtp,
                                     &ports->rtcp, on_settled);
    }
    relay_conn_unref(c);
}

void relay_conn_expect(RelayConn *conn, guint track, const RelayAddress *rtp,
                       const RelayAddress *rtcp)
{
    Ports *ports = g_new(Ports, 1);
    *ports = (Ports){relay_conn_ref(conn), track, *rtp, *rtcp, FALSE};
    relay_worker_post(conn->conns->worker, expect, ports);
}

// Where the ports of the viewer really are.
static void follow_nat(const RelayConn *c, RelayViewerSpec *spec)
{
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        if (c->moved[track][0].bytes)
            spec->tracks[track].rtp = c->moved[track][0];
        if (c->moved[track][1].bytes)
            spec->tracks[track].rtcp = c->moved[track][1];
    }
}

static void append_rtp_info(GString *text, const RelayRtpViewer *viewer, char *const *urls)
{
    const char *separator = "RTP-Info: ";
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        guint16 sequence;
        guint32 timestamp;
        if (!urls[track] || !relay_rtp_viewer_first(viewer, track, &sequence, &timestamp))
            continue;
        g_string_append_printf(text, "%surl=%s;seq=%u;rtptime=%u", separator, urls[track], sequence,
                               timestamp);
        separator = ",";
    }
    if (*separator == ',')
        g_string_append(text, "\r\n");
}

typedef struct {
    RelayConn *conn;
    RelayStream *stream;
    RelayViewerSpec spec;
    char *head;
    char *urls[RELAY_INPUT_TRACKS_MAX];
} Play;

static void play_free(Play *play)
{
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        g_free(play->urls[track]);
    relay_stream_unref(play->stream);
    relay_conn_unref(play->conn);
    g_free(play->head);
    g_free(play);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Play, play_free)

// The answer with another status than it was to have.
static GString *answer_instead(const Play *play, const char *status)
{
    GString *text = g_string_new("RTSP/1.0 ");
    g_string_append(text, status);
    return g_string_append(text, strstr(play->head, "\r\n"));
}

static GString *answer_of(const Play *play, const RelayRtpViewer *viewer, gboolean full)
{
    if (!viewer && !full)
        return answer_instead(play, "404 Not Found");
    if (!full)
        return g_string_new(play->head);
    relay_stat_add(play->spec.school->refused, 1);
    GString *text = answer_instead(play, "453 Not Enough Bandwidth");
    return g_string_append(text, "X-Tongke-Reason: the limits leave no room\r\n");
}

static void begin(gpointer owner, gpointer data)
{
    g_autoptr(Play) play = data;
    RelayConn *c = play->conn;
    if (!c->link)
        return;
    play->spec.link = play->spec.interleaved ? c->link : NULL;
    play->spec.on_gone = on_viewer_gone;
    play->spec.user = c;
    leave(c);
    follow_nat(c, &play->spec);
    gboolean full;
    c->viewer = relay_fanout_join(c->conns->fanout, play->stream, &play->spec, &full);
    g_autoptr(GString) text = answer_of(play, c->viewer, full);
    if (c->viewer)
        append_rtp_info(text, c->viewer, play->urls);
    g_string_append(text, "\r\n");
    relay_link_put_text(c->link, text->str);
    relay_conn_finish_answer(c, !c->viewer);
}

void relay_conn_play(RelayConn *conn, RelayStream *stream, const RelayViewerSpec *tracks,
                     char *head, char *urls[RELAY_INPUT_TRACKS_MAX])
{
    Play *play = g_new0(Play, 1);
    play->conn = relay_conn_ref(conn);
    play->stream = relay_stream_ref(stream);
    play->spec = *tracks;
    play->head = head;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        play->urls[track] = urls[track];
    relay_worker_post(conn->conns->worker, begin, play);
}

static void pause_viewing(gpointer owner, gpointer data)
{
    leave(data);
    relay_conn_unref(data);
}

void relay_conn_pause(RelayConn *conn)
{
    relay_worker_post(conn->conns->worker, pause_viewing, relay_conn_ref(conn));
}
