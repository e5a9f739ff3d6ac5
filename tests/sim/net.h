// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// A made-up network: one-way lines that lose, delay, shuffle and clog by a seed, and what is under
// way on them. Milliseconds; the same seed and the same packets give the same fate, whatever
// happens on other lines.

typedef struct {
    guint64 state;
} NetRandom;

NetRandom net_random(guint32 seed, guint32 stream);
double net_random_double(NetRandom *random); // [0, 1)
guint net_random_below(NetRandom *random, guint limit);

typedef struct {
    double loss; // of all packets
    guint burst; // mean length of a loss (Gilbert); 0 and 1: each for itself
    guint delay_ms, jitter_ms;
    gint64 rate_bps, buffer_bytes; // 0: no limit
} NetSpec;

typedef struct {
    const NetSpec *spec;
    NetRandom random;
    gboolean losing;
    gint64 rate_bps; // at first the specification's
    double free_ms;  // when what is in the buffer has left it
} NetLine;

NetLine net_line(const NetSpec *spec, guint32 seed, guint32 stream);
#define NET_LOST (-1)
// When a packet sent now arrives, or NET_LOST.
gint64 net_line_put(NetLine *line, gsize bytes, gint64 now_ms);

// What is under way, in the order of arrival.
typedef struct {
    guint64 number;
    guint32 ssrc, timestamp;
    guint16 sequence;
    guint8 track;
    gboolean again, report; // a retransmission; RTCP
} NetPacket;

typedef struct _NetEvent NetEvent;
struct _NetEvent {
    void (*arrive)(gpointer to, const NetEvent *event, gint64 now_ms);
    gpointer to;
    GBytes *bytes; // or NULL; the event's
    NetPacket packet;
};

#define NET_HORIZON_MS 8192 // nothing is longer under way

typedef struct _NetWheel NetWheel;
NetWheel *net_wheel_new(void);
void net_wheel_free(NetWheel *wheel);
void net_wheel_put(NetWheel *wheel, const NetEvent *event, gint64 at_ms);
// Lets everything arrive that is due at `now_ms`; call for each millisecond.
void net_wheel_turn(NetWheel *wheel, gint64 now_ms);
