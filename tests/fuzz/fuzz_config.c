// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/base/config.h"
#include "tests/fuzz/target.h"

static const TkConfigField schema[] = {
    {"rtsp", "address", TK_CONFIG_STRING, "127.0.0.1", 1, 64, NULL, "Where to listen."},
    {"rtsp", "port", TK_CONFIG_INT, "8554", 0, 65535, NULL, "TCP port."},
    {"http", "port", TK_CONFIG_INT, "8080", 0, 65535, NULL, "TCP port."},
    {"log", "level", TK_CONFIG_CHOICE, "info", 0, 0, "error|warning|info|debug", "How much."},
    {"log", "peers", TK_CONFIG_BOOL, "true", 0, 0, NULL, "Whether addresses are logged."},
    {NULL},
};

static void check(const TkConfig *config)
{
    gsize length = strlen(tk_config_string(config, "rtsp", "address"));
    gint64 port = tk_config_int(config, "rtsp", "port");

    g_assert(length >= 1 && length <= 64);
    g_assert(port >= 0 && port <= 65535);
    tk_config_bool(config, "log", "peers");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(GError) error = NULL;
    g_autofree char *assignment = g_strndup((const char *)data, MIN(size, 4096));

    gboolean good = tk_config_load_data(config, "fuzz", (const char *)data, size, &error);
    g_assert(good == (error == NULL));
    check(config);
    g_clear_error(&error);
    good = tk_config_set(config, assignment, &error);
    g_assert(good == (error == NULL));
    check(config);
    return 0;
}
