// SPDX-License-Identifier: MIT
#include <string.h>

#include "client/ctl/command.h"
#include "client/ctl/http.h"
#include "client/ctl/print.h"
#include "client/ctl/record.h"
#include "common/base/error.h"

static void add_row(CtlTable *table, const json_t *recording)
{
    const json_t *info = json_object_get(recording, "info");
    g_autofree char *duration = ctl_duration(tk_json_real(recording, "duration_s", -1));
    const char *const cells[] = {
        tk_json_string(recording, "id", NULL),
        tk_json_string(recording, "started", NULL),
        duration,
        tk_json_string(recording, "state", NULL),
        tk_json_string(info, "subject", NULL),
        tk_json_string(info, "grade", NULL),
        tk_json_string(info, "title", NULL),
        tk_json_string(info, "teacher", NULL),
    };

    ctl_table_add(table, cells);
}

static void print_list(const json_t *answer)
{
    static const char *const headings[] = {"ID",    "STARTED", "LENGTH",  "STATE", "SUBJECT",
                                           "GRADE", "TITLE",   "TEACHER", NULL};
    const json_t *recordings = json_object_get(answer, "recordings");
    gsize shown = json_array_size(recordings);
    g_autofree char *text = ctl_table_of(recordings, headings, add_row);

    if (text)
        printf("%s", text);
    printf("%" G_GSIZE_FORMAT " of %" G_GINT64_FORMAT " recordings\n", shown,
           tk_json_int(answer, "total", (gint64)shown));
}

static void add_query(GString *path, const char *name, const char *value)
{
    if (!value)
        return;
    g_string_append_printf(path, "%c%s=", strchr(path->str, '?') ? '&' : '?', name);
    g_string_append_uri_escaped(path, value, NULL, FALSE);
}

static gboolean list(const CtlOptions *options, const char *words, GError **error)
{
    g_autoptr(GString) path = g_string_new("/api/v1/recordings");

    add_query(path, "q", words);
    add_query(path, "subject", options->subject);
    add_query(path, "grade", options->grade);
    add_query(path, "teacher", options->teacher);
    add_query(path, "school", options->school);
    add_query(path, "from", options->from);
    add_query(path, "to", options->to);
    add_query(path, "limit", options->limit);
    g_autoptr(json_t) answer = ctl_http(options, CTL_LIBRARY, "GET", path->str, NULL, error);
    if (!answer)
        return FALSE;
    if (options->json)
        ctl_record_print(answer, TRUE);
    else
        print_list(answer);
    return TRUE;
}

gboolean ctl_recording_list(const CtlOptions *options, GError **error)
{
    return list(options, NULL, error);
}

gboolean ctl_recording_search(const CtlOptions *options, GError **error)
{
    g_autofree char *words = g_strjoinv(" ", options->words);

    return list(options, words, error);
}

static json_t *request(const CtlOptions *options, const char *method, const char *tail,
                       const json_t *body, GError **error)
{
    g_autofree char *path = ctl_record_path("recordings", options->words[0], tail, error);

    return path ? ctl_http(options, CTL_LIBRARY, method, path, body, error) : NULL;
}

gboolean ctl_recording_show(const CtlOptions *options, GError **error)
{
    g_autoptr(json_t) answer = request(options, "GET", "", NULL, error);

    if (!answer)
        return FALSE;
    ctl_record_print(answer, options->json);
    return TRUE;
}

gboolean ctl_recording_edit(const CtlOptions *options, GError **error)
{
    g_autoptr(json_t) patch = ctl_record_patch(options->words + 1, TRUE, error);
    g_autoptr(json_t) answer = patch ? request(options, "PATCH", "", patch, error) : NULL;

    if (!answer)
        return FALSE;
    ctl_record_print(answer, options->json);
    return TRUE;
}

gboolean ctl_recording_delete(const CtlOptions *options, GError **error)
{
    g_autoptr(GString) tail = g_string_new(NULL);

    if (!options->reason || !*options->reason) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID,
                            "--reason TEXT is needed: it is kept, the recording is not");
        return FALSE;
    }
    // Asked first in any case: who deletes sees what it was.
    g_autoptr(json_t) recording = request(options, "GET", "", NULL, error);
    if (!recording)
        return FALSE;
    const char *id = tk_json_string(recording, "id", options->words[0]);
    g_autofree char *title =
        ctl_clean(tk_json_string(json_object_get(recording, "info"), "title", NULL));
    if (options->dry_run) {
        printf("would delete %s (%s)\n", id, title);
        return TRUE;
    }
    add_query(tail, "reason", options->reason);
    g_autoptr(json_t) answer = request(options, "DELETE", tail->str, NULL, error);
    if (!answer)
        return FALSE;
    printf("deleted %s (%s)\n", id, title);
    return TRUE;
}
