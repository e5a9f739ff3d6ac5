// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtsp.h"
#include "relay/net/ingest.h"

// RTSP connections on a packet worker. A connection that was accepted reads requests and hands them
// to the main thread one at a time; the main thread answers and says what it is: a viewer, a
// sender, or neither yet. On one that was dialed the main thread asks and gets answers. Media of
// the connection never leaves the workers.

typedef struct _RelayConns RelayConns; // all of one worker
typedef struct _RelayConn RelayConn;

// Called on the main thread, through its mailbox. Messages are given. The first two are for
// accepted connections, the third for dialed ones.
typedef struct {
    void (*on_request)(gpointer user, RelayConn *conn, TkRtspMessage *request);
    void (*on_expected)(gpointer user, RelayConn *conn, guint track, gboolean taken);
    void (*on_answer)(gpointer user, RelayConn *conn, TkRtspMessage *answer);
    void (*on_closed)(gpointer user, RelayConn *conn, const char *why); // once, the last call
    gpointer user;
} RelayConnDesk;

// All borrowed for the object's life; `desk_mailbox` is the main thread's.
RelayConns *relay_conns_new(RelayWorker *worker, RelayFanout *fanout, RelayWorker *ingest_worker,
                            RelayIngest *ingest, RelayMailbox *desk_mailbox);
// After the worker has stopped: closes what is open; the desk is still told of it.
void relay_conns_close(RelayConns *conns);
// When the desk has heard that.
void relay_conns_free(RelayConns *conns);

// From here on: main thread. Orders to one connection are carried out in order.

// Take `fd`, copy `desk`. The reference is the main thread's; it ends with on_closed.
RelayConn *relay_conn_accept(RelayConns *conns, int fd, const RelayAddress *peer,
                             const RelayConnDesk *desk);
RelayConn *relay_conn_dialed(RelayConns *conns, int fd, const RelayAddress *peer,
                             const RelayConnDesk *desk);
RelayConn *relay_conn_ref(RelayConn *conn);
void relay_conn_unref(RelayConn *conn);
const RelayAddress *relay_conn_peer(const RelayConn *conn);

// Answers the request at hand; the next one may come. Takes `text`.
void relay_conn_answer(RelayConn *conn, char *text, gboolean then_close);

// A request; one answer follows. Takes `text`.
void relay_conn_ask(RelayConn *conn, char *text);

// The client says over which UDP ports it will view a track: packets from there are to be its own.
// on_expected follows, and is to answer; not taken: they are somebody else's.
void relay_conn_expect(RelayConn *conn, guint track, const RelayAddress *rtp,
                       const RelayAddress *rtcp);

// Makes it a viewer and answers: `head` (given) + RTP-Info + an empty line. `urls` (given): of each
// enabled track. Answers 404 when the stream is gone.
void relay_conn_play(RelayConn *conn, RelayStream *stream, const RelayViewerSpec *tracks,
                     char *head, char *urls[RELAY_INPUT_TRACKS_MAX]);

// Makes it the sender of `stream`. `spec`: as for relay_ingest_begin, its call-back is set here.
// channels[track]: interleaved RTP channel, RTCP one above.
void relay_conn_record(RelayConn *conn, RelayStream *stream, const RelaySenderSpec *spec,
                       const guint8 channels[RELAY_INPUT_TRACKS_MAX]);

// No viewer for now; its UDP ports stay its own.
void relay_conn_pause(RelayConn *conn);
// Neither viewer nor sender any longer.
void relay_conn_stop(RelayConn *conn);

// Closes it; on_closed follows.
void relay_conn_close(RelayConn *conn, const char *why);
