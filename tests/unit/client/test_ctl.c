// SPDX-License-Identifier: MIT
#include <math.h>
#include <string.h>

#include "tests/unit/check.h"

#include "client/ctl/print.h"
#include "client/ctl/record.h"
#include "client/ctl/span.h"

static void spans_are_read(void **state)
{
    static const struct {
        const char *text;
        gint64 seconds;
    } good[] = {{"1s", 1}, {"90m", 5400}, {"8h", 28800}, {"30d", 2592000}, {"52w", 31449600}};
    static const char *const wrong[] = {
        "",      "30",  "d",  "-1d", "1.5h", "30 d", "30D", "30d ", "0d", "11y", "99999999999999s",
        "3661d", "+1d", "1dd"};
    gint64 seconds = 7;

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
        assert_true(ctl_span_parse(good[i].text, &seconds, NULL));
        assert_int_equal(seconds, good[i].seconds);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        if (ctl_span_parse(wrong[i], &seconds, &error))
            fail_msg("\"%s\" was taken for a span", wrong[i]);
        check_error(error, TK_ERROR_INVALID);
    }
    assert_int_equal(seconds, 31449600);
}

static void columns_line_up(void **state)
{
    static const char *const headings[] = {"NAME", "TITLE", "STATE", NULL};
    g_autoptr(CtlTable) table = ctl_table_new(headings);

    ctl_table_add(table, (const char *const[]){"math", "函数的单调性", "live"});
    ctl_table_add(table, (const char *const[]){"a-long-name", NULL, "away"});
    g_autofree char *text = ctl_table_text(table);
    assert_string_equal(text, "NAME         TITLE         STATE\n"
                              "math         函数的单调性  live\n"
                              "a-long-name  -             away\n");
}

static void servers_cannot_move_the_cursor(void **state)
{
    g_autofree char *clean = ctl_clean("a\x1b[2J\n\xc2\x9b\xff课");
    g_autofree char *nothing = ctl_clean("");
    g_autoptr(json_t) object = json_pack("{s:s}", "ti\ntle", "a\x1b[31m");
    g_autofree char *described = ctl_describe(object);

    assert_string_equal(clean, "a?[2J??\xef\xbf\xbd课");
    assert_string_equal(nothing, "-");
    assert_string_equal(described, "ti?tle: a?[31m\n");
}

static void objects_are_described(void **state)
{
    g_autoptr(json_t) object = json_pack(
        "{s:s, s:n, s:{s:s}, s:[{s:s}, {s:s}], s:b, s:[i,i]}", "name", "math", "ended", "info",
        "title", "函数", "streams", "name", "main", "name", "slides", "audio", 1, "sizes", 1, 2);
    g_autofree char *text = ctl_describe(object);

    assert_string_equal(text, "name: math\n"
                              "info:\n  title: 函数\n"
                              "streams 1:\n  name: main\n"
                              "streams 2:\n  name: slides\n"
                              "audio: true\n"
                              "sizes: [1,2]\n");
}

static void durations_are_shown(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},         {59.9, "0:59"}, {2702.4, "45:02"}, {3600, "1:00:00"},
                 {36061, "10:01:01"}, {-1, "-"},      {1e300, "-"},      {NAN, "-"}};

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = ctl_duration(cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void patches_are_made_of_known_fields(void **state)
{
    char *good[] = {(char *)"title=a=b", (char *)"grade=", NULL};
    char *wrong[][2] = {{(char *)"titel=x", NULL},    {(char *)"title", NULL},
                        {(char *)"title=\n", NULL},   {(char *)"=x", NULL},
                        {(char *)"keep=often", NULL}, {(char *)"review=approved", NULL}};
    g_autoptr(json_t) patch = ctl_record_patch(good, FALSE, NULL);
    g_autofree char *text = tk_json_dump(patch);

    assert_string_equal(text, "{\"title\":\"a=b\",\"grade\":null}");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(ctl_record_patch(wrong[i], i % 2 == 0, &error));
        check_error(error, TK_ERROR_INVALID);
    }
}

static void decisions_are_for_recordings(void **state)
{
    char *words[] = {(char *)"review=approved", (char *)"consent=", (char *)"keep=yes",
                     (char *)"title=x", NULL};
    g_autoptr(json_t) patch = ctl_record_patch(words, TRUE, NULL);
    g_autofree char *text = tk_json_dump(patch);

    assert_string_equal(text,
                        "{\"review\":\"approved\",\"consent\":null,\"keep\":true,\"title\":\"x\"}");
}

static void paths_take_names_only(void **state)
{
    static const char *const wrong[] = {"", "../relay", "a/b", "a?b", "a#b", "课"};
    g_autofree char *path = ctl_record_path("lessons", "math", "/end", NULL);

    assert_string_equal(path, "/api/v1/lessons/math/end");
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(ctl_record_path("recordings", wrong[i], "", &error));
        check_contains(error->message, "tongkectl recording list");
        check_error(error, TK_ERROR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_read),
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(servers_cannot_move_the_cursor),
        cmocka_unit_test(objects_are_described),
        cmocka_unit_test(durations_are_shown),
        cmocka_unit_test(patches_are_made_of_known_fields),
        cmocka_unit_test(decisions_are_for_recordings),
        cmocka_unit_test(paths_take_names_only),
    };

    return cmocka_run_group_tests_name("client-ctl", tests, NULL, NULL);
}
