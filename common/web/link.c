// SPDX-License-Identifier: MIT
#include "common/web/link.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include <string.h>

#define CONNECT_S_MAX 10
#define PING_S 10
#define SILENCE_S_MAX 30 // neither message nor pong: the other side is gone
#define BACKOFF_S_MAX 15
// Whether a line that was silent for so long still lives is seen soonest by trying another.
#define DOUBT_NS (2 * TK_NS_PER_S)
#define TOKEN_BYTES_MAX 8192

struct _TkWebLink {
    const TkWebTarget *target;
    const TkWebLinkHandler *handler;
    void *user;

    GCancellable *cancel; // while a try is under way
    gboolean cancel_late; // the try took too long
    SoupWebsocketConnection *connection;
    char *drop_reason; // we closed it ourselves
    gint64 heard_ns;   // monotonic, of the last sign of life
    guint backoff_s;
    guint timer, guard;
};

static void link_try(TkWebLink *link);

static gboolean timer_due(void *data)
{
    TkWebLink *link = data;
    link->timer = 0;
    link_try(link);
    return G_SOURCE_REMOVE;
}

// Calls the owner last: it may free the link.
static void link_down(TkWebLink *link, guint status, guint code, const char *why)
{
    link->timer = g_timeout_add_seconds(link->backoff_s, timer_due, link);
    link->backoff_s = MIN(link->backoff_s * 2, BACKOFF_S_MAX);
    link->handler->on_down(link->user, status, code, why);
}

static void connection_clear(TkWebLink *link)
{
    g_clear_handle_id(&link->guard, g_source_remove);
    if (!link->connection)
        return;
    g_signal_handlers_disconnect_by_data(link->connection, link);
    if (soup_websocket_connection_get_state(link->connection) == SOUP_WEBSOCKET_STATE_OPEN)
        soup_websocket_connection_close(link->connection, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
    g_clear_object(&link->connection);
}

static void connection_message(SoupWebsocketConnection *connection, gint type, GBytes *message,
                               TkWebLink *link)
{
    gsize length;
    const char *data = g_bytes_get_data(message, &length);

    link->heard_ns = tk_clock_monotonic_ns();
    link->backoff_s = 1;
    if (link->drop_reason)
        return;
    // libsoup ends text messages in a NUL that the length does not count.
    if (type == SOUP_WEBSOCKET_DATA_TEXT)
        link->handler->on_text(link->user, data ? data : "", length);
    else
        link->handler->on_binary(link->user, message);
}

static void connection_pong(SoupWebsocketConnection *connection, GBytes *message, TkWebLink *link)
{
    link->heard_ns = tk_clock_monotonic_ns();
}

static void connection_closed(SoupWebsocketConnection *connection, TkWebLink *link)
{
    guint code = soup_websocket_connection_get_close_code(connection);
    g_autofree char *why = g_steal_pointer(&link->drop_reason);

    connection_clear(link);
    link_down(link, 0, why ? 0 : code, why ? why : "closed by the relay");
}

static gboolean guard_due(void *data)
{
    TkWebLink *link = data;
    if (!link->drop_reason &&
        tk_clock_monotonic_ns() - link->heard_ns < SILENCE_S_MAX * TK_NS_PER_S)
        return G_SOURCE_CONTINUE;
    // A peer that does not answer our close either is left without one.
    g_autofree char *why = g_steal_pointer(&link->drop_reason);
    link->guard = 0;
    connection_clear(link);
    link_down(link, 0, 0, why ? why : "no sign of life from the relay");
    return G_SOURCE_REMOVE;
}

static void connection_use(TkWebLink *link, SoupWebsocketConnection *connection)
{
    link->connection = connection;
    link->heard_ns = tk_clock_monotonic_ns();
    soup_websocket_connection_set_max_incoming_payload_size(connection, TK_WEB_MESSAGE_BYTES_MAX);
    soup_websocket_connection_set_keepalive_interval(connection, PING_S);
    g_signal_connect(connection, "message", G_CALLBACK(connection_message), link);
    g_signal_connect(connection, "pong", G_CALLBACK(connection_pong), link);
    g_signal_connect(connection, "closed", G_CALLBACK(connection_closed), link);
    link->guard = g_timeout_add_seconds(PING_S, guard_due, link);
}

typedef struct {
    TkWebLink *link; // NULL once the link is freed: told by the cancellable's data
    SoupMessage *message;
    GCancellable *cancel;
} Try;

static void try_done(GObject *source, GAsyncResult *result, void *data)
{
    Try *try = data;
    g_autoptr(GError) error = NULL;
    g_autoptr(SoupMessage) message = try->message;
    g_autoptr(GCancellable) cancel = try->cancel;
    SoupWebsocketConnection *connection =
        soup_session_websocket_connect_finish(SOUP_SESSION(source), result, &error);
    TkWebLink *link = g_object_get_data(G_OBJECT(cancel), "link");

    g_free(try);
    if (!link) {
        g_clear_object(&connection);
        return;
    }
    g_clear_object(&link->cancel);
    g_clear_handle_id(&link->guard, g_source_remove);
    g_autofree char *why = g_steal_pointer(&link->drop_reason);
    if (why) {
        link->connection = connection;
        connection_clear(link);
        link_down(link, 0, 0, why);
        return;
    }
    if (connection) {
        connection_use(link, connection);
        return;
    }
    guint status = soup_message_get_status(message);
    gboolean refused =
        g_error_matches(error, SOUP_WEBSOCKET_ERROR, SOUP_WEBSOCKET_ERROR_NOT_WEBSOCKET);
    link_down(link, refused ? status : 0, 0,
              link->cancel_late ? "no answer from the relay" : error->message);
}

static gboolean try_late(void *data)
{
    TkWebLink *link = data;
    link->guard = 0;
    link->cancel_late = TRUE;
    g_cancellable_cancel(link->cancel);
    return G_SOURCE_REMOVE;
}

static void link_try(TkWebLink *link)
{
    g_autofree char *path = link->handler->path(link->user);
    g_autofree char *url = g_strconcat(link->target->relay_url, path, NULL);
    SoupMessage *message = soup_message_new(SOUP_METHOD_GET, url);

    link->cancel_late = FALSE;
    if (!message) {
        link_down(link, 0, 0, "the relay's URL is not valid");
        return;
    }
    if (link->target->token_file[0]) {
        g_autoptr(GError) error = NULL;
        g_autofree char *token =
            tk_file_read(link->target->token_file, TOKEN_BYTES_MAX, NULL, &error);
        if (!token) {
            g_object_unref(message);
            link_down(link, 0, 0, error->message);
            return;
        }
        token[strcspn(token, " \r\n")] = '\0';
        g_autofree char *value = g_strconcat("Bearer ", token, NULL);
        soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                     value);
    }
    Try *try = g_new0(Try, 1);
    link->cancel = g_cancellable_new();
    g_object_set_data(G_OBJECT(link->cancel), "link", link);
    try->message = message;
    try->cancel = g_object_ref(link->cancel);
    link->guard = g_timeout_add_seconds(CONNECT_S_MAX, try_late, link);
    soup_session_websocket_connect_async(link->target->session, message, NULL, NULL,
                                         G_PRIORITY_DEFAULT, link->cancel, try_done, try);
}

TkWebLink *tk_web_link_new(const TkWebTarget *target, const TkWebLinkHandler *handler, void *user)
{
    TkWebLink *link = g_new0(TkWebLink, 1);
    link->target = target;
    link->handler = handler;
    link->user = user;
    link->backoff_s = 1;
    // Not from inside: the owner may not be ready to be asked for its path.
    link->timer = g_idle_add(timer_due, link);
    return link;
}

void tk_web_link_free(TkWebLink *link)
{
    if (!link)
        return;
    g_clear_handle_id(&link->timer, g_source_remove);
    if (link->cancel) {
        g_object_set_data(G_OBJECT(link->cancel), "link", NULL);
        g_cancellable_cancel(link->cancel);
        g_clear_object(&link->cancel);
    }
    connection_clear(link);
    g_free(link->drop_reason);
    g_free(link);
}

void tk_web_link_drop(TkWebLink *link, const char *why)
{
    if (link->drop_reason || (!link->connection && !link->cancel))
        return;
    link->drop_reason = g_strdup(why);
    if (link->connection)
        soup_websocket_connection_close(link->connection, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
    else // what is being asked for is no longer what is wanted
        g_cancellable_cancel(link->cancel);
}

void tk_web_link_try_now(TkWebLink *link)
{
    gboolean held = link->connection != NULL;

    link->backoff_s = 1;
    if (link->cancel ||
        (held && !link->drop_reason && tk_clock_monotonic_ns() - link->heard_ns < DOUBT_NS))
        return;
    g_autofree char *why = g_steal_pointer(&link->drop_reason);
    connection_clear(link);
    g_clear_handle_id(&link->timer, g_source_remove);
    link->timer = g_idle_add(timer_due, link);
    if (held)
        link->handler->on_down(link->user, 0, 0, why ? why : "no sign of life from the relay");
}

gboolean tk_web_link_connected(const TkWebLink *link)
{
    return link->connection != NULL && !link->drop_reason;
}

SoupSession *tk_web_session_new(const char *user_agent)
{
    // The relay is named by configuration: no proxy stands between, and each stream has a link.
    return soup_session_new_with_options("max-conns", 4096, "max-conns-per-host", 4096,
                                         "proxy-resolver", NULL, "user-agent", user_agent, NULL);
}
