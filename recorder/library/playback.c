// SPDX-License-Identifier: MIT
#include "recorder/library/playback.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#include <string.h>

static ShelfReply *not_found(const char *what)
{
    g_autoptr(GError) error = g_error_new(TK_ERROR, TK_ERROR_NOT_FOUND, "%s", what);
    return shelf_reply_error(error);
}

static gint64 now_s(void)
{
    return tk_clock_wall_ns() / TK_NS_PER_S;
}

char *shelf_playback_address(const ShelfApi *api, const RecLesson *lesson, const char *stream)
{
    g_autofree char *grant = shelf_grant_make(api->grants, lesson->id, now_s());
    return g_strdup_printf("/hls/%s/%s/%s%splaylist.m3u8", grant, lesson->id, stream ? stream : "",
                           stream ? "/" : "");
}

ShelfReply *shelf_playback_redirect(const ShelfApi *api, const RecLesson *lesson)
{
    ShelfReply *reply = shelf_reply_new(302, NULL, NULL);
    reply->location = shelf_playback_address(api, lesson, NULL);
    return reply;
}

static gboolean closed(const RecLesson *lesson)
{
    return lesson->state == REC_STATE_CLOSED;
}

// `text` is taken.
static ShelfReply *playlist_reply(const RecLesson *lesson, gint64 left_s, char *text)
{
    ShelfReply *reply = shelf_reply_text(200, "application/vnd.apple.mpegurl", text);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    reply->etag = g_strndup(sum, 16);
    reply->max_age_s =
        MIN(left_s, closed(lesson) ? SHELF_PLAYLIST_CLOSED_AGE_S : SHELF_PLAYLIST_AGE_S);
    reply->stale_s = SHELF_PLAYLIST_STALE_S;
    return reply;
}

// A list without segments is an error to most players, so there is none yet.
static ShelfReply *not_yet(void)
{
    return not_found("there is nothing to play of this lesson yet; ask again in some seconds");
}

// Of the teacher's picture, or of whatever there is without one; other pictures have theirs in
// `streams`.
static ShelfReply *multivariant_get(const ShelfApi *api, RecLesson *lesson, const char *folder,
                                    gint64 left_s)
{
    const RecStream *stream = rec_lesson_stream(lesson, TK_STREAM_MAIN, FALSE);
    const ShelfTrack *track = NULL;

    for (guint i = 0; !(stream && stream->started) && i < lesson->streams->len; i++)
        stream = lesson->streams->pdata[i];
    if (stream && stream->started)
        track = shelf_replay_track(api->replay, folder, stream->name, NULL);
    if (!track || !shelf_playlist_filled(track->playlist, closed(lesson)))
        return not_yet();
    return playlist_reply(lesson, left_s,
                          shelf_multivariant_text(track->playlist, closed(lesson), stream->name,
                                                  stream->mime, stream->width, stream->height));
}

static ShelfReply *playlist_get(const ShelfApi *api, const ShelfRequest *request,
                                const RecLesson *lesson, const ShelfTrack *track, gint64 left_s)
{
    // "YES" and "v2" (RFC 8216bis section 6.2.5.1); we have no date ranges to tell apart.
    gboolean delta = g_hash_table_contains(request->query, "_HLS_skip");
    if (!shelf_playlist_filled(track->playlist, closed(lesson)))
        return not_yet();
    return playlist_reply(
        lesson, left_s,
        shelf_playlist_text(track->playlist, lesson->started_ns, closed(lesson), delta));
}

static ShelfReply *segment_get(const RecLesson *lesson, const char *folder, const char *stream,
                               const char *name, const ShelfTrack *track, gint64 left_s)
{
    g_autofree char *path = rec_stream_path(folder, stream, "mp4");
    g_autoptr(GError) error = NULL;
    guint64 offset, bytes;

    if (!shelf_playlist_find(track->playlist, closed(lesson), name, &offset, &bytes))
        return not_found("there is no such part of the lesson (any more): load the playlist anew");
    g_autoptr(ShelfReply) reply = shelf_reply_new(200, "video/mp4", NULL);
    if (!shelf_reply_open(reply, path, offset, bytes, &error))
        return shelf_reply_error(error);
    if (reply->file_bytes < bytes)
        return not_found("this part of the lesson cannot be read");
    reply->ranges = reply->immutable = TRUE;
    reply->max_age_s = MIN(left_s, SHELF_SEGMENT_AGE_S);
    reply->etag = g_strdup(name);
    return g_steal_pointer(&reply);
}

static ShelfReply *lesson_handle(const ShelfApi *api, const ShelfRequest *request,
                                 RecLesson *lesson, char *const *parts, gint64 left_s)
{
    g_autofree char *folder = rec_folder_path(api->data, lesson->id);
    g_autoptr(GError) error = NULL;
    guint count = g_strv_length((char **)parts);
    gboolean playlist = strcmp(parts[count - 1], "playlist.m3u8") == 0;

    if (api->played && playlist)
        api->played->playlists++;
    else if (api->played)
        api->played->segments++;
    if (count == 1)
        return playlist ? multivariant_get(api, lesson, folder, left_s) : not_found("no such file");
    const RecStream *stream =
        tk_name_stream_valid(parts[0]) ? rec_lesson_stream(lesson, parts[0], FALSE) : NULL;
    if (!stream || !stream->started)
        return not_found("there is no such stream in this recording");
    const ShelfTrack *track = shelf_replay_track(api->replay, folder, stream->name, &error);
    if (!track)
        return shelf_reply_error(error);
    return playlist ? playlist_get(api, request, lesson, track, left_s)
                    : segment_get(lesson, folder, stream->name, parts[1], track, left_s);
}

ShelfReply *shelf_playback_handle(const ShelfApi *api, const ShelfRequest *request,
                                  char *const *parts)
{
    g_autoptr(GError) error = NULL;
    guint count = g_strv_length((char **)parts);

    if (count < 3 || count > 4 || !tk_ulid_valid(parts[1]))
        return not_found("there is no such address");
    gint64 left_s = shelf_grant_left(api->grants, parts[0], parts[1], now_s());
    if (left_s == 0) {
        g_set_error(&error, TK_ERROR, TK_ERROR_FORBIDDEN,
                    "this address has ended: ask for /api/v1/recordings/%s anew", parts[1]);
        return shelf_reply_error(error);
    }
    g_autoptr(RecLesson) lesson = shelf_index_get(api->index, parts[1], &error);
    return lesson ? lesson_handle(api, request, lesson, parts + 2, left_s)
                  : shelf_reply_error(error);
}
