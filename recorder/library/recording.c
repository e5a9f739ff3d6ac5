// SPDX-License-Identifier: MIT
#include "recorder/library/recording.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "recorder/archive/state.h"
#include "recorder/library/playback.h"
#include "recorder/library/remove.h"
#include "recorder/library/search.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX 100
#define OFFSET_MAX 1000000
#define REASON_BYTES_MAX 500

gboolean shelf_request_allowed(const ShelfRequest *request, TkRole role, const RecLesson *lesson,
                               GError **error)
{
    if (!request->door)
        return TRUE;
    if (!request->claims) {
        g_set_error(error, TK_ERROR, TK_ERROR_UNAUTHORIZED,
                    "a valid token is needed: Authorization: Bearer TOKEN, or ?token=TOKEN");
        return FALSE;
    }
    if (tk_claims_allow(request->claims, role, lesson ? lesson->name : NULL,
                        lesson ? lesson->id : NULL))
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_FORBIDDEN,
                "the token does not allow this: role %s is needed here", tk_role_word(role));
    return FALSE;
}

static json_t *seconds(gint64 ns)
{
    return json_real((double)ns / 1e9);
}

static json_t *stream_json(const ShelfApi *api, const RecLesson *lesson, const RecStream *stream)
{
    json_t *object = json_object();
    g_autofree char *playlist = shelf_playback_address(api, lesson, stream->name);
    g_autofree char *download =
        g_strdup_printf("/api/v1/recordings/%s/%s/download.mp4", lesson->id, stream->name);

    tk_json_set_string(object, "name", stream->name);
    tk_json_set_string(object, "mime", stream->mime);
    tk_json_set_int(object, "width", stream->width);
    tk_json_set_int(object, "height", stream->height);
    json_object_set_new(object, "first_s", seconds(stream->first_ns));
    json_object_set_new(object, "duration_s", seconds(stream->end_ns - stream->first_ns));
    tk_json_set_int(object, "size_bytes", (gint64)stream->size_bytes);
    tk_json_set_string(object, "playlist", playlist);
    tk_json_set_string(object, "download", download);
    return object;
}

static json_t *gap_json(const RecGap *gap)
{
    json_t *object = json_object();
    tk_json_set_string(object, "stream", gap->stream);
    json_object_set_new(object, "from_s", seconds(gap->from_ns));
    json_object_set_new(object, "to_s", seconds(gap->to_ns));
    tk_json_set_time(object, "start", gap->start_wall_ns);
    tk_json_set_time(object, "end", gap->end_wall_ns);
    tk_json_set_string(object, "reason", gap->reason);
    json_object_set_new(object, "healed", json_boolean(gap->healed));
    return object;
}

static json_t *match_json(const TkLessonInfo *info, const char *query)
{
    json_t *match = json_object();
    for (const char *const *field = tk_lesson_info_fields(); *field; field++) {
        const char *text = tk_lesson_info_get(info, *field);
        g_autofree char *marked = text ? shelf_search_highlight(text, query) : NULL;
        tk_json_set_string(match, *field, marked);
    }
    return match;
}

json_t *shelf_recording_json(const ShelfApi *api, const RecLesson *lesson, const char *folder,
                             const char *query)
{
    json_t *object = json_object(), *streams = json_array(), *gaps = json_array();

    tk_json_set_string(object, "id", lesson->id);
    tk_json_set_string(object, "name", lesson->name);
    tk_json_set_string(object, "state", rec_state_word(lesson->state));
    json_object_set_new(object, "info", tk_lesson_info_to_json(lesson->info));
    rec_verdict_write(&lesson->verdict, object);
    tk_json_set_time(object, "started", lesson->started_ns);
    tk_json_set_time(object, "ended", lesson->ended_ns);
    json_object_set_new(object, "duration_s", seconds(rec_lesson_duration_ns(lesson)));
    tk_json_set_int(object, "size_bytes", (gint64)rec_lesson_bytes(lesson));
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        if (stream->started)
            json_array_append_new(streams, stream_json(api, lesson, stream));
    }
    json_object_set_new(object, "streams", streams);
    g_autofree char *hls = shelf_playback_address(api, lesson, NULL);
    tk_json_set_string(object, "hls", hls);
    for (guint i = 0; i < lesson->gaps->len; i++)
        json_array_append_new(gaps, gap_json(lesson->gaps->pdata[i]));
    json_object_set_new(object, "gaps", gaps);

    g_autofree char *poster = g_build_filename(folder, "poster.jpg", NULL);
    if (g_file_test(poster, G_FILE_TEST_IS_REGULAR)) {
        g_autofree char *url = g_strdup_printf("/api/v1/recordings/%s/poster.jpg", lesson->id);
        tk_json_set_string(object, "poster", url);
    } else {
        json_object_set_new(object, "poster", json_null());
    }
    if (query && *query)
        json_object_set_new(object, "match", match_json(lesson->info, query));
    return object;
}

static gboolean number_read(const ShelfRequest *request, const char *key, guint fallback, guint max,
                            guint *ret, GError **error)
{
    const char *text = g_hash_table_lookup(request->query, key);
    guint64 value = fallback;
    if (text && *text && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &value, NULL)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s: not a number", key);
        return FALSE;
    }
    *ret = (guint)MIN(value, max);
    return TRUE;
}

// `to` given as a bare date means the whole of that day.
static gboolean time_read(const ShelfRequest *request, const char *key, gboolean end_of_day,
                          gint64 *ret_ns, GError **error)
{
    const char *text = g_hash_table_lookup(request->query, key);
    if (!text || !*text)
        return TRUE;
    if (!tk_clock_parse_rfc3339(text, ret_ns, error)) {
        g_prefix_error(error, "%s: ", key);
        return FALSE;
    }
    if (end_of_day && strlen(text) == strlen("2026-11-22"))
        *ret_ns += 86400 * TK_NS_PER_S;
    return TRUE;
}

static gboolean filter_read(const ShelfRequest *request, ShelfFilter *filter, GError **error)
{
    GHashTable *query = request->query;

    filter->query = g_hash_table_lookup(query, "q");
    filter->subject = g_hash_table_lookup(query, "subject");
    filter->grade = g_hash_table_lookup(query, "grade");
    filter->teacher = g_hash_table_lookup(query, "teacher");
    filter->school = g_hash_table_lookup(query, "school");
    filter->name = g_hash_table_lookup(query, "name");
    if (request->claims && request->claims->lesson && strcmp(request->claims->lesson, "*") != 0)
        filter->lesson = request->claims->lesson;
    if (filter->query && strlen(filter->query) > SHELF_QUERY_BYTES_MAX) {
        g_set_error(error, TK_ERROR, TK_ERROR_TOO_LARGE, "q: at most %d bytes",
                    SHELF_QUERY_BYTES_MAX);
        return FALSE;
    }
    return time_read(request, "from", FALSE, &filter->from_ns, error) &&
           time_read(request, "to", TRUE, &filter->to_ns, error) &&
           number_read(request, "limit", LIMIT_DEFAULT, LIMIT_MAX, &filter->limit, error) &&
           number_read(request, "offset", 0, OFFSET_MAX, &filter->offset, error);
}

static json_t *page_json(const ShelfApi *api, const ShelfPage *page, const char *query)
{
    json_t *root = json_object(), *recordings = json_array(), *facets = json_object();

    tk_json_set_int(root, "total", page->total);
    for (guint i = 0; i < page->lessons->len; i++) {
        const RecLesson *lesson = page->lessons->pdata[i];
        g_autofree char *folder = rec_folder_path(api->data, lesson->id);
        json_array_append_new(recordings, shelf_recording_json(api, lesson, folder, query));
    }
    json_object_set_new(root, "recordings", recordings);
    for (guint i = 0; i < SHELF_FACETS; i++) {
        json_t *values = json_array();
        for (guint j = 0; j < page->facets[i]->len; j++) {
            const ShelfFacet *facet = &g_array_index(page->facets[i], ShelfFacet, j);
            json_t *value = json_object();
            tk_json_set_string(value, "value", facet->value);
            tk_json_set_int(value, "count", facet->count);
            json_array_append_new(values, value);
        }
        json_object_set_new(facets, shelf_facet_names[i], values);
    }
    json_object_set_new(root, "facets", facets);
    return root;
}

ShelfReply *shelf_recording_list(const ShelfApi *api, const ShelfRequest *request)
{
    g_autoptr(GError) error = NULL;
    g_auto(ShelfPage) page = {0};
    ShelfFilter filter = {0};
    gint64 began_ns = tk_clock_monotonic_ns();

    if (!shelf_request_allowed(request, TK_ROLE_VIEWER, NULL, &error) ||
        !filter_read(request, &filter, &error) ||
        !shelf_index_find(api->index, &filter, &page, &error))
        return shelf_reply_error(error);
    if (api->search_ns)
        *api->search_ns = MAX(*api->search_ns, tk_clock_monotonic_ns() - began_ns);
    g_autoptr(json_t) root = page_json(api, &page, filter.query);
    return shelf_reply_text(200, "application/json", tk_json_dump(root));
}

// What is edited and saved: never the index's copy, which may be older.
static RecLesson *stored_load(const char *folder, GError **error)
{
    g_autoptr(GError) why = NULL;
    RecLesson *lesson = rec_lesson_load(folder, &why);
    if (!lesson)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "the recording cannot be changed: %s",
                    why->message);
    return lesson;
}

ShelfReply *shelf_recording_patch(const ShelfApi *api, RecLesson *lesson, GBytes *body)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = rec_folder_path(api->data, lesson->id);
    gboolean running = api->running(api->user, lesson->id);
    g_autoptr(RecLesson) stored = NULL;
    gsize size;
    const char *text = g_bytes_get_data(body, &size);
    g_autoptr(json_t) edits = tk_json_parse(text ? text : "", size, 64 * 1024, &error);

    if (!edits)
        return shelf_reply_error(error);
    if (!json_is_object(edits)) {
        g_set_error(&error, TK_ERROR, TK_ERROR_INVALID,
                    "the body must be an object of members of info");
        return shelf_reply_error(error);
    }
    if (!running && !(lesson = stored = stored_load(folder, &error)))
        return shelf_reply_error(error);
    if (!rec_lesson_edit(lesson, edits, &error) ||
        !api->edit(api->user, lesson->id, edits, &running, &error) ||
        (!running && !rec_lesson_save(lesson, folder, &error)) ||
        !shelf_index_put(api->index, lesson, NULL, &error))
        return shelf_reply_error(error);
    g_autoptr(json_t) object = shelf_recording_json(api, lesson, folder, NULL);
    return shelf_reply_text(200, "application/json", tk_json_dump(object));
}

ShelfReply *shelf_recording_delete(const ShelfApi *api, const RecLesson *lesson,
                                   const ShelfRequest *request)
{
    g_autoptr(GError) error = NULL;
    const char *reason = g_hash_table_lookup(request->query, "reason");
    const char *by = request->claims ? request->claims->school : NULL;

    if (lesson->state != REC_STATE_CLOSED)
        g_set_error(&error, TK_ERROR, TK_ERROR_CONFLICT,
                    "the lesson is being recorded; end it first");
    else if (!reason || !*reason || strlen(reason) > REASON_BYTES_MAX)
        g_set_error(&error, TK_ERROR, TK_ERROR_INVALID, "say why: ?reason= with 1 to %d bytes",
                    REASON_BYTES_MAX);
    if (error || !shelf_remove(api->data, api->index, lesson, by, reason, &error))
        return shelf_reply_error(error);
    return shelf_reply_new(204, NULL, NULL);
}
