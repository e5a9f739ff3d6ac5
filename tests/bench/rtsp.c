// SPDX-License-Identifier: MIT
#include "tests/bench/rtsp.h"

#include <stdlib.h>
#include <string.h>

void load_url_split(const char *url, char **ret_host, guint *ret_port, char **ret_path)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, &error);
    if (!uri || !g_uri_get_host(uri) || g_uri_get_port(uri) <= 0)
        load_die("%s: not a URL with an address and a port", url);
    *ret_host = g_strdup(g_uri_get_host(uri));
    *ret_port = (guint)g_uri_get_port(uri);
    if (ret_path)
        *ret_path = g_strdup(g_uri_get_path(uri));
}

char *load_rtsp_header(const LoadReply *reply, const char *name)
{
    gsize length = strlen(name);
    for (const char *line = reply->head; line; line = strstr(line, "\r\n")) {
        line += g_str_has_prefix(line, "\r\n") ? 2 : 0;
        if (g_ascii_strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *end = strstr(line, "\r\n");
            gsize size = end ? (gsize)(end - line) - length - 1 : strlen(line + length + 1);
            return g_strstrip(g_strndup(line + length + 1, size));
        }
    }
    return NULL;
}

// Bytes of the reply at the beginning of `in`, or 0 while it is not whole.
static gsize take_reply(LoadRtsp *rtsp)
{
    const char *data = (const char *)rtsp->in->data;
    const char *end = memmem(data, rtsp->in->len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    g_autofree char *head = g_strndup(data, (gsize)(end - data));
    LoadReply reply = {.head = head};
    g_autofree char *length = load_rtsp_header(&reply, "Content-Length");
    gsize body_bytes = length ? strtoul(length, NULL, 10) : 0;
    gsize total = (gsize)(end - data) + 4 + body_bytes;
    if (rtsp->in->len < total)
        return 0;
    g_autofree char *body = g_strndup(end + 4, body_bytes);
    reply.body = body;
    // "RTSP/1.0 200 OK"; a request of the server's is passed over.
    reply.status = g_str_has_prefix(head, "RTSP/") ? (guint)strtoul(head + 9, NULL, 10) : 0;
    g_autofree char *session = load_rtsp_header(&reply, "Session");
    if (session && !rtsp->session)
        rtsp->session = g_strndup(session, strcspn(session, ";"));
    // Taken away before the call: it may close the connection.
    g_byte_array_remove_range(rtsp->in, 0, (guint)total);
    if (reply.status)
        rtsp->on_reply(rtsp->user, &reply);
    return total;
}

static gsize take_frame(LoadRtsp *rtsp, gint64 at_ns)
{
    const guint8 *data = rtsp->in->data;
    gsize total = rtsp->in->len < 4 ? 0 : 4 + ((gsize)data[2] << 8 | data[3]);
    if (!total || rtsp->in->len < total)
        return 0;
    if (rtsp->on_frame)
        rtsp->on_frame(rtsp->user, data[1], data + 4, total - 4, at_ns);
    g_byte_array_remove_range(rtsp->in, 0, (guint)total);
    return total;
}

static void on_bytes(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    LoadRtsp *rtsp = user;
    g_byte_array_append(rtsp->in, data, (guint)size);
    while (rtsp->in && rtsp->in->len &&
           (rtsp->in->data[0] == '$' ? take_frame(rtsp, at_ns) : take_reply(rtsp))) {
    }
}

static void on_closed(void *user, const char *why)
{
    LoadRtsp *rtsp = user;
    load_rtsp_close(rtsp);
    rtsp->on_closed(rtsp->user, why);
}

void load_rtsp_open(LoadRtsp *rtsp, LoadLoop *loop, const char *url)
{
    g_autofree char *host = NULL;
    guint port;
    load_url_split(url, &host, &port, NULL);
    rtsp->url = g_strdup(url);
    rtsp->cseq = 0;
    rtsp->in = g_byte_array_new();
    rtsp->link.loop = loop;
    rtsp->link.on_open = NULL;
    rtsp->link.on_bytes = on_bytes;
    rtsp->link.on_closed = on_closed;
    rtsp->link.user = rtsp;
    load_link_connect(&rtsp->link, host, port);
}

void load_rtsp_close(LoadRtsp *rtsp)
{
    load_link_close(&rtsp->link);
    g_clear_pointer(&rtsp->in, g_byte_array_unref);
    g_clear_pointer(&rtsp->url, g_free);
    g_clear_pointer(&rtsp->session, g_free);
}

void load_rtsp_ask(LoadRtsp *rtsp, const char *method, const char *url, const char *headers,
                   const char *body)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "%s %s RTSP/1.0\r\nCSeq: %u\r\n%s", method, url, ++rtsp->cseq,
                           headers);
    if (rtsp->session)
        g_string_append_printf(text, "Session: %s\r\n", rtsp->session);
    if (body)
        g_string_append_printf(text, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n",
                               strlen(body));
    g_string_append_printf(text, "\r\n%s", body ? body : "");
    load_link_put(&rtsp->link, text->str, text->len);
}

void load_rtsp_put_frame(LoadRtsp *rtsp, guint8 channel, const guint8 *data, gsize size)
{
    guint8 frame[4 + 2048];
    g_assert(size <= sizeof frame - 4);
    frame[0] = '$';
    frame[1] = channel;
    frame[2] = (guint8)(size >> 8);
    frame[3] = (guint8)size;
    memcpy(frame + 4, data, size);
    load_link_put(&rtsp->link, frame, size + 4);
}
