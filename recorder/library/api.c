// SPDX-License-Identifier: MIT
#include "recorder/library/api.h"

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "recorder/library/head.h"
#include "recorder/library/recording.h"
#include "recorder/library/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ShelfReply *not_found(const char *what)
{
    g_autoptr(GError) error = g_error_new(TK_ERROR, TK_ERROR_NOT_FOUND, "there is no %s", what);
    return shelf_reply_error(error);
}

static gboolean file_open(ShelfReply *reply, const char *path, guint64 bytes, GError **error)
{
    struct stat info;
    reply->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (reply->fd < 0 || fstat(reply->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        g_set_error(error, TK_ERROR, errno == ENOENT ? TK_ERROR_NOT_FOUND : TK_ERROR_IO,
                    "cannot read the recording: %s", g_strerror(errno));
        return FALSE;
    }
    reply->file_bytes = MIN(bytes, (guint64)info.st_size);
    return TRUE;
}

static ShelfReply *playlist_get(const ShelfApi *api, const RecLesson *lesson, const char *folder,
                                const char *stream, const ShelfRequest *request)
{
    g_autoptr(GError) error = NULL;
    const ShelfTrack *track = shelf_replay_track(api->replay, folder, stream, &error);
    g_autofree char *token =
        request->query_token ? g_uri_escape_string(request->query_token, NULL, FALSE) : NULL;

    if (!track)
        return shelf_reply_error(error);
    // Healing makes a closed recording longer: what caches hold of it goes by its length.
    g_autofree char *length = lesson->state == REC_STATE_CLOSED
                                  ? g_strdup_printf("?v=%" G_GUINT64_FORMAT, track->media_bytes)
                                  : g_strdup("");
    g_autofree char *query = token
                                 ? g_strconcat(length, *length ? "&token=" : "?token=", token, NULL)
                                 : g_steal_pointer(&length);
    return shelf_reply_text(200, "application/vnd.apple.mpegurl",
                            shelf_playlist_text(track->playlist, lesson->started_ns,
                                                lesson->state == REC_STATE_CLOSED, query));
}

static void media_label(ShelfReply *reply, const RecLesson *lesson, const char *stream,
                        const char *form)
{
    reply->ranges = TRUE;
    reply->immutable = lesson->state == REC_STATE_CLOSED;
    if (reply->immutable)
        reply->etag = g_strdup_printf("%s-%s-%s-%" G_GUINT64_FORMAT, lesson->id, stream, form,
                                      shelf_reply_bytes(reply));
}

static ShelfReply *media_get(const ShelfApi *api, const RecLesson *lesson, const char *folder,
                             const char *stream, const ShelfRequest *request)
{
    const char *length = g_hash_table_lookup(request->query, "v");
    g_autoptr(GError) error = NULL;
    g_autofree char *path = rec_stream_path(folder, stream, "mp4");
    const ShelfTrack *track = shelf_replay_track(api->replay, folder, stream, &error);
    g_autoptr(ShelfReply) reply = shelf_reply_new(200, "video/mp4", NULL);

    if (!track || !file_open(reply, path, track->media_bytes, &error))
        return shelf_reply_error(error);
    media_label(reply, lesson, stream, "m");
    g_autofree char *now = g_strdup_printf("%" G_GUINT64_FORMAT, reply->file_bytes);
    if (length && lesson->state == REC_STATE_CLOSED && strcmp(length, now) != 0)
        return not_found("such state of the recording any more: it has been healed; load it anew");
    reply->immutable &= length != NULL;
    return g_steal_pointer(&reply);
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

    if (!file_open(reply, path, download->media_bytes, &error)) {
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
    media_label(reply, lesson, download->stream, "d");
    // Its front part changes when the sender comes back and the recording goes on.
    reply->immutable = FALSE;
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
    if (!file_open(reply, path, G_MAXUINT64, &error))
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
    g_autoptr(json_t) object = shelf_recording_json(lesson, folder, NULL);
    return shelf_reply_text(200, "application/json", tk_json_dump(object));
}

// /api/v1/recordings/<id>/<stream>/<file>
static ShelfReply *stream_handle(const ShelfApi *api, const ShelfRequest *request,
                                 RecLesson **lesson, const char *folder, const char *stream,
                                 const char *file)
{
    const RecStream *known =
        tk_name_stream_valid(stream) ? rec_lesson_stream(*lesson, stream, FALSE) : NULL;
    if (!known || !known->started)
        return not_found("such stream in this recording");
    if (strcmp(file, "playlist.m3u8") == 0)
        return playlist_get(api, *lesson, folder, stream, request);
    if (strcmp(file, "media.mp4") == 0)
        return media_get(api, *lesson, folder, stream, request);
    if (strcmp(file, "download.mp4") == 0)
        return download_get(api, g_steal_pointer(lesson), folder, stream);
    return not_found("such file in this recording");
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
    if (count == 2)
        return strcmp(parts[1], "poster.jpg") == 0 ? poster_get(folder)
                                                   : not_found("such file in this recording");
    return stream_handle(api, request, &lesson, folder, parts[1], parts[2]);
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
    if (is_get(request)) {
        if (strcmp(path, "/healthz") == 0)
            return shelf_reply_text(200, "text/plain; charset=utf-8", g_strdup("ok\n"));
        if (strcmp(path, "/readyz") == 0)
            return ready_get(api);
        if (strcmp(path, "/metrics") == 0)
            return metrics_get(api, request);
    }
    return not_found("such address");
}
