// SPDX-License-Identifier: MIT
#include "common/base/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"

// jansson stops at 2048 levels only, so depth is measured before it sees the text.
static gboolean too_deep(const char *text, gsize length)
{
    gboolean in_string = FALSE;
    int depth = 0;

    for (gsize i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = FALSE;
        } else if (c == '"') {
            in_string = TRUE;
        } else if (c == '[' || c == '{') {
            if (++depth > TK_JSON_DEPTH_MAX)
                return TRUE;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return FALSE;
}

json_t *tk_json_parse(const char *text, gsize length, gsize max_bytes, GError **error)
{
    json_error_t why;

    if (length > max_bytes) {
        g_set_error(error, TK_ERROR, TK_ERROR_TOO_LARGE,
                    "JSON of %" G_GSIZE_FORMAT " bytes; at most %" G_GSIZE_FORMAT " are taken",
                    length, max_bytes);
        return NULL;
    }
    if (too_deep(text, length)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "JSON nested deeper than %d",
                    TK_JSON_DEPTH_MAX);
        return NULL;
    }
    json_t *value =
        json_loadb(text ? text : "", length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value) {
        // jansson's own text quotes the input; where the fault is suffices.
        const char *what = "not JSON";
        if (json_error_code(&why) == json_error_duplicate_key)
            what = "JSON with a member twice";
        else if (json_error_code(&why) == json_error_invalid_utf8)
            what = "JSON that is not UTF-8";
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s (line %d, column %d)", what, why.line,
                    why.column);
    }
    return value;
}

char *tk_json_dump(const json_t *value)
{
    // 12 digits: a double's noise stays out, microseconds in a day stay in.
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));

    if (!text)
        g_error("a JSON value cannot be written");
    char *copy = g_strdup(text);
    free(text);
    return copy;
}

const char *tk_json_string(const json_t *object, const char *key, const char *fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_string(value) ? json_string_value(value) : fallback;
}

gint64 tk_json_int(const json_t *object, const char *key, gint64 fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_integer(value) ? (gint64)json_integer_value(value) : fallback;
}

double tk_json_real(const json_t *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : fallback;
}

gboolean tk_json_bool(const json_t *object, const char *key, gboolean fallback)
{
    const json_t *value = json_object_get(object, key);

    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static void set_new(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        g_error("JSON member %s cannot be set", key);
}

void tk_json_set_string(json_t *object, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    g_autofree char *valid = g_utf8_make_valid(value, -1);
    set_new(object, key, json_string(valid));
}

void tk_json_set_int(json_t *object, const char *key, gint64 value)
{
    set_new(object, key, json_integer(value));
}

void tk_json_set_time(json_t *object, const char *key, gint64 wall_ns)
{
    if (wall_ns == 0) {
        set_new(object, key, json_null());
        return;
    }
    g_autofree char *text = tk_clock_format_rfc3339(wall_ns);
    set_new(object, key, json_string(text));
}

static const char *status_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {429, "Too Many Requests"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Internal Server Error";
}

json_t *tk_json_problem(const GError *error)
{
    unsigned status = tk_error_http_status(error);
    TkErrorCode code =
        error && error->domain == TK_ERROR ? (TkErrorCode)error->code : TK_ERROR_INTERNAL;
    json_t *problem = json_object();

    tk_json_set_string(problem, "type", "about:blank");
    tk_json_set_string(problem, "title", status_title(status));
    tk_json_set_int(problem, "status", status);
    tk_json_set_string(problem, "code", tk_error_word(code));
    tk_json_set_string(problem, "detail", error ? error->message : NULL);
    return problem;
}
