// SPDX-License-Identifier: MIT
#include "relay/core/lesson.h"

#include "common/base/clock.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "relay/core/rendition.h"

const char *relay_lesson_state_word(RelayLessonState state)
{
    static const char *const words[] = {"live", "away", "ended"};
    return words[state];
}

static void stream_free(gpointer data)
{
    RelayLessonStream *stream = data;
    g_free(stream->name);
    g_free(stream);
}

RelayLesson *relay_lesson_new(const char *name, const char *id, gint64 wall_ns)
{
    RelayLesson *lesson = g_new0(RelayLesson, 1);
    lesson->id = id ? g_strdup(id) : tk_ulid_new(wall_ns);
    lesson->name = g_strdup(name);
    lesson->info = tk_lesson_info_new();
    lesson->started_wall_ns = wall_ns;
    lesson->streams = g_ptr_array_new_with_free_func(stream_free);
    return lesson;
}

void relay_lesson_free(RelayLesson *lesson)
{
    if (!lesson)
        return;
    g_ptr_array_unref(lesson->streams);
    tk_lesson_info_free(lesson->info);
    g_free(lesson->id);
    g_free(lesson->name);
    g_free(lesson);
}

gboolean relay_lesson_is(const RelayLesson *lesson, const char *word)
{
    return g_str_equal(lesson->name, word) || g_str_equal(lesson->id, word);
}

RelayLessonStream *relay_lesson_stream(RelayLesson *lesson, const char *name, gboolean add)
{
    for (guint i = 0; i < lesson->streams->len; i++) {
        RelayLessonStream *stream = lesson->streams->pdata[i];
        if (g_str_equal(stream->name, name))
            return stream;
    }
    if (!add || lesson->streams->len == RELAY_LESSON_STREAMS_MAX)
        return NULL;
    RelayLessonStream *stream = g_new0(RelayLessonStream, 1);
    stream->name = g_strdup(name);
    g_ptr_array_add(lesson->streams, stream);
    return stream;
}

gboolean relay_lesson_stream_is_told(RelayLessonStream *stream, const RelayStreamFormat *above)
{
    gboolean news = !stream->has_format;
    stream->above_width = above->width;
    stream->above_height = above->height;
    if (news)
        stream->format = *above;
    stream->has_format = TRUE;
    return news;
}

const char *relay_lesson_stream_rendition(const RelayLessonStream *stream)
{
    const RelayStreamFormat *format = &stream->format;
    if (!g_str_equal(stream->name, TK_STREAM_MAIN) || !stream->above_width || !stream->packets_in)
        return NULL;
    if (stream->blind || !format->has_video)
        return relay_rendition_word(RELAY_RENDITION_AUDIO);
    gboolean same = format->width == stream->above_width && format->height == stream->above_height;
    return relay_rendition_word(same ? RELAY_RENDITION_MAIN : RELAY_RENDITION_LOW);
}

// live <-> away, both -> ended; ended is final.
static gboolean set_state(RelayLesson *lesson, RelayLessonState state)
{
    if (lesson->state == state || lesson->state == RELAY_LESSON_ENDED)
        return FALSE;
    lesson->state = state;
    return TRUE;
}

gboolean relay_lesson_sender_came(RelayLesson *lesson, RelayLessonStream *stream)
{
    stream->has_sender = TRUE;
    lesson->deadline_ns = 0;
    return set_state(lesson, RELAY_LESSON_LIVE);
}

gboolean relay_lesson_sender_left(RelayLesson *lesson, RelayLessonStream *stream, gint64 now_ns,
                                  gint64 patience_ns)
{
    stream->has_sender = FALSE;
    stream->bitrate_bps = 0;
    for (guint i = 0; i < lesson->streams->len; i++)
        if (((RelayLessonStream *)lesson->streams->pdata[i])->has_sender)
            return FALSE;
    // Several senders of one lesson may leave one after the other; the longest patience counts.
    lesson->deadline_ns = MAX(lesson->deadline_ns, now_ns + patience_ns);
    return set_state(lesson, RELAY_LESSON_AWAY);
}

gboolean relay_lesson_end(RelayLesson *lesson, gint64 wall_ns)
{
    if (!set_state(lesson, RELAY_LESSON_ENDED))
        return FALSE;
    lesson->ended_wall_ns = wall_ns;
    return TRUE;
}

gboolean relay_lesson_tick(RelayLesson *lesson, gint64 now_ns, gint64 wall_ns)
{
    if (lesson->state != RELAY_LESSON_AWAY || now_ns < lesson->deadline_ns)
        return FALSE;
    return relay_lesson_end(lesson, wall_ns);
}

static json_t *stream_to_json(const RelayLessonStream *stream)
{
    json_t *object = json_object();
    tk_json_set_string(object, "name", stream->name);
    tk_json_set_string(object, "state", stream->has_sender ? "live" : "away");
    if (stream->has_format) {
        tk_json_set_string(object, "mime", stream->format.mime);
        if (stream->format.has_video) {
            tk_json_set_int(object, "width", stream->format.width);
            tk_json_set_int(object, "height", stream->format.height);
            json_object_set_new(object, "fps", json_real(stream->format.fps));
        }
        json_object_set_new(object, "video", json_boolean(stream->format.has_video));
        json_object_set_new(object, "audio", json_boolean(stream->format.has_audio));
    }
    tk_json_set_int(object, "bitrate_bps", stream->bitrate_bps);
    if (stream->packets_in) {
        json_t *in = json_object();
        tk_json_set_int(in, "packets", (gint64)stream->packets_in);
        tk_json_set_int(in, "lost", (gint64)stream->lost_in);
        tk_json_set_int(in, "repaired", (gint64)stream->repaired_in);
        if (stream->delay_in_ns)
            json_object_set_new(in, "delay_ms",
                                json_real((double)(stream->delay_in_ns / 100000) / 10));
        if (relay_lesson_stream_rendition(stream))
            tk_json_set_string(in, "rendition", relay_lesson_stream_rendition(stream));
        json_object_set_new(object, "in", in);
    }
    if (stream->newest_chunk) {
        json_t *chunk = json_object();
        tk_json_set_int(chunk, "oldest", (gint64)stream->oldest_chunk);
        tk_json_set_int(chunk, "newest", (gint64)stream->newest_chunk);
        json_object_set_new(object, "chunk", chunk);
    }
    return object;
}

json_t *relay_lesson_to_json(const RelayLesson *lesson)
{
    json_t *object = json_object(), *streams = json_array(), *viewers = json_object();
    guint rtp = 0, ws = 0;
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RelayLessonStream *stream = lesson->streams->pdata[i];
        json_array_append_new(streams, stream_to_json(stream));
        rtp += stream->viewers_rtp;
        ws += stream->viewers_ws;
    }
    tk_json_set_string(object, "id", lesson->id);
    tk_json_set_string(object, "name", lesson->name);
    tk_json_set_string(object, "state", relay_lesson_state_word(lesson->state));
    json_object_set_new(object, "info", tk_lesson_info_to_json(lesson->info));
    tk_json_set_time(object, "started", lesson->started_wall_ns);
    tk_json_set_time(object, "ended", lesson->ended_wall_ns);
    tk_json_set_int(viewers, "rtp", rtp);
    tk_json_set_int(viewers, "ws", ws);
    json_object_set_new(object, "viewers", viewers);
    tk_json_set_int(object, "schools", lesson->schools);
    json_object_set_new(object, "streams", streams);
    return object;
}
