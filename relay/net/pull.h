// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/conn.h"
#include "relay/net/sdp.h"

// One stream fetched from another relay by RTSP: a viewer there (RFC 2326), the stream's sender
// here. One try: who wants another makes another. Main thread; media goes from its sockets to the
// ingest without it.

typedef struct _RelayPull RelayPull;

typedef struct {
    const char *host;
    guint16 port;      // of RTSP
    const char *path;  // "lesson/stream", or "lesson" for one that is moved
    const char *token; // or NULL
    gboolean tcp;      // interleaved; else UDP
    gboolean moves;    // between renditions, by the other relay: its numbers are this try's own
    guint dial_s;      // time for the connection to be made
    guint64 resumes; // the session to go on with, by these sequence numbers of its tracks; 0 = none
    guint16 resume[RELAY_INPUT_TRACKS_MAX];
} RelayPullSpec;

typedef struct {
    // The description is here: may `conn` send `offer` into `stream`?
    gboolean (*on_offer)(gpointer user, RelayPull *pull, const RelayOffer *offer, RelayConn *conn,
                         GError **error);
    void (*on_playing)(gpointer user, RelayPull *pull);
    // It is over, or never began. Once, the last call; free the pull then or later.
    void (*on_over)(gpointer user, RelayPull *pull, const char *why);
} RelayPullHandler;

// `stream` gets a reference; `conns` are those of the ingest's worker, borrowed like handler and
// user. Strings are copied. No call-back before the loop runs.
RelayPull *relay_pull_new(RelayConns *conns, RelayStream *stream, const RelayPullSpec *spec,
                          const RelayPullHandler *handler, gpointer user);
// Leaves; no more call-backs.
void relay_pull_free(RelayPull *pull);
