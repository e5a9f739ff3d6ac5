// SPDX-License-Identifier: MIT
#include "recorder/library/api.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "recorder/library/head.h"
#include "recorder/library/playback.h"
#include "recorder/library/recording.h"
#include "recorder/library/upload.h"

#include <string.h>

static ShelfReply *not_found(const char *what)
{
    g_autoptr(GError) error = g_error_new(TK_ERROR, TK_ERROR_NOT_FOUND, "there is no %s", what);
    return shelf_reply_error(error);
}

typedef struct {
    RecLesson *lesson;
    char *folder, *stream;
    guint64 media_bytes; // that the index speaks of
} Download;

static void download_free(void *data)
{
    Download *download = data;
    rec_lesson_free(download->lesson);
    g_free(download->folder);
    g_free(download->stream);
    g_free(download);
}

static void download_work(ShelfReply *reply)
{
    const Download *download = reply->work_data;
    const RecLesson *lesson = download->lesson;
    g_autoptr(GError) error = NULL;
    g_autofree char *path = rec_stream_path(download->folder, download->stream, "mp4");
    gboolean closed = lesson->state == REC_STATE_CLOSED;

    if (!shelf_reply_open(reply, path, 0, download->media_bytes, &error)) {
        shelf_reply_fail(reply, error);
        return;
    }
    if (closed)
        reply->head = shelf_head_load(download->folder, download->stream, reply->file_bytes);
    if (!reply->head)
        reply->head = shelf_head_make(download->folder, download->stream, download->media_bytes,
                                      closed, &error);
    if (!reply->head) {
        shelf_reply_fail(reply, error);
        return;
    }
    reply->ranges = TRUE;
    if (closed)
        reply->etag = g_strdup_printf("%s-%s-%" G_GUINT64_FORMAT, lesson->id, download->stream,
                                      shelf_reply_bytes(reply));
    reply->filename =
        g_strdup_printf("%s%s%s.mp4", lesson->info->title ? lesson->info->title : lesson->name,
                        strcmp(download->stream, TK_STREAM_MAIN) == 0 ? "" : "-",
                        strcmp(download->stream, TK_STREAM_MAIN) == 0 ? "" : download->stream);
}

// Takes the lesson.
static ShelfReply *download_get(const ShelfApi *api, RecLesson *lesson, const char *folder,
                                const char *stream)
{
    g_autoptr(GError) error = NULL;
    const ShelfTrack *track = shelf_replay_track(api->replay, folder, stream, &error);
    if (!track) {
        rec_lesson_free(lesson);
        return shelf_reply_error(error);
    }
    ShelfReply *reply = shelf_reply_new(200, "video/mp4", NULL);
    Download *download = g_new0(Download, 1);
    download->lesson = lesson;
    download->folder = g_strdup(folder);
    download->stream = g_strdup(stream);
    download->media_bytes = track->media_bytes;
    reply->work = download_work;
    reply->work_data = download;
    reply->work_free = download_free;
    return reply;
}

static ShelfReply *poster_get(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(folder, "poster.jpg", NULL);
    g_autoptr(ShelfReply) reply = shelf_reply_new(200, "image/jpeg", NULL);
    if (!shelf_reply_open(reply, path, 0, G_MAXUINT64, &error))
        return shelf_reply_error(error);
    return g_steal_pointer(&reply);
}

static gboolean is_get(const ShelfRequest *request)
{
    return strcmp(request->method, "GET") == 0;
}

static ShelfReply *not_allowed(void)
{
    g_autoptr(GError) error =
        g_error_new(TK_ERROR, TK_ERROR_UNSUPPORTED, "this method does not go with this address");
    ShelfReply *reply = shelf_reply_error(error);
    reply->status = 405;
    return reply;
}

// /api/v1/recordings/<id>
static ShelfReply *recording_handle(const ShelfApi *api, const ShelfRequest *request,
                                    RecLesson *lesson, const char *folder)
{
    g_autoptr(GError) error = NULL;
    gboolean get = is_get(request);

    if (!shelf_request_allowed(request, get ? TK_ROLE_VIEWER : TK_ROLE_ADMIN, lesson, &error))
        return shelf_reply_error(error);
    if (strcmp(request->method, "PATCH") == 0)
        return shelf_recording_patch(api, lesson, request->body);
    if (strcmp(request->method, "DELETE") == 0)
        return shelf_recording_delete(api, lesson, request);
    if (!get)
        return not_allowed();
    g_autoptr(json_t) object = shelf_recording_json(api, lesson, folder, NULL);
    return shelf_reply_text(200, "application/json", tk_json_dump(object));
}

// /api/v1/recordings/<id>/<stream>/<file>
static ShelfReply *stream_handle(const ShelfApi *api, RecLesson **lesson, const char *folder,
                                 const char *stream, const char *file)
{
    const RecStream *known =
        tk_name_stream_valid(stream) ? rec_lesson_stream(*lesson, stream, FALSE) : NULL;
    if (!known || !known->started)
        return not_found("such stream in this recording");
    if (strcmp(file, "download.mp4") == 0)
        return download_get(api, g_steal_pointer(lesson), folder, stream);
    return not_found("such file in this recording");
}

// /api/v1/recordings/<name>/playlist.m3u8: the lesson that runs in that room, or its last one.
static ShelfReply *room_handle(const ShelfApi *api, const ShelfRequest *request, const char *name)
{
    g_autoptr(GError) error = NULL;

    // Who has no token does not learn which rooms there are.
    if (!shelf_request_allowed(request, TK_ROLE_VIEWER, NULL, &error))
        return shelf_reply_error(error);
    g_autoptr(RecLesson) lesson = shelf_index_newest(api->index, name, &error);
    if (!lesson || !shelf_request_allowed(request, TK_ROLE_VIEWER, lesson, &error))
        return shelf_reply_error(error);
    return shelf_playback_redirect(api, lesson);
}

static ShelfReply *recordings_handle(const ShelfApi *api, const ShelfRequest *request,
                                     char *const *parts)
{
    g_autoptr(GError) error = NULL;
    guint count = g_strv_length((char **)parts);

    if (count == 0)
        return is_get(request) ? shelf_recording_list(api, request) : not_allowed();
    gboolean asks = count == 2 && strcmp(parts[1], "missing") == 0;
    gboolean post = strcmp(request->method, "POST") == 0;
    gboolean room = count == 2 && tk_name_lesson_valid(parts[0]) && !tk_ulid_valid(parts[0]);
    if (room && is_get(request) && strcmp(parts[1], "playlist.m3u8") == 0)
        return room_handle(api, request, parts[0]);
    if (count > 4 || !tk_ulid_valid(parts[0]))
        return not_found("recording of this id");
    g_autoptr(RecLesson) lesson = shelf_index_get(api->index, parts[0], &error);
    if (asks && post)
        return shelf_upload_missing(api, request, parts[0], lesson);
    if (!lesson) {
        // Who has no token does not learn which recordings there are.
        g_autoptr(GError) refused = NULL;
        if (!shelf_request_allowed(request, TK_ROLE_VIEWER, NULL, &refused))
            return shelf_reply_error(refused);
        return shelf_reply_error(error);
    }
    g_autofree char *folder = rec_folder_path(api->data, lesson->id);
    if (count == 1)
        return recording_handle(api, request, lesson, folder);
    if (count == 2 && post && strcmp(parts[1], "heal") == 0)
        return shelf_upload_heal(api, request, lesson);
    if (count == 4 && strcmp(request->method, "PATCH") == 0 && strcmp(parts[1], "missing") == 0)
        return shelf_upload_append(api, request, lesson, parts[2], parts[3]);
    if (count == 4)
        return not_found("such file in this recording");
    if (!is_get(request))
        return not_allowed();
    if (!shelf_request_allowed(request, TK_ROLE_VIEWER, lesson, &error))
        return shelf_reply_error(error);
    if (count == 2 && strcmp(parts[1], "playlist.m3u8") == 0)
        return shelf_playback_redirect(api, lesson);
    if (count == 2)
        return strcmp(parts[1], "poster.jpg") == 0 ? poster_get(folder)
                                                   : not_found("such file in this recording");
    return stream_handle(api, &lesson, folder, parts[1], parts[2]);
}

static ShelfReply *ready_get(const ShelfApi *api)
{
    const char *missing = api->not_ready(api->user);
    return missing ? shelf_reply_text(503, "text/plain; charset=utf-8",
                                      g_strconcat(missing, "\n", NULL))
                   : shelf_reply_text(200, "text/plain; charset=utf-8", g_strdup("ok\n"));
}

static ShelfReply *metrics_get(const ShelfApi *api, const ShelfRequest *request)
{
    g_autoptr(GError) error = NULL;
    if (!request->loopback && !shelf_request_allowed(request, TK_ROLE_ADMIN, NULL, &error))
        return shelf_reply_error(error);
    GString *text = g_string_new(NULL);
    api->metrics(api->user, text);
    return shelf_reply_text(200, "text/plain; version=0.0.4; charset=utf-8",
                            g_string_free(text, FALSE));
}

// For those who can do something about them.
static ShelfReply *alarms_get(const ShelfApi *api, const ShelfRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) object = json_object();

    if (!shelf_request_allowed(request, TK_ROLE_SENDER, NULL, &error))
        return shelf_reply_error(error);
    json_object_set_new(object, "alarms", api->alarms(api->user, request->claims));
    return shelf_reply_text(200, "application/json", tk_json_dump(object));
}

ShelfReply *shelf_api_handle(const ShelfApi *api, const ShelfRequest *request)
{
    static const char prefix[] = "/api/v1/recordings";
    const char *path = request->path;

    if (g_str_has_prefix(path, prefix)) {
        const char *rest = path + strlen(prefix);
        g_auto(GStrv) parts = NULL;
        if (*rest != '\0' && *rest != '/')
            return not_found("such address");
        parts = *rest && rest[1] ? g_strsplit(rest + 1, "/", 5) : g_new0(char *, 1);
        return recordings_handle(api, request, parts);
    }
    if (g_str_has_prefix(path, "/hls/")) {
        g_auto(GStrv) parts = g_strsplit(path + strlen("/hls/"), "/", 5);
        return is_get(request) ? shelf_playback_handle(api, request, parts) : not_allowed();
    }
    if (is_get(request)) {
        if (strcmp(path, "/healthz") == 0)
            return shelf_reply_text(200, "text/plain; charset=utf-8", g_strdup("ok\n"));
        if (strcmp(path, "/readyz") == 0)
            return ready_get(api);
        if (strcmp(path, "/metrics") == 0)
            return metrics_get(api, request);
        if (strcmp(path, "/api/v1/alarms") == 0)
            return alarms_get(api, request);
    }
    return not_found("such address");
}
