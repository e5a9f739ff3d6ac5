// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What comes in on an RTSP 1.0 connection (RFC 2326): requests, responses, and interleaved frames
// (section 10.12). Hostile; every length is bounded.

#define TK_RTSP_HEAD_BYTES_MAX 16384 // request line and headers
#define TK_RTSP_HEADERS_MAX 64
#define TK_RTSP_BODY_BYTES_MAX 65536 // an SDP with room to spare
// What a receive buffer must hold so that every legal piece fits.
#define TK_RTSP_PIECE_BYTES_MAX (TK_RTSP_HEAD_BYTES_MAX + TK_RTSP_BODY_BYTES_MAX)

typedef struct {
    guint status; // of a response; 0 = it is a request
    char *method; // as sent; NULL in a response
    char *uri;    // as sent; NULL in a response
    char *body;   // NUL-terminated; "" when there is none
    gsize body_bytes;
    guint headers_count;
    struct {
        char *name, *value; // value without surrounding space
    } headers[TK_RTSP_HEADERS_MAX];
} TkRtspMessage;

TkRtspMessage *tk_rtsp_message_copy(const TkRtspMessage *message);
void tk_rtsp_message_free(TkRtspMessage *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkRtspMessage, tk_rtsp_message_free)

// The first header of that name (any case), borrowed, or NULL.
const char *tk_rtsp_header(const TkRtspMessage *request, const char *name);

typedef enum {
    TK_RTSP_INCOMPLETE, // more bytes are needed
    TK_RTSP_REQUEST,    // `message` is filled, owned by the caller
    TK_RTSP_RESPONSE,   // likewise
    TK_RTSP_FRAME,      // channel and payload are filled
    TK_RTSP_OTHER,      // well-formed and of no interest (an empty line)
    TK_RTSP_BAD,        // no RTSP, or over a bound: close
} TkRtspPiece;

typedef struct {
    gsize bytes; // length of the piece; INCOMPLETE: what it takes at least, 0 = not known yet
    TkRtspMessage *message;
    guint8 channel;
    const guint8 *payload; // borrowed from the input
    gsize payload_bytes;
} TkRtspInput;

// The first piece of `data`.
TkRtspPiece tk_rtsp_next(const guint8 *data, gsize size, TkRtspInput *ret);

// "Not Found" for 404 (RFC 2326 section 7.1.1); "Error" for those that a relay does not use.
// Borrowed, static.
const char *tk_rtsp_phrase(guint status);
