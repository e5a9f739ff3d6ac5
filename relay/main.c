// SPDX-License-Identifier: MIT
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "relay/config.h"
#include "relay/server.h"

static char *config_path;
static char **assignments;
static gboolean print_example, check_only, print_version;

static const GOptionEntry options[] = {
    {"config", 'c', 0, G_OPTION_ARG_FILENAME, &config_path, "Read this configuration file", "FILE"},
    {"set", 's', 0, G_OPTION_ARG_STRING_ARRAY, &assignments, "Set one value, over the file's",
     "GROUP.KEY=VALUE"},
    {"check", 0, 0, G_OPTION_ARG_NONE, &check_only, "Check the configuration and exit", NULL},
    {"print-example", 0, 0, G_OPTION_ARG_NONE, &print_example,
     "Print a commented configuration with all defaults", NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &print_version, "Print the version", NULL},
    {NULL}};

static gboolean parse_options(int *argc, char ***argv, GError **error)
{
    g_autoptr(GOptionContext) context =
        g_option_context_new("- fan a city lesson out to its schools");
    g_option_context_add_main_entries(context, options, NULL);
    g_option_context_set_description(
        context,
        "Takes lessons over RTSP (ANNOUNCE, RECORD) and gives them to players over RTSP/RTP\n"
        "and to browsers over WebSocket. See tongke-relay(8).\n");
    return g_option_context_parse(context, argc, argv, error);
}

static gboolean configure(TkConfig *config, GError **error)
{
    if (config_path && !tk_config_load(config, config_path, error))
        return FALSE;
    for (char **assignment = assignments; assignment && *assignment; assignment++)
        if (!tk_config_set(config, *assignment, error))
            return FALSE;
    return TRUE;
}

static gboolean on_signal(gpointer loop)
{
    g_main_loop_quit(loop);
    return G_SOURCE_CONTINUE;
}

// Room for every connection that the limits allow, and for files and timers.
static void raise_descriptor_limit(const TkConfig *config)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)tk_config_int(config, "limits", "connections") * 2 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = MIN(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
        tk_warning("only %" G_GUINT64_FORMAT " descriptors are allowed; limits.connections wants "
                   "%" G_GUINT64_FORMAT " (raise LimitNOFILE)",
                   (guint64)limit.rlim_cur, (guint64)wanted);
}

static int serve(const TkConfig *config)
{
    raise_descriptor_limit(config);
    g_autoptr(GError) error = NULL;
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    RelayServer *server = relay_server_new(config, &error);
    if (!server) {
        tk_error("%s", error->message);
        return EXIT_FAILURE;
    }
    // Before it says that it is there: who hears that may stop it.
    g_unix_signal_add(SIGINT, on_signal, loop);
    g_unix_signal_add(SIGTERM, on_signal, loop);
    g_autofree char *addresses = relay_server_addresses(server);
    fputs(addresses, stdout);
    fflush(stdout);
    g_main_loop_run(loop);
    relay_server_free(server);
    // What was called off, a connection being dialed for one, still wants to say so.
    while (g_main_context_iteration(NULL, FALSE))
        ;
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    tk_log_init("tongke-relay");
    signal(SIGPIPE, SIG_IGN);
    if (!parse_options(&argc, &argv, &error)) {
        tk_error("%s (see --help)", error->message);
        return 2;
    }
    if (print_version) {
        puts("tongke-relay " TONGKE_VERSION);
        return EXIT_SUCCESS;
    }
    if (print_example) {
        g_autofree char *example = tk_config_example(relay_config_fields, "tongke-relay");
        fputs(example, stdout);
        return EXIT_SUCCESS;
    }
    g_autoptr(TkConfig) config = tk_config_new(relay_config_fields);
    if (!configure(config, &error)) {
        tk_error("%s", error->message);
        return 2;
    }
    return check_only ? EXIT_SUCCESS : serve(config);
}
