// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"
#include "relay/core/web_viewer.h"
#include "relay/net/audience.h"

// What an audience is made of, for the two files that it is written in: audience.c has the sockets
// and who is let in to what, audience_view.c the live viewers and how each follows.

typedef enum { RELAY_SOCKET_CLOSING, RELAY_SOCKET_LIVE, RELAY_SOCKET_EVENTS } RelaySocketKind;

struct _RelaySocket {
    RelayAudience *audience;
    gpointer link;
    guint64 serial;
    RelaySocketKind kind;
    TkClaims *claims;  // of its token; NULL when the door is open
    gint64 expires_ns; // monotonic
    guint close_code;  // closes as soon as `queue` is out; 0 = stays
    GQueue queue;      // RelayUnit: texts to send first
    // RELAY_SOCKET_LIVE
    char *word, *stream; // what was asked for
    guint64 from;
    RelayRendition best; // that it wants
    gboolean automatic;  // it is moved to the rendition that its line carries
    gboolean attached;   // not: waiting for the lesson
    gboolean no_room;    // was refused for that
    RelayWebViewer viewer;
    RelayStream *guest_of;    // a smaller rendition that it gets or wants; a reference
    RelayViewerState counted; // in the statistics
    gint64 reported_ns;       // when it last told how far it is
    gint64 sampled_ns;        // when its socket was last asked
    gint64 line_ns;           // when it was last looked at what its line carries
    guint64 sent_bytes;       // so far
    guint64 left_bytes;       // of them had left this machine at `full_ns`
    gint64 full_ns;           // since then there was always something to send; 0: there is not
    gint64 full_bps;          // so much passes then; 0: not known
    gint64 hurried_ns;        // when what passes was last begun to be found out afresh
    gint64 passed_bps;        // by the kernel's word, which was not so then
    RelaySchool *school;      // whose it is
    RelayShare share;         // of what may be sent
    guint64 told_bytes;       // counted for its school
    gint64 told_ns;           // when it last told of its line there
    // RELAY_SOCKET_EVENTS
    gboolean has_snapshot;
    // Its own messages.
    gsize message_bytes;
    GString *message; // one that came in pieces; NULL mostly
    gint64 second_ns;
    guint messages;
};

struct _RelayAudience {
    RelayAudienceSpec spec;
    RelayViewerLimits limits;
    RelayViewerLimits patient; // of those who are moved between renditions
    GPtrArray *feeds;          // RelayWebFeed, owned
    GHashTable *sockets;       // RelaySocket, owned
    guint64 serials;
    RelayAudienceStats stats; // relaxed atomics
};

static inline RelayStream *relay_audience_stream(const RelayWebFeed *feed)
{
    return relay_web_feed_owner(feed);
}

// A text to go before everything else.
void relay_socket_queue(RelaySocket *socket, const char *text);

// The socket views `feed` from now on, or no longer what it viewed.
// It begins with no better rendition than it wishes for and there is room for; without room it is
// closed.
void relay_socket_attach(RelaySocket *socket, RelayWebFeed *feed, gint64 now_ns);
void relay_socket_detach(RelaySocket *socket);
// A whole message came of it.
void relay_socket_take_message(RelaySocket *socket, const char *text, gsize bytes, gint64 now_ns);
// The feed has a new chunk: each of its viewers is judged, and sent to.
void relay_audience_serve(RelayAudience *audience, RelayWebFeed *feed, gint64 now_ns);
