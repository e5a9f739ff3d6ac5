// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/conn.h"
#include "relay/net/ingest_mail.h"

// What a connection is made of, for the three files that it is written in: conn.c has the
// connection, conn_view.c the viewer and conn_send.c the sender that it may become.

struct _RelayConn {
    gint refs;
    RelayConns *conns;
    RelayAddress peer;
    RelayConnDesk desk;
    gboolean dialed;
    int fd;                                    // until the link takes it
    RelayPorts *ports[RELAY_INPUT_TRACKS_MAX]; // dialed: what it receives by; set once

    // The worker's thread only.
    RelayLink *link;
    gboolean answering; // a request is with the main thread
    gboolean asked;     // has sent a whole request
    guint unanswered;   // dialed: requests of ours
    gsize needed;       // bytes without which the next piece is not whole; 0 = unknown
    gint64 heard_ns;    // last whole piece
    RelayRtpViewer *viewer;
    gboolean expected;                             // its UDP ports are known to the ingest
    RelayAddress moved[RELAY_INPUT_TRACKS_MAX][2]; // [RTCP]: where a NAT has put its ports
    RelayStream *sending;                          // the stream it publishes
    guint8 channels[RELAY_INPUT_TRACKS_MAX];
    guint tracks_count;
    gboolean interleaved;
};

struct _RelayConns {
    RelayWorker *worker;
    RelayFanout *fanout;
    RelayIngestBox ingest;
    RelayMailbox *desk_mailbox;
    GPtrArray *open; // RelayConn, a reference each
    gint64 check_ns;
};

// On the connection's worker: the answer stands in the link; the next request may come.
void relay_conn_finish_answer(RelayConn *conn, gboolean then_close);

// Each does nothing when there is nothing to stop.
void relay_conn_stop_viewing(RelayConn *conn);
void relay_conn_stop_sending(RelayConn *conn);

// An interleaved frame has come; it may be nobody's.
void relay_conn_take_frame(RelayConn *conn, const TkRtspInput *piece);
