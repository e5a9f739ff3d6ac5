// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"
#include "common/web/link.h"

// A relay that this one gets lessons from, as its events tell of it (docs/protocol.md section 5).
// Main thread.

typedef struct _RelayUpstream RelayUpstream;

typedef enum {
    RELAY_UPSTREAM_CONNECTING,
    RELAY_UPSTREAM_CONNECTED,
    RELAY_UPSTREAM_REFUSED, // it does not let us in
    RELAY_UPSTREAM_LOOP,    // it gets its lessons from us
} RelayUpstreamState;

const char *relay_upstream_state_word(RelayUpstreamState state); // borrowed, static

typedef struct {
    // A lesson of it came, changed or ended: relay_upstream_lesson tells.
    void (*on_lesson)(gpointer user, RelayUpstream *upstream, const char *id);
    // It was started again, and knows nothing of that lesson (yet).
    void (*on_lost)(gpointer user, RelayUpstream *upstream, const char *id);
    // Its state, its name or whom it gets its own lessons from have changed; and all lessons that
    // it had before and has not now have had their on_lesson.
    void (*on_change)(gpointer user, RelayUpstream *upstream);
} RelayUpstreamHandler;

// `url`: "http://host:port". `own_id`: of this relay. All but `url` is borrowed. No call-back
// before the loop runs. NULL: `url` is none.
RelayUpstream *relay_upstream_new(const char *url, const char *token_file, SoupSession *session,
                                  const char *own_id, const RelayUpstreamHandler *handler,
                                  gpointer user, GError **error);
void relay_upstream_free(RelayUpstream *upstream);

RelayUpstreamState relay_upstream_state(const RelayUpstream *upstream);
const char *relay_upstream_url(const RelayUpstream *upstream);
// Of its RTSP port.
const char *relay_upstream_host(const RelayUpstream *upstream);
guint16 relay_upstream_rtsp_port(const RelayUpstream *upstream);
const char *relay_upstream_name(const RelayUpstream *upstream); // "" = not known yet
// [{"id","name"}…]: itself and those it gets lessons from. Borrowed.
const json_t *relay_upstream_lineage(const RelayUpstream *upstream);

// Its running lesson with that id as it tells of it, or NULL; borrowed until the loop. What a relay
// that cannot be reached told last.
const json_t *relay_upstream_lesson(const RelayUpstream *upstream, const char *id);
