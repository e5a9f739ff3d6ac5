// SPDX-License-Identifier: MIT
#include "relay/net/api.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "relay/net/school_report.h"

#define BODY_BYTES_MAX 65536

static RelayWebResponse json_response(guint status, json_t *object)
{
    RelayWebResponse response = {status, "application/json", tk_json_dump(object)};
    json_decref(object);
    return response;
}

static RelayWebResponse problem(const GError *error)
{
    RelayWebResponse response = json_response(tk_error_http_status(error), tk_json_problem(error));
    response.content_type = "application/problem+json";
    return response;
}

static RelayWebResponse fail(TkErrorCode code, const char *message)
{
    g_autoptr(GError) error = g_error_new_literal(TK_ERROR, code, message);
    return problem(error);
}

static RelayWebResponse wrong_method(const char *message)
{
    RelayWebResponse response = fail(TK_ERROR_UNSUPPORTED, message);
    response.status = 405;
    return response;
}

static RelayWebResponse text(guint status, char *body)
{
    return (RelayWebResponse){status, "text/plain; charset=utf-8", body};
}

static RelayWebResponse show_relay(const RelayApi *api)
{
    guint viewers, lessons = relay_lessons_running(api->lessons, &viewers);
    json_t *object = json_object();
    tk_json_set_string(object, "name", api->name);
    tk_json_set_string(object, "version", TONGKE_VERSION);
    tk_json_set_time(object, "started", api->started_wall_ns);
    tk_json_set_time(object, "now", tk_clock_wall_ns());
    json_object_set_new(object, "auth", json_boolean(!relay_door_is_open(api->door)));
    json_object_set_new(object, "library", *api->library ? json_string(api->library) : json_null());
    tk_json_set_int(object, "rtsp_port", api->rtsp_port);
    json_object_set_new(object, "upstreams", relay_mirror_upstreams(api->mirror));
    tk_json_set_int(object, "lessons", lessons);
    tk_json_set_int(object, "viewers", viewers);
    return json_response(200, object);
}

static RelayWebResponse edit(const RelayApi *api, RelayLesson *lesson,
                             const RelayWebRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) info =
        tk_json_parse(request->body, request->body_bytes, BODY_BYTES_MAX, &error);
    if (!info || !relay_lessons_edit(api->lessons, lesson, info, &error))
        return problem(error);
    return json_response(200, relay_lesson_to_json(lesson));
}

// "/api/v1/lessons/<word>" and "…/end".
static RelayWebResponse one_lesson(const RelayApi *api, const RelayWebRequest *request,
                                   const char *rest)
{
    g_auto(GStrv) parts = g_strsplit(rest, "/", 3);
    gboolean end = g_strcmp0(parts[1], "end") == 0 && !parts[2];
    if (parts[1] && !end)
        return fail(TK_ERROR_NOT_FOUND, "there is nothing at this path");
    gboolean read = !end && g_str_equal(request->method, "GET");
    gboolean change = !end && g_str_equal(request->method, "PATCH");
    if (!read && !change && !(end && g_str_equal(request->method, "POST")))
        return wrong_method(end ? "use POST" : "use GET or PATCH");

    g_autoptr(GError) error = NULL;
    RelayLesson *lesson = relay_lessons_find(api->lessons, parts[0]);
    if (!relay_door_admit(api->door, request->token, read ? TK_ROLE_VIEWER : TK_ROLE_SENDER,
                          lesson ? lesson->name : parts[0], lesson ? lesson->id : NULL, NULL,
                          &error))
        return problem(error);
    if (!lesson)
        return fail(TK_ERROR_NOT_FOUND, "no such lesson runs here or ended a short while ago");
    if (change)
        return edit(api, lesson, request);
    if (end && !relay_lessons_end(api->lessons, lesson, &error))
        return problem(error);
    return json_response(200, relay_lesson_to_json(lesson));
}

static RelayWebResponse list_lessons(const RelayApi *api, const RelayWebRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TkClaims) claims = NULL;
    if (!relay_door_admit(api->door, request->token, TK_ROLE_VIEWER, NULL, NULL, &claims, &error))
        return problem(error);
    return json_response(200, relay_lessons_list(api->lessons, claims));
}

static RelayWebResponse list_schools(const RelayApi *api, const RelayWebRequest *request)
{
    g_autoptr(GError) error = NULL;
    if (!relay_door_admit(api->door, request->token, TK_ROLE_ADMIN, NULL, NULL, NULL, &error))
        return problem(error);
    return json_response(200, relay_school_report_json(api->schools, tk_clock_monotonic_ns()));
}

static RelayWebResponse show_metrics(const RelayApi *api, const RelayWebRequest *request)
{
    g_autoptr(GError) error = NULL;
    if (!request->local &&
        !relay_door_admit(api->door, request->token, TK_ROLE_ADMIN, NULL, NULL, NULL, &error))
        return problem(error);
    return (RelayWebResponse){200, "text/plain; version=0.0.4; charset=utf-8",
                              api->metrics(api->user)};
}

RelayWebResponse relay_api_answer(const RelayApi *api, const RelayWebRequest *request)
{
    const char *path = request->path;
    static const char lesson_prefix[] = "/api/v1/lessons/";
    if (request->foreign)
        return fail(TK_ERROR_FORBIDDEN, "without a key this relay answers pages of its own only");
    if (g_str_has_prefix(path, lesson_prefix) && path[strlen(lesson_prefix)])
        return one_lesson(api, request, path + strlen(lesson_prefix));
    if (!g_str_equal(request->method, "GET"))
        return wrong_method("use GET");
    if (g_str_equal(path, "/api/v1/lessons"))
        return list_lessons(api, request);
    if (g_str_equal(path, "/api/v1/schools"))
        return list_schools(api, request);
    if (g_str_equal(path, "/api/v1/relay"))
        return show_relay(api);
    if (g_str_equal(path, "/healthz") || g_str_equal(path, "/readyz"))
        return text(200, g_strdup("ok\n"));
    if (g_str_equal(path, "/metrics"))
        return show_metrics(api, request);
    if (g_str_equal(path, "/api/v1/events"))
        return fail(TK_ERROR_INVALID, "this is a WebSocket: connect with ws://");
    return fail(TK_ERROR_NOT_FOUND, "there is nothing at this path");
}

char *relay_api_snapshot(const RelayApi *api, const TkClaims *claims)
{
    g_autoptr(json_t) list = relay_lessons_list(api->lessons, claims);
    json_t *object = json_object();
    tk_json_set_string(object, "type", "snapshot");
    json_object_set_new(object, "relay", relay_mirror_identity(api->mirror));
    json_object_update(object, list);
    char *snapshot = tk_json_dump(object);
    json_decref(object);
    return snapshot;
}
