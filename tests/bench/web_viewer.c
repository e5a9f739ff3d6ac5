// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/bench/link.h"
#include "tests/bench/rtsp.h"
#include "tests/bench/viewer.h"

// RFC 6455 section 5.2
enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

#define MESSAGE_BYTES_MAX (4 << 20)
#define FLV_TAG_BYTES 11
#define FLV_PREVIOUS_BYTES 4
#define FLV_VIDEO 9

typedef struct {
    LoadViewer viewer;
    char *host, *path;
    guint port;
    gboolean raw;
    LoadLink link;
    gboolean shaken; // hands
    GByteArray *in;  // an unfinished message
    GByteArray *flv; // unfinished tags; NULL: no FLV
} WebViewer;

static void hang_up(WebViewer *web)
{
    load_link_close(&web->link);
    g_byte_array_set_size(web->in, 0);
    g_clear_pointer(&web->flv, g_byte_array_unref);
}

static void lost(void *user, const char *why)
{
    WebViewer *web = user;
    hang_up(web);
    load_viewer_lost(&web->viewer, why);
}

// A client masks what it sends (section 5.3).
static void send_frame(WebViewer *web, guint8 opcode, const guint8 *data, gsize size)
{
    guint8 frame[6 + 125];
    size = MIN(size, 125);
    guint32 key = g_random_int();
    frame[0] = 0x80 | opcode;
    frame[1] = (guint8)(0x80 | size);
    memcpy(frame + 2, &key, 4);
    for (gsize i = 0; i < size; i++)
        frame[6 + i] = data[i] ^ frame[2 + i % 4];
    load_link_put(&web->link, frame, 6 + size);
}

static void take_flv(WebViewer *web, const guint8 *data, gsize size, gint64 at_ns)
{
    gsize done = 0;
    if (!web->flv) {
        // The file's header, and the size of no tag before the first.
        web->flv = g_byte_array_new();
        done = 9 + FLV_PREVIOUS_BYTES;
    }
    if (size > done)
        g_byte_array_append(web->flv, data + done, (guint)(size - done));
    for (done = 0; web->flv->len - done >= FLV_TAG_BYTES;) {
        const guint8 *tag = web->flv->data + done;
        gsize bytes = (gsize)tag[1] << 16 | (gsize)tag[2] << 8 | tag[3];
        if (web->flv->len - done < FLV_TAG_BYTES + bytes + FLV_PREVIOUS_BYTES)
            break;
        if (tag[0] == FLV_VIDEO)
            load_count_picture(&web->viewer.count, tag + FLV_TAG_BYTES, bytes, at_ns);
        done += FLV_TAG_BYTES + bytes + FLV_PREVIOUS_BYTES;
    }
    g_byte_array_remove_range(web->flv, 0, (guint)done);
}

static void take_message(WebViewer *web, guint8 opcode, const guint8 *data, gsize size,
                         gint64 at_ns)
{
    if (opcode == BINARY && (web->flv || (size >= 13 && memcmp(data, "FLV", 3) == 0)))
        take_flv(web, data, size, at_ns);
    else if (opcode == BINARY)
        load_count_chunk(&web->viewer.count, data, size, at_ns);
    else if (opcode == PING)
        send_frame(web, PONG, data, size);
    else if (opcode == CLOSE) {
        g_autofree char *why = g_strdup_printf("WebSocket closed with %u",
                                               size >= 2 ? (guint)data[0] << 8 | data[1] : 1005u);
        lost(web, why);
    }
}

// Bytes of the message at `data`, or 0 while it is not whole. Servers in question do not fragment.
static gsize take_frame(WebViewer *web, const guint8 *data, gsize size, gint64 at_ns)
{
    gsize head = size < 2 ? 0 : (data[1] & 0x7f) == 127 ? 10 : (data[1] & 0x7f) == 126 ? 4 : 2;
    if (!head || size < head)
        return 0;
    guint64 bytes = data[1] & 0x7f;
    for (gsize i = 2; i < head; i++)
        bytes = (i == 2 ? 0 : bytes << 8) | data[i];
    if (bytes > MESSAGE_BYTES_MAX || data[1] & 0x80 || data[0] & 0x70) {
        lost(web, "not a WebSocket frame");
        return 0;
    }
    if (size - head < bytes)
        return 0;
    take_message(web, data[0] & 0x0f, data + head, bytes, at_ns);
    return head + bytes;
}

static gsize take_handshake(WebViewer *web, const guint8 *data, gsize size)
{
    const guint8 *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (size < 12 || memcmp(data + 8, " 101", 4) != 0) {
        lost(web, "no WebSocket: refused");
        return 0;
    }
    web->shaken = web->viewer.playing = TRUE;
    return (gsize)(end - data) + 4;
}

static gsize take_all(WebViewer *web, const guint8 *data, gsize size, gint64 at_ns)
{
    gsize done = 0, step = 1;
    while (step && done < size && web->link.out) {
        step = web->shaken ? take_frame(web, data + done, size - done, at_ns)
                           : take_handshake(web, data + done, size - done);
        done += step;
    }
    return done;
}

static void on_bytes(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    WebViewer *web = user;
    // Most messages come whole and are read where they are.
    gsize done = web->in->len ? 0 : take_all(web, data, size, at_ns);
    if (!web->link.out || done == size)
        return;
    g_byte_array_append(web->in, data + done, (guint)(size - done));
    if (done)
        return;
    done = take_all(web, web->in->data, web->in->len, at_ns);
    if (web->link.out)
        g_byte_array_remove_range(web->in, 0, (guint)done);
}

static void on_open(void *user)
{
    WebViewer *web = user;
    if (web->viewer.reading != LOAD_READS_ALL)
        load_link_pause(&web->link);
    if (web->raw) {
        web->shaken = web->viewer.playing = TRUE;
        return;
    }
    guint8 nonce[16];
    for (guint i = 0; i < sizeof nonce; i++)
        nonce[i] = (guint8)g_random_int();
    g_autofree char *key = g_base64_encode(nonce, sizeof nonce);
    g_autofree char *request = g_strdup_printf(
        "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
        web->path, web->host, web->port, key);
    load_link_put(&web->link, request, strlen(request));
}

static void start(LoadViewer *viewer)
{
    WebViewer *web = (WebViewer *)viewer;
    viewer->started = TRUE;
    load_count_begin(&viewer->count);
    web->shaken = FALSE;
    web->link.loop = viewer->loop;
    web->link.on_open = on_open;
    web->link.on_bytes = on_bytes;
    web->link.on_closed = lost;
    web->link.user = web;
    web->link.receive_bytes = viewer->reading != LOAD_READS_ALL ? LOAD_SLOW_BYTES : 0;
    load_link_connect(&web->link, web->host, web->port);
}

static void stop(LoadViewer *viewer)
{
    WebViewer *web = (WebViewer *)viewer;
    const guint8 normal[2] = {1000 >> 8, 1000 & 255};
    if (viewer->playing && !web->raw)
        send_frame(web, CLOSE, normal, sizeof normal);
    hang_up(web);
    viewer->started = viewer->playing = FALSE;
}

static void read_some(LoadViewer *viewer, gsize bytes)
{
    WebViewer *web = (WebViewer *)viewer;
    // Who reads nothing shakes hands all the same.
    if (web->link.out && web->link.open && (viewer->reading == LOAD_READS_HALF || !web->shaken))
        load_link_read(&web->link, web->shaken ? bytes : 512);
}

// As the page does. Only where there are chunks: others take no reports.
static void report(LoadViewer *viewer)
{
    WebViewer *web = (WebViewer *)viewer;
    char text[100];
    if (web->raw || !viewer->count.last_chunk)
        return;
    int size =
        g_snprintf(text, sizeof text, "{\"type\":\"report\",\"played_s\":%.2f,\"buffer_s\":0}",
                   (double)viewer->count.media_ns / 1e9);
    send_frame(web, TEXT, (const guint8 *)text, (gsize)size);
}

static void free_viewer(LoadViewer *viewer)
{
    WebViewer *web = (WebViewer *)viewer;
    hang_up(web);
    g_byte_array_unref(web->in);
    g_free(viewer->why);
    g_free(web->host);
    g_free(web->path);
    g_free(web);
}

static const LoadViewerKind kind = {
    .start = start, .stop = stop, .read = read_some, .report = report, .free = free_viewer};

LoadViewer *load_web_viewer_new(const char *url)
{
    WebViewer *web = g_new0(WebViewer, 1);
    web->viewer.kind = &kind;
    web->viewer.count.way = LOAD_WEB;
    web->raw = g_str_has_prefix(url, "raw:");
    web->in = g_byte_array_new();
    load_url_split(url, &web->host, &web->port, &web->path);
    return &web->viewer;
}
