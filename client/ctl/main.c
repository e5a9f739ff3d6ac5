// SPDX-License-Identifier: MIT
#include <locale.h>
#include <string.h>

#include "client/ctl/command.h"
#include "common/base/error.h"
#include "common/base/file.h"

#define EXIT_USAGE 2
#define TOKEN_FILE_MAX 8192

static const char usage[] =
    "usage: tongkectl [OPTION]… COMMAND\n"
    "\n"
    "  key new FILE [--algorithm HS256|EdDSA] [--public FILE]\n"
    "  token --key FILE --role viewer|sender|recorder|admin [--lesson NAME] [--school NAME]\n"
    "        [--expires 30d]\n"
    "  lesson list | show LESSON | edit LESSON FIELD=VALUE… | end LESSON\n"
    "  schools\n"
    "  recording list | search WORD… [--subject S] [--grade G] [--teacher T] [--school S]\n"
    "        [--from DATE] [--to DATE] [--limit N]\n"
    "  recording show ID | edit ID FIELD=VALUE… | delete ID --reason TEXT [--dry-run]\n"
    "        (fields also review, consent, keep=yes|no, by which old ones are deleted)\n"
    "  health\n"
    "\n"
    "  --relay URL        default http://127.0.0.1:8080\n"
    "  --library URL      default http://127.0.0.1:8081\n"
    "  --token-file FILE  the token for both; or $TONGKE_TOKEN, or --token TOKEN, which other\n"
    "                     users of this machine can see\n"
    "  --json             print what the server answers\n"
    "  --help, --version\n";

static CtlOptions options;
static char *token_path;
static gboolean help, version;

static const GOptionEntry everywhere[] = {
    {"relay", 0, 0, G_OPTION_ARG_STRING, &options.relay, NULL, NULL},
    {"library", 0, 0, G_OPTION_ARG_STRING, &options.library, NULL, NULL},
    {"token", 0, 0, G_OPTION_ARG_STRING, &options.token, NULL, NULL},
    {"token-file", 0, 0, G_OPTION_ARG_FILENAME, &token_path, NULL, NULL},
    {"json", 0, 0, G_OPTION_ARG_NONE, &options.json, NULL, NULL},
    {"help", 'h', 0, G_OPTION_ARG_NONE, &help, NULL, NULL},
    {"version", 0, 0, G_OPTION_ARG_NONE, &version, NULL, NULL},
    {NULL},
};

static const GOptionEntry key_options[] = {
    {"algorithm", 0, 0, G_OPTION_ARG_STRING, &options.algorithm, NULL, NULL},
    {"public", 0, 0, G_OPTION_ARG_FILENAME, &options.public_path, NULL, NULL},
    {NULL},
};

static const GOptionEntry token_options[] = {
    {"key", 0, 0, G_OPTION_ARG_FILENAME, &options.key_path, NULL, NULL},
    {"role", 0, 0, G_OPTION_ARG_STRING, &options.role, NULL, NULL},
    {"lesson", 0, 0, G_OPTION_ARG_STRING, &options.lesson, NULL, NULL},
    {"school", 0, 0, G_OPTION_ARG_STRING, &options.school, NULL, NULL},
    {"expires", 0, 0, G_OPTION_ARG_STRING, &options.expires, NULL, NULL},
    {NULL},
};

static const GOptionEntry search_options[] = {
    {"subject", 0, 0, G_OPTION_ARG_STRING, &options.subject, NULL, NULL},
    {"grade", 0, 0, G_OPTION_ARG_STRING, &options.grade, NULL, NULL},
    {"teacher", 0, 0, G_OPTION_ARG_STRING, &options.teacher, NULL, NULL},
    {"school", 0, 0, G_OPTION_ARG_STRING, &options.school, NULL, NULL},
    {"from", 0, 0, G_OPTION_ARG_STRING, &options.from, NULL, NULL},
    {"to", 0, 0, G_OPTION_ARG_STRING, &options.to, NULL, NULL},
    {"limit", 0, 0, G_OPTION_ARG_STRING, &options.limit, NULL, NULL},
    {NULL},
};

static const GOptionEntry delete_options[] = {
    {"reason", 0, 0, G_OPTION_ARG_STRING, &options.reason, NULL, NULL},
    {"dry-run", 0, 0, G_OPTION_ARG_NONE, &options.dry_run, NULL, NULL},
    {NULL},
};

static const GOptionEntry no_options[] = {{NULL}};

// Words of the command, how many may follow, and the options that it alone has.
static const struct {
    const char *noun, *verb;
    guint words_min, words_max;
    const GOptionEntry *entries;
    CtlRun run;
} commands[] = {
    {"key", "new", 1, 1, key_options, ctl_key_new},
    {"token", "issue", 0, 0, token_options, ctl_token_issue},
    {"token", NULL, 0, 0, token_options, ctl_token_issue},
    {"lesson", "list", 0, 0, no_options, ctl_lesson_list},
    {"lesson", "show", 1, 1, no_options, ctl_lesson_show},
    {"lesson", "edit", 2, G_MAXUINT, no_options, ctl_lesson_edit},
    {"lesson", "end", 1, 1, no_options, ctl_lesson_end},
    {"schools", NULL, 0, 0, no_options, ctl_school_list},
    {"recording", "list", 0, 0, search_options, ctl_recording_list},
    {"recording", "search", 1, G_MAXUINT, search_options, ctl_recording_search},
    {"recording", "show", 1, 1, no_options, ctl_recording_show},
    {"recording", "edit", 2, G_MAXUINT, no_options, ctl_recording_edit},
    {"recording", "delete", 1, 1, delete_options, ctl_recording_delete},
    {"health", NULL, 0, 0, no_options, ctl_health},
};

// The command that the first words which are no options name; -1 if none does.
static int find_command(int argc, char **argv)
{
    static const char *const flags[] = {"--json", "--dry-run", "--help", "-h", "--version", NULL};
    const char *nouns[2] = {NULL, NULL};

    for (int i = 1, n = 0; i < argc && n < 2; i++) {
        if (argv[i][0] != '-')
            nouns[n++] = argv[i];
        else if (!strchr(argv[i], '=') && !g_strv_contains(flags, argv[i]))
            i++; // the option's value
    }
    for (gsize i = 0; nouns[0] && i < G_N_ELEMENTS(commands); i++)
        if (g_str_equal(commands[i].noun, nouns[0]) &&
            (!commands[i].verb || g_strcmp0(commands[i].verb, nouns[1]) == 0))
            return (int)i;
    return -1;
}

static gboolean parse(int command, int argc, char **argv, GError **error)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    // The words are used until the program ends.
    static char **arguments;

    g_option_context_set_help_enabled(context, FALSE);
    g_option_context_add_main_entries(context, everywhere, NULL);
    if (command >= 0)
        g_option_context_add_main_entries(context, commands[command].entries, NULL);
    else
        g_option_context_set_ignore_unknown_options(context, TRUE);
    arguments = g_strdupv(argv);
    arguments[argc] = NULL;
    if (!g_option_context_parse_strv(context, &arguments, error))
        return FALSE;
    if (command >= 0)
        options.words = arguments + (commands[command].verb ? 3 : 2);
    return TRUE;
}

static gboolean complete(GError **error)
{
    gsize length;

    if (!options.relay)
        options.relay = g_strdup("http://127.0.0.1:8080");
    if (!options.library)
        options.library = g_strdup("http://127.0.0.1:8081");
    if (token_path) {
        options.token = tk_file_read(token_path, TOKEN_FILE_MAX, &length, error);
        if (!options.token)
            return FALSE;
        g_strstrip(options.token);
    }
    if (!options.token)
        options.token = g_strdup(g_getenv("TONGKE_TOKEN"));
    if (options.token && strpbrk(options.token, " \t\r\n")) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID, "a token has no white space in it");
        return FALSE;
    }
    return TRUE;
}

static int refuse_usage(const char *why)
{
    fprintf(stderr, "tongkectl: %s\n%s", why, usage);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    int command = find_command(argc, argv);

    setlocale(LC_ALL, "");
    if (!parse(command, argc, argv, &error))
        return refuse_usage(error->message);
    if (help || version) {
        printf("%s", help ? usage : "tongkectl " TONGKE_VERSION "\n");
        return 0;
    }
    if (command < 0)
        return refuse_usage(argc > 1 ? "there is no such command" : "a command is needed");
    guint n_words = g_strv_length(options.words);
    if (n_words < commands[command].words_min || n_words > commands[command].words_max)
        return refuse_usage("too few or too many words for this command");
    if (!complete(&error) || !commands[command].run(&options, &error)) {
        fprintf(stderr, "tongkectl: %s\n", error->message);
        return 1;
    }
    return 0;
}
