// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What the command line asks for.
typedef struct {
    char *send;       // where the made-up lesson goes; NULL: somebody else sends
    char *rtsp, *web; // whom to watch; "{}" is the lesson's number
    gboolean udp;     // the RTP viewers are sockets only
    gint lessons, viewers_rtp, viewers_tcp, viewers_web;
    gint read_nothing, half_speed, churn, phases;
    gint bits_per_second, fps;
    double lose; // per cent
    double seconds, join_over_s, stay_s;
    gboolean gro;
    char *samples;  // a file
    double every_s; // between two of them
    char *watch;    // a process id, or "-": standard input will say it; or NULL
} LoadOptions;

// Ends the program when the command line makes no sense.
void load_options_parse(LoadOptions *options, int argc, char **argv);
void load_options_clear(LoadOptions *options);
