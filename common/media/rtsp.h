// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What a client sends on an RTSP 1.0 connection (RFC 2326): requests, and interleaved frames
// (section 10.12). Hostile; every length is bounded.

#define TK_RTSP_HEAD_BYTES_MAX 16384 // request line and headers
#define TK_RTSP_HEADERS_MAX 64
#define TK_RTSP_BODY_BYTES_MAX 65536 // an SDP with room to spare
// What a receive buffer must hold so that every legal piece fits.
#define TK_RTSP_PIECE_BYTES_MAX (TK_RTSP_HEAD_BYTES_MAX + TK_RTSP_BODY_BYTES_MAX)

typedef struct {
    char *method; // as sent
    char *uri;    // as sent
    char *body;   // NUL-terminated; "" when there is none
    gsize body_bytes;
    guint headers_count;
    struct {
        char *name, *value; // value without surrounding space
    } headers[TK_RTSP_HEADERS_MAX];
} TkRtspRequest;

void tk_rtsp_request_free(TkRtspRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkRtspRequest, tk_rtsp_request_free)

// The first header of that name (any case), borrowed, or NULL.
const char *tk_rtsp_header(const TkRtspRequest *request, const char *name);

typedef enum {
    TK_RTSP_INCOMPLETE, // more bytes are needed
    TK_RTSP_REQUEST,    // *ret_request is filled, owned by the caller
    TK_RTSP_FRAME,      // channel and payload are filled
    TK_RTSP_OTHER,      // well-formed and of no interest (a response, an empty line)
    TK_RTSP_BAD,        // no RTSP, or over a bound: close
} TkRtspPiece;

typedef struct {
    gsize bytes; // length of the piece; INCOMPLETE: what it takes at least, 0 = not known yet
    TkRtspRequest *request;
    guint8 channel;
    const guint8 *payload; // borrowed from the input
    gsize payload_bytes;
} TkRtspInput;

// The first piece of `data`.
TkRtspPiece tk_rtsp_next(const guint8 *data, gsize size, TkRtspInput *ret);
