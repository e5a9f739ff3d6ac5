// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"
#include "relay/net/mailbox.h"
#include "relay/net/stream.h"

// What a web worker asks of the main thread.

// Strings are borrowed for the call.
typedef struct {
    const char *method, *path, *query, *token;
    const char *body;
    gsize body_bytes;
    gboolean local;   // from a loopback address
    gboolean foreign; // by a page of another site (origin.h)
} RelayWebRequest;

typedef struct {
    guint status;
    const char *content_type; // static
    char *body;               // given
} RelayWebResponse;

// Functions that run on the main thread, and its mailbox. Copied; `user` is borrowed.
typedef struct {
    RelayMailbox *mailbox;
    RelayWebResponse (*on_request)(gpointer user, const RelayWebRequest *request);
    void (*on_viewer)(gpointer user, RelayStream *stream, gint change, const char *school);
    // The events' first message for the bearer of `claims`; newly allocated.
    char *(*on_snapshot)(gpointer user, const TkClaims *claims);
    gpointer user;
} RelayWebDesk;

// A request on its way to the main thread and back. Strings are owned; `asker` and `serial` are the
// asking side's own.
typedef struct {
    gpointer asker;
    guint64 serial;
    char *method, *path, *query, *token, *body;
    gsize body_bytes;
    gboolean local, foreign;
    RelayWebResponse response;
    // while it is asked
    const RelayWebDesk *desk;
    RelayMailbox *reply_to;
    RelayTask reply;
} RelayWebExchange;
void relay_web_exchange_free(RelayWebExchange *exchange); // takes NULL

// Letters from any thread. `desk` is borrowed until they are carried out.

// A viewer came (+1) or left (-1).
void relay_web_desk_tell_viewer(const RelayWebDesk *desk, RelayStream *stream, gint change,
                                const char *school);
// The snapshot goes to the audience behind `reply_to` for the socket with this serial. `claims` are
// copied.
void relay_web_desk_ask_snapshot(const RelayWebDesk *desk, RelayMailbox *reply_to, guint64 serial,
                                 const TkClaims *claims);
// Takes `exchange`; with its response it is given to `reply` by `reply_to`.
void relay_web_desk_ask(const RelayWebDesk *desk, RelayWebExchange *exchange,
                        RelayMailbox *reply_to, RelayTask reply);
