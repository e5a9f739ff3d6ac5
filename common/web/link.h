// SPDX-License-Identifier: MIT
#pragma once

#include <libsoup/soup.h>

// A larger message from the relay closes the connection.
#define TK_WEB_MESSAGE_BYTES_MAX (16u << 20)

// A WebSocket to a relay that comes back by itself: after 1, 2, 4, 8, 15, 15 … seconds. Main
// thread only.
typedef struct _TkWebLink TkWebLink;

// What all links share. Members are borrowed for the links' life.
typedef struct {
    SoupSession *session;
    const char *relay_url;  // "http://host:8080" or "https://…", without a slash at the end
    const char *token_file; // a token in its first line, read anew at each try; "" = none
} TkWebTarget;

typedef struct {
    // Path and query for the next try ("/live/…?from=7"). Newly allocated.
    char *(*path)(void *user);
    // Text messages end in NUL. The bytes are borrowed.
    void (*on_text)(void *user, const char *text, gsize length);
    void (*on_binary)(void *user, GBytes *message);
    // The connection, or a try at one, is over; the next try is already timed. `status`: of the
    // refused handshake (RFC 9110), else 0; `code`: of the close frame (RFC 6455), else 0. The
    // link may be freed from inside.
    void (*on_down)(void *user, guint status, guint code, const char *why);
} TkWebLinkHandler;

// Starts at once. `handler` and `user` are borrowed.
TkWebLink *tk_web_link_new(const TkWebTarget *target, const TkWebLinkHandler *handler, void *user);
void tk_web_link_free(TkWebLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkWebLink, tk_web_link_free)

// Closes the connection, or gives up the try at one, from inside a call-back or outside; on_down
// follows, then the next try.
void tk_web_link_drop(TkWebLink *link, const char *why);

// What is at the other end is wanted now: a try that waits for its time is made at once, and a
// connection that has been silent for a while is given up (on_down) for a new one. Waits begin with
// 1 s again.
void tk_web_link_try_now(TkWebLink *link);

gboolean tk_web_link_connected(const TkWebLink *link);

SoupSession *tk_web_session_new(const char *user_agent);
