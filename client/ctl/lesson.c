// SPDX-License-Identifier: MIT
#include "client/ctl/command.h"
#include "client/ctl/http.h"
#include "client/ctl/print.h"
#include "client/ctl/record.h"

static void add_row(CtlTable *table, const json_t *lesson)
{
    const json_t *info = json_object_get(lesson, "info");
    const json_t *viewers = json_object_get(lesson, "viewers");
    g_autofree char *watching = g_strdup_printf(
        "%" G_GINT64_FORMAT, tk_json_int(viewers, "rtp", 0) + tk_json_int(viewers, "ws", 0));
    const char *const cells[] = {
        tk_json_string(lesson, "name", NULL),    tk_json_string(lesson, "state", NULL),
        tk_json_string(lesson, "started", NULL), watching,
        tk_json_string(info, "subject", NULL),   tk_json_string(info, "title", NULL),
        tk_json_string(info, "teacher", NULL),   tk_json_string(info, "school", NULL),
    };

    ctl_table_add(table, cells);
}

gboolean ctl_lesson_list(const CtlOptions *options, GError **error)
{
    static const char *const headings[] = {"NAME",  "STATE",   "STARTED", "VIEWERS", "SUBJECT",
                                           "TITLE", "TEACHER", "SCHOOL",  NULL};
    g_autoptr(json_t) answer = ctl_http(options, CTL_RELAY, "GET", "/api/v1/lessons", NULL, error);

    if (!answer)
        return FALSE;
    if (options->json) {
        ctl_record_print(answer, TRUE);
        return TRUE;
    }
    g_autofree char *text = ctl_table_of(json_object_get(answer, "lessons"), headings, add_row);
    printf("%s", text ? text : "no lesson is running\n");
    return TRUE;
}

static gboolean request(const CtlOptions *options, const char *method, const char *tail,
                        const json_t *body, GError **error)
{
    g_autofree char *path = ctl_record_path("lessons", options->words[0], tail, error);
    g_autoptr(json_t) answer =
        path ? ctl_http(options, CTL_RELAY, method, path, body, error) : NULL;

    if (!answer)
        return FALSE;
    ctl_record_print(answer, options->json);
    return TRUE;
}

gboolean ctl_lesson_show(const CtlOptions *options, GError **error)
{
    return request(options, "GET", "", NULL, error);
}

gboolean ctl_lesson_edit(const CtlOptions *options, GError **error)
{
    g_autoptr(json_t) patch = ctl_record_patch(options->words + 1, FALSE, error);

    return patch && request(options, "PATCH", "", patch, error);
}

gboolean ctl_lesson_end(const CtlOptions *options, GError **error)
{
    return request(options, "POST", "/end", NULL, error);
}
