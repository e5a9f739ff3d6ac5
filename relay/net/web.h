// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/audience.h"
#include "relay/net/web_desk.h"

// A web worker: one libwebsockets context on its own loop and thread (web_loop.h), with the page,
// the API's sockets, and its WebSocket viewers. The only module that knows libwebsockets.

typedef struct _RelayWeb RelayWeb;

typedef struct {
    const char *page; // folder of the page, or NULL
    gboolean bbr;     // congestion control of WebSocket viewers, where the kernel has it
    guint dscp;       // of what WebSocket viewers are sent
    guint connections_max;
    gint64 history_span_ns;
    gsize history_bytes_max; // per stream
    const RelayDoor *door;
    RelaySchools *schools;
    RelayWebDesk desk;
} RelayWebSpec;

// `index`: the worker's slot in RelayStream.web_feeds. Strings of `spec` are copied.
RelayWeb *relay_web_new(guint index, const RelayWebSpec *spec, GError **error);
void relay_web_start(RelayWeb *web);
void relay_web_stop(RelayWeb *web);
void relay_web_free(RelayWeb *web); // after stop

// A connection was accepted. Takes `fd`; any thread.
void relay_web_adopt(RelayWeb *web, int fd);

// For letters to its audience (audience_mail.h), from any thread.
RelayMailbox *relay_web_mailbox(RelayWeb *web);

typedef struct {
    guint64 messages, bytes; // sent over WebSocket
    guint64 sockets, bbr;    // opened so far, and those of them that got BBR
    RelayAudienceStats audience;
} RelayWebStats;
// Any thread.
void relay_web_stats(const RelayWeb *web, RelayWebStats *ret);
