// SPDX-License-Identifier: MIT
#include "client/ctl/http.h"

#include <libsoup/soup.h>
#include <string.h>

#include "client/ctl/print.h"
#include "common/base/error.h"

// A page of 100 recordings is far below this.
#define ANSWER_MAX (8 * 1024 * 1024)
#define TIMEOUT_S 20

static const struct {
    const char *what, *program, *option;
} servers[] = {
    [CTL_RELAY] = {"the relay", "tongke-relay", "--relay"},
    [CTL_LIBRARY] = {"the library", "tongke-recorder", "--library"},
};

static SoupMessage *message_new(const char *base, CtlServer server, const char *method,
                                const char *path, GError **error)
{
    g_autofree char *trimmed = g_strdup(base);

    while (g_str_has_suffix(trimmed, "/"))
        trimmed[strlen(trimmed) - 1] = '\0';
    g_autofree char *url = g_strconcat(trimmed, path, NULL);
    SoupMessage *message = NULL;
    if (g_str_has_prefix(url, "http://") || g_str_has_prefix(url, "https://"))
        message = soup_message_new(method, url);
    if (!message)
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s %s: not a URL; write http://HOST:PORT",
                    servers[server].option, base);
    return message;
}

static GBytes *read_bounded(GInputStream *stream, GError **error)
{
    g_autoptr(GByteArray) data = g_byte_array_new();
    guint8 part[16384];

    for (;;) {
        gssize got = g_input_stream_read(stream, part, sizeof part, NULL, error);
        if (got < 0)
            return NULL;
        if (got == 0)
            return g_byte_array_free_to_bytes(g_steal_pointer(&data));
        if (data->len + (gsize)got > ANSWER_MAX) {
            g_set_error_literal(error, TK_ERROR, TK_ERROR_TOO_LARGE, "the answer is too long");
            return NULL;
        }
        g_byte_array_append(data, part, (guint)got);
    }
}

// The error that an answer of another status than 2xx means.
static void set_refusal(GError **error, CtlServer server, SoupMessage *message, GBytes *body)
{
    gsize length;
    const char *text = g_bytes_get_data(body, &length);
    guint status = soup_message_get_status(message);
    g_autoptr(json_t) problem = tk_json_parse(text, length, ANSWER_MAX, NULL);
    const char *detail = tk_json_string(problem, "detail", soup_message_get_reason_phrase(message));

    if (status == 401)
        g_set_error(error, TK_ERROR, TK_ERROR_UNAUTHORIZED,
                    "%s wants a token (%s); set TONGKE_TOKEN or give --token-file; `tongkectl "
                    "token` makes one",
                    servers[server].what, detail ? detail : "401");
    else if (status == 403)
        g_set_error(error, TK_ERROR, TK_ERROR_FORBIDDEN, "%s: this token does not allow it (%s)",
                    servers[server].what, detail ? detail : "403");
    else
        g_set_error(error, TK_ERROR,
                    status == 404   ? TK_ERROR_NOT_FOUND
                    : status == 409 ? TK_ERROR_CONFLICT
                                    : TK_ERROR_UNAVAILABLE,
                    "%s answers %u: %s", servers[server].what, status, detail ? detail : "?");
}

static GBytes *exchange(SoupMessage *message, const CtlOptions *options, CtlServer server,
                        GError **error)
{
    const char *base = server == CTL_RELAY ? options->relay : options->library;
    g_autoptr(SoupSession) session =
        soup_session_new_with_options("timeout", TIMEOUT_S, "user-agent", "tongkectl", NULL);
    g_autoptr(GError) why = NULL;

    if (options->token) {
        g_autofree char *value = g_strconcat("Bearer ", options->token, NULL);
        soup_message_headers_replace(soup_message_get_request_headers(message), "Authorization",
                                     value);
        // A token is for the server that it was given for.
        soup_message_add_flags(message, SOUP_MESSAGE_NO_REDIRECT);
    }
    g_autoptr(GInputStream) stream = soup_session_send(session, message, NULL, &why);
    g_autoptr(GBytes) body = stream ? read_bounded(stream, &why) : NULL;
    if (!body) {
        g_set_error(error, TK_ERROR, TK_ERROR_UNAVAILABLE,
                    "cannot reach %s at %s: %s; is %s running there? %s names another place",
                    servers[server].what, base, why->message, servers[server].program,
                    servers[server].option);
        return NULL;
    }
    if (!SOUP_STATUS_IS_SUCCESSFUL(soup_message_get_status(message))) {
        set_refusal(error, server, message, body);
        return NULL;
    }
    return g_steal_pointer(&body);
}

json_t *ctl_http(const CtlOptions *options, CtlServer server, const char *method, const char *path,
                 const json_t *body, GError **error)
{
    const char *base = server == CTL_RELAY ? options->relay : options->library;
    g_autoptr(SoupMessage) message = message_new(base, server, method, path, error);

    if (!message)
        return NULL;
    if (body) {
        char *text = tk_json_dump(body);
        g_autoptr(GBytes) bytes = g_bytes_new_take(text, strlen(text));
        soup_message_set_request_body_from_bytes(message, "application/json", bytes);
    }
    g_autoptr(GBytes) answer = exchange(message, options, server, error);
    if (!answer)
        return NULL;
    gsize length;
    const char *text = g_bytes_get_data(answer, &length);
    return length ? tk_json_parse(text, length, ANSWER_MAX, error) : json_object();
}

char *ctl_http_text(const CtlOptions *options, CtlServer server, const char *path, GError **error)
{
    const char *base = server == CTL_RELAY ? options->relay : options->library;
    g_autoptr(SoupMessage) message = message_new(base, server, "GET", path, error);
    g_autoptr(GBytes) answer = message ? exchange(message, options, server, error) : NULL;

    if (!answer)
        return NULL;
    gsize length;
    const char *text = g_bytes_get_data(answer, &length);
    g_autofree char *copy = g_strndup(text ? text : "", length);
    return ctl_clean(g_strstrip(copy));
}
