// SPDX-License-Identifier: MIT
#pragma once

// cmocka wants these before itself.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glib.h>

#include "common/base/error.h"

// `error` is of the one domain and has this code; it is cleared.
#define check_error(error, expected)                                                               \
    do {                                                                                           \
        assert_non_null(error);                                                                    \
        assert_int_equal((error)->domain, TK_ERROR);                                               \
        assert_string_equal(tk_error_word((error)->code), tk_error_word(expected));                \
        g_clear_error(&(error));                                                                   \
    } while (0)

// `text` has `part` in it.
#define check_contains(text, part)                                                                 \
    do {                                                                                           \
        if (!strstr(text, part))                                                                   \
            fail_msg("\"%s\" does not contain \"%s\"", text, part);                                \
    } while (0)
