// SPDX-License-Identifier: MIT
#include "common/base/lesson_info.h"

#include <string.h>

#include "common/base/config.h"
#include "common/base/error.h"

#define FIELD_NAMES                                                                                \
    X(title)                                                                                       \
    X(stage) X(subject) X(grade) X(edition) X(volume) X(unit) X(type) X(teacher) X(school)         \
        X(alliance) X(room) X(description)

#define X(name) #name,
static const char *const names[] = {FIELD_NAMES NULL};
#undef X

#define X(name) G_STRUCT_OFFSET(TkLessonInfo, name),
static const gsize offsets[] = {FIELD_NAMES};
#undef X

#define X(name)                                                                                    \
    {"lesson", #name, TK_CONFIG_STRING, "", 0, TK_LESSON_INFO_MAX, NULL, "The lesson's " #name "."},
static const TkConfigField schema[] = {FIELD_NAMES{NULL}};
#undef X

#define N_FIELDS G_N_ELEMENTS(offsets)

static char **slot(TkLessonInfo *info, gsize i)
{
    return (char **)((char *)info + offsets[i]);
}

static const char *value_at(const TkLessonInfo *info, gsize i)
{
    return *slot((TkLessonInfo *)info, i);
}

static gboolean find(const char *field, gsize *ret_index)
{
    for (gsize i = 0; i < N_FIELDS; i++) {
        if (g_str_equal(names[i], field)) {
            *ret_index = i;
            return TRUE;
        }
    }
    return FALSE;
}

TkLessonInfo *tk_lesson_info_new(void)
{
    return g_new0(TkLessonInfo, 1);
}

static void clear(TkLessonInfo *info)
{
    for (gsize i = 0; i < N_FIELDS; i++)
        g_clear_pointer(slot(info, i), g_free);
}

void tk_lesson_info_free(TkLessonInfo *info)
{
    if (!info)
        return;
    clear(info);
    g_free(info);
}

TkLessonInfo *tk_lesson_info_copy(const TkLessonInfo *info)
{
    TkLessonInfo *copy = tk_lesson_info_new();

    for (gsize i = 0; i < N_FIELDS; i++)
        *slot(copy, i) = g_strdup(value_at(info, i));
    return copy;
}

gboolean tk_lesson_info_equal(const TkLessonInfo *a, const TkLessonInfo *b)
{
    for (gsize i = 0; i < N_FIELDS; i++)
        if (g_strcmp0(value_at(a, i), value_at(b, i)) != 0)
            return FALSE;
    return TRUE;
}

const char *const *tk_lesson_info_fields(void)
{
    return names;
}

const char *tk_lesson_info_get(const TkLessonInfo *info, const char *field)
{
    gsize i;

    return find(field, &i) ? value_at(info, i) : NULL;
}

static gboolean check_text(const char *field, const char *value, GError **error)
{
    if (strnlen(value, TK_LESSON_INFO_MAX + 1) > TK_LESSON_INFO_MAX) {
        g_set_error(error, TK_ERROR, TK_ERROR_TOO_LARGE, "%s: longer than %d bytes", field,
                    TK_LESSON_INFO_MAX);
        return FALSE;
    }
    if (!g_utf8_validate(value, -1, NULL)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s: not UTF-8 text", field);
        return FALSE;
    }
    for (const char *p = value; *p; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        // Separators of lines and paragraphs break a line as control characters do.
        if (g_unichar_iscntrl(c) || c == 0x2028 || c == 0x2029) {
            g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                        "%s: line breaks and control characters are not allowed", field);
            return FALSE;
        }
    }
    return TRUE;
}

gboolean tk_lesson_info_set(TkLessonInfo *info, const char *field, const char *value,
                            GError **error)
{
    gsize i;

    if (!find(field, &i)) {
        g_autofree char *known = g_strjoinv(", ", (char **)names);
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "not a field of a lesson's record; the fields are %s", known);
        return FALSE;
    }
    if (value && !check_text(field, value, error))
        return FALSE;
    // First the copy: `value` may be what stands there now.
    char *copy = value && *value ? g_strdup(value) : NULL;
    g_free(*slot(info, i));
    *slot(info, i) = copy;
    return TRUE;
}

json_t *tk_lesson_info_to_json(const TkLessonInfo *info)
{
    json_t *object = json_object();

    for (gsize i = 0; i < N_FIELDS; i++)
        tk_json_set_string(object, names[i], value_at(info, i));
    return object;
}

gboolean tk_lesson_info_merge_json(TkLessonInfo *info, const json_t *object, gboolean strict,
                                   GError **error)
{
    g_autoptr(TkLessonInfo) merged = tk_lesson_info_copy(info);
    const char *key;
    json_t *value;
    gsize i;

    if (!json_is_object(object)) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID,
                            "a lesson's record is a JSON object");
        return FALSE;
    }
    json_object_foreach((json_t *)object, key, value)
    {
        if (!strict && !find(key, &i))
            continue;
        if (!json_is_string(value) && !json_is_null(value)) {
            g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s: must be a text or null",
                        find(key, &i) ? key : "a member");
            return FALSE;
        }
        if (!tk_lesson_info_set(merged, key, json_string_value(value), error))
            return FALSE;
    }
    TkLessonInfo old = *info;
    *info = *merged;
    *merged = old;
    return TRUE;
}

gboolean tk_lesson_info_load(TkLessonInfo *info, const char *path, GError **error)
{
    g_autoptr(TkConfig) config = tk_config_new(schema);
    g_autoptr(TkLessonInfo) merged = tk_lesson_info_copy(info);

    if (!tk_config_load(config, path, error))
        return FALSE;
    for (gsize i = 0; i < N_FIELDS; i++) {
        const char *value = tk_config_string(config, "lesson", names[i]);
        g_autoptr(GError) why = NULL;
        if (*value && !tk_lesson_info_set(merged, names[i], value, &why)) {
            g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "%s: %s", path, why->message);
            return FALSE;
        }
    }
    TkLessonInfo old = *info;
    *info = *merged;
    *merged = old;
    return TRUE;
}
