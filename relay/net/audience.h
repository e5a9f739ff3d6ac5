// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/web_viewer.h"
#include "relay/net/door.h"
#include "relay/net/mailbox.h"
#include "relay/net/schools.h"
#include "relay/net/stream.h"
#include "relay/net/tcp.h"

// The WebSockets of one web worker: live viewers and followers of events, what each is to get and
// when it is closed. Knows no library and no socket; one thread. (A packet worker's fan-out is the
// same for RTP.)

typedef struct _RelayAudience RelayAudience;
typedef struct _RelaySocket RelaySocket;

// Close codes of docs/protocol.md section 4 (RFC 6455 section 7.4).
#define RELAY_CLOSE_OVER 1000
#define RELAY_CLOSE_REFUSED 1008
#define RELAY_CLOSE_TOO_BIG 1009
#define RELAY_CLOSE_TRY_LATER 1013
#define RELAY_CLOSE_TOO_SLOW 4008

// A viewer's message is a report.
#define RELAY_SOCKET_MESSAGE_MAX 4096

typedef struct {
    guint index; // slot in RelayStream.web_feeds
    gint64 history_span_ns;
    gsize history_bytes_max; // per stream
    guint sockets_max;
    const RelayDoor *door;
    RelaySchools *schools;
    // The socket has something to send, or is to close; `link` as given to open.
    void (*wake)(gpointer link);
    // Media came for all: send at once what there is room for. The socket must not leave meanwhile.
    void (*push)(gpointer link);
    // Bytes sent there that have not arrived, as far as the kernel knows.
    gsize (*unsent)(gpointer link);
    // Nothing more is pushed until it has room again.
    void (*hold)(gpointer link);
    // What the kernel has seen of the line there.
    void (*look)(gpointer link, RelayTcpLine *ret);
    // More is sent from now on than was: find out afresh what passes.
    void (*hurry)(gpointer link);
    // The socket takes nothing any more and is hopeless: cut it off.
    void (*drop)(gpointer link);
    // A viewer came (+1) or left (-1).
    void (*on_viewer)(gpointer user, RelayStream *stream, gint change, const char *school);
    // An event follower wants the snapshot: relay_socket_give_snapshot(serial) answers.
    void (*on_snapshot)(gpointer user, guint64 serial, const TkClaims *claims);
    gpointer user;
} RelayAudienceSpec;

RelayAudience *relay_audience_new(const RelayAudienceSpec *spec);
// All sockets must have left.
void relay_audience_free(RelayAudience *audience);

// A socket was opened at `path`. Never NULL: one that may not stay is closed by its first next().
typedef struct {
    const char *path;
    const char *from, *rendition; // as in the query, or NULL
    const char *token;            // or NULL
} RelaySocketRequest;
RelaySocket *relay_audience_open(RelayAudience *audience, const RelaySocketRequest *request,
                                 gpointer link, gint64 now_ns);
void relay_audience_leave(RelayAudience *audience, RelaySocket *socket);
// Every few seconds: forgets what nobody can ask for any more, and closes whose token has expired.
void relay_audience_tick(RelayAudience *audience, gint64 now_ns);

// RELAY_WEB_NOTHING, TEXT or BINARY as in web_feed.h; OVER: close with *ret_close_code and
// *ret_reason (static).
RelayWebNext relay_socket_next(RelaySocket *socket, gint64 now_ns, RelayUnit **ret_message,
                               guint *ret_close_code, const char **ret_reason);

// Whether relay_socket_next may have something now, or would close. Cheap.
gboolean relay_socket_has_more(const RelaySocket *socket);

// A fragment of a message came: 0, or the code to close with. `left`: bytes of the frame that are
// announced and still to come.
typedef struct {
    const char *data;
    gsize bytes, left;
    gboolean first, last, text;
} RelaySocketFragment;
guint relay_socket_received(RelaySocket *socket, const RelaySocketFragment *fragment,
                            gint64 now_ns);

// Also judges who has not taken the pieces before.
void relay_audience_push(RelayAudience *audience, RelayStream *stream, const RelayUnit *piece,
                         const RelayStreamFormat *format);
// Whether the stream has the initialisation segment already.
gboolean relay_audience_has_init(const RelayAudience *audience, const RelayStream *stream,
                                 const RelayUnit *init);
void relay_audience_set_state(RelayAudience *audience, RelayStream *stream, const char *state,
                              const char *lesson_json);
void relay_audience_send_event(RelayAudience *audience, const char *json, const char *name,
                               const char *id);
void relay_audience_give_snapshot(RelayAudience *audience, guint64 serial, const char *json);

typedef struct {
    guint viewers, sockets;
    guint states[RELAY_VIEWER_STATES]; // viewers in each
    guint64 moves[2];                  // to a smaller rendition, to a larger one
    guint64 reports, fallen_behind;    // times that a viewer became one that catches up
    guint64 units_dropped, viewers_gone, refused;
} RelayAudienceStats;
// Any thread.
void relay_audience_stats(const RelayAudience *audience, RelayAudienceStats *ret);
