// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/json.h"

#define MAX_BYTES (1 << 20)

static json_t *parsed(const char *text)
{
    g_autoptr(GError) error = NULL;
    json_t *value = tk_json_parse(text, strlen(text), MAX_BYTES, &error);

    if (!value)
        fail_msg("%s: %s", text, error->message);
    return value;
}

static void refused(const char *text, gsize length, TkErrorCode code)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) value = tk_json_parse(text, length, MAX_BYTES, &error);

    if (value)
        fail_msg("\"%.*s\" was taken", (int)MIN(length, 60), text);
    check_error(error, code);
}

static void reads_members(void **state)
{
    g_autoptr(json_t) object = parsed(" {\"s\":\"课\",\"i\":-7,\"r\":2.5,\"t\":true,\"f\":false,"
                                      "\"n\":null} ");

    assert_string_equal(tk_json_string(object, "s", "x"), "课");
    assert_string_equal(tk_json_string(object, "i", "x"), "x");
    assert_null(tk_json_string(object, "missing", NULL));
    assert_int_equal(tk_json_int(object, "i", 1), -7);
    assert_int_equal(tk_json_int(object, "s", 1), 1);
    assert_int_equal(tk_json_int(object, "r", 1), 1);
    assert_true(tk_json_real(object, "r", 0) == 2.5);
    assert_true(tk_json_real(object, "i", 0) == -7.0);
    assert_true(tk_json_real(object, "n", 0.5) == 0.5);
    assert_true(tk_json_bool(object, "t", FALSE));
    assert_false(tk_json_bool(object, "f", TRUE));
    assert_true(tk_json_bool(object, "i", TRUE));
    assert_int_equal(tk_json_int(NULL, "i", 3), 3);
}

static void reads_the_stated_length_only(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) value = tk_json_parse("12345", 3, MAX_BYTES, &error);

    assert_int_equal(json_integer_value(value), 123);
}

static void refuses_what_is_not_one_value(void **state)
{
    static const char *const wrong[] = {
        "",           " ",
        "{",          "[1,]",
        "{} {}",      "nul",
        "'a'",        "{a:1}",
        "{\"a\":01}", "[1 2]",
        "\"\\x\"",    "\"\\u0000\"",
        "\"a\nb\"",   "99999999999999999999",
        "1e999",      "NaN",
        "// c\n1",    "\"\\ud800\"",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        refused(wrong[i], strlen(wrong[i]), TK_ERROR_INVALID);
    refused("[1]\0", 4, TK_ERROR_INVALID);
}

static void refuses_duplicate_keys(void **state)
{
    const char *text = "{\"role\":\"viewer\",\"role\":\"admin\"}";

    refused(text, strlen(text), TK_ERROR_INVALID);
}

static void refuses_bad_utf8(void **state)
{
    static const char *const wrong[] = {
        "\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe8\xaf\"",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        refused(wrong[i], strlen(wrong[i]), TK_ERROR_INVALID);
}

static void bounds_nesting(void **state)
{
    g_autofree char *deep = g_strnfill(100000, '[');
    GString *just = g_string_new(NULL);

    refused(deep, 100000, TK_ERROR_INVALID);
    for (int i = 0; i < TK_JSON_DEPTH_MAX; i++)
        g_string_append(just, "[");
    for (int i = 0; i < TK_JSON_DEPTH_MAX; i++)
        g_string_append(just, "]");
    json_decref(parsed(just->str));
    g_string_prepend_c(just, '[');
    g_string_append_c(just, ']');
    refused(just->str, just->len, TK_ERROR_INVALID);
    g_string_free(just, TRUE);

    // Brackets inside a text are text, also behind an escaped quote.
    g_autofree char *quoted = g_strdup_printf("[\"\\\"%.200s\"]", deep);
    json_decref(parsed(quoted));
}

static void bounds_size(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_null(tk_json_parse("[1,2]", 5, 4, &error));
    check_error(error, TK_ERROR_TOO_LARGE);
    json_decref(tk_json_parse("[1,2]", 5, 5, NULL));
}

static void errors_do_not_quote_the_input(void **state)
{
    g_autoptr(GError) error = NULL;

    assert_null(tk_json_parse("{\"k\": secret}", 13, 100, &error));
    assert_null(strstr(error->message, "secret"));
    check_contains(error->message, "line 1");
}

static void writes_in_order(void **state)
{
    g_autoptr(json_t) object = json_object();

    tk_json_set_string(object, "z", "课\n\"");
    tk_json_set_string(object, "none", NULL);
    tk_json_set_string(object, "empty", "");
    tk_json_set_int(object, "a", G_MAXINT64);
    json_object_set_new(object, "r", json_real(0.1));
    tk_json_set_time(object, "never", 0);
    tk_json_set_string(object, "bad", "a\xff");
    g_autofree char *text = tk_json_dump(object);
    assert_string_equal(text, "{\"z\":\"课\\n\\\"\",\"a\":9223372036854775807,\"r\":0.1,"
                              "\"never\":null,\"bad\":\"a\xef\xbf\xbd\"}");
}

static void writes_times_with_an_offset(void **state)
{
    g_autoptr(json_t) object = json_object();

    tk_json_set_time(object, "t", G_GINT64_CONSTANT(1795313100123000000));
    assert_string_equal(tk_json_string(object, "t", ""), "2026-11-22T10:05:00.123+08:00");
}

static void problems_follow_rfc9457(void **state)
{
    g_autoptr(GError) error =
        g_error_new_literal(TK_ERROR, TK_ERROR_NOT_FOUND, "no lesson of that name runs");
    g_autoptr(json_t) problem = tk_json_problem(error);
    g_autofree char *text = tk_json_dump(problem);

    assert_string_equal(text, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                              "\"code\":\"not-found\",\"detail\":\"no lesson of that name runs\"}");

    g_autoptr(GError) foreign = g_error_new_literal(g_quark_from_static_string("x"), 3, "d");
    g_autoptr(json_t) other = tk_json_problem(foreign);
    assert_string_equal(tk_json_string(other, "code", ""), "internal");
    assert_int_equal(tk_json_int(other, "status", 0), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_members),
        cmocka_unit_test(reads_the_stated_length_only),
        cmocka_unit_test(refuses_what_is_not_one_value),
        cmocka_unit_test(refuses_duplicate_keys),
        cmocka_unit_test(refuses_bad_utf8),
        cmocka_unit_test(bounds_nesting),
        cmocka_unit_test(bounds_size),
        cmocka_unit_test(errors_do_not_quote_the_input),
        cmocka_unit_test(writes_in_order),
        cmocka_unit_test(writes_times_with_an_offset),
        cmocka_unit_test(problems_follow_rfc9457),
    };

    g_setenv("TZ", "Asia/Shanghai", TRUE);
    return cmocka_run_group_tests_name("base-json", tests, NULL, NULL);
}
