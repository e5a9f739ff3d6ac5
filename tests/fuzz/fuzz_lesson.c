// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/base/clock.h"
#include "common/base/lesson_info.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "tests/fuzz/target.h"

static void read_path(const char *text)
{
    g_autofree char *lesson = NULL, *stream = NULL;
    g_autoptr(GError) error = NULL;

    if (!tk_name_split_path(text, &lesson, &stream, &error)) {
        g_assert(error && !lesson && !stream);
        return;
    }
    g_assert(tk_name_lesson_valid(lesson) && tk_name_stream_valid(stream));
    g_assert(!strchr(lesson, '/') && !strstr(lesson, "..") && !strchr(stream, '/'));
}

static void read_record(const char *text, gsize length)
{
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();
    g_autoptr(TkLessonInfo) again = tk_lesson_info_new();
    g_autoptr(json_t) object = tk_json_parse(text, length, 1 << 16, NULL);

    if (!object || !tk_lesson_info_merge_json(info, object, FALSE, NULL))
        return;
    g_autoptr(json_t) written = tk_lesson_info_to_json(info);
    g_assert(tk_lesson_info_merge_json(again, written, TRUE, NULL));
    g_assert(tk_lesson_info_equal(info, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();
    gint64 wall_ns;

    read_path(text);
    read_record((const char *)data, size);
    if (tk_lesson_info_set(info, "title", text, NULL))
        g_assert_cmpstr(tk_lesson_info_get(info, "title"), ==, *text ? text : NULL);
    if (tk_clock_parse_rfc3339(text, &wall_ns, NULL)) {
        g_autofree char *shown = tk_clock_format_rfc3339(wall_ns);
        g_assert(tk_clock_parse_rfc3339(shown, &wall_ns, NULL));
    }
    if (tk_ulid_valid(text))
        tk_ulid_wall_ns(text);
    return 0;
}
