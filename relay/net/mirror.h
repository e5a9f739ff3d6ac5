// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/fetch.h"

// The relays upstream: their lessons stand in this relay's list, and a stream of them is fetched,
// once, while somebody here wants it. Several upstreams are an order of preference: a lesson comes
// from the first that has it and answers. Main thread.

typedef struct _RelayMirror RelayMirror;

// Strings are borrowed for the object's life.
typedef struct {
    const char *name;       // of this relay, as others see it
    guint16 rtsp_port;      // likewise
    const char *upstreams;  // "http://city:8080 http://spare:8080", first the preferred; "" = none
    const char *token_file; // what is shown to them; "" = nothing
    const char *ahead; // names of lessons (* and ?, spaces between) fetched before they are wanted
    RelayFetchTransport transport;
    gboolean moves;   // `main` comes as the line carries it, and `low` does not come beside it
    gint64 return_ns; // a better upstream has to have been there for so long
} RelayMirrorSpec;

// `conns`: those of the ingest's worker; all pointers are borrowed. NULL: a URL is none.
RelayMirror *relay_mirror_new(const RelayMirrorSpec *spec, RelayLessons *lessons, RelayConns *conns,
                              GError **error);
// After the workers have stopped and the connections are closed.
void relay_mirror_free(RelayMirror *mirror);

// {"id":…,"name":…,"rtsp_port":…,"ancestors":[{"id":…,"name":…}…]}: who this relay is and from whom
// it gets lessons, at first hand or further. New reference.
json_t *relay_mirror_identity(const RelayMirror *mirror);
// [{"url":…,"name":…,"state":"connected"|"connecting"|"refused"|"loop"}…]. New reference.
json_t *relay_mirror_upstreams(const RelayMirror *mirror);
