// SPDX-License-Identifier: MIT
#include "client/ctl/span.h"

#include <string.h>

#include "common/base/error.h"

#define DAY_S G_GINT64_CONSTANT(86400)
#define SPAN_MAX_S (3660 * DAY_S)

gboolean ctl_span_parse(const char *text, gint64 *ret_seconds, GError **error)
{
    static const char units[] = "smhdw";
    static const gint64 unit_s[] = {1, 60, 3600, DAY_S, 7 * DAY_S};
    gsize digits = strspn(text, "0123456789");
    const char *unit = text[digits] ? strchr(units, text[digits]) : NULL;

    if (digits > 0 && digits <= 9 && unit && text[digits + 1] == '\0') {
        gint64 seconds = g_ascii_strtoll(text, NULL, 10) * unit_s[unit - units];
        if (seconds > 0 && seconds <= SPAN_MAX_S) {
            *ret_seconds = seconds;
            return TRUE;
        }
    }
    g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                "\"%s\" is no span of time; write 8h, 30d or 52w (at most ten years)", text);
    return FALSE;
}
