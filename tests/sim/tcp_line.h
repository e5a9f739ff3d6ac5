// SPDX-License-Identifier: MIT
#pragma once

#include "tests/sim/net.h"

// A model of a TCP connection over a line whose rate changes, as far as the relay's kernel shows
// it: what is not yet sent, what is under way, what is acknowledged, what was seen to pass. A
// window follows what passes, as BBR's does; a loss holds all that follows up for a round trip.

typedef struct {
    guint64 end; // of the message, in bytes of the connection
    gpointer message;
} TcpItem;

typedef struct {
    guint delay_ms; // one way
    double loss;    // of 1,400 bytes
    NetRandom random;
    gint64 rate_bps; // of the line now
    // bytes of the connection: written, on the line, through it, here, acknowledged
    guint64 written, sent, passed, arrived, acked;
    double credit, window_bps;
    gint64 slower_ms;  // since when less passes than the window is for
    gint64 blocked_ms; // until then nothing is handed up
    guint64 *history;  // `passed` in each of the last milliseconds
    gint64 passes_bps; // as tcpi_delivery_rate
    gint64 sample_ms, busy_ms;
    guint64 sample_bytes;
    GQueue items; // of TcpItem, in order
} TcpLine;

#define TCP_LINE_DELAY_MAX_MS 1024

void tcp_line_init(TcpLine *tcp, guint delay_ms, double loss, guint32 seed, guint32 stream);
void tcp_line_clear(TcpLine *tcp, GDestroyNotify free_message);
void tcp_line_write(TcpLine *tcp, gsize bytes, gpointer message);
// A millisecond has passed.
void tcp_line_step(TcpLine *tcp, gint64 now_ms);
// The next message that has come whole, given; NULL: none.
gpointer tcp_line_read(TcpLine *tcp);

static inline gsize tcp_line_not_sent(const TcpLine *tcp)
{
    return tcp->written - tcp->sent;
}

static inline gsize tcp_line_not_acked(const TcpLine *tcp)
{
    return tcp->written - tcp->acked;
}
// BBR begins anew.
void tcp_line_hurry(TcpLine *tcp);
