// SPDX-License-Identifier: MIT
#include "client/ctl/record.h"

#include <stdio.h>
#include <string.h>

#include "client/ctl/print.h"
#include "common/base/error.h"
#include "common/base/lesson_info.h"
#include "common/base/name.h"

// What is decided about a recording stands beside what is known of its lesson. The library knows
// which words there are for the first two. NULL: `field` is none of these, or `error` is set.
static json_t *decision_new(const char *field, const char *value, GError **error)
{
    if (g_str_equal(field, "review") || g_str_equal(field, "consent"))
        return *value ? json_string(value) : json_null();
    if (!g_str_equal(field, "keep"))
        return NULL;
    if (!g_str_equal(value, "yes") && !g_str_equal(value, "no")) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "keep=%s: write keep=yes or keep=no", value);
        return NULL;
    }
    return json_boolean(g_str_equal(value, "yes"));
}

json_t *ctl_record_patch(char *const *assignments, gboolean decides, GError **error)
{
    g_autoptr(json_t) patch = json_object();
    g_autoptr(TkLessonInfo) checked = tk_lesson_info_new();

    for (; *assignments; assignments++) {
        const char *equals = strchr(*assignments, '=');
        if (!equals) {
            g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "\"%s\": write FIELD=VALUE",
                        *assignments);
            return NULL;
        }
        g_autofree char *field = g_strndup(*assignments, (gsize)(equals - *assignments));
        GError *refused = NULL;
        json_t *decision = decides ? decision_new(field, equals + 1, &refused) : NULL;
        if (decision) {
            json_object_set_new(patch, field, decision);
            continue;
        }
        if (refused) {
            g_propagate_error(error, refused);
            return NULL;
        }
        if (!tk_lesson_info_set(checked, field, equals + 1, error))
            return NULL;
        json_object_set_new(patch, field, equals[1] ? json_string(equals + 1) : json_null());
    }
    return g_steal_pointer(&patch);
}

void ctl_record_print(const json_t *answer, gboolean as_json)
{
    g_autofree char *text = as_json ? tk_json_dump(answer) : ctl_describe(answer);

    printf(as_json ? "%s\n" : "%s", text);
}

char *ctl_record_path(const char *collection, const char *name, const char *tail, GError **error)
{
    if (!tk_name_lesson_valid(name)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "\"%s\" is neither a name nor an id; `tongkectl %s list` shows them", name,
                    g_str_equal(collection, "lessons") ? "lesson" : "recording");
        return NULL;
    }
    return g_strdup_printf("/api/v1/%s/%s%s", collection, name, tail);
}
