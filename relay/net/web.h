// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"
#include "relay/net/door.h"
#include "relay/net/mailbox.h"
#include "relay/net/stream.h"

// A web worker: one libwebsockets context on its own poll loop and thread, with the page, the API's
// sockets, and its WebSocket viewers. The only module that knows libwebsockets.

typedef struct _RelayWeb RelayWeb;

// A request for the main thread. Strings are borrowed for the call.
typedef struct {
    const char *method, *path, *query, *token;
    const char *body;
    gsize body_bytes;
    gboolean local; // from a loopback address
} RelayWebRequest;

typedef struct {
    guint status;
    const char *content_type; // static
    char *body;               // given
} RelayWebResponse;

// Called on the main thread through its mailbox.
typedef struct {
    RelayWebResponse (*on_request)(gpointer user, const RelayWebRequest *request);
    void (*on_viewer)(gpointer user, RelayStream *stream, gint change, const char *school);
    char *(*on_snapshot)(gpointer user); // the events' first message; newly allocated
    gpointer user;
} RelayWebDesk;

typedef struct {
    const char *listen;     // numeric address
    guint16 port;           // 0: any
    gboolean share_port;    // other workers listen on it too
    const char *page;       // folder of the page, or NULL
    guint connections_max;
    gint64 history_span_ns;
    gsize history_bytes_max; // per stream
    const RelayDoor *door;
    RelayMailbox *desk_mailbox;
    RelayWebDesk desk;
} RelayWebSpec;

// `index`: the worker's slot in RelayStream.web_feeds. Strings of `spec` are copied.
RelayWeb *relay_web_new(guint index, const RelayWebSpec *spec, GError **error);
guint16 relay_web_port(const RelayWeb *web);
void relay_web_start(RelayWeb *web);
void relay_web_stop(RelayWeb *web);
void relay_web_free(RelayWeb *web); // after stop

// From any thread:

// `format` goes with an initialisation segment, NULL with a chunk. FALSE: the worker has fallen
// behind, the piece is not taken.
gboolean relay_web_push(RelayWeb *web, RelayStream *stream, RelayUnit *piece,
                        const RelayStreamFormat *format) G_GNUC_WARN_UNUSED_RESULT;
// The stream begins or changes state; `lesson_json` is the lesson (protocol section 5). "ended"
// closes its viewers once they have what is there.
void relay_web_set_state(RelayWeb *web, RelayStream *stream, const char *state,
                         const char *lesson_json);
// To every socket at /api/v1/events.
void relay_web_send_event(RelayWeb *web, const char *json);

typedef struct {
    guint viewers, connections;
    guint64 messages, bytes, units_dropped, viewers_gone, refused;
} RelayWebStats;
void relay_web_stats(const RelayWeb *web, RelayWebStats *ret);
