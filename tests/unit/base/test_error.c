// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/error.h"

static void words_are_distinct(void **state)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (int code = TK_ERROR_INVALID; code <= TK_ERROR_INTERNAL; code++) {
        assert_true(strlen(tk_error_word(code)) > 1);
        assert_true(g_hash_table_add(seen, (char *)tk_error_word(code)));
    }
    assert_string_equal(tk_error_word(TK_ERROR_NOT_FOUND), "not-found");
    assert_string_equal(tk_error_word(TK_ERROR_TOO_LARGE), "too-large");
    assert_string_equal(tk_error_word(999), "internal");
}

static void status_answers_the_code(void **state)
{
    static const struct {
        TkErrorCode code;
        unsigned status;
    } pairs[] = {
        {TK_ERROR_INVALID, 400},   {TK_ERROR_UNAUTHORIZED, 401}, {TK_ERROR_FORBIDDEN, 403},
        {TK_ERROR_NOT_FOUND, 404}, {TK_ERROR_CONFLICT, 409},     {TK_ERROR_TOO_LARGE, 413},
        {TK_ERROR_LIMIT, 429},     {TK_ERROR_UNSUPPORTED, 415},  {TK_ERROR_UNAVAILABLE, 503},
        {TK_ERROR_INTERNAL, 500},  {TK_ERROR_TIMEOUT, 504},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(pairs); i++) {
        g_autoptr(GError) error = g_error_new_literal(TK_ERROR, pairs[i].code, "why");
        assert_int_equal(tk_error_http_status(error), pairs[i].status);
    }
}

static void foreign_errors_are_ours_to_mend(void **state)
{
    g_autoptr(GError) error = g_error_new_literal(g_quark_from_static_string("other"), 4, "why");
    g_autoptr(GError) beyond = g_error_new_literal(TK_ERROR, 4000, "why");

    assert_int_equal(tk_error_http_status(error), 500);
    assert_int_equal(tk_error_http_status(beyond), 500);
    assert_int_equal(tk_error_http_status(NULL), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_distinct),
        cmocka_unit_test(status_answers_the_code),
        cmocka_unit_test(foreign_errors_are_ours_to_mend),
    };

    return cmocka_run_group_tests_name("base-error", tests, NULL, NULL);
}
