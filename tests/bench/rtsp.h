// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/link.h"

// An RTSP client's connection (RFC 2326): one question at a time, the answer by call-back.

typedef struct {
    guint status;
    const char *head; // all header lines
    const char *body; // both borrowed during the call-back
} LoadReply;

typedef struct _LoadRtsp LoadRtsp;
struct _LoadRtsp {
    LoadLink link;
    char *url; // without a slash at its end
    char *session;
    guint cseq;
    GByteArray *in;
    void (*on_reply)(void *user, const LoadReply *reply);
    // An interleaved frame; may be NULL.
    void (*on_frame)(void *user, guint8 channel, const guint8 *data, gsize size, gint64 at_ns);
    void (*on_closed)(void *user, const char *why);
    void *user;
};

// Connects; the first question may be asked at once. `loop` and the call-backs must be set.
void load_rtsp_open(LoadRtsp *rtsp, LoadLoop *loop, const char *url);
void load_rtsp_close(LoadRtsp *rtsp);

// `headers`: lines with CRLF, or "".
void load_rtsp_ask(LoadRtsp *rtsp, const char *method, const char *url, const char *headers,
                   const char *body);

// An interleaved frame (section 10.12).
void load_rtsp_put_frame(LoadRtsp *rtsp, guint8 channel, const guint8 *data, gsize size);

// The value of a header (any case), newly allocated, or NULL.
char *load_rtsp_header(const LoadReply *reply, const char *name);

// "rtsp://host:port/path" and its sisters taken apart; ends the program when it is none.
void load_url_split(const char *url, char **ret_host, guint *ret_port, char **ret_path);
