// SPDX-License-Identifier: MIT
#pragma once

#include <libsoup/soup.h>

// A WebSocket to the relay that comes back by itself: after 1, 2, 4, 8, 15, 15 … seconds. Main
// thread only.
typedef struct _RecLink RecLink;

// What all links share. Members are borrowed for the links' life.
typedef struct {
    SoupSession *session;
    const char *relay_url;  // "http://host:8080" or "https://…", without a slash at the end
    const char *token_file; // a token in its first line, read anew at each try; "" = none
} RecLinkTarget;

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
} RecLinkHandler;

// Starts at once. `handler` and `user` are borrowed.
RecLink *rec_link_new(const RecLinkTarget *target, const RecLinkHandler *handler, void *user);
void rec_link_free(RecLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecLink, rec_link_free)

// Closes the connection from inside a call-back or outside; on_down follows, then the next try.
void rec_link_drop(RecLink *link, const char *why);

gboolean rec_link_connected(const RecLink *link);

SoupSession *rec_link_session_new(void);
