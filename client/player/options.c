// SPDX-License-Identifier: MIT
#include "client/player/options.h"

#include <gst/gst.h>

#include "client/peer/peer.h"
#include "common/base/error.h"

#define LATENCY_MS_MAX 10000
#define LATENCY_MS_DEFAULT 400

static gboolean check(PlayOptions *options, char **arguments, int latency, const char *transport,
                      const char *token_file, GError **error)
{
    static const char *const transports[] = {"auto", "udp", "tcp", "multicast", NULL};
    guint chosen = PLAY_TRANSPORT_AUTO;
    g_autoptr(GError) reason = NULL;

    if (!arguments[0] || !arguments[1] || arguments[2]) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "one address is wanted: tongke-player rtsp://HOST:8554/LESSON");
        return FALSE;
    }
    if (latency < 0 || latency > LATENCY_MS_MAX) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "--latency %d: must be 0 to %d ms", latency,
                    LATENCY_MS_MAX);
        return FALSE;
    }
    if (!client_url_check(arguments[1], error) ||
        !client_choose("transport", transport, transports, &chosen, error))
        return FALSE;
    options->url = g_strdup(arguments[1]);
    options->latency_ms = (guint)latency;
    options->transport = (PlayTransport)chosen;
    options->token = client_token_read(token_file, &reason);
    if (reason) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    return TRUE;
}

PlayOptions *play_options_parse(int argc, char **argv, GError **error)
{
    g_autoptr(PlayOptions) options = g_new0(PlayOptions, 1);
    g_autofree char *transport = NULL, *token_file = NULL;
    int latency = LATENCY_MS_DEFAULT;
    const GOptionEntry entries[] = {
        {"window", 'w', 0, G_OPTION_ARG_NONE, &options->window,
         "In a window, not on the whole screen", NULL},
        {"latency", 'l', 0, G_OPTION_ARG_INT, &latency, "Buffer for uneven lines, default 400",
         "MS"},
        {"transport", 't', 0, G_OPTION_ARG_STRING, &transport,
         "auto (UDP, TCP where that does not come through; default), udp, tcp or multicast", "HOW"},
        {"video-sink", 0, 0, G_OPTION_ARG_STRING, &options->video_sink,
         "GStreamer element that shows", "NAME"},
        {"audio-sink", 0, 0, G_OPTION_ARG_STRING, &options->audio_sink,
         "GStreamer element that sounds", "NAME"},
        {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &token_file,
         "File with the viewer's token; else $TONGKE_TOKEN", "FILE"},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new("ADDRESS - show a live lesson");
    g_auto(GStrv) arguments = g_new0(char *, argc + 1);

    for (int i = 0; i < argc; i++)
        arguments[i] = g_strdup(argv[i]);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    if (!g_option_context_parse_strv(context, &arguments, error))
        return NULL;
    if (!options->version && !check(options, arguments, latency, transport, token_file, error))
        return NULL;
    return g_steal_pointer(&options);
}

void play_options_free(PlayOptions *options)
{
    if (!options)
        return;
    g_free(options->url);
    g_free(options->token);
    g_free(options->video_sink);
    g_free(options->audio_sink);
    g_free(options);
}
