// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/config.h"

static const TkConfigField schema[] = {
    {"rtsp", "address", TK_CONFIG_STRING, "127.0.0.1", 1, 64, NULL, "Where to listen."},
    {"rtsp", "port", TK_CONFIG_INT, "8554", 0, 65535, NULL, "TCP port; 0 lets the system choose."},
    {"http", "port", TK_CONFIG_INT, "8080", 0, 65535, NULL, "TCP port of page and API."},
    {"http", "allow_origin", TK_CONFIG_STRING, "", 0, 200, NULL,
     "Which pages of other hosts may call the API; a rather long explanation that has to be "
     "wrapped when it is written into the example file, as all of them are."},
    {"log", "level", TK_CONFIG_CHOICE, "info", 0, 0, "error|warning|info|debug", "How much."},
    {"log", "peers", TK_CONFIG_BOOL, "true", 0, 0, NULL, "Whether addresses are logged."},
    {NULL},
};

static void loads(TkConfig *config, const char *text)
{
    g_autoptr(GError) error = NULL;

    if (!tk_config_load_data(config, "t.conf", text, strlen(text), &error))
        fail_msg("%s", error->message);
}

// The text is refused with `part` in the message, and nothing has changed.
static void refuses(const char *text, const char *part)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(GError) error = NULL;

    loads(config, "[rtsp]\nport=1\n");
    if (tk_config_load_data(config, "t.conf", text, strlen(text), &error))
        fail_msg("\"%s\" was taken", text);
    check_contains(error->message, part);
    check_error(error, TK_ERROR_CONFIG);
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 1);
    assert_int_equal(tk_config_int(config, "http", "port"), 8080);
}

static void defaults_stand(void **state)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);

    assert_string_equal(tk_config_string(config, "rtsp", "address"), "127.0.0.1");
    assert_int_equal(tk_config_int(config, "http", "port"), 8080);
    assert_string_equal(tk_config_string(config, "http", "allow_origin"), "");
    assert_string_equal(tk_config_string(config, "log", "level"), "info");
    assert_true(tk_config_bool(config, "log", "peers"));
}

static void files_change_what_they_name(void **state)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);

    loads(config, "\xef\xbb\xbf# a comment\r\n\r\n  [rtsp]  \r\n port = 9000 \r\n"
                  "[log]\npeers=false\nlevel=debug\n[http]\nallow_origin=a=b\\n\\sc\\\\d");
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 9000);
    assert_false(tk_config_bool(config, "log", "peers"));
    assert_string_equal(tk_config_string(config, "log", "level"), "debug");
    assert_string_equal(tk_config_string(config, "http", "allow_origin"), "a=b\n c\\d");
    assert_int_equal(tk_config_int(config, "http", "port"), 8080);
    loads(config, "[rtsp]\nport=0");
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 0);
    assert_false(tk_config_bool(config, "log", "peers"));
}

static void unknown_keys_name_the_nearest(void **state)
{
    refuses("[rtsp]\n\nprot=7\n",
            "t.conf:3: unknown key \"prot\" in [rtsp]; the nearest is \"port\"");
    refuses("[rtsp]\nadress=7\n", "\"address\"");
    refuses("[rtsp]\nlevel=info\n", "it belongs in [log]");
    refuses("[rtps]\nport=7\n", "unknown group [rtps]; did you mean [rtsp]?");
    refuses("[elsewhere]\n", "unknown group [elsewhere]");
    refuses("[]\n", "unknown group");
    refuses("[rtsp]\n=7\n", "unknown key \"\"");
}

static void duplicates_are_refused(void **state)
{
    refuses("[rtsp]\nport=7\nport=7\n",
            "t.conf:3: rtsp.port stands here again; it was set in line 2");
    refuses("[rtsp]\nport=7\n[http]\nport=8\n[rtsp]\nport=9\n", "set in line 2");
}

static void types_and_ranges_are_kept(void **state)
{
    refuses("[rtsp]\nport=65536\n", "t.conf:2: rtsp.port must be a whole number from 0 to 65535");
    refuses("[rtsp]\nport=-1\n", "0 to 65535");
    refuses("[rtsp]\nport=\n", "0 to 65535");
    refuses("[rtsp]\nport=80 # here\n", "0 to 65535");
    refuses("[rtsp]\nport=0x50\n", "0 to 65535");
    refuses("[rtsp]\nport=99999999999999999999\n", "0 to 65535");
    refuses("[rtsp]\naddress=\n", "0 bytes long; 1 to 64");
    refuses("[log]\nlevel=INFO\n", "one of error|warning|info|debug");
    refuses("[log]\nlevel=error|warning\n", "one of");
    refuses("[log]\npeers=yes\n", "true or false");
}

static void broken_files_are_refused(void **state)
{
    refuses("port=7\n", "t.conf:1: a key before the first [group]");
    refuses("[rtsp\nport=7\n", "ends with ]");
    refuses("[rtsp]\nport\n", "neither");
    refuses("[rtsp]\n; port=7\n", "unknown key");
    refuses("[rtsp]\naddress=\\q\n", "after \\");
    refuses("[rtsp]\naddress=a\\\n", "after \\");
    refuses("[rtsp]\naddress=\xff\n", "not UTF-8");
    refuses("[rtsp]\nport=7\n[http]\nport=x\n", "t.conf:4");
}

static void hostile_files_are_bounded(void **state)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(GError) error = NULL;
    g_autofree char *huge = g_strnfill(256 * 1024 + 1, '\n');
    g_autofree char *word = g_strnfill(200000, 'p');
    g_autofree char *key = g_strdup_printf("[rtsp]\n%s=1\n", word);
    g_autofree char *group = g_strdup_printf("[%s]\n", word);

    assert_false(tk_config_load_data(config, "t", huge, strlen(huge), &error));
    check_contains(error->message, "longer than 256 KiB");
    check_error(error, TK_ERROR_CONFIG);
    assert_true(tk_config_load_data(config, "t", huge, strlen(huge) - 1, &error));
    assert_false(tk_config_load_data(config, "t", "[rtsp]\0port=1", 13, &error));
    check_error(error, TK_ERROR_CONFIG);
    assert_false(tk_config_load_data(config, "t", key, strlen(key), &error));
    assert_true(strlen(error->message) < 200);
    check_error(error, TK_ERROR_CONFIG);
    assert_false(tk_config_load_data(config, "t", group, strlen(group), &error));
    assert_true(strlen(error->message) < 200);
    check_error(error, TK_ERROR_CONFIG);
}

static void missing_files_are_named(void **state)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(GError) error = NULL;

    assert_false(tk_config_load(config, "no/such.conf", &error));
    check_contains(error->message, "no/such.conf");
    check_error(error, TK_ERROR_NOT_FOUND);
}

static void assignments_set(void **state)
{
    static const char *const wrong[] = {"",
                                        "rtsp.port",
                                        "port=7",
                                        "=",
                                        "rtsp.prot=7",
                                        "rtsp.port=x",
                                        "rtps.port=7",
                                        "rtsp.port=\xff"};
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(GError) error = NULL;

    assert_true(tk_config_set(config, "rtsp.port=7", &error));
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 7);
    assert_true(tk_config_set(config, "http.allow_origin=http://a.b/?c=d", &error));
    assert_string_equal(tk_config_string(config, "http", "allow_origin"), "http://a.b/?c=d");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        if (tk_config_set(config, wrong[i], &error))
            fail_msg("%s was taken", wrong[i]);
        check_error(error, TK_ERROR_CONFIG);
    }
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 7);
}

static void the_example_loads_and_says_all(void **state)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autofree char *example = tk_config_example(schema, "The test's settings.");

    loads(config, example);
    assert_int_equal(tk_config_int(config, "rtsp", "port"), 8554);
    check_contains(example, "# The test's settings.\n");
    check_contains(example, "[rtsp]\n# Where to listen.\n#address=127.0.0.1\n");
    check_contains(example, "# (0 to 65535)\n#port=8080\n");
    check_contains(example, "# (error|warning|info|debug)\n#level=info\n");

    g_auto(GStrv) lines = g_strsplit(example, "\n", -1);
    GString *opened = g_string_new(NULL);
    for (char **line = lines; *line; line++) {
        assert_true(strlen(*line) <= 100);
        // "#key=value" with its # taken away is a setting.
        gboolean setting = (*line)[0] == '#' && (*line)[1] != ' ';
        g_string_append_printf(opened, "%s\n", setting ? *line + 1 : *line);
    }
    loads(config, opened->str);
    g_string_free(opened, TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand),
        cmocka_unit_test(files_change_what_they_name),
        cmocka_unit_test(unknown_keys_name_the_nearest),
        cmocka_unit_test(duplicates_are_refused),
        cmocka_unit_test(types_and_ranges_are_kept),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(hostile_files_are_bounded),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(assignments_set),
        cmocka_unit_test(the_example_loads_and_says_all),
    };

    return cmocka_run_group_tests_name("base-config", tests, NULL, NULL);
}
