// SPDX-License-Identifier: MIT
#include "common/base/name.h"

#include <string.h>

#include "common/base/error.h"

#define LESSON_MAX 64
#define STREAM_MAX 32

gboolean tk_name_lesson_valid(const char *name)
{
    gsize length = name ? strnlen(name, LESSON_MAX + 1) : 0;

    if (length == 0 || length > LESSON_MAX || !g_ascii_isalnum(name[0]))
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_isalnum(name[i]) && !strchr("._-", name[i]))
            return FALSE;
    return strstr(name, "..") == NULL;
}

gboolean tk_name_stream_valid(const char *name)
{
    gsize length = name ? strnlen(name, STREAM_MAX + 1) : 0;

    if (length == 0 || length > STREAM_MAX || !g_ascii_islower(name[0]))
        return FALSE;
    for (gsize i = 0; i < length; i++)
        if (!g_ascii_islower(name[i]) && !g_ascii_isdigit(name[i]) && name[i] != '-')
            return FALSE;
    return TRUE;
}

gboolean tk_name_is_rendition(const char *stream)
{
    return strcmp(stream, TK_STREAM_LOW) == 0 || strcmp(stream, TK_STREAM_AUDIO) == 0;
}

gboolean tk_name_split_path(const char *path, char **ret_lesson, char **ret_stream, GError **error)
{
    g_autofree char *lesson = NULL;
    g_autofree char *stream = NULL;

    if (*path == '/')
        path++;
    gsize length = strcspn(path, "?");
    if (length > 0 && path[length - 1] == '/')
        length--;
    const char *slash = memchr(path, '/', length);
    gsize first = slash ? (gsize)(slash - path) : length;

    if (first <= LESSON_MAX)
        lesson = g_strndup(path, first);
    if (!slash)
        stream = g_strdup(TK_STREAM_MAIN);
    else if (length - first - 1 <= STREAM_MAX)
        stream = g_strndup(slash + 1, length - first - 1);

    if (!tk_name_lesson_valid(lesson)) {
        g_set_error_literal(
            error, TK_ERROR, TK_ERROR_INVALID,
            "not a lesson's name: 1 to 64 letters, digits, '.', '_' or '-', first a "
            "letter or digit, no '..'");
        return FALSE;
    }
    if (!tk_name_stream_valid(stream)) {
        g_set_error_literal(
            error, TK_ERROR, TK_ERROR_INVALID,
            "not a stream's name: 1 to 32 lower-case letters, digits or '-', first a "
            "letter");
        return FALSE;
    }
    *ret_lesson = g_steal_pointer(&lesson);
    *ret_stream = g_steal_pointer(&stream);
    return TRUE;
}

gboolean tk_name_matches(const char *rule, const char *name)
{
    g_auto(GStrv) words = g_strsplit_set(rule, " \t,", -1);
    for (char **word = words; *word; word++)
        if (**word && g_pattern_match_simple(*word, name))
            return TRUE;
    return FALSE;
}
