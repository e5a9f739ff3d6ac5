// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/lessons.h"
#include "relay/net/upstream.h"

// One stream of a mirrored lesson, and how it is fetched: when somebody wants it, from whom, by
// what transport, and again when it breaks off. Main thread.

typedef struct _RelayFetch RelayFetch;

typedef enum { RELAY_FETCH_AUTO, RELAY_FETCH_UDP, RELAY_FETCH_TCP } RelayFetchTransport;

// How a stream is to be fetched now.
typedef struct {
    const RelayUpstream *const *from; // those that have it, first choice first
    guint from_count;
    gboolean ahead; // wanted by rule
    gboolean moves; // it comes as the line to them carries it: pictures, smaller ones, or the sound
    RelayFetchTransport transport;
    const char *token_file; // its token is shown to them; "" = none
    gint64 return_ns;       // a better upstream has to have been there for so long
} RelayFetchPlan;

// `stream` gets a reference, the rest is borrowed.
RelayFetch *relay_fetch_new(RelayLessons *lessons, RelayConns *conns, RelayStream *stream,
                            const char *lesson_id);
void relay_fetch_free(RelayFetch *fetch);
const RelayStream *relay_fetch_stream(const RelayFetch *fetch);

// A viewer came (1) or left (-1), or somebody asked (0).
void relay_fetch_want(RelayFetch *fetch, gint change);
// Whether it has a sender, as the upstream tells.
void relay_fetch_set_sent(RelayFetch *fetch, gboolean sent);
// What was asked for arrives.
gboolean relay_fetch_flows(const RelayFetch *fetch);
// It is sent and wanted, and nothing of it arrives.
gboolean relay_fetch_is_stalled(const RelayFetch *fetch);

// Call every 100 ms. Returns whether relay_fetch_is_stalled has changed.
gboolean relay_fetch_tend(RelayFetch *fetch, const RelayFetchPlan *plan, gint64 now_ns);
