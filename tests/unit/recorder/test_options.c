// SPDX-License-Identifier: MIT
// The command line: every short form means what its long form does.
#include "recorder/options.h"
#include "tests/unit/check.h"

static void check_forms(void **state)
{
    const struct {
        const char *words[4]; // of the command line
        const char *group, *key, *value;
    } cases[] = {
        {{"-d", "/srv/a"}, "archive", "data", "/srv/a"},
        {{"--data", "/srv/a"}, "archive", "data", "/srv/a"},
        {{"--data=/srv/a"}, "archive", "data", "/srv/a"},
        {{"-r", "http://city:8080"}, "relay", "url", "http://city:8080"},
        {{"--relay", "http://city:8080"}, "relay", "url", "http://city:8080"},
        {{"-s", "relay.url=http://b:1"}, "relay", "url", "http://b:1"},
        {{"--set", "relay.url=http://b:1"}, "relay", "url", "http://b:1"},
        {{"-s", "relay.url=http://b:1", "-r", "http://c:1"}, "relay", "url", "http://c:1"},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(TkConfig) config = tk_config_new(rec_options_fields);
        g_autoptr(GError) error = NULL;
        char name[] = "tongke-recorder", *words[6] = {name}, **argv = words;
        int argc = 1;
        RecOptions options;
        for (gsize w = 0; w < G_N_ELEMENTS(cases[i].words) && cases[i].words[w]; w++)
            words[argc++] = (char *)cases[i].words[w];
        if (!rec_options_parse(&argc, &argv, config, &options, &error))
            fail_msg("%s: %s", cases[i].words[0], error->message);
        assert_string_equal(tk_config_string(config, cases[i].group, cases[i].key), cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
