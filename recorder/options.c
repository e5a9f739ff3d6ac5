// SPDX-License-Identifier: MIT
#include "recorder/options.h"

#include "common/base/error.h"

const TkConfigField rec_options_fields[] = {
    {"archive", "data", TK_CONFIG_STRING, "tongke-data", 1, 1024, NULL,
     "Folder of the library: recordings, index and the record of deletions."},
    {"archive", "sync_ms", TK_CONFIG_INT, "500", 50, 1000, NULL,
     "Milliseconds after which what was received is durable on the disk at the latest."},
    {"record", "lessons", TK_CONFIG_STRING, "*", 0, 4096, NULL,
     "Names of the lessons that are recorded, with * and ?, separated by spaces. Empty: none."},
    {"record", "streams", TK_CONFIG_STRING, "*", 0, 1024, NULL,
     "Names of the streams that are recorded, in the same form; renditions of main never are."},
    {"record", "posters", TK_CONFIG_BOOL, "true", 0, 0, NULL,
     "Whether a still picture is made of each recording after the lesson."},
    {"disk", "reserve_mb", TK_CONFIG_INT, "1000", 0, 100000000, NULL,
     "Megabytes that are left free: no lesson is begun that would need them."},
    {"disk", "lesson_mb", TK_CONFIG_INT, "1000", 1, 1000000, NULL,
     "Megabytes that a lesson is expected to take: 45 minutes at 3 Mbit/s."},
    {"retention", "days", TK_CONFIG_INT, "0", 0, 36500, NULL,
     "Days after which a recording is deleted. 0, here and below: never. What is marked keep "
     "stays."},
    {"retention", "unreviewed_days", TK_CONFIG_INT, "0", 0, 36500, NULL,
     "The same for recordings that nobody has approved."},
    {"retention", "rejected_days", TK_CONFIG_INT, "0", 0, 36500, NULL,
     "The same for recordings that were rejected."},
    {"retention", "no_consent_days", TK_CONFIG_INT, "0", 0, 36500, NULL,
     "The same for recordings without consent. One whose consent was withdrawn goes even if it is "
     "marked keep."},
    {"relay", "url", TK_CONFIG_STRING, "http://127.0.0.1:8080", 8, 1024, NULL,
     "The relay whose lessons are recorded: http:// or https://, without a path."},
    {"relay", "token_file", TK_CONFIG_STRING, "", 0, 1024, NULL,
     "File with a token of the role recorder, made by: tongkectl token. Empty: the relay has no "
     "key."},
    {"http", "listen", TK_CONFIG_STRING, "127.0.0.1", 2, 64, NULL,
     "Address that the library is served on. Beyond loopback it needs auth.key_file."},
    {"http", "port", TK_CONFIG_INT, "8081", 0, 65535, NULL,
     "Port of the library. 0: any that is free; the program prints which."},
    {"http", "allow_origin", TK_CONFIG_STRING, "same-host", 0, 4096, NULL,
     "Web pages that may read the library: origins (https://school.example) separated by spaces, "
     "same-host for pages of the same host on any port, * for all, empty for none."},
    {"http", "connections_max", TK_CONFIG_INT, "512", 4, 65536, NULL,
     "Open connections at most; further ones are refused."},
    {"auth", "key_file", TK_CONFIG_STRING, "", 0, 1024, NULL,
     "Key that tokens are checked with, made by: tongkectl key new FILE. Empty: no token is asked "
     "for, and only loopback is served."},
    {0},
};

typedef struct {
    TkConfig *config;
    GPtrArray *settings; // in the order of the command line
    char *file;
} Parsing;

static gboolean setting_add(const char *option, const char *value, void *data, GError **error)
{
    Parsing *parsing = data;
    g_ptr_array_add(parsing->settings, g_strdup(value));
    return TRUE;
}

static gboolean data_add(const char *option, const char *value, void *data, GError **error)
{
    Parsing *parsing = data;
    g_ptr_array_add(parsing->settings, g_strconcat("archive.data=", value, NULL));
    return TRUE;
}

static gboolean relay_add(const char *option, const char *value, void *data, GError **error)
{
    Parsing *parsing = data;
    g_ptr_array_add(parsing->settings, g_strconcat("relay.url=", value, NULL));
    return TRUE;
}

static gboolean settings_use(const Parsing *parsing, GError **error)
{
    if (parsing->file && !tk_config_load(parsing->config, parsing->file, error))
        return FALSE;
    for (guint i = 0; i < parsing->settings->len; i++)
        if (!tk_config_set(parsing->config, parsing->settings->pdata[i], error))
            return FALSE;
    return TRUE;
}

gboolean rec_options_parse(int *argc, char ***argv, TkConfig *config, RecOptions *ret,
                           GError **error)
{
    Parsing parsing = {config, g_ptr_array_new_with_free_func(g_free), NULL};
    RecOptions options = {0};
    void *set = (void *)setting_add, *data = (void *)data_add, *relay = (void *)relay_add;
    const GOptionEntry entries[] = {
        {"config", 'c', 0, G_OPTION_ARG_FILENAME, &parsing.file, "Read this configuration", "FILE"},
        {"set", 's', 0, G_OPTION_ARG_CALLBACK, set, "Set one value over it", "GROUP.KEY=VALUE"},
        {"data", 'd', 0, G_OPTION_ARG_CALLBACK, data, "Folder of the library", "DIR"},
        {"relay", 'r', 0, G_OPTION_ARG_CALLBACK, relay, "The relay to record from", "URL"},
        {"print-example", 0, 0, G_OPTION_ARG_NONE, &options.print_example,
         "Print a commented configuration", NULL},
        {"rebuild-index", 0, 0, G_OPTION_ARG_NONE, &options.rebuild_index,
         "Make the index anew from the folders, and end", NULL},
        {"retention", 0, 0, G_OPTION_ARG_NONE, &options.retention,
         "Delete what [retention] says is due, and end", NULL},
        {"dry-run", 0, 0, G_OPTION_ARG_NONE, &options.dry_run,
         "With --retention: only print it; also while the recorder runs", NULL},
        {"check", 0, 0, G_OPTION_ARG_NONE, &options.check, "Check the configuration, and end",
         NULL},
        {"version", 0, 0, G_OPTION_ARG_NONE, &options.version, "Print the version", NULL},
        {NULL},
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    GOptionGroup *group = g_option_group_new("main", "", "", &parsing, NULL);

    g_option_context_set_summary(context, "Records a relay's lessons and serves the library.");
    g_option_group_add_entries(group, entries);
    g_option_context_set_main_group(context, group);
    gboolean ok = g_option_context_parse(context, argc, argv, error);
    if (ok && *argc > 1) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "unknown argument: %s", (*argv)[1]);
        ok = FALSE;
    }
    ok = ok && settings_use(&parsing, error);
    g_ptr_array_unref(parsing.settings);
    g_free(parsing.file);
    if (ok)
        *ret = options;
    return ok;
}
