// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/loop.h"
#include "tests/bench/tally.h"

// Somebody who watches a lesson, over whatever it comes by.

typedef struct _LoadViewer LoadViewer;

typedef enum { LOAD_READS_ALL, LOAD_READS_HALF, LOAD_READS_NOTHING } LoadReading;

typedef struct {
    void (*start)(LoadViewer *viewer);
    void (*stop)(LoadViewer *viewer);              // leaves; NULL-safe and repeatable
    void (*read)(LoadViewer *viewer, gsize bytes); // for who does not read all by itself
    void (*keep_alive)(LoadViewer *viewer);        // every few seconds; may be NULL
    void (*repair)(LoadViewer *viewer);            // every some 10 ms; may be NULL
    void (*report)(LoadViewer *viewer);            // every second; may be NULL
    void (*free)(LoadViewer *viewer);
} LoadViewerKind;

// The kernel's receive buffer of who reads slowly over TCP: else it would hide the slowness for
// megabytes.
#define LOAD_SLOW_BYTES (16 << 10)

struct _LoadViewer {
    const LoadViewerKind *kind;
    LoadLoop *loop;
    LoadCount count;
    LoadReading reading;
    gboolean started, playing;
    gboolean left;            // without being told to
    char *why;                // it left
    gint64 comes_ns, goes_ns; // CLOCK_MONOTONIC; goes_ns 0: stays
};

// For the kinds: its connection is gone.
void load_viewer_lost(LoadViewer *viewer, const char *why);

// A player over RTSP and UDP; `gro`: takes several packets at once (UDP_GRO). Its line loses the
// share `lose` of the packets, and it asks for them again.
LoadViewer *load_rtp_viewer_new(const char *url, gboolean gro, double lose);
// The same, everything in the RTSP connection.
LoadViewer *load_tcp_viewer_new(const char *url);
// Only the UDP sockets, open from now on; ports are those of picture and sound.
LoadViewer *load_udp_viewer_new(LoadLoop *loop, gboolean gro, guint ret_ports[LOAD_TRACKS]);
// ws: fragmented MP4, or FLV as it shows; raw: WebSocket frames without a handshake.
LoadViewer *load_web_viewer_new(const char *url);
// rtmp://host:port/app/name
LoadViewer *load_rtmp_viewer_new(const char *url);
