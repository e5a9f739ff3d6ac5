// SPDX-License-Identifier: MIT
#include "tests/bench/rtmp.h"

#include <string.h>

#include "tests/bench/rtsp.h"

#define HELLO_BYTES 1536 // C1, C2, S1, S2
#define CHUNK_BYTES 60000
#define MESSAGE_BYTES_MAX (4 << 20)

enum { SET_CHUNK_SIZE = 1, SOUND = 8, PICTURE = 9, COMMAND = 20 }; // message types

static void put_u24(GByteArray *out, guint32 value)
{
    const guint8 bytes[3] = {(guint8)(value >> 16), (guint8)(value >> 8), (guint8)value};
    g_byte_array_append(out, bytes, 3);
}

static void put_u32(GByteArray *out, guint32 value)
{
    guint32 big = GUINT32_TO_BE(value);
    g_byte_array_append(out, (const guint8 *)&big, 4);
}

// AMF 0: string, number, null.
static void put_text(GByteArray *out, const char *text, gboolean marker)
{
    gsize size = strlen(text);
    const guint8 head[3] = {2, (guint8)(size >> 8), (guint8)size};
    g_byte_array_append(out, head + !marker, marker ? 3 : 2);
    g_byte_array_append(out, (const guint8 *)text, (guint)size);
}

static void put_number(GByteArray *out, double number)
{
    guint64 bits;
    memcpy(&bits, &number, 8);
    g_byte_array_append(out, (const guint8 *)"", 1);
    put_u32(out, (guint32)(bits >> 32));
    put_u32(out, (guint32)bits);
}

static void put_null(GByteArray *out)
{
    g_byte_array_append(out, (const guint8 *)"\x05", 1);
}

// A message with its full header in chunks of CHUNK_BYTES (128 before that has been said).
static void put_message(LoadRtmp *rtmp, guint8 type, guint32 stream, guint32 timestamp,
                        const guint8 *data, gsize size)
{
    g_autoptr(GByteArray) out = g_byte_array_sized_new((guint)size + 32);
    guint8 channel = type == PICTURE ? 6 : type == SOUND ? 4 : type == SET_CHUNK_SIZE ? 2 : 3;
    guint32 little = GUINT32_TO_LE(stream);
    g_byte_array_append(out, &channel, 1);
    put_u24(out, timestamp);
    put_u24(out, (guint32)size);
    g_byte_array_append(out, &type, 1);
    g_byte_array_append(out, (const guint8 *)&little, 4);
    for (gsize done = 0; done < size; done += CHUNK_BYTES) {
        guint8 more = 0xc0 | channel;
        if (done)
            g_byte_array_append(out, &more, 1);
        g_byte_array_append(out, data + done, (guint)MIN(CHUNK_BYTES, size - done));
    }
    load_link_put(&rtmp->link, out->data, out->len);
}

static void put_array(LoadRtmp *rtmp, guint8 type, guint32 stream, GByteArray *body)
{
    put_message(rtmp, type, stream, 0, body->data, body->len);
    g_byte_array_unref(body);
}

static GByteArray *command(const char *name, double number)
{
    GByteArray *body = g_byte_array_new();
    put_text(body, name, TRUE);
    put_number(body, number);
    return body;
}

static void put_member(GByteArray *body, const char *name, const char *value)
{
    put_text(body, name, FALSE);
    put_text(body, value, TRUE);
}

static void say_hello(LoadRtmp *rtmp)
{
    g_autofree char *url = g_strdup_printf("rtmp://%s:%u/%s", rtmp->host, rtmp->port, rtmp->app);
    GByteArray *body = g_byte_array_new();
    put_u32(body, CHUNK_BYTES);
    put_array(rtmp, SET_CHUNK_SIZE, 0, body);
    body = command("connect", 1);
    g_byte_array_append(body, (const guint8 *)"\x03", 1);
    put_member(body, "app", rtmp->app);
    put_member(body, "flashVer", "LNX 9,0,124,2");
    put_member(body, "tcUrl", url);
    g_byte_array_append(body, (const guint8 *)"\0\0\x09", 3);
    put_array(rtmp, COMMAND, 0, body);
    body = command("createStream", 2);
    put_null(body);
    put_array(rtmp, COMMAND, 0, body);
}

static void begin_stream(LoadRtmp *rtmp)
{
    GByteArray *body = command(rtmp->publishes ? "publish" : "play", 3);
    put_null(body);
    put_text(body, rtmp->name, TRUE);
    if (rtmp->publishes)
        put_text(body, "live", TRUE);
    put_array(rtmp, COMMAND, 1, body);
    rtmp->ready = TRUE;
    rtmp->on_ready(rtmp->user);
}

static void take_message(LoadRtmp *rtmp, const LoadRtmpStream *stream, gint64 at_ns)
{
    gsize kept = MIN(stream->bytes, LOAD_RTMP_HEAD_BYTES);
    const guint8 *head = stream->head;
    const char result[] = "\x02\0\x07_result\0\x40\0"; // … 2.0: the answer to createStream
    if (stream->type == SET_CHUNK_SIZE && kept >= 4)
        rtmp->chunk_bytes = MAX(1, (gsize)head[0] << 24 | (gsize)head[1] << 16 |
                                       (gsize)head[2] << 8 | head[3]);
    else if (stream->type == PICTURE && rtmp->on_picture)
        rtmp->on_picture(rtmp->user, head, kept, at_ns);
    else if (stream->type == COMMAND && !rtmp->ready && kept >= sizeof result - 1 &&
             memcmp(head, result, sizeof result - 1) == 0)
        begin_stream(rtmp);
}

// Bytes of the chunk at `data`, or 0 while it is not whole (section 5.3.1).
static gsize take_chunk(LoadRtmp *rtmp, const guint8 *data, gsize size, gint64 at_ns)
{
    static const gsize heads[] = {11, 7, 3, 0};
    guint form = data[0] >> 6, channel = data[0] & 63;
    gsize head = 1 + heads[form];
    if (channel < 2) {
        rtmp->on_closed(rtmp->user, "an RTMP channel that no one asked for");
        return 0;
    }
    if (size < head)
        return 0;
    LoadRtmpStream *stream = &rtmp->streams[channel];
    gsize bytes = stream->bytes;
    guint8 type = stream->type;
    if (form < 2) {
        bytes = (gsize)data[4] << 16 | (gsize)data[5] << 8 | data[6];
        type = data[7];
    }
    if (form < 3 && data[1] == 0xff && data[2] == 0xff && data[3] == 0xff)
        head += 4;
    gsize part = MIN(rtmp->chunk_bytes, bytes - MIN(stream->done, bytes));
    if (size < head + part)
        return 0;
    stream->bytes = bytes;
    stream->type = type;
    if (stream->done < LOAD_RTMP_HEAD_BYTES)
        memcpy(stream->head + stream->done, data + head,
               MIN(part, LOAD_RTMP_HEAD_BYTES - stream->done));
    stream->done += part;
    if (stream->done >= stream->bytes) {
        stream->done = 0;
        take_message(rtmp, stream, at_ns);
    }
    return head + part;
}

static gsize take_handshake(LoadRtmp *rtmp, const guint8 *data, gsize size)
{
    if (size < 1 + 2 * HELLO_BYTES)
        return 0;
    rtmp->shaken = TRUE;
    load_link_put(&rtmp->link, data + 1, HELLO_BYTES);
    say_hello(rtmp);
    return 1 + 2 * HELLO_BYTES;
}

static void on_bytes(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    LoadRtmp *rtmp = user;
    gsize done = 0, step = 1;
    g_byte_array_append(rtmp->in, data, (guint)size);
    while (step && rtmp->in && done < rtmp->in->len) {
        const guint8 *at = rtmp->in->data + done;
        gsize left = rtmp->in->len - done;
        step = rtmp->shaken ? take_chunk(rtmp, at, left, at_ns) : take_handshake(rtmp, at, left);
        done += step;
    }
    if (rtmp->in)
        g_byte_array_remove_range(rtmp->in, 0, (guint)done);
}

static void on_open(void *user)
{
    LoadRtmp *rtmp = user;
    guint8 hello[1 + HELLO_BYTES] = {3};
    for (guint i = 9; i < sizeof hello; i++)
        hello[i] = (guint8)g_random_int();
    load_link_put(&rtmp->link, hello, sizeof hello);
}

static void on_closed(void *user, const char *why)
{
    LoadRtmp *rtmp = user;
    rtmp->on_closed(rtmp->user, why);
}

void load_rtmp_open(LoadRtmp *rtmp, LoadLoop *loop, const char *url)
{
    g_autofree char *path = NULL;
    load_url_split(url, &rtmp->host, &rtmp->port, &path);
    g_auto(GStrv) parts = g_strsplit(path, "/", 3);
    if (g_strv_length(parts) != 3)
        load_die("%s: not rtmp://address:port/app/name", url);
    rtmp->app = g_strdup(parts[1]);
    rtmp->name = g_strdup(parts[2]);
    rtmp->shaken = rtmp->ready = FALSE;
    rtmp->chunk_bytes = 128;
    memset(rtmp->streams, 0, sizeof rtmp->streams);
    rtmp->in = g_byte_array_new();
    rtmp->link.loop = loop;
    rtmp->link.on_open = on_open;
    rtmp->link.on_bytes = on_bytes;
    rtmp->link.on_closed = on_closed;
    rtmp->link.user = rtmp;
    load_link_connect(&rtmp->link, rtmp->host, rtmp->port);
}

void load_rtmp_close(LoadRtmp *rtmp)
{
    load_link_close(&rtmp->link);
    g_clear_pointer(&rtmp->in, g_byte_array_unref);
    g_clear_pointer(&rtmp->host, g_free);
    g_clear_pointer(&rtmp->app, g_free);
    g_clear_pointer(&rtmp->name, g_free);
}

void load_rtmp_put_headers(LoadRtmp *rtmp)
{
    // AVCDecoderConfigurationRecord (ISO/IEC 14496-15 section 5.3.3.1) behind FLV's five bytes.
    guint8 video[16 + sizeof load_sps + sizeof load_pps] = {
        0x17, 0, 0, 0, 0, 1, load_sps[1], load_sps[2], load_sps[3], 0xff, 0xe1, 0, sizeof load_sps};
    guint8 *at = video + 13;
    memcpy(at, load_sps, sizeof load_sps);
    at += sizeof load_sps;
    *at++ = 1;
    *at++ = 0;
    *at++ = sizeof load_pps;
    memcpy(at, load_pps, sizeof load_pps);
    const guint8 sound[4] = {0xaf, 0, load_aac_config[0], load_aac_config[1]};
    put_message(rtmp, PICTURE, 1, 0, video, sizeof video);
    put_message(rtmp, SOUND, 1, 0, sound, sizeof sound);
}

void load_rtmp_put_frame(LoadRtmp *rtmp, const LoadFrame *frame)
{
    g_autoptr(GByteArray) body = g_byte_array_sized_new((guint)frame->bytes + 16);
    if (frame->track == LOAD_VIDEO) {
        const guint8 head[5] = {frame->key ? 0x17 : 0x27, 1, 0, 0, 0};
        g_byte_array_append(body, head, sizeof head);
        put_u32(body, (guint32)frame->bytes);
    } else {
        const guint8 head[2] = {0xaf, 1};
        g_byte_array_append(body, head, sizeof head);
    }
    g_byte_array_append(body, frame->data, (guint)frame->bytes);
    put_message(rtmp, frame->track == LOAD_VIDEO ? PICTURE : SOUND, 1,
                (guint32)(frame->at_ns / 1000000), body->data, body->len);
}
