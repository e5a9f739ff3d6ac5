// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/lesson.h"
#include "tests/bench/link.h"

// As much of an RTMP client as publishing and playing one stream needs (Adobe's specification 1.0,
// plain handshake).

#define LOAD_RTMP_HEAD_BYTES 64 // kept of each message that is received

typedef struct {
    gsize bytes, done; // of the message that is being received
    guint8 type;
    guint8 head[LOAD_RTMP_HEAD_BYTES];
} LoadRtmpStream;

typedef struct {
    LoadLink link;
    char *host, *app, *name;
    guint port;
    gboolean publishes, shaken, ready;
    GByteArray *in;
    gsize chunk_bytes; // the server's
    LoadRtmpStream streams[64];
    void (*on_ready)(void *user);
    // The beginning of a picture's message, as far as it is kept.
    void (*on_picture)(void *user, const guint8 *data, gsize size, gint64 at_ns);
    void (*on_closed)(void *user, const char *why);
    void *user;
} LoadRtmp;

// `url`: rtmp://host:port/app/name. `loop`, call-backs and `publishes` must be set.
void load_rtmp_open(LoadRtmp *rtmp, LoadLoop *loop, const char *url);
void load_rtmp_close(LoadRtmp *rtmp);

// The decoders' configuration, before all frames; and a frame.
void load_rtmp_put_headers(LoadRtmp *rtmp);
void load_rtmp_put_frame(LoadRtmp *rtmp, const LoadFrame *frame);
