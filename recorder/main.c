// SPDX-License-Identifier: MIT
#include "common/base/log.h"
#include "recorder/recorder.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv)
{
    g_autoptr(TkConfig) config = tk_config_new(rec_options_fields);
    g_autoptr(GError) error = NULL;
    RecOptions options = {0};
    gboolean ok = TRUE;

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN);
    tk_log_init("tongke-recorder");
    if (!rec_options_parse(&argc, &argv, config, &options, &error)) {
        g_printerr("tongke-recorder: %s\n", error->message);
        return 2;
    }
    if (options.version) {
        g_print("tongke-recorder %s\n", TK_VERSION);
    } else if (options.print_example) {
        g_autofree char *text = tk_config_example(rec_options_fields, REC_OPTIONS_TITLE);
        g_print("%s", text);
    } else if (options.rebuild_index) {
        ok = rec_recorder_rebuild(config, &error);
    } else if (options.retention) {
        ok = rec_recorder_retain(config, options.dry_run, &error);
    } else if (!options.check) {
        ok = rec_recorder_run(config, &error);
    }
    if (!ok)
        tk_error("%s", error->message);
    return ok ? 0 : 1;
}
