// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/base/json.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) value = tk_json_parse((const char *)data, size, 1 << 16, &error);

    g_assert((value == NULL) == (error != NULL));
    if (!value)
        return 0;
    g_autofree char *text = tk_json_dump(value);
    g_autoptr(json_t) again = tk_json_parse(text, strlen(text), 1 << 20, NULL);
    g_assert(again);
    g_autofree char *text_again = tk_json_dump(again);
    // Written numbers have 12 digits, so it is the text that must not change any more.
    g_assert_cmpstr(text, ==, text_again);
    tk_json_string(value, "s", "");
    tk_json_int(value, "i", 0);
    tk_json_real(value, "r", 0);
    tk_json_bool(value, "b", FALSE);
    return 0;
}
