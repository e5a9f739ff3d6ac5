// SPDX-License-Identifier: MIT
#include "recorder/library/serve.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "recorder/library/upload.h"

#include <libsoup/soup.h>
#include <string.h>

#define PIECE_BYTES (256u << 10)

struct _ShelfServer {
    ShelfServerOptions options;
    const ShelfApi *api;
    SoupServer *soup;
    GSocketService *service;
    guint16 port;
    guint connections;
};

// One request, from its first byte to the last of its answer. Freed with the message.
typedef struct {
    ShelfServer *server;
    SoupServerMessage *message; // borrowed: the exchange hangs on it
    GByteArray *body;
    gboolean body_too_large;
    ShelfReply *reply;
    guint64 at, end; // of the answer's bytes that are still to be sent
} Exchange;

static void exchange_free(void *data)
{
    Exchange *exchange = data;
    g_byte_array_unref(exchange->body);
    shelf_reply_free(exchange->reply);
    g_free(exchange);
}

static Exchange *exchange_of(SoupServerMessage *message)
{
    return g_object_get_data(G_OBJECT(message), "exchange");
}

// A connection carries one request: libsoup 3.2 forgets connections that it accepts or keeps open
// itself. Hangs on the peer's address, which is the one thing of it that messages show.
typedef struct {
    GSocket *socket;
    guint deadline;
} Door;

static void door_free(void *data)
{
    Door *door = data;
    g_clear_handle_id(&door->deadline, g_source_remove);
    g_object_unref(door->socket);
    g_free(door);
}

static Door *door_of(SoupServerMessage *message)
{
    return g_object_get_data(G_OBJECT(soup_server_message_get_remote_address(message)), "door");
}

static void message_cut(SoupServerMessage *message)
{
    g_socket_shutdown(door_of(message)->socket, TRUE, TRUE, NULL);
}

static gboolean deadline_due(void *data)
{
    Door *door = data;
    door->deadline = 0;
    g_socket_shutdown(door->socket, TRUE, TRUE, NULL);
    return G_SOURCE_REMOVE;
}

static void body_chunk(SoupServerMessage *message, GBytes *bytes, Exchange *exchange)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    // The rest is read and forgotten until the deadline, so that the answer can be.
    exchange->body_too_large |= exchange->body->len + size > SHELF_UPLOAD_BYTES_MAX;
    if (!exchange->body_too_large)
        g_byte_array_append(exchange->body, data, (guint)size);
}

static void request_started(SoupServer *soup, SoupServerMessage *message, ShelfServer *server)
{
    Exchange *exchange = g_new0(Exchange, 1);
    exchange->server = server;
    exchange->message = message;
    exchange->body = g_byte_array_new();
    g_object_set_data_full(G_OBJECT(message), "exchange", exchange, exchange_free);
    soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
    g_signal_connect(message, "got-chunk", G_CALLBACK(body_chunk), exchange);
}

static void request_read(SoupServer *soup, SoupServerMessage *message, ShelfServer *server)
{
    g_clear_handle_id(&door_of(message)->deadline, g_source_remove);
}

// Whether a page of `origin` may read our answers.
static gboolean origin_allowed(const ShelfServer *server, SoupServerMessage *message,
                               const char *origin)
{
    const char *rule = server->options.allow_origin;
    if (strcmp(rule, "*") == 0)
        return TRUE;
    if (strcmp(rule, "same-host") == 0) {
        g_autoptr(GUri) uri = g_uri_parse(origin, G_URI_FLAGS_NONE, NULL);
        GUri *own = soup_server_message_get_uri(message);
        return uri && g_uri_get_host(uri) && own &&
               g_strcmp0(g_uri_get_host(uri), g_uri_get_host(own)) == 0;
    }
    g_auto(GStrv) words = g_strsplit_set(rule, " \t,", -1);
    return g_strv_contains((const char *const *)words, origin);
}

static void headers_cors(const ShelfServer *server, SoupServerMessage *message)
{
    SoupMessageHeaders *request = soup_server_message_get_request_headers(message);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    const char *origin = soup_message_headers_get_one(request, "Origin");

    // The same for all, as caches give everybody the same.
    if (exchange_of(message)->reply->max_age_s > 0) {
        soup_message_headers_replace(headers, "Access-Control-Allow-Origin", "*");
        return;
    }
    soup_message_headers_append(headers, "Vary", "Origin");
    if (!origin || !origin_allowed(server, message, origin))
        return;
    soup_message_headers_replace(headers, "Access-Control-Allow-Origin", origin);
    soup_message_headers_replace(headers, "Access-Control-Expose-Headers",
                                 "Accept-Ranges, Content-Disposition, Content-Length, "
                                 "Content-Range, ETag");
    if (soup_server_message_get_method(message) != SOUP_METHOD_OPTIONS)
        return;
    soup_message_headers_replace(headers, "Access-Control-Allow-Methods",
                                 "GET, HEAD, PATCH, POST, DELETE, OPTIONS");
    soup_message_headers_replace(headers, "Access-Control-Allow-Headers",
                                 "Authorization, Content-Type, Range, If-None-Match, If-Range");
    soup_message_headers_replace(headers, "Access-Control-Max-Age", "600");
}

static void piece_send(Exchange *exchange)
{
    SoupMessageBody *body = soup_server_message_get_response_body(exchange->message);

    if (exchange->at >= exchange->end) {
        soup_message_body_complete(body);
        return;
    }
    g_autoptr(GBytes) piece = shelf_reply_read(
        exchange->reply, exchange->at, (gsize)MIN(exchange->end - exchange->at, PIECE_BYTES));
    if (!piece) {
        // The length has been promised: only a cut connection says that it is not kept.
        tk_error("a recording cannot be read any more while it is sent");
        message_cut(exchange->message);
        return;
    }
    exchange->at += g_bytes_get_size(piece);
    soup_message_body_append_bytes(body, piece);
}

static void chunk_written(SoupServerMessage *message, Exchange *exchange)
{
    piece_send(exchange);
    soup_server_message_unpause(message);
}

static gboolean etag_matches(const char *header, const char *etag)
{
    if (!header || !etag)
        return FALSE;
    if (strcmp(header, "*") == 0)
        return TRUE;
    g_autofree char *quoted = g_strdup_printf("\"%s\"", etag);
    return strstr(header, quoted) != NULL;
}

// The status, and which bytes are sent.
static guint range_choose(Exchange *exchange, SoupMessageHeaders *request,
                          SoupMessageHeaders *headers)
{
    const ShelfReply *reply = exchange->reply;
    const char *condition = soup_message_headers_get_one(request, "If-Range");
    const char *range = soup_message_headers_get_one(request, "Range");
    guint64 total = shelf_reply_bytes(reply), from = 0, bytes = total;
    g_autofree char *text = NULL;

    exchange->at = 0;
    exchange->end = total;
    if (!reply->ranges || reply->status != 200)
        return reply->status;
    soup_message_headers_replace(headers, "Accept-Ranges", "bytes");
    if (condition && !etag_matches(condition, reply->etag))
        range = NULL;
    switch (shelf_range_parse(range, total, &from, &bytes)) {
    case SHELF_RANGE_NONE:
        return 200;
    case SHELF_RANGE_UNSATISFIABLE:
        exchange->end = 0;
        text = g_strdup_printf("bytes */%" G_GUINT64_FORMAT, total);
        soup_message_headers_replace(headers, "Content-Range", text);
        return 416;
    case SHELF_RANGE_PART:
        break;
    }
    exchange->at = from;
    exchange->end = from + bytes;
    text = g_strdup_printf("bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT,
                           from, from + bytes - 1, total);
    soup_message_headers_replace(headers, "Content-Range", text);
    return 206;
}

static void headers_caching(const ShelfReply *reply, SoupMessageHeaders *headers)
{
    g_autofree char *cache = NULL;
    if (reply->max_age_s > 0 && reply->immutable)
        cache =
            g_strdup_printf("public, max-age=%" G_GINT64_FORMAT ", immutable", reply->max_age_s);
    else if (reply->max_age_s > 0)
        cache = g_strdup_printf("public, max-age=%" G_GINT64_FORMAT
                                ", stale-while-revalidate=%" G_GINT64_FORMAT,
                                reply->max_age_s, reply->stale_s);
    else
        cache = g_strdup("private, no-cache");
    soup_message_headers_replace(headers, "Cache-Control", cache);
    if (reply->etag) {
        g_autofree char *quoted = g_strdup_printf("\"%s\"", reply->etag);
        soup_message_headers_replace(headers, "ETag", quoted);
    }
}

static void headers_filename(const char *filename, SoupMessageHeaders *headers)
{
    // RFC 6266 with the extended form of RFC 8187 for what is not ASCII.
    g_autofree char *encoded = g_uri_escape_string(filename, NULL, FALSE);
    g_autofree char *value =
        g_strdup_printf("attachment; filename=\"lesson.mp4\"; filename*=UTF-8''%s", encoded);
    soup_message_headers_replace(headers, "Content-Disposition", value);
}

static void reply_send(Exchange *exchange)
{
    SoupServerMessage *message = exchange->message;
    SoupMessageHeaders *request = soup_server_message_get_request_headers(message);
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    ShelfReply *reply = exchange->reply;
    guint status = range_choose(exchange, request, headers);

    soup_message_headers_replace(headers, "Connection", "close");
    headers_cors(exchange->server, message);
    headers_caching(reply, headers);
    soup_message_headers_replace(headers, "X-Content-Type-Options", "nosniff");
    soup_message_headers_replace(headers, "Referrer-Policy", "no-referrer");
    if (reply->filename)
        headers_filename(reply->filename, headers);
    if (reply->location)
        soup_message_headers_replace(headers, "Location", reply->location);
    if (status == 401)
        soup_message_headers_replace(headers, "WWW-Authenticate", "Bearer");
    if (etag_matches(soup_message_headers_get_one(request, "If-None-Match"), reply->etag))
        status = 304;
    soup_server_message_set_status(message, status, NULL);
    if (status == 204 || status == 304)
        return;
    if (reply->content_type && status != 416)
        soup_message_headers_set_content_type(headers, reply->content_type, NULL);
    soup_message_headers_set_content_length(headers, (goffset)(exchange->end - exchange->at));
    if (soup_server_message_get_method(message) == SOUP_METHOD_HEAD)
        return;
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    g_signal_connect(message, "wrote-headers", G_CALLBACK(chunk_written), exchange);
    g_signal_connect(message, "wrote-chunk", G_CALLBACK(chunk_written), exchange);
}

static void work_run(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    ShelfReply *reply = data;
    reply->work(reply);
    g_task_return_boolean(task, TRUE);
}

static void work_done(GObject *source, GAsyncResult *result, void *data)
{
    Exchange *exchange = exchange_of(SOUP_SERVER_MESSAGE(source));
    if (exchange->reply->finish)
        exchange->reply->finish(exchange->reply);
    reply_send(exchange);
    soup_server_message_unpause(exchange->message);
}

// The token of a request, checked. NULL: there is none, or it is not valid.
static TkClaims *claims_read(const ShelfServer *server, SoupServerMessage *message,
                             const char *query_token)
{
    SoupMessageHeaders *request = soup_server_message_get_request_headers(message);
    const char *header = soup_message_headers_get_one(request, "Authorization");
    const char *token = query_token;
    g_autoptr(GError) error = NULL;

    if (!server->options.key)
        return NULL;
    if (header && g_ascii_strncasecmp(header, "Bearer ", 7) == 0)
        token = header + 7;
    if (!token)
        return NULL;
    TkClaims *claims =
        tk_token_verify(server->options.key, token, tk_clock_wall_ns() / TK_NS_PER_S, &error);
    if (!claims)
        tk_log(TK_LOG_INFO,
               &(TkLogFields){.peer = soup_server_message_get_remote_host(message),
                              .reason = "unauthorized"},
               "%s", error->message);
    return claims;
}

static gboolean is_loopback(GSocketAddress *address)
{
    return G_IS_INET_SOCKET_ADDRESS(address) &&
           g_inet_address_get_is_loopback(
               g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
}

// A proxy on this machine brings strangers, and says so.
static gboolean is_forwarded(SoupServerMessage *message)
{
    SoupMessageHeaders *request = soup_server_message_get_request_headers(message);
    return soup_message_headers_get_list(request, "X-Forwarded-For") ||
           soup_message_headers_get_list(request, "Forwarded");
}

// Without a key the address is the door; a page of a stranger whose name was made to mean this
// machine (DNS rebinding) must not come in by it.
static gboolean host_is_loopback(SoupServerMessage *message)
{
    const char *host = g_uri_get_host(soup_server_message_get_uri(message));
    if (!host || g_ascii_strcasecmp(host, "localhost") == 0)
        return TRUE;
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
    return address && g_inet_address_get_is_loopback(address);
}

static GHashTable *query_parse(const char *text)
{
    GHashTable *query = NULL;
    if (text)
        query = g_uri_parse_params(text, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);
    return query ? query : g_hash_table_new(g_str_hash, g_str_equal);
}

static ShelfReply *request_answer(ShelfServer *server, Exchange *exchange, const char *method)
{
    SoupServerMessage *message = exchange->message;
    GUri *uri = soup_server_message_get_uri(message);
    g_autoptr(GHashTable) query = query_parse(g_uri_get_query(uri));
    const char *token = g_hash_table_lookup(query, "token");
    g_autoptr(TkClaims) claims = claims_read(server, message, token);
    g_autoptr(GBytes) body = g_bytes_new(exchange->body->data, exchange->body->len);
    ShelfRequest request = {
        .method = method == SOUP_METHOD_HEAD ? SOUP_METHOD_GET : method,
        .path = g_uri_get_path(uri),
        .query = query,
        .query_token = token,
        .body = body,
        .loopback =
            is_loopback(soup_server_message_get_remote_address(message)) && !is_forwarded(message),
        .door = server->options.key != NULL,
        .claims = claims,
    };
    if (!request.door && !(request.loopback && host_is_loopback(message))) {
        g_autoptr(GError) error =
            g_error_new(TK_ERROR, TK_ERROR_FORBIDDEN,
                        "without a key this library answers this machine only; make a key with: "
                        "tongkectl key new FILE");
        return shelf_reply_error(error);
    }
    if (exchange->body_too_large) {
        g_autoptr(GError) error = g_error_new(
            TK_ERROR, TK_ERROR_TOO_LARGE, "a body has at most %u bytes", SHELF_UPLOAD_BYTES_MAX);
        return shelf_reply_error(error);
    }
    return shelf_api_handle(server->api, &request);
}

static void request_handle(SoupServer *soup, SoupServerMessage *message, const char *path,
                           GHashTable *query, void *data)
{
    ShelfServer *server = data;
    Exchange *exchange = exchange_of(message);
    const char *method = soup_server_message_get_method(message);

    if (!exchange)
        return;
    exchange->reply = method == SOUP_METHOD_OPTIONS ? shelf_reply_new(204, NULL, NULL)
                                                    : request_answer(server, exchange, method);
    if (!exchange->reply->work) {
        reply_send(exchange);
        return;
    }
    soup_server_message_pause(message);
    g_autoptr(GTask) task = g_task_new(message, NULL, work_done, NULL);
    g_task_set_task_data(task, exchange->reply, NULL);
    g_task_run_in_thread(task, work_run);
}

static void stream_gone(void *data, GObject *stream)
{
    ShelfServer *server = data;
    server->connections--;
}

static gboolean connection_come(GSocketService *service, GSocketConnection *connection,
                                GObject *source, void *data)
{
    ShelfServer *server = data;
    GSocket *socket = g_socket_connection_get_socket(connection);
    g_autoptr(GSocketAddress) local = g_socket_connection_get_local_address(connection, NULL);
    g_autoptr(GSocketAddress) remote = g_socket_connection_get_remote_address(connection, NULL);
    g_autoptr(GError) error = NULL;

    if (server->connections >= server->options.connections_max) {
        tk_log(TK_LOG_WARNING, &(TkLogFields){.reason = "limit"},
               "a connection was refused: %u are open already", server->connections);
        return TRUE;
    }
    if (!local || !remote)
        return TRUE;
    Door *door = g_new0(Door, 1);
    door->socket = g_object_ref(socket);
    door->deadline = g_timeout_add_seconds(SHELF_REQUEST_S, deadline_due, door);
    g_object_set_data_full(G_OBJECT(remote), "door", door, door_free);
    g_socket_set_timeout(socket, SHELF_SEND_S);
    server->connections++;
    g_object_weak_ref(G_OBJECT(connection), stream_gone, server);
    if (!soup_server_accept_iostream(server->soup, G_IO_STREAM(connection), local, remote, &error))
        tk_debug("a connection was not taken: %s", error->message);
    return TRUE;
}

static gboolean server_listen(ShelfServer *server, GError **error)
{
    g_autoptr(GSocketAddress) bound = NULL;
    g_autoptr(GSocketAddress) address =
        g_inet_socket_address_new_from_string(server->options.listen, server->options.port);

    if (!address) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "[http] listen: %s is not an IP address",
                    server->options.listen);
        return FALSE;
    }
    if (!server->options.key && !is_loopback(address)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "[http] listen = %s is open to others, and there is no key to tell them apart; "
                    "make one with: tongkectl key new FILE, and name it in [auth] key_file",
                    server->options.listen);
        return FALSE;
    }
    server->service = g_socket_service_new();
    if (!g_socket_listener_add_address(G_SOCKET_LISTENER(server->service), address,
                                       G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL, &bound,
                                       error)) {
        g_prefix_error(error, "cannot listen on %s port %u: ", server->options.listen,
                       server->options.port);
        return FALSE;
    }
    server->port = g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
    g_signal_connect(server->service, "incoming", G_CALLBACK(connection_come), server);
    g_socket_service_start(server->service);
    return TRUE;
}

ShelfServer *shelf_server_new(const ShelfServerOptions *options, const ShelfApi *api,
                              GError **error)
{
    g_autoptr(ShelfServer) server = g_new0(ShelfServer, 1);
    server->options = *options;
    server->api = api;
    // Paths stay encoded: they are split first, and no part that is looked up may hold a "%".
    server->soup = soup_server_new("raw-paths", TRUE, "server-header", "tongke", NULL);
    g_signal_connect(server->soup, "request-started", G_CALLBACK(request_started), server);
    g_signal_connect(server->soup, "request-read", G_CALLBACK(request_read), server);
    soup_server_add_handler(server->soup, NULL, request_handle, server, NULL);
    return server_listen(server, error) ? g_steal_pointer(&server) : NULL;
}

void shelf_server_free(ShelfServer *server)
{
    if (!server)
        return;
    if (server->service) {
        g_socket_service_stop(server->service);
        g_socket_listener_close(G_SOCKET_LISTENER(server->service));
        g_object_unref(server->service);
    }
    soup_server_disconnect(server->soup);
    g_object_unref(server->soup);
    g_free(server);
}

guint16 shelf_server_port(const ShelfServer *server)
{
    return server->port;
}

guint shelf_server_connections(const ShelfServer *server)
{
    return server->connections;
}
