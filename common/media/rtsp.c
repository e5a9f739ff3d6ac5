// SPDX-License-Identifier: MIT
#include "common/media/rtsp.h"

#include <string.h>

void tk_rtsp_request_free(TkRtspRequest *request)
{
    if (!request)
        return;
    for (guint i = 0; i < request->headers_count; i++) {
        g_free(request->headers[i].name);
        g_free(request->headers[i].value);
    }
    g_free(request->method);
    g_free(request->uri);
    g_free(request->body);
    g_free(request);
}

const char *tk_rtsp_header(const TkRtspRequest *request, const char *name)
{
    for (guint i = 0; i < request->headers_count; i++)
        if (g_ascii_strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
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
static gboolean parse_request_line(TkRtspRequest *request, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", 4);
    if (g_strv_length(words) != 3 || !*words[0] || !*words[1] ||
        !g_str_has_prefix(words[2], "RTSP/1."))
        return FALSE;
    for (const char *c = words[0]; *c; c++)
        if (!g_ascii_isupper(*c) && *c != '_')
            return FALSE;
    request->method = g_strdup(words[0]);
    request->uri = g_strdup(words[1]);
    return TRUE;
}

static gboolean parse_header(TkRtspRequest *request, const char *line)
{
    const char *colon = strchr(line, ':');
    if (!colon || colon == line || request->headers_count == TK_RTSP_HEADERS_MAX)
        return FALSE;
    guint i = request->headers_count++;
    request->headers[i].name = g_strchomp(g_strndup(line, (gsize)(colon - line)));
    request->headers[i].value = g_strstrip(g_strdup(colon + 1));
    return TRUE;
}

static TkRtspRequest *parse_head(const guint8 *data, gsize size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    if (strlen(text) != size || !g_utf8_validate(text, (gssize)size, NULL))
        return NULL;
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(TkRtspRequest) request = g_new0(TkRtspRequest, 1);
    for (guint i = 0; lines[i]; i++) {
        char *line = g_strchomp(lines[i]);
        if (i > 0 && !*line)
            continue;
        if (i == 0 ? !parse_request_line(request, line) : !parse_header(request, line))
            return NULL;
    }
    return g_steal_pointer(&request);
}

static TkRtspPiece next_message(const guint8 *data, gsize size, TkRtspInput *ret)
{
    gsize head = head_length(data, MIN(size, TK_RTSP_HEAD_BYTES_MAX));
    if (head == 0)
        return size >= TK_RTSP_HEAD_BYTES_MAX ? TK_RTSP_BAD : TK_RTSP_INCOMPLETE;
    if (head >= 5 && memcmp(data, "RTSP/", 5) == 0) { // a response: we ask nothing of clients
        ret->bytes = head;
        return TK_RTSP_OTHER;
    }
    g_autoptr(TkRtspRequest) request = parse_head(data, head);
    if (!request)
        return TK_RTSP_BAD;
    guint64 body = 0;
    const char *length = tk_rtsp_header(request, "Content-Length");
    if (length && !g_ascii_string_to_unsigned(length, 10, 0, TK_RTSP_BODY_BYTES_MAX, &body, NULL))
        return TK_RTSP_BAD;
    ret->bytes = head + body;
    if (size - head < body)
        return TK_RTSP_INCOMPLETE;
    request->body = g_strndup((const char *)data + head, body);
    request->body_bytes = body;
    ret->request = g_steal_pointer(&request);
    return TK_RTSP_REQUEST;
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
