// SPDX-License-Identifier: MIT
#include "common/media/rtsp.h"

#include <string.h>

void tk_rtsp_message_free(TkRtspMessage *message)
{
    if (!message)
        return;
    for (guint i = 0; i < message->headers_count; i++) {
        g_free(message->headers[i].name);
        g_free(message->headers[i].value);
    }
    g_free(message->method);
    g_free(message->uri);
    g_free(message->body);
    g_free(message);
}

TkRtspMessage *tk_rtsp_message_copy(const TkRtspMessage *message)
{
    TkRtspMessage *copy = g_memdup2(message, sizeof *message);
    copy->method = g_strdup(message->method);
    copy->uri = g_strdup(message->uri);
    copy->body = g_strndup(message->body, message->body_bytes);
    for (guint i = 0; i < message->headers_count; i++) {
        copy->headers[i].name = g_strdup(message->headers[i].name);
        copy->headers[i].value = g_strdup(message->headers[i].value);
    }
    return copy;
}

const char *tk_rtsp_header(const TkRtspMessage *message, const char *name)
{
    for (guint i = 0; i < message->headers_count; i++)
        if (g_ascii_strcasecmp(message->headers[i].name, name) == 0)
            return message->headers[i].value;
    return NULL;
}

// Length of the head including its empty line; 0 = not whole yet. Lines may end in LF alone.
static gsize head_length(const guint8 *data, gsize size)
{
    const guint8 *at = data, *end = data + size;
    while ((at = memchr(at, '\n', (gsize)(end - at)))) {
        at++;
        if (at < end && *at == '\n')
            return (gsize)(at + 1 - data);
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
            return (gsize)(at + 2 - data);
    }
    return 0;
}

// "METHOD URI RTSP/1.0"
static gboolean parse_request_line(TkRtspMessage *message, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    if (g_strv_length(words) != 3 || !*words[0] || !*words[1] ||
        !g_str_has_prefix(words[2], "RTSP/1."))
        return FALSE;
    for (const char *c = words[0]; *c; c++)
        if (!g_ascii_isupper(*c) && *c != '_')
            return FALSE;
    message->method = g_strdup(words[0]);
    message->uri = g_strdup(words[1]);
    return TRUE;
}

// "RTSP/1.0 200 OK"
static gboolean parse_status_line(TkRtspMessage *message, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    guint64 status;
    if (g_strv_length(words) < 2 || !g_str_has_prefix(words[0], "RTSP/1.") ||
        !g_ascii_string_to_unsigned(words[1], 10, 100, 599, &status, NULL))
        return FALSE;
    message->status = (guint)status;
    return TRUE;
}

static gboolean parse_first_line(TkRtspMessage *message, const char *line)
{
    return g_str_has_prefix(line, "RTSP/") ? parse_status_line(message, line)
                                           : parse_request_line(message, line);
}

static gboolean parse_header(TkRtspMessage *message, const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon || colon == line || message->headers_count == TK_RTSP_HEADERS_MAX)
        return FALSE;
    guint i = message->headers_count++;
    message->headers[i].name = g_strchomp(g_strndup(line, (gsize)(colon - line)));
    message->headers[i].value = g_strstrip(g_strdup(colon + 1));
    return TRUE;
}

static TkRtspMessage *parse_head(const guint8 *data, gsize size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    if (strlen(text) != size || !g_utf8_validate(text, (gssize)size, NULL))
        return NULL;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(TkRtspMessage) message = g_new0(TkRtspMessage, 1);
    for (guint i = 0; lines[i]; i++) {
        char *line = g_strchomp(lines[i]);
        if (i > 0 && !*line)
            continue;
        if (i == 0 ? !parse_first_line(message, line) : !parse_header(message, line))
            return NULL;
    }
    return g_steal_pointer(&message);
}

static TkRtspPiece next_message(const guint8 *data, gsize size, TkRtspInput *ret)
{
    gsize head = head_length(data, MIN(size, TK_RTSP_HEAD_BYTES_MAX));
    if (head == 0)
        return size >= TK_RTSP_HEAD_BYTES_MAX ? TK_RTSP_BAD : TK_RTSP_INCOMPLETE;
    g_autoptr(TkRtspMessage) message = parse_head(data, head);
    if (!message)
        return TK_RTSP_BAD;
    guint64 body = 0;
    const char *length = tk_rtsp_header(message, "Content-Length");
    if (length && !g_ascii_string_to_unsigned(length, 10, 0, TK_RTSP_BODY_BYTES_MAX, &body, NULL))
        return TK_RTSP_BAD;
    ret->bytes = head + body;
    if (size - head < body)
        return TK_RTSP_INCOMPLETE;
    message->body = g_strndup((const char *)data + head, body);
    message->body_bytes = body;
    ret->message = g_steal_pointer(&message);
    return ret->message->status ? TK_RTSP_RESPONSE : TK_RTSP_REQUEST;
}

TkRtspPiece tk_rtsp_next(const guint8 *data, gsize size, TkRtspInput *ret)
{
    *ret = (TkRtspInput){0};
    if (size == 0)
        return TK_RTSP_INCOMPLETE;
    if (data[0] == '\r' || data[0] == '\n') {
        ret->bytes = 1;
        return TK_RTSP_OTHER;
    }
    if (data[0] != '$')
        return next_message(data, size, ret);
    if (size < 4)
        return TK_RTSP_INCOMPLETE;
    gsize payload = (gsize)data[2] << 8 | data[3];
    ret->bytes = 4 + payload;
    if (size - 4 < payload)
        return TK_RTSP_INCOMPLETE;
    ret->channel = data[1];
    ret->payload = data + 4;
    ret->payload_bytes = payload;
    return TK_RTSP_FRAME;
}

const char *tk_rtsp_phrase(guint status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 409:
        return "Conflict";
    case 415:
        return "Unsupported Media Type";
    case 429:
        return "Too Many Requests";
    case 454:
        return "Session Not Found";
    case 455:
        return "Method Not Valid in This State";
    case 459:
        return "Aggregate Operation Not Allowed";
    case 461:
        return "Unsupported Transport";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 551:
        return "Option not supported";
    default:
        return "Error";
    }
}
