// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/name.h"

static void lesson_names(void **state)
{
    static const char *const good[] = {
        "a", "7", "math", "G1.math_2-b", "01JD0000000000000000000000", "a.b", "x-"};
    static const char *const bad[] = {"",     ".",    "..",    "-a",   "_a",   ".hidden", "a..b",
                                      "a/b",  "a\\b", "a b",   "a\nb", "a%2e", "课",      "a\x7f",
                                      "../a", "a/..", "a?b=c", "a#b",  "a:b",  "~a",      "\xff"};
    g_autofree char *longest = g_strnfill(64, 'a');
    g_autofree char *longer = g_strnfill(65, 'a');
    g_autofree char *huge = g_strnfill(1 << 20, 'a');

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        if (!tk_name_lesson_valid(good[i]))
            fail_msg("%s was refused", good[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        if (tk_name_lesson_valid(bad[i]))
            fail_msg("%s was taken", bad[i]);
    assert_true(tk_name_lesson_valid(longest));
    assert_false(tk_name_lesson_valid(longer));
    assert_false(tk_name_lesson_valid(huge));
    assert_false(tk_name_lesson_valid(NULL));
}

static void stream_names(void **state)
{
    static const char *const good[] = {"main", "low", "audio", "slides", "class-7", "a"};
    static const char *const bad[] = {"",    "Main", "7a", "-a",  "a_b",
                                      "a.b", "a/b",  "..", "a b", "课"};
    g_autofree char *longest = g_strnfill(32, 'a');
    g_autofree char *longer = g_strnfill(33, 'a');

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        if (!tk_name_stream_valid(good[i]))
            fail_msg("%s was refused", good[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        if (tk_name_stream_valid(bad[i]))
            fail_msg("%s was taken", bad[i]);
    assert_true(tk_name_stream_valid(longest));
    assert_false(tk_name_stream_valid(longer));
    assert_false(tk_name_stream_valid(NULL));
}

static void paths_split(void **state)
{
    static const char *const cases[][3] = {
        {"/math", "math", "main"},           {"math", "math", "main"},
        {"/math/", "math", "main"},          {"/math/slides", "math", "slides"},
        {"/math/slides/", "math", "slides"}, {"/math?token=a/b", "math", "main"},
        {"/math/low?from=7", "math", "low"}, {"/math/?x", "math", "main"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *lesson = NULL, *stream = NULL;
        g_autoptr(GError) error = NULL;
        if (!tk_name_split_path(cases[i][0], &lesson, &stream, &error))
            fail_msg("%s: %s", cases[i][0], error->message);
        assert_string_equal(lesson, cases[i][1]);
        assert_string_equal(stream, cases[i][2]);
    }
}

static void hostile_paths_are_refused(void **state)
{
    g_autofree char *huge = g_strnfill(1 << 20, 'a');
    const char *const cases[] = {
        "",           "/",          "//",       "//math",         "/../etc/passwd", "/..",
        "/math/..",   "/math/../x", "/math//x", "/math/slides/x", "/math/%2e%2e",   "/%2e%2e/x",
        "/math/Main", "/?math",     "/ma\nth",  "/math/ma\tin",   "\\math",         huge,
        "/math//",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        char *lesson = (char *)"untouched", *stream = (char *)"untouched";
        g_autoptr(GError) error = NULL;
        if (tk_name_split_path(cases[i], &lesson, &stream, &error))
            fail_msg("%.80s was taken", cases[i]);
        check_error(error, TK_ERROR_INVALID);
        assert_string_equal(lesson, "untouched");
        assert_string_equal(stream, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lesson_names),
        cmocka_unit_test(stream_names),
        cmocka_unit_test(paths_split),
        cmocka_unit_test(hostile_paths_are_refused),
    };

    return cmocka_run_group_tests_name("base-name", tests, NULL, NULL);
}
