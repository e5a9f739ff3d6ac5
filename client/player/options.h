// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What the command line asks for, checked.

typedef enum {
    PLAY_TRANSPORT_AUTO,
    PLAY_TRANSPORT_UDP,
    PLAY_TRANSPORT_TCP,
    PLAY_TRANSPORT_MULTICAST,
} PlayTransport;

typedef struct {
    gboolean version; // nothing else is set then
    char *url;
    char *token; // NULL: none
    gboolean window;
    guint latency_ms;
    PlayTransport transport;
    char *video_sink, *audio_sink; // NULL: what suits this machine
} PlayOptions;

// NULL and error when it makes no sense; --help prints and exits.
PlayOptions *play_options_parse(int argc, char **argv, GError **error);
void play_options_free(PlayOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlayOptions, play_options_free)
