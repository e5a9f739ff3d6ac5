// SPDX-License-Identifier: MIT
#include <glib-unix.h>
#include <gst/gst.h>
#include <locale.h>
#include <stdlib.h>

#include "client/player/player.h"
#include "common/base/log.h"

typedef struct {
    GMainLoop *loop;
    int status;
} Program;

static void on_closed(void *user)
{
    Program *program = user;

    g_main_loop_quit(program->loop);
}

static void on_failed(void *user, const GError *error)
{
    Program *program = user;

    tk_error("nothing can be shown: %s", error->message);
    program->status = EXIT_FAILURE;
    g_main_loop_quit(program->loop);
}

static gboolean on_signal(gpointer data)
{
    on_closed(data);
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    const PlayerEvents events = {on_closed, on_failed};
    Program program = {.status = EXIT_SUCCESS};
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
    tk_log_init("tongke-player");
    g_autoptr(PlayOptions) options = play_options_parse(argc, argv, &error);
    if (!options) {
        g_printerr("tongke-player: %s\n", error->message);
        return 2;
    }
    if (options->version) {
        g_print("tongke-player %s\n", TONGKE_VERSION);
        return EXIT_SUCCESS;
    }
    program.loop = g_main_loop_new(NULL, FALSE);
    g_unix_signal_add(SIGINT, on_signal, &program);
    g_unix_signal_add(SIGTERM, on_signal, &program);
    g_autoptr(Player) player = player_new(options, &events, &program, &error);
    if (player) {
        g_main_loop_run(program.loop);
    } else {
        tk_error("%s", error->message);
        program.status = EXIT_FAILURE;
    }
    g_clear_pointer(&player, player_free);
    g_main_loop_unref(program.loop);
    return program.status;
}
