// SPDX-License-Identifier: MIT
#include "relay/net/conn.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "relay/net/conn_part.h"

// A connection that is neither viewer nor sender: time for its first request and between requests.
#define FIRST_REQUEST_NS (10 * TK_NS_PER_S)
#define IDLE_NS (60 * TK_NS_PER_S)
// What does not fit a whole piece within this time is a dripping or dead peer.
#define HALF_SENT_NS (10 * TK_NS_PER_S)
// Who was told goodbye reads it and closes within this time.
#define GOODBYE_NS (10 * TK_NS_PER_S)

RelayConn *relay_conn_ref(RelayConn *conn)
{
    g_atomic_int_inc(&conn->refs);
    return conn;
}

void relay_conn_unref(RelayConn *conn)
{
    if (!conn || !g_atomic_int_dec_and_test(&conn->refs))
        return;
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        relay_ports_unref(conn->ports[track]);
    g_free(conn);
}

const RelayAddress *relay_conn_peer(const RelayConn *conn)
{
    return &conn->peer;
}

// What goes to the main thread.
typedef struct {
    RelayConn *conn;
    TkRtspMessage *message; // NULL: closed
    char *why;
} News;

static void tell(gpointer owner, gpointer data)
{
    News *news = data;
    const RelayConnDesk *desk = &news->conn->desk;
    if (news->message && news->message->status) {
        desk->on_answer(desk->user, news->conn, news->message);
    } else if (news->message) {
        desk->on_request(desk->user, news->conn, news->message);
    } else {
        desk->on_closed(desk->user, news->conn, news->why);
        relay_conn_unref(news->conn); // the main thread's own
    }
    relay_conn_unref(news->conn);
    g_free(news->why);
    g_free(news);
}

static void post_news(RelayConn *c, TkRtspMessage *message, const char *why)
{
    News *news = g_new(News, 1);
    *news = (News){relay_conn_ref(c), message, g_strdup(why)};
    relay_mailbox_post(c->conns->desk_mailbox, tell, news);
}

static void on_closed(gpointer user, const char *why)
{
    RelayConn *c = user;
    relay_conn_stop_viewing(c);
    relay_conn_stop_sending(c);
    post_news(c, NULL, why);
    g_clear_pointer(&c->link, relay_link_free);
    g_ptr_array_remove_fast(c->conns->open, c); // may be the last reference but the news'
}

static void take_message(RelayConn *c, TkRtspMessage *message)
{
    if (c->dialed && message->status && c->unanswered) {
        c->unanswered--;
        post_news(c, message, NULL);
    } else if (!c->dialed && !message->status) {
        c->answering = c->asked = TRUE;
        post_news(c, message, NULL);
    } else {
        tk_rtsp_message_free(message); // an answer to nothing; a request of a server
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
    case TK_RTSP_RESPONSE:
        take_message(c, piece.message);
        *ret_bytes = piece.bytes;
        break;
    case TK_RTSP_FRAME:
        relay_conn_take_frame(c, &piece);
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
    if (relay_link_is_finishing(c->link))
        return silent_ns > GOODBYE_NS ? "done" : NULL;
    if (c->dialed || c->answering || c->viewer || (c->sending && !c->interleaved))
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
                relay_link_close(c->link, why);
        }
    }
    return conns->open->len ? conns->check_ns : G_MAXINT64;
}

static void release(gpointer conn)
{
    relay_conn_unref(conn);
}

RelayConns *relay_conns_new(RelayWorker *worker, RelayFanout *fanout, RelayWorker *ingest_worker,
                            RelayIngest *ingest, RelayMailbox *desk_mailbox)
{
    RelayConns *conns = g_new0(RelayConns, 1);
    *conns = (RelayConns){.worker = worker,
                          .fanout = fanout,
                          .ingest = {ingest_worker, ingest, release},
                          .desk_mailbox = desk_mailbox};
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

// Orders from the main thread, carried out on the connection's worker.
typedef struct {
    RelayConn *conn;
    char *text;
    gboolean then_close;
} Order;

static void order_free(Order *order)
{
    relay_conn_unref(order->conn);
    g_free(order->text);
    g_free(order);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Order, order_free)

static void give(RelayConn *conn, RelayTask task, char *text, gboolean then_close)
{
    Order *order = g_new(Order, 1);
    *order = (Order){relay_conn_ref(conn), text, then_close};
    relay_worker_post(conn->conns->worker, task, order);
}

static void open_link(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    RelayConn *c = order->conn;
    c->heard_ns = relay_worker_now_ns(c->conns->worker);
    c->link = relay_link_new(c->conns->worker, c->fd, &link_handler, c);
    if (c->link)
        g_ptr_array_add(c->conns->open, relay_conn_ref(c));
    else
        post_news(c, NULL, "no room on the event loop");
}

static RelayConn *conn_new(RelayConns *conns, int fd, const RelayAddress *peer,
                           const RelayConnDesk *desk, gboolean dialed)
{
    RelayConn *conn = g_new0(RelayConn, 1);
    conn->refs = 1;
    conn->conns = conns;
    conn->peer = *peer;
    conn->desk = *desk;
    conn->dialed = dialed;
    conn->fd = fd;
    give(conn, open_link, NULL, FALSE);
    return conn;
}

RelayConn *relay_conn_accept(RelayConns *conns, int fd, const RelayAddress *peer,
                             const RelayConnDesk *desk)
{
    return conn_new(conns, fd, peer, desk, FALSE);
}

RelayConn *relay_conn_dialed(RelayConns *conns, int fd, const RelayAddress *peer,
                             const RelayConnDesk *desk)
{
    return conn_new(conns, fd, peer, desk, TRUE);
}

void relay_conn_finish_answer(RelayConn *conn, gboolean then_close)
{
    relay_link_flush(conn->link);
    conn->answering = FALSE;
    if (then_close)
        relay_link_finish(conn->link);
    else
        relay_link_pause(conn->link, relay_link_is_full(conn->link));
}

static void answer(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    if (!order->conn->link)
        return;
    relay_link_put_text(order->conn->link, order->text);
    relay_conn_finish_answer(order->conn, order->then_close);
}

void relay_conn_answer(RelayConn *conn, char *text, gboolean then_close)
{
    give(conn, answer, text, then_close);
}

static void put_request(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    if (!order->conn->link)
        return;
    order->conn->unanswered++;
    relay_link_put_text(order->conn->link, order->text);
    relay_link_flush(order->conn->link);
}

void relay_conn_ask(RelayConn *conn, char *text)
{
    give(conn, put_request, text, FALSE);
}

static void stop(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    relay_conn_stop_viewing(order->conn);
    relay_conn_stop_sending(order->conn);
}

void relay_conn_stop(RelayConn *conn)
{
    give(conn, stop, NULL, FALSE);
}

static void close_link(gpointer owner, gpointer data)
{
    g_autoptr(Order) order = data;
    if (order->conn->link)
        relay_link_close(order->conn->link, order->text);
}

void relay_conn_close(RelayConn *conn, const char *why)
{
    give(conn, close_link, g_strdup(why), TRUE);
}
