// SPDX-License-Identifier: MIT
#include "relay/net/web.h"

#include <errno.h>
#include <libwebsockets.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "relay/net/address.h"
#include "relay/net/audience.h"
#include "relay/net/dscp.h"
#include "relay/net/origin.h"
#include "relay/net/tcp.h"
#include "relay/net/web_loop.h"

G_STATIC_ASSERT(RELAY_WEB_HEADROOM >= LWS_PRE);

// A body is a lesson's record at most.
#define BODY_BYTES_MAX 65536
#define HEAD_BYTES_MAX 2048
// Larger than any chunk: one message is one send (else the library cuts it into 4 kB pieces).
#define TX_PACKET_BYTES (8u << 20)
// Messages written to one viewer in one go before others get their turn.
#define MESSAGES_PER_TURN 8

// The library gives each connection zeroed room for this.
typedef struct {
    RelayWeb *web;
    struct lws *wsi;
    RelaySocket *socket; // WebSocket
    gboolean waits;      // for its call-back: the kernel has no room
    // HTTP: one request at a time
    guint64 serial;             // by which its answer finds it; 0 = none
    RelayWebExchange *exchange; // until it is complete and asked
    gsize body_expected;
    gboolean head_only; // HEAD: the answer's body is not sent
    RelayUnit *answer;
} Peer;

struct _RelayWeb {
    guint index;
    RelayWebSpec spec;
    char *page;
    struct lws_context *context;
    struct lws_protocols protocols[2];
    struct lws_http_mount mounts[5];
    struct lws_vhost *vhost;
    RelayWebLoop *loop;
    RelayAudience *audience;
    GHashTable *peers; // serial -> Peer that waits for an answer
    guint64 serials;
    RelayWebStats stats; // relaxed atomics
};

static const lws_retry_bo_t keep_alive = {.secs_since_valid_ping = 20,
                                          .secs_since_valid_hangup = 45};

static char *header_of(struct lws *wsi, enum lws_token_indexes token)
{
    int length = lws_hdr_total_length(wsi, token);
    if (length <= 0)
        return NULL;
    char *text = g_malloc((gsize)length + 1);
    if (lws_hdr_copy(wsi, text, length + 1, token) < 0)
        g_clear_pointer(&text, g_free);
    return text;
}

// The query string, put together from the library's pieces.
static char *query_of(struct lws *wsi)
{
    GString *query = g_string_new(NULL);
    char piece[2048];
    for (int i = 0; lws_hdr_copy_fragment(wsi, piece, sizeof piece, WSI_TOKEN_HTTP_URI_ARGS, i) > 0;
         i++)
        g_string_append_printf(query, "%s%s", i ? "&" : "", piece);
    return g_string_free(query, FALSE);
}

// The library has decoded the pieces, so the token stands there as it is.
static char *token_of(struct lws *wsi)
{
    char argument[4096];
    const char *value = lws_get_urlarg_by_name(wsi, "token=", argument, sizeof argument);
    if (value)
        return g_strdup(value);
    g_autofree char *authorization = header_of(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
    return relay_door_token(authorization, NULL);
}

// A proxy on this machine brings strangers, and says so.
static gboolean is_local(struct lws *wsi)
{
    RelayAddress peer = {.bytes = sizeof peer.to};
    return lws_hdr_total_length(wsi, WSI_TOKEN_X_FORWARDED_FOR) <= 0 &&
           lws_hdr_custom_length(wsi, "forwarded:", (int)strlen("forwarded:")) <= 0 &&
           getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&peer.to, &peer.bytes) == 0 &&
           relay_address_is_loopback(&peer);
}

static gboolean is_foreign(const RelayWeb *web, struct lws *wsi, gboolean changes)
{
    g_autofree char *origin = header_of(wsi, WSI_TOKEN_ORIGIN);
    g_autofree char *host = header_of(wsi, WSI_TOKEN_HOST);
    gboolean open = relay_door_is_open(web->spec.door);
    return (open && !is_local(wsi)) || !relay_origin_trusted(origin, host, changes, open);
}

// HTTP: a request goes to the main thread, its answer comes back as a task.

static int add_header(Peer *p, const char *name, const char *value, guint8 **at, guint8 *end)
{
    return lws_add_http_header_by_name(p->wsi, (const guint8 *)name, (const guint8 *)value,
                                       (int)strlen(value), at, end);
}

static gboolean write_head(Peer *p, const RelayWebResponse *response, gsize bytes)
{
    guint8 buffer[LWS_PRE + HEAD_BYTES_MAX], *start = buffer + LWS_PRE, *at = start;
    guint8 *end = buffer + sizeof buffer;
    return !lws_add_http_common_headers(p->wsi, response->status, response->content_type, bytes,
                                        &at, end) &&
           !add_header(p, "cache-control:", "no-store", &at, end) &&
           (response->status != 401 || !add_header(p, "www-authenticate:", "Bearer", &at, end)) &&
           !lws_finalize_write_http_header(p->wsi, start, &at, end);
}

static void take_response(gpointer owner, gpointer data)
{
    RelayWebExchange *x = data;
    RelayWeb *web = x->asker;
    Peer *p = g_hash_table_lookup(web->peers, &x->serial);
    if (p) {
        gsize bytes = strlen(x->response.body);
        if (write_head(p, &x->response, bytes)) {
            p->answer = relay_web_message(x->response.body, bytes);
            lws_callback_on_writable(p->wsi);
        } else {
            lws_set_timeout(p->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
        }
    }
    relay_web_exchange_free(x);
}

static void ask(Peer *p)
{
    RelayWeb *web = p->web;
    relay_web_desk_ask(&web->spec.desk, g_steal_pointer(&p->exchange),
                       relay_web_loop_mailbox(web->loop), take_response);
}

// The request is answered, or its connection gone.
static void forget(Peer *p)
{
    if (p->serial)
        g_hash_table_remove(p->web->peers, &p->serial);
    p->serial = 0;
    g_clear_pointer(&p->exchange, relay_web_exchange_free);
    g_clear_pointer(&p->answer, relay_unit_unref);
}

static const struct {
    enum lws_token_indexes token;
    const char *method;
} methods[] = {
    {WSI_TOKEN_GET_URI, "GET"},         {WSI_TOKEN_POST_URI, "POST"},
    {WSI_TOKEN_PATCH_URI, "PATCH"},     {WSI_TOKEN_PUT_URI, "PUT"},
    {WSI_TOKEN_DELETE_URI, "DELETE"},   {WSI_TOKEN_HEAD_URI, "HEAD"},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS"},
};

static RelayWebExchange *read_request(RelayWeb *web, struct lws *wsi)
{
    RelayWebExchange *x = g_new0(RelayWebExchange, 1);
    x->asker = web;
    x->serial = ++web->serials;
    for (guint i = 0; i < G_N_ELEMENTS(methods) && !x->path; i++) {
        x->path = header_of(wsi, methods[i].token);
        x->method = x->path ? g_strdup(methods[i].method) : NULL;
    }
    x->query = query_of(wsi);
    x->token = token_of(wsi);
    x->local = is_local(wsi);
    x->foreign = is_foreign(web, wsi, g_strcmp0(x->method, "GET") != 0);
    return x;
}

static int on_http(RelayWeb *web, struct lws *wsi, Peer *p)
{
    p->web = web;
    p->wsi = wsi;
    forget(p); // an earlier request on this connection
    p->exchange = read_request(web, wsi);
    if (!p->exchange->path)
        return -1;
    p->head_only = g_str_equal(p->exchange->method, "HEAD");
    p->serial = p->exchange->serial;
    g_hash_table_insert(web->peers, &p->serial, p);
    g_autofree char *length = header_of(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    guint64 expected = 0;
    if (length && !g_ascii_string_to_unsigned(length, 10, 0, BODY_BYTES_MAX, &expected, NULL)) {
        (void)!lws_return_http_status(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, NULL);
        return -1;
    }
    p->body_expected = expected;
    p->exchange->body = g_malloc0(expected + 1);
    if (expected == 0)
        ask(p);
    return 0;
}

static int on_body(Peer *p, const void *in, size_t size)
{
    RelayWebExchange *x = p->exchange;
    if (size == 0)
        return 0; // a body said to be empty is told of too, and was asked for already
    if (!x || size > p->body_expected - x->body_bytes)
        return -1;
    memcpy(x->body + x->body_bytes, in, size);
    x->body_bytes += size;
    return 0;
}

static int on_body_complete(Peer *p)
{
    if (p->exchange)
        ask(p);
    return 0;
}

static int write_answer(Peer *p)
{
    g_autoptr(RelayUnit) answer = g_steal_pointer(&p->answer);
    if (!answer)
        return 0;
    gsize bytes = answer->bytes - RELAY_WEB_HEADROOM;
    struct lws *wsi = p->wsi;
    if (p->head_only)
        bytes = 0;
    int written = p->head_only ? 0
                               : lws_write(wsi, answer->data + RELAY_WEB_HEADROOM, bytes,
                                           LWS_WRITE_HTTP_FINAL);
    forget(p);
    return written < (int)bytes || lws_http_transaction_completed(wsi) ? -1 : 0;
}

// WebSocket: the audience says what to send.

static void on_established(RelayWeb *web, struct lws *wsi, Peer *p)
{
    char from[2048], rendition[2048]; // must hold every argument before it
    relay_stat_add(web->stats.sockets, 1);
    relay_stat_add(web->stats.bbr, relay_tcp_tune(lws_get_socket_fd(wsi), web->spec.bbr));
    relay_dscp_mark(lws_get_socket_fd(wsi), web->spec.dscp);
    g_autofree char *path = header_of(wsi, WSI_TOKEN_GET_URI), *token = token_of(wsi);
    p->web = web;
    p->wsi = wsi;
    gboolean may = path && !is_foreign(web, wsi, TRUE);
    RelaySocketRequest request = {
        .path = may ? path : "",
        .from = lws_get_urlarg_by_name(wsi, "from=", from, sizeof from),
        .rendition = lws_get_urlarg_by_name(wsi, "rendition=", rendition, sizeof rendition),
        .token = token};
    p->socket = relay_audience_open(web->audience, &request, wsi, tk_clock_monotonic_ns());
}

static int close_with(struct lws *wsi, guint code, const char *why)
{
    lws_close_reason(wsi, (enum lws_close_status)code, (unsigned char *)why, strlen(why));
    return -1;
}

typedef enum { WROTE_ALL, WROTE_SOME, WRITE_FAILED, WRITE_CLOSES } Wrote;

static Wrote write_messages(Peer *p, guint *ret_close_code, const char **ret_reason)
{
    RelayWebStats *stats = &p->web->stats;
    for (guint i = 0; i < MESSAGES_PER_TURN; i++) {
        g_autoptr(RelayUnit) message = NULL;
        RelayWebNext next = relay_socket_next(p->socket, tk_clock_monotonic_ns(), &message,
                                              ret_close_code, ret_reason);
        if (next == RELAY_WEB_NOTHING)
            return WROTE_ALL;
        if (next == RELAY_WEB_OVER)
            return WRITE_CLOSES;
        gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
        if (lws_write(p->wsi, message->data + RELAY_WEB_HEADROOM, bytes,
                      next == RELAY_WEB_TEXT ? LWS_WRITE_TEXT : LWS_WRITE_BINARY) < (int)bytes)
            return WRITE_FAILED;
        relay_stat_add(stats->messages, 1);
        relay_stat_add(stats->bytes, bytes);
        // Mostly there is one chunk: asking the kernel for room would cost a tenth of sending it.
        if (!relay_socket_has_more(p->socket))
            return WROTE_ALL;
        if (lws_send_pipe_choked(p->wsi))
            break;
    }
    return WROTE_SOME;
}

static void wait_for_room(Peer *p)
{
    p->waits = TRUE;
    lws_callback_on_writable(p->wsi);
}

static int on_writable(Peer *p)
{
    guint close_code;
    const char *reason;
    p->waits = FALSE;
    switch (write_messages(p, &close_code, &reason)) {
    case WROTE_SOME:
        wait_for_room(p);
        return 0;
    case WRITE_FAILED:
        return -1;
    case WRITE_CLOSES:
        return close_with(p->wsi, close_code, reason);
    default:
        return 0;
    }
}

static int on_receive(Peer *p, const void *in, gsize bytes)
{
    RelaySocketFragment fragment = {.data = in,
                                    .bytes = bytes,
                                    .left = lws_remaining_packet_payload(p->wsi),
                                    .first = lws_is_first_fragment(p->wsi),
                                    .last = lws_is_final_fragment(p->wsi),
                                    .text = !lws_frame_is_binary(p->wsi)};
    guint code = relay_socket_received(p->socket, &fragment, tk_clock_monotonic_ns());
    return code ? close_with(p->wsi, code, "bounds of the protocol") : 0;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t size)
{
    Peer *p = user;
    RelayWeb *web = wsi ? lws_context_user(lws_get_context(wsi)) : NULL;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return on_http(web, wsi, p);
    case LWS_CALLBACK_HTTP_BODY:
        return on_body(p, in, size);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return on_body_complete(p);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_answer(p);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (p && p->web)
            forget(p);
        return 0;
    case LWS_CALLBACK_ESTABLISHED:
        on_established(web, wsi, p);
        return 0;
    case LWS_CALLBACK_CLOSED:
        if (p->socket)
            relay_audience_leave(web->audience, g_steal_pointer(&p->socket));
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(p);
    case LWS_CALLBACK_RECEIVE:
        return on_receive(p, in, size);
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, size);
    }
}

// What the audience wants done.

static void on_viewer(gpointer user, RelayStream *stream, gint change, const char *school)
{
    RelayWeb *web = user;
    relay_web_desk_tell_viewer(&web->spec.desk, stream, change, school);
}

static void on_snapshot(gpointer user, guint64 serial, const TkClaims *claims)
{
    RelayWeb *web = user;
    relay_web_desk_ask_snapshot(&web->spec.desk, relay_web_loop_mailbox(web->loop), serial, claims);
}

static void wake_socket(gpointer link)
{
    lws_callback_on_writable(link);
}

// Its close code would wait behind what it does not read.
static void drop_socket(gpointer link)
{
    lws_set_timeout(link, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

static gsize unsent_bytes(gpointer link)
{
    return relay_tcp_unsent(lws_get_socket_fd(link));
}

static void hold(gpointer link)
{
    wait_for_room(lws_wsi_user(link));
}

static void look(gpointer link, RelayTcpLine *ret)
{
    relay_tcp_look(lws_get_socket_fd(link), ret);
}

static void hurry(gpointer link)
{
    relay_tcp_hurry(lws_get_socket_fd(link));
}

// Straight to the kernel: most viewers have room, and to learn that by a call-back for each costs a
// good part of the sending. What the kernel does not take the library
// keeps, one message at most, and its call-back comes when that is out.
static void push_socket(gpointer link)
{
    Peer *p = lws_wsi_user(link);
    guint close_code;
    const char *reason;
    if (p->waits || lws_partial_buffered(link))
        return;
    Wrote wrote = write_messages(p, &close_code, &reason);
    if (wrote == WRITE_FAILED)
        drop_socket(link);
    else if (wrote != WROTE_ALL) // it can be closed in its call-back only
        wait_for_room(p);
}

static RelayAudience *make_audience(RelayWeb *web)
{
    RelayAudienceSpec spec = {.index = web->index,
                              .history_span_ns = web->spec.history_span_ns,
                              .history_bytes_max = web->spec.history_bytes_max,
                              .sockets_max = web->spec.connections_max,
                              .door = web->spec.door,
                              .schools = web->spec.schools,
                              .wake = wake_socket,
                              .push = push_socket,
                              .unsent = unsent_bytes,
                              .hold = hold,
                              .look = look,
                              .hurry = hurry,
                              .drop = drop_socket,
                              .on_viewer = on_viewer,
                              .on_snapshot = on_snapshot,
                              .user = web};
    return relay_audience_new(&spec);
}

// Set-up and thread.

static const struct lws_protocol_vhost_options page_headers[] = {
    {&page_headers[1], NULL, "content-security-policy:",
     "default-src 'self'; connect-src *; media-src * blob:; img-src * data: blob:; "
     "style-src 'self' 'unsafe-inline'; worker-src 'self' blob:; base-uri 'none'; "
     "form-action 'self'; frame-ancestors 'self'"},
    {&page_headers[2], NULL, "x-content-type-options:", "nosniff"},
    {NULL, NULL, "referrer-policy:", "no-referrer"},
};

static void fill_mounts(RelayWeb *web)
{
    static const char *const ours[] = {"/api", "/healthz", "/readyz", "/metrics"};
    for (guint i = 0; i < G_N_ELEMENTS(ours); i++)
        web->mounts[i] = (struct lws_http_mount){.mount_next = &web->mounts[i + 1],
                                                 .mountpoint = ours[i],
                                                 .mountpoint_len = (guint8)strlen(ours[i]),
                                                 .origin = "tongke",
                                                 .protocol = "tongke",
                                                 .origin_protocol = LWSMPRO_CALLBACK};
    if (web->page)
        web->mounts[4] = (struct lws_http_mount){.mountpoint = "/",
                                                 .mountpoint_len = 1,
                                                 .origin = web->page,
                                                 .def = "index.html",
                                                 .origin_protocol = LWSMPRO_FILE,
                                                 .cache_max_age = 60,
                                                 .cache_revalidate = 1};
    else
        web->mounts[3].mount_next = NULL;
}

static void log_line(int level, const char *line)
{
    g_autofree char *text = g_strchomp(g_strdup(line));
    tk_log(level == LLL_ERR ? TK_LOG_WARNING : TK_LOG_DEBUG, NULL, "libwebsockets: %s", text);
}

static gboolean create_context(RelayWeb *web, GError **error)
{
    web->protocols[0] = (struct lws_protocols){.name = "tongke",
                                               .callback = callback,
                                               .per_session_data_size = sizeof(Peer),
                                               .rx_buffer_size = RELAY_SOCKET_MESSAGE_MAX,
                                               .tx_packet_size = TX_PACKET_BYTES};
    void *loop = relay_web_loop_native(web->loop);
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                             .options = LWS_SERVER_OPTION_LIBEV,
                                             .foreign_loops = &loop,
                                             .protocols = web->protocols,
                                             .mounts = web->mounts,
                                             .headers = page_headers,
                                             .user = web,
                                             .vhost_name = "tongke",
                                             .server_string = "Tongke",
                                             .retry_and_idle_policy = &keep_alive,
                                             .timeout_secs = 10,
                                             .keepalive_timeout = 30};
    web->context = lws_create_context(&info);
    web->vhost = web->context ? lws_get_vhost_by_name(web->context, "tongke") : NULL;
    if (web->vhost)
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_INTERNAL,
                "libwebsockets does not start (is libwebsockets-evlib-ev installed?)");
    return FALSE;
}

RelayWeb *relay_web_new(guint index, const RelayWebSpec *spec, GError **error)
{
    RelayWeb *web = g_new0(RelayWeb, 1);
    web->index = index;
    web->spec = *spec;
    web->page = g_strdup(spec->page);
    web->audience = make_audience(web);
    web->peers = g_hash_table_new(g_int64_hash, g_int64_equal);
    web->loop = relay_web_loop_new(web->audience);
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    fill_mounts(web);
    if (create_context(web, error))
        return web;
    relay_web_free(web);
    return NULL;
}

RelayMailbox *relay_web_mailbox(RelayWeb *web)
{
    return relay_web_loop_mailbox(web->loop);
}

typedef struct {
    RelayWeb *web;
    int fd;
} Arrival;

static void adopt(gpointer owner, gpointer data)
{
    Arrival *arrival = data;
    // The library closes the descriptor when it cannot take it.
    if (!lws_adopt_socket_vhost(arrival->web->vhost, arrival->fd))
        tk_warning("a connection to the web port was dropped: no room");
    g_free(arrival);
}

void relay_web_adopt(RelayWeb *web, int fd)
{
    Arrival *arrival = g_new(Arrival, 1);
    *arrival = (Arrival){web, fd};
    relay_mailbox_post(relay_web_loop_mailbox(web->loop), adopt, arrival);
}

void relay_web_start(RelayWeb *web)
{
    relay_web_loop_start(web->loop);
}

void relay_web_stop(RelayWeb *web)
{
    relay_web_loop_stop(web->loop);
}

void relay_web_free(RelayWeb *web)
{
    if (!web)
        return;
    relay_web_loop_settle(web->loop); // what was posted since it stopped
    if (web->context)
        lws_context_destroy(web->context);
    relay_web_loop_free(web->loop);
    relay_audience_free(web->audience);
    g_hash_table_unref(web->peers);
    g_free(web->page);
    g_free(web);
}

void relay_web_stats(const RelayWeb *web, RelayWebStats *ret)
{
    *ret = (RelayWebStats){.messages = relay_stat_get(web->stats.messages),
                           .bytes = relay_stat_get(web->stats.bytes),
                           .sockets = relay_stat_get(web->stats.sockets),
                           .bbr = relay_stat_get(web->stats.bbr)};
    relay_audience_stats(web->audience, &ret->audience);
}
