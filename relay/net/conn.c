// SPDX-License-Identifier: MIT
#include "relay/net/conn.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "relay/net/ingest_mail.h"

// A connection that is neither viewer nor sender: time for its first request and between requests.
#define FIRST_REQUEST_NS (10 * TK_NS_PER_S)
#define IDLE_NS (60 * TK_NS_PER_S)
// What does not fit a whole piece within this time is a dripping or dead peer.
#define HALF_SENT_NS (10 * TK_NS_PER_S)

struct _RelayConn {
    gint refs;
    RelayConns *conns;
    RelayAddress peer;
    int fd; // until the link takes it

    // The worker's thread only.
    RelayLink *link;
    gboolean answering; // a request is with the main thread
    gboolean asked;     // has sent a whole request
    gsize needed;       // bytes without which the next piece is not whole; 0 = unknown
    gint64 heard_ns;    // last whole piece
    RelayRtpViewer *viewer;
    gboolean expected;                             // its UDP ports are known to the ingest
    RelayAddress moved[RELAY_INPUT_TRACKS_MAX][2]; // [RTCP]: where a NAT has put its ports
    RelayStream *sending;                          // the stream it publishes
    guint8 channels[RELAY_INPUT_TRACKS_MAX];
    guint tracks_count;
    gboolean interleaved;
};

struct _RelayConns {
    RelayWorker *worker;
    RelayFanout *fanout;
    RelayIngestBox ingest;
    RelayMailbox *desk_mailbox;
    RelayConnDesk desk;
    GPtrArray *open; // RelayConn, a reference each
    gint64 check_ns;
};

RelayConn *relay_conn_ref(RelayConn *conn)
{
    g_atomic_int_inc(&conn->refs);
    return conn;
}

void relay_conn_unref(RelayConn *conn)
{
    if (conn && g_atomic_int_dec_and_test(&conn->refs))
        g_free(conn);
}

const RelayAddress *relay_conn_peer(const RelayConn *conn)
{
    return &conn->peer;
}

// What goes to the main thread.
typedef struct {
    RelayConn *conn;
    TkRtspRequest *request; // NULL: closed
    char *why;
} News;

static void tell(gpointer owner, gpointer data)
{
    News *news = data;
    const RelayConnDesk *desk = &news->conn->conns->desk;
    if (news->request) {
        desk->on_request(desk->user, news->conn, news->request);
    } else {
        desk->on_closed(desk->user, news->conn, news->why);
        relay_conn_unref(news->conn); // the main thread's own
    }
    relay_conn_unref(news->conn);
    g_free(news->why);
    g_free(news);
}

static void post_news(RelayConn *c, TkRtspRequest *request, const char *why)
{
    News *news = g_new(News, 1);
    *news = (News){relay_conn_ref(c), request, g_strdup(why)};
    relay_mailbox_post(c->conns->desk_mailbox, tell, news);
}

static void stop_viewing(RelayConn *c)
{
    if (!c->viewer)
        return;
    relay_fanout_leave(c->conns->fanout, g_steal_pointer(&c->viewer));
}

static void stop_expecting(RelayConn *c)
{
    if (c->expected)
        relay_ingest_mail_remove_viewer(&c->conns->ingest, relay_conn_ref(c));
    c->expected = FALSE;
}

static void stop_sending(RelayConn *c)
{
    if (!c->sending)
        return;
    relay_ingest_mail_end(&c->conns->ingest, c->sending, relay_conn_ref(c));
    g_clear_pointer(&c->sending, relay_stream_unref);
}

static void on_closed(gpointer user, const char *why)
{
    RelayConn *c = user;
    stop_viewing(c);
    stop_expecting(c);
    stop_sending(c);
    post_news(c, NULL, why);
    g_clear_pointer(&c->link, relay_link_free);
    g_ptr_array_remove_fast(c->conns->open, c); // may be the last reference but the news'
}

static void on_frame(RelayConn *c, const TkRtspInput *piece)
{
    for (guint track = 0; c->sending && c->interleaved && track < c->tracks_count; track++) {
        gboolean rtcp = piece->channel == c->channels[track] + 1;
        if (!rtcp && piece->channel != c->channels[track])
            continue;
        relay_ingest_mail_frame(&c->conns->ingest, c->sending, track, rtcp, piece->payload,
                                piece->payload_bytes, relay_conn_ref(c));
        return;
    }
}

// Takes one piece; FALSE when there is none to take now.
static gboolean take_piece(RelayConn *c, const guint8 *data, gsize size, gsize *ret_bytes)
{
    TkRtspInput piece;
    if (size < c->needed)
        return FALSE;
    c->needed = 0;
    switch (tk_rtsp_next(data, size, &piece)) {
    case TK_RTSP_INCOMPLETE:
        c->needed = piece.bytes;
        return FALSE;
    case TK_RTSP_BAD:
        *ret_bytes = size;
        relay_link_put_text(c->link, "RTSP/1.0 400 Bad Request\r\n\r\n");
        relay_conn_close(c, "not RTSP");
        c->answering = TRUE; // nothing more is read
        break;
    case TK_RTSP_REQUEST:
        c->answering = c->asked = TRUE;
        post_news(c, piece.request, NULL);
        *ret_bytes = piece.bytes;
        break;
    case TK_RTSP_FRAME:
        on_frame(c, &piece);
        *ret_bytes = piece.bytes;
        if (!c->viewer && !c->sending)
            return TRUE;
        break;
    case TK_RTSP_OTHER:
        *ret_bytes = piece.bytes;
        return TRUE; // no sign of life
    }
    c->heard_ns = relay_worker_now_ns(c->conns->worker);
    if (c->viewer)
        relay_rtp_viewer_heard(c->viewer, c->heard_ns);
    return TRUE;
}

static void on_input(gpointer user, GByteArray *input)
{
    RelayConn *c = user;
    gsize used = 0, bytes = 0;
    while (!c->answering && take_piece(c, input->data + used, input->len - used, &bytes))
        used += bytes;
    if (used)
        g_byte_array_remove_range(input, 0, (guint)used);
    // Who does not read its answers is not asked for more.
    relay_link_pause(c->link, c->answering || relay_link_is_full(c->link));
}

static void on_room(gpointer user)
{
    RelayConn *c = user;
    if (c->viewer)
        relay_rtp_viewer_room(c->viewer);
    relay_link_pause(c->link, c->answering);
}

static const RelayLinkHandler link_handler = {on_input, on_room, on_closed};

static const char *overdue(const RelayConn *c, gint64 now_ns)
{
    gint64 silent_ns = now_ns - c->heard_ns;
    if (c->answering || c->viewer || (c->sending && !c->interleaved))
        return NULL;
    if (!c->asked && silent_ns > FIRST_REQUEST_NS)
        return "no request within 10 s";
    if (relay_link_input_bytes(c->link) > 0 && silent_ns > HALF_SENT_NS)
        return "half a request for 10 s";
    return silent_ns > IDLE_NS ? "idle" : NULL;
}

static gint64 tick(gpointer user, gint64 now_ns)
{
    RelayConns *conns = user;
    if (now_ns >= conns->check_ns) {
        conns->check_ns = now_ns + TK_NS_PER_S;
        for (guint i = conns->open->len; i-- > 0;) {
            RelayConn *c = conns->open->pdata[i];
            const char *why = overdue(c, now_ns);
            if (why)
                relay_link_finish(c->link, why);
        }
    }
    return conns->open->len ? conns->check_ns : G_MAXINT64;
}

static void release(gpointer conn)
{
    relay_conn_unref(conn);
}

RelayConns *relay_conns_new(RelayWorker *worker, RelayFanout *fanout, RelayWorker *ingest_worker,
                            RelayIngest *ingest, RelayMailbox *desk_mailbox,
                            const RelayConnDesk *desk)
{
    RelayConns *conns = g_new0(RelayConns, 1);
    *conns = (RelayConns){.worker = worker,
                          .fanout = fanout,
                          .ingest = {ingest_worker, ingest, release},
                          .desk_mailbox = desk_mailbox,
                          .desk = *desk};
    conns->open = g_ptr_array_new_with_free_func((GDestroyNotify)relay_conn_unref);
    relay_worker_add_tick(worker, tick, conns);
    return conns;
}

void relay_conns_close(RelayConns *conns)
{
    while (conns && conns->open->len)
        on_closed(conns->open->pdata[0], "the relay stops");
}

void relay_conns_free(RelayConns *conns)
{
    if (!conns)
        return;
    g_ptr_array_unref(conns->open);
    g_free(conns);
}

// Orders from the main thread to a connection, carried out on its worker.
typedef struct {
    RelayConn *conn;
    char *text;
    gboolean then_close;
    RelayStream *stream;
    RelayViewerSpec viewer;
    RelaySenderSpec sender;
    guint track;
    RelayAddress rtp, rtcp;
    guint8 channels[RELAY_INPUT_TRACKS_MAX];
    char *urls[RELAY_INPUT_TRACKS_MAX];
} Order;

static void order_free(Order *order)
{
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        g_free(order->urls[i]);
    relay_stream_unref(order->stream);
    relay_conn_unref(order->conn);
    g_free(order->text);
    g_free(order);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Order, order_free)

static Order *order_new(RelayConn *conn, char *text)
{
    Order *order = g_new0(Order, 1);
    order->conn = relay_conn_ref(conn);
    order->text = text;
    return order;
}

static void give(Order *order, RelayTask task)
{
    relay_worker_post(order->conn->conns->worker, task, order);
}

static void open_link(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    RelayConn *c = order->conn;
    c->heard_ns = relay_worker_now_ns(c->conns->worker);
    c->link = relay_link_new(c->conns->worker, c->fd, &c->peer, &link_handler, c);
    if (c->link)
        g_ptr_array_add(c->conns->open, relay_conn_ref(c));
    else
        post_news(c, NULL, "no room on the event loop");
}

RelayConn *relay_conn_open(RelayConns *conns, int fd, const RelayAddress *peer)
{
    RelayConn *conn = g_new0(RelayConn, 1);
    conn->refs = 1;
    conn->conns = conns;
    conn->peer = *peer;
    conn->fd = fd;
    give(order_new(conn, NULL), open_link);
    return conn;
}

static void finish_answer(RelayConn *c, gboolean then_close)
{
    relay_link_flush(c->link);
    c->answering = FALSE;
    if (then_close)
        relay_link_finish(c->link, "done");
    else
        relay_link_pause(c->link, relay_link_is_full(c->link));
}

static void answer(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    if (!order->conn->link)
        return;
    relay_link_put_text(order->conn->link, order->text);
    finish_answer(order->conn, order->then_close);
}

void relay_conn_answer(RelayConn *conn, char *text, gboolean then_close)
{
    Order *order = order_new(conn, text);
    order->then_close = then_close;
    give(order, answer);
}

static void on_viewer_gone(gpointer user, const char *reason)
{
    RelayConn *c = user;
    stop_viewing(c);
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

static void on_ports_taken(gpointer user)
{
    relay_conn_close(user, "somebody else has these ports");
}

static void expect(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    RelayConn *c = order->conn;
    if (!c->link)
        return;
    RelayUdpViewer viewer = {
        .heard = on_heard, .moved = on_moved, .asked = on_asked, .user = relay_conn_ref(c)};
    c->expected = TRUE;
    c->moved[order->track][0].bytes = c->moved[order->track][1].bytes = 0;
    relay_ingest_mail_add_viewer(&c->conns->ingest, &viewer, order->track, &order->rtp,
                                 &order->rtcp, on_ports_taken);
}

void relay_conn_expect(RelayConn *conn, guint track, const RelayAddress *rtp,
                       const RelayAddress *rtcp)
{
    Order *order = order_new(conn, NULL);
    order->track = track;
    order->rtp = *rtp;
    order->rtcp = *rtcp;
    give(order, expect);
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

static void play(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    RelayConn *c = order->conn;
    if (!c->link)
        return;
    order->viewer.link = order->viewer.interleaved ? c->link : NULL;
    order->viewer.on_gone = on_viewer_gone;
    order->viewer.user = c;
    stop_viewing(c);
    follow_nat(c, &order->viewer);
    c->viewer = relay_fanout_join(c->conns->fanout, order->stream, &order->viewer);
    g_autoptr(GString) text = g_string_new(c->viewer ? order->text : "RTSP/1.0 404 Not Found\r\n");
    if (c->viewer)
        append_rtp_info(text, c->viewer, order->urls);
    g_string_append(text, "\r\n");
    relay_link_put_text(c->link, text->str);
    finish_answer(c, !c->viewer);
}

void relay_conn_play(RelayConn *conn, RelayStream *stream, const RelayViewerSpec *tracks,
                     char *head, char *urls[RELAY_INPUT_TRACKS_MAX])
{
    Order *order = order_new(conn, head);
    order->stream = relay_stream_ref(stream);
    order->viewer = *tracks;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        order->urls[track] = urls[track];
    give(order, play);
}

// Receiver reports to an interleaved sender: from the ingest worker to the connection's.
typedef struct {
    RelayConn *conn;
    guint track;
    GBytes *packet;
} Report;

static void put_rtcp(gpointer owner, gpointer data)
{
    Report *report = data;
    RelayConn *c = report->conn;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(report->packet, &size);
    if (c->link && c->sending) {
        // A sender whose queue is full will get the next report.
        (void)relay_link_put_bytes(c->link, (guint8)(c->channels[report->track] + 1), bytes, size);
        relay_link_flush(c->link);
    }
    g_bytes_unref(report->packet);
    relay_conn_unref(c);
    g_free(report);
}

static void send_rtcp(gpointer user, guint track, const GByteArray *packet)
{
    RelayConn *c = user;
    Report *report = g_new(Report, 1);
    *report = (Report){relay_conn_ref(c), track, g_bytes_new(packet->data, packet->len)};
    relay_worker_do(c->conns->worker, put_rtcp, report);
}

static void on_refused(gpointer user)
{
    relay_conn_close(user, "other tracks than before, or somebody else's ports");
}

static void record(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    RelayConn *c = order->conn;
    if (!c->link)
        return;
    stop_sending(c);
    c->sending = g_steal_pointer(&order->stream);
    c->interleaved = order->sender.interleaved;
    c->tracks_count = order->sender.tracks_count;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        c->channels[track] = order->channels[track];
    order->sender.send_rtcp = send_rtcp;
    order->sender.user = c;
    relay_ingest_mail_begin(&c->conns->ingest, c->sending, &order->sender, on_refused,
                            relay_conn_ref(c));
}

void relay_conn_record(RelayConn *conn, RelayStream *stream, const RelaySenderSpec *spec,
                       const guint8 channels[RELAY_INPUT_TRACKS_MAX])
{
    Order *order = order_new(conn, NULL);
    order->stream = relay_stream_ref(stream);
    order->sender = *spec;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        order->channels[track] = channels[track];
    give(order, record);
}

static void stop(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    stop_viewing(order->conn);
    stop_expecting(order->conn);
    stop_sending(order->conn);
}

void relay_conn_stop(RelayConn *conn)
{
    give(order_new(conn, NULL), stop);
}

static void close_link(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    if (order->conn->link)
        relay_link_finish(order->conn->link, order->text);
}

void relay_conn_close(RelayConn *conn, const char *why)
{
    give(order_new(conn, g_strdup(why)), close_link);
}
