// SPDX-License-Identifier: MIT
#include "relay/net/web.h"

#include <errno.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "relay/net/address.h"
#include "relay/net/web_feed.h"

G_STATIC_ASSERT(RELAY_WEB_HEADROOM >= LWS_PRE);

// A body is a lesson's record at most; a viewer's message a report.
#define BODY_BYTES_MAX 65536
#define REPORT_BYTES_MAX 4096
#define REPORTS_PER_SECOND 10
// Larger than any chunk: one message is one send (else the library cuts it into 4 kB pieces).
#define TX_PACKET_BYTES (8u << 20)
// Unsent bytes above which the kernel does not call a socket writable: what is behind should wait
// here, where it can still be dropped, and not in the kernel.
#define NOTSENT_LOWAT_BYTES (128 << 10)
// Messages written to one viewer in one go before others get their turn.
#define MESSAGES_PER_TURN 8
// An event viewer that reads nothing loses the connection and gets a snapshot with the next one.
#define EVENTS_QUEUED_MAX 256
#define MAILBOX_LIMIT 4096
#define CLOSE_TRY_LATER 1013
#define CLOSE_TOO_SLOW 4008

typedef enum { KIND_NONE, KIND_HTTP, KIND_LIVE, KIND_EVENTS, KIND_REFUSED } Kind;

// The library gives each connection zeroed room for this.
typedef struct {
    RelayWeb *web;
    struct lws *wsi;
    Kind kind;
    guint64 serial; // by which answers find it
    // HTTP
    char *method, *path, *query, *token, *body;
    gsize body_bytes, body_expected;
    gboolean local, asked;
    RelayUnit *answer;
    // WebSocket
    guint close_code;
    char *school, *word, *stream; // KIND_LIVE: what was asked for
    RelayWebFeed *feed;
    RelayWebViewer viewer;
    guint64 from;
    RelayUnit *waiting_text;
    gint64 reports_since_ns;
    guint reports;
    gsize message_bytes;
    GQueue *events; // RelayUnit
} Peer;

struct _RelayWeb {
    guint index;
    RelayWebSpec spec;
    char *listen, *page;
    struct lws_context *context;
    struct lws_protocols protocols[2];
    struct lws_http_mount mounts[5];
    guint16 port;
    GThread *thread;
    RelayMailbox *mailbox;
    gboolean quit;
    GPtrArray *feeds; // RelayWebFeed, owned
    GHashTable *peers; // serial -> Peer
    guint64 serials;
    RelayViewerLimits limits;
    RelayWebStats stats; // relaxed atomics
};

static const lws_retry_bo_t keep_alive = {.secs_since_valid_ping = 20, .secs_since_valid_hangup = 45};

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

static gboolean is_local(struct lws *wsi)
{
    RelayAddress peer = {.bytes = sizeof peer.to};
    return getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&peer.to, &peer.bytes) == 0 &&
           relay_address_is_loopback(&peer);
}

// HTTP: a request goes to the main thread, its answer comes back as a task.

typedef struct {
    RelayWeb *web;
    guint64 serial;
    char *method, *path, *query, *token, *body;
    gsize body_bytes;
    gboolean local;
    RelayWebResponse response;
} Exchange;

static void exchange_free(Exchange *x)
{
    g_free(x->method);
    g_free(x->path);
    g_free(x->query);
    g_free(x->token);
    g_free(x->body);
    g_free(x->response.body);
    g_free(x);
}

static int add_header(Peer *p, const char *name, const char *value, guint8 **at, guint8 *end)
{
    return lws_add_http_header_by_name(p->wsi, (const guint8 *)name, (const guint8 *)value,
                                       (int)strlen(value), at, end);
}

static void write_head(Peer *p, const RelayWebResponse *response, gsize bytes)
{
    guint8 buffer[LWS_PRE + 1024], *start = buffer + LWS_PRE, *at = start;
    guint8 *end = buffer + sizeof buffer;
    if (lws_add_http_common_headers(p->wsi, response->status, response->content_type, bytes, &at,
                                    end) ||
        add_header(p, "cache-control:", "no-store", &at, end) ||
        add_header(p, "x-content-type-options:", "nosniff", &at, end) ||
        (response->status == 401 && add_header(p, "www-authenticate:", "Bearer", &at, end)) ||
        lws_finalize_write_http_header(p->wsi, start, &at, end))
        lws_set_timeout(p->wsi, PENDING_TIMEOUT_HTTP_CONTENT, LWS_TO_KILL_ASYNC);
}

static void take_response(gpointer owner, gpointer data)
{
    RelayWeb *web = owner;
    Exchange *x = data;
    Peer *p = g_hash_table_lookup(web->peers, &x->serial);
    if (p && !p->answer) {
        gsize bytes = strlen(x->response.body);
        write_head(p, &x->response, bytes);
        p->answer = relay_web_message(x->response.body, bytes);
        lws_callback_on_writable(p->wsi);
    }
    exchange_free(x);
}

static void ask_desk(gpointer owner, gpointer data)
{
    Exchange *x = data;
    const RelayWebDesk *desk = &x->web->spec.desk;
    RelayWebRequest request = {x->method, x->path, x->query,      x->token,
                               x->body,   x->body_bytes, x->local};
    x->response = desk->on_request(desk->user, &request);
    relay_mailbox_post(x->web->mailbox, take_response, x);
}

static void ask(Peer *p)
{
    Exchange *x = g_new0(Exchange, 1);
    x->web = p->web;
    x->serial = p->serial;
    x->method = g_steal_pointer(&p->method);
    x->path = g_steal_pointer(&p->path);
    x->query = g_steal_pointer(&p->query);
    x->token = g_steal_pointer(&p->token);
    x->body = g_steal_pointer(&p->body);
    x->body_bytes = p->body_bytes;
    x->local = p->local;
    p->asked = TRUE;
    relay_mailbox_post(p->web->spec.desk_mailbox, ask_desk, x);
}

static const struct {
    enum lws_token_indexes token;
    const char *method;
} methods[] = {
    {WSI_TOKEN_GET_URI, "GET"},     {WSI_TOKEN_POST_URI, "POST"},     {WSI_TOKEN_PATCH_URI, "PATCH"},
    {WSI_TOKEN_PUT_URI, "PUT"},     {WSI_TOKEN_DELETE_URI, "DELETE"}, {WSI_TOKEN_HEAD_URI, "HEAD"},
    {WSI_TOKEN_OPTIONS_URI, "OPTIONS"},
};

static void remember(Peer *p, struct lws *wsi, RelayWeb *web, Kind kind)
{
    p->web = web;
    p->wsi = wsi;
    p->kind = kind;
    p->serial = ++web->serials;
    g_hash_table_insert(web->peers, &p->serial, p);
    relay_stat_set(web->stats.connections, g_hash_table_size(web->peers));
}

static void forget(Peer *p)
{
    if (p->kind == KIND_NONE)
        return;
    RelayWeb *web = p->web;
    g_hash_table_remove(web->peers, &p->serial);
    relay_stat_set(web->stats.connections, g_hash_table_size(web->peers));
    g_clear_pointer(&p->method, g_free);
    g_clear_pointer(&p->path, g_free);
    g_clear_pointer(&p->query, g_free);
    g_clear_pointer(&p->token, g_free);
    g_clear_pointer(&p->body, g_free);
    g_clear_pointer(&p->answer, relay_unit_unref);
    p->kind = KIND_NONE;
    p->body_bytes = p->body_expected = 0;
    p->asked = FALSE;
}

static int on_http(RelayWeb *web, struct lws *wsi, Peer *p)
{
    forget(p); // an earlier request on this connection
    remember(p, wsi, web, KIND_HTTP);
    p->method = g_strdup("UNKNOWN");
    for (guint i = 0; i < G_N_ELEMENTS(methods); i++) {
        if (lws_hdr_total_length(wsi, methods[i].token) <= 0)
            continue;
        g_free(p->method);
        p->method = g_strdup(methods[i].method);
        p->path = header_of(wsi, methods[i].token);
    }
    if (!p->path)
        return -1;
    p->query = query_of(wsi);
    p->token = token_of(wsi);
    p->local = is_local(wsi);
    g_autofree char *length = header_of(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    guint64 expected = 0;
    if (length && !g_ascii_string_to_unsigned(length, 10, 0, BODY_BYTES_MAX, &expected, NULL))
        return lws_return_http_status(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, NULL) ? -1 : -1;
    p->body_expected = expected;
    p->body = g_malloc0(expected + 1);
    if (expected == 0)
        ask(p);
    return 0;
}

static int on_body(Peer *p, const void *in, size_t size)
{
    if (p->asked || size > p->body_expected - p->body_bytes)
        return -1;
    memcpy(p->body + p->body_bytes, in, size);
    p->body_bytes += size;
    if (p->body_bytes == p->body_expected)
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
    int written = lws_write(wsi, answer->data + RELAY_WEB_HEADROOM, bytes, LWS_WRITE_HTTP_FINAL);
    forget(p);
    if (written < (int)bytes || lws_http_transaction_completed(wsi))
        return -1;
    return 0;
}

// Live sockets.

typedef struct {
    RelayWeb *web;
    RelayStream *stream;
    gint change;
    char *school;
} Coming;

static void tell_viewer(gpointer owner, gpointer data)
{
    Coming *coming = data;
    const RelayWebDesk *desk = &coming->web->spec.desk;
    desk->on_viewer(desk->user, coming->stream, coming->change, coming->school);
    relay_stream_unref(coming->stream);
    g_free(coming->school);
    g_free(coming);
}

static void post_viewer(Peer *p, gint change)
{
    Coming *coming = g_new(Coming, 1);
    *coming = (Coming){p->web, relay_stream_ref(relay_web_feed_stream(p->feed)), change,
                       g_strdup(p->school)};
    relay_mailbox_post(p->web->spec.desk_mailbox, tell_viewer, coming);
    relay_stat_add(p->web->stats.viewers, (guint)change);
}

static gboolean wants(const Peer *p, const RelayStream *stream)
{
    return p->kind == KIND_LIVE && !p->feed && g_str_equal(p->stream, stream->name) &&
           (g_str_equal(p->word, stream->lesson_id) || g_str_equal(p->word, stream->lesson_name));
}

static void attach(Peer *p, RelayWebFeed *feed)
{
    const RelayStream *stream = relay_web_feed_stream(feed);
    p->feed = feed;
    g_clear_pointer(&p->waiting_text, relay_unit_unref);
    relay_web_viewer_init(&p->viewer, feed, p->from);
    post_viewer(p, 1);
    TkLogFields fields = {.lesson = stream->lesson_name, .stream = stream->name};
    tk_log(TK_LOG_INFO, &fields, "a viewer begins over WebSocket");
    lws_callback_on_writable(p->wsi);
}

static RelayWebFeed *find_feed(RelayWeb *web, const Peer *p)
{
    for (guint i = web->feeds->len; i-- > 0;) { // the newest of that name
        RelayWebFeed *feed = web->feeds->pdata[i];
        if (!relay_web_feed_ended(feed) && wants(p, relay_web_feed_stream(feed)))
            return feed;
    }
    return NULL;
}

static void say_waiting(Peer *p, const char *state)
{
    g_autofree char *text = g_strdup_printf(
        "{\"type\":\"state\",\"stream\":\"%s\",\"state\":\"%s\",\"lesson\":{\"name\":\"%s\"}}",
        p->stream, state, p->word);
    p->waiting_text = relay_web_message(text, strlen(text));
}

static void on_live(Peer *p, const char *path)
{
    char from[64];
    g_autoptr(GError) error = NULL;
    if (!tk_name_split_path(path + strlen("/live"), &p->word, &p->stream, NULL)) {
        p->close_code = LWS_CLOSE_STATUS_POLICY_VIOLATION;
        return;
    }
    const char *number = lws_get_urlarg_by_name(p->wsi, "from=", from, sizeof from);
    if (number && !g_ascii_string_to_unsigned(number, 10, 1, G_MAXUINT32, &p->from, NULL))
        p->from = 0;
    p->kind = KIND_LIVE;
    RelayWebFeed *feed = find_feed(p->web, p);
    const RelayStream *stream = feed ? relay_web_feed_stream(feed) : NULL;
    g_autofree char *token = token_of(p->wsi);
    if (!relay_door_admit(p->web->spec.door, token, TK_ROLE_VIEWER,
                          stream ? stream->lesson_name : p->word, stream ? stream->lesson_id : NULL,
                          &p->school, &error)) {
        p->kind = KIND_REFUSED;
        p->close_code = LWS_CLOSE_STATUS_POLICY_VIOLATION;
    } else if (feed) {
        attach(p, feed);
    } else if (tk_ulid_valid(p->word)) {
        say_waiting(p, "ended"); // ids are given to lessons that run: this one is over
        p->close_code = LWS_CLOSE_STATUS_NORMAL;
    } else {
        say_waiting(p, "waiting");
    }
}

// Events.

typedef struct {
    RelayWeb *web;
    guint64 serial;
    char *text;
} Snapshot;

static void take_snapshot(gpointer owner, gpointer data)
{
    RelayWeb *web = owner;
    Snapshot *snapshot = data;
    Peer *p = g_hash_table_lookup(web->peers, &snapshot->serial);
    if (p && p->kind == KIND_EVENTS && !p->events) {
        p->events = g_queue_new();
        g_queue_push_tail(p->events, relay_web_message(snapshot->text, strlen(snapshot->text)));
        lws_callback_on_writable(p->wsi);
    }
    g_free(snapshot->text);
    g_free(snapshot);
}

static void ask_snapshot(gpointer owner, gpointer data)
{
    Snapshot *snapshot = data;
    const RelayWebDesk *desk = &snapshot->web->spec.desk;
    snapshot->text = desk->on_snapshot(desk->user);
    relay_mailbox_post(snapshot->web->mailbox, take_snapshot, snapshot);
}

static void on_events(Peer *p)
{
    g_autofree char *token = token_of(p->wsi);
    if (!relay_door_admit(p->web->spec.door, token, TK_ROLE_VIEWER, NULL, NULL, &p->school, NULL)) {
        p->kind = KIND_REFUSED;
        p->close_code = LWS_CLOSE_STATUS_POLICY_VIOLATION;
        return;
    }
    p->kind = KIND_EVENTS;
    Snapshot *snapshot = g_new(Snapshot, 1);
    *snapshot = (Snapshot){p->web, p->serial, NULL};
    relay_mailbox_post(p->web->spec.desk_mailbox, ask_snapshot, snapshot);
}

static void on_established(RelayWeb *web, struct lws *wsi, Peer *p)
{
    int lowat = NOTSENT_LOWAT_BYTES;
    setsockopt(lws_get_socket_fd(wsi), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    g_autofree char *path = header_of(wsi, WSI_TOKEN_GET_URI);
    remember(p, wsi, web, KIND_REFUSED);
    if (g_hash_table_size(web->peers) > web->spec.connections_max) {
        p->close_code = CLOSE_TRY_LATER;
        relay_stat_add(web->stats.refused, 1);
    } else if (path && g_str_has_prefix(path, "/live/")) {
        on_live(p, path);
    } else if (path && g_str_equal(path, "/api/v1/events")) {
        on_events(p);
    } else {
        p->close_code = LWS_CLOSE_STATUS_POLICY_VIOLATION;
    }
    lws_callback_on_writable(wsi);
}

static void on_ws_closed(Peer *p)
{
    if (p->feed)
        post_viewer(p, -1);
    p->feed = NULL;
    if (p->events)
        g_queue_free_full(g_steal_pointer(&p->events), (GDestroyNotify)relay_unit_unref);
    g_clear_pointer(&p->waiting_text, relay_unit_unref);
    g_clear_pointer(&p->school, g_free);
    g_clear_pointer(&p->word, g_free);
    g_clear_pointer(&p->stream, g_free);
    forget(p);
}

static int close_with(Peer *p, guint code, const char *why)
{
    if (code == CLOSE_TOO_SLOW)
        relay_stat_add(p->web->stats.viewers_gone, 1);
    lws_close_reason(p->wsi, (enum lws_close_status)code, (unsigned char *)why, strlen(why));
    return -1;
}

static gboolean write_message(Peer *p, RelayUnit *message, gboolean text)
{
    gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
    int written = lws_write(p->wsi, message->data + RELAY_WEB_HEADROOM, bytes,
                            text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY);
    relay_stat_add(p->web->stats.messages, 1);
    relay_stat_add(p->web->stats.bytes, bytes);
    return written >= (int)bytes;
}

static int write_live(Peer *p)
{
    for (guint i = 0; i < MESSAGES_PER_TURN; i++) {
        g_autoptr(RelayUnit) message = NULL;
        guint64 lost = 0;
        RelayWebNext next = relay_web_viewer_next(&p->viewer, p->feed, &p->web->limits,
                                                  tk_clock_monotonic_ns(), &message, &lost);
        if (lost)
            relay_stat_add(p->web->stats.units_dropped, lost);
        if (next == RELAY_WEB_NOTHING)
            return 0;
        if (next == RELAY_WEB_OVER)
            return close_with(p, LWS_CLOSE_STATUS_NORMAL, "the lesson is over");
        if (next == RELAY_WEB_TOO_SLOW)
            return close_with(p, CLOSE_TOO_SLOW, "too slow for too long");
        if (!write_message(p, message, next == RELAY_WEB_TEXT))
            return -1;
        if (lws_send_pipe_choked(p->wsi))
            break;
    }
    lws_callback_on_writable(p->wsi);
    return 0;
}

static int on_writable(Peer *p)
{
    if (p->feed)
        return write_live(p);
    if (p->waiting_text) {
        g_autoptr(RelayUnit) text = g_steal_pointer(&p->waiting_text);
        lws_callback_on_writable(p->wsi);
        return write_message(p, text, TRUE) ? 0 : -1;
    }
    if (p->close_code)
        return close_with(p, p->close_code,
                          p->close_code == LWS_CLOSE_STATUS_NORMAL ? "the lesson is over"
                          : p->close_code == CLOSE_TRY_LATER       ? "too many viewers"
                                                                   : "not allowed");
    if (p->events && !g_queue_is_empty(p->events)) {
        g_autoptr(RelayUnit) event = g_queue_pop_head(p->events);
        lws_callback_on_writable(p->wsi);
        return write_message(p, event, TRUE) ? 0 : -1;
    }
    return 0;
}

// Reports are bounded and, for now, only prove that the viewer lives.
static int on_receive(Peer *p, size_t size)
{
    gint64 now_ns = tk_clock_monotonic_ns();
    if (lws_is_first_fragment(p->wsi))
        p->message_bytes = 0;
    p->message_bytes += size;
    if (now_ns - p->reports_since_ns > TK_NS_PER_S) {
        p->reports_since_ns = now_ns;
        p->reports = 0;
    }
    if (p->message_bytes + lws_remaining_packet_payload(p->wsi) > REPORT_BYTES_MAX)
        return close_with(p, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "at most 4 KiB");
    if (++p->reports > REPORTS_PER_SECOND)
        return close_with(p, LWS_CLOSE_STATUS_POLICY_VIOLATION, "at most 10 messages a second");
    return 0;
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
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_answer(p);
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (p)
            forget(p);
        return 0;
    case LWS_CALLBACK_ESTABLISHED:
        on_established(web, wsi, p);
        return 0;
    case LWS_CALLBACK_CLOSED:
        on_ws_closed(p);
        return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return on_writable(p);
    case LWS_CALLBACK_RECEIVE:
        return on_receive(p, size);
    default:
        return lws_callback_http_dummy(wsi, reason, user, in, size);
    }
}

// Set-up and thread.

static void wake(gpointer data)
{
    lws_cancel_service(((RelayWeb *)data)->context);
}

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
                                               .rx_buffer_size = REPORT_BYTES_MAX,
                                               .tx_packet_size = TX_PACKET_BYTES};
    struct lws_context_creation_info info = {
        .port = web->spec.port,
        .iface = web->listen,
        .protocols = web->protocols,
        .mounts = web->mounts,
        .headers = page_headers,
        .user = web,
        .vhost_name = "tongke",
        .server_string = "Tongke",
        .retry_and_idle_policy = &keep_alive,
        .timeout_secs = 10,
        .keepalive_timeout = 30,
        .fd_limit_per_thread = web->spec.connections_max + 64,
        .options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
                   (web->spec.share_port ? LWS_SERVER_OPTION_ALLOW_LISTEN_SHARE : 0)};
    web->context = lws_create_context(&info);
    struct lws_vhost *vhost = web->context ? lws_get_vhost_by_name(web->context, "tongke") : NULL;
    int port = vhost ? lws_get_vhost_listen_port(vhost) : 0;
    if (port > 0) {
        web->port = (guint16)port;
        return TRUE;
    }
    g_set_error(error, TK_ERROR, TK_ERROR_IO,
                "cannot listen on TCP port %u of %s: %s (another web.port, or 0 for any, may help)",
                web->spec.port, web->listen, g_strerror(errno ? errno : EADDRINUSE));
    return FALSE;
}

RelayWeb *relay_web_new(guint index, const RelayWebSpec *spec, GError **error)
{
    RelayWeb *web = g_new0(RelayWeb, 1);
    web->index = index;
    web->spec = *spec;
    web->listen = g_strdup(spec->listen);
    web->page = g_strdup(spec->page);
    web->limits = RELAY_VIEWER_LIMITS_DEFAULT;
    web->feeds = g_ptr_array_new_with_free_func((GDestroyNotify)relay_web_feed_free);
    web->peers = g_hash_table_new(g_int64_hash, g_int64_equal);
    web->mailbox = relay_mailbox_new(MAILBOX_LIMIT, wake, web);
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    fill_mounts(web);
    if (create_context(web, error))
        return web;
    relay_web_free(web);
    return NULL;
}

guint16 relay_web_port(const RelayWeb *web)
{
    return web->port;
}

static gpointer run(gpointer data)
{
    RelayWeb *web = data;
    while (!web->quit && lws_service(web->context, 0) >= 0)
        relay_mailbox_run(web->mailbox, web);
    return NULL;
}

void relay_web_start(RelayWeb *web)
{
    web->thread = g_thread_new("web", run, web);
}

static void quit(gpointer owner, gpointer data)
{
    ((RelayWeb *)owner)->quit = TRUE;
}

void relay_web_stop(RelayWeb *web)
{
    if (!web->thread)
        return;
    relay_mailbox_post(web->mailbox, quit, NULL);
    g_thread_join(g_steal_pointer(&web->thread));
    relay_mailbox_run(web->mailbox, web);
}

void relay_web_free(RelayWeb *web)
{
    if (!web)
        return;
    if (web->context)
        lws_context_destroy(web->context);
    g_ptr_array_unref(web->feeds);
    g_hash_table_unref(web->peers);
    relay_mailbox_free(web->mailbox);
    g_free(web->listen);
    g_free(web->page);
    g_free(web);
}

// What others post.

typedef struct {
    RelayStream *stream;
    RelayUnit *piece;
    gboolean has_format;
    RelayStreamFormat format;
    char *state, *json;
} Post;

static void post_free(Post *post)
{
    relay_stream_unref(post->stream);
    relay_unit_unref(post->piece);
    g_free(post->state);
    g_free(post->json);
    g_free(post);
}

static void wake_viewers(RelayWeb *web, const RelayWebFeed *feed)
{
    GHashTableIter iter;
    Peer *p;
    g_hash_table_iter_init(&iter, web->peers);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&p))
        if (p->feed == feed)
            lws_callback_on_writable(p->wsi);
}

static void take_piece(gpointer owner, gpointer data)
{
    RelayWeb *web = owner;
    Post *post = data;
    RelayWebFeed *feed = post->stream->web_feeds[web->index];
    if (feed) {
        relay_web_feed_push(feed, post->piece, post->has_format ? &post->format : NULL);
        wake_viewers(web, feed);
    }
    post_free(post);
}

gboolean relay_web_push(RelayWeb *web, RelayStream *stream, RelayUnit *piece,
                        const RelayStreamFormat *format)
{
    Post *post = g_new0(Post, 1);
    post->stream = relay_stream_ref(stream);
    post->piece = relay_unit_ref(piece);
    post->has_format = format != NULL;
    if (format)
        post->format = *format;
    if (relay_mailbox_offer(web->mailbox, take_piece, post))
        return TRUE;
    post_free(post);
    return FALSE;
}

static RelayWebFeed *begin_feed(RelayWeb *web, RelayStream *stream)
{
    RelayWebFeed *feed =
        relay_web_feed_new(stream, web->spec.history_span_ns, web->spec.history_bytes_max);
    stream->web_feeds[web->index] = feed;
    g_ptr_array_add(web->feeds, feed);
    GHashTableIter iter;
    Peer *p;
    g_hash_table_iter_init(&iter, web->peers);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&p))
        if (wants(p, stream) && !p->close_code)
            attach(p, feed);
    return feed;
}

// An ended feed stays until its last viewer has left it.
static void sweep_feeds(RelayWeb *web)
{
    for (guint i = web->feeds->len; i-- > 0;) {
        RelayWebFeed *feed = web->feeds->pdata[i];
        gboolean watched = !relay_web_feed_ended(feed);
        GHashTableIter iter;
        Peer *p;
        g_hash_table_iter_init(&iter, web->peers);
        while (!watched && g_hash_table_iter_next(&iter, NULL, (gpointer *)&p))
            watched = p->feed == feed;
        if (watched)
            continue;
        relay_web_feed_stream(feed)->web_feeds[web->index] = NULL;
        g_ptr_array_remove_index(web->feeds, i);
    }
}

static void take_state(gpointer owner, gpointer data)
{
    RelayWeb *web = owner;
    Post *post = data;
    RelayWebFeed *feed = post->stream->web_feeds[web->index];
    if (!feed)
        feed = begin_feed(web, post->stream);
    relay_web_feed_set_state(feed, post->state, post->json);
    wake_viewers(web, feed);
    sweep_feeds(web);
    post_free(post);
}

void relay_web_set_state(RelayWeb *web, RelayStream *stream, const char *state,
                         const char *lesson_json)
{
    Post *post = g_new0(Post, 1);
    post->stream = relay_stream_ref(stream);
    post->state = g_strdup(state);
    post->json = g_strdup(lesson_json);
    relay_mailbox_post(web->mailbox, take_state, post);
}

static void take_event(gpointer owner, gpointer data)
{
    RelayWeb *web = owner;
    RelayUnit *event = data;
    GHashTableIter iter;
    Peer *p;
    g_hash_table_iter_init(&iter, web->peers);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&p)) {
        if (p->kind != KIND_EVENTS || !p->events)
            continue;
        if (g_queue_get_length(p->events) < EVENTS_QUEUED_MAX)
            g_queue_push_tail(p->events, relay_unit_ref(event));
        else
            p->close_code = CLOSE_TRY_LATER;
        lws_callback_on_writable(p->wsi);
    }
    relay_unit_unref(event);
}

void relay_web_send_event(RelayWeb *web, const char *json)
{
    relay_mailbox_post(web->mailbox, take_event, relay_web_message(json, strlen(json)));
}

void relay_web_stats(const RelayWeb *web, RelayWebStats *ret)
{
    *ret = (RelayWebStats){.viewers = relay_stat_get(web->stats.viewers),
                           .connections = relay_stat_get(web->stats.connections),
                           .messages = relay_stat_get(web->stats.messages),
                           .bytes = relay_stat_get(web->stats.bytes),
                           .units_dropped = relay_stat_get(web->stats.units_dropped),
                           .viewers_gone = relay_stat_get(web->stats.viewers_gone),
                           .refused = relay_stat_get(web->stats.refused)};
}
