// SPDX-License-Identifier: MIT
#include "recorder/archive/lesson.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "recorder/archive/state.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#define FORMAT 1
#define LESSON_BYTES_MAX (4u << 20)
#define STREAMS_MAX 32
#define GAPS_MAX 10000 // a gap is longer than the chunk it costs; more says the line is hopeless

static void stream_free(void *data)
{
    RecStream *stream = data;
    g_free(stream->name);
    g_free(stream->mime);
    g_free(stream);
}

static void gap_free(void *data)
{
    RecGap *gap = data;
    g_free(gap->stream);
    g_free(gap);
}

RecLesson *rec_lesson_new(const char *id, const char *name)
{
    RecLesson *lesson = g_new0(RecLesson, 1);
    lesson->id = g_strdup(id);
    lesson->name = g_strdup(name);
    lesson->info = tk_lesson_info_new();
    lesson->streams = g_ptr_array_new_with_free_func(stream_free);
    lesson->gaps = g_ptr_array_new_with_free_func(gap_free);
    return lesson;
}

void rec_lesson_free(RecLesson *lesson)
{
    if (!lesson)
        return;
    g_free(lesson->id);
    g_free(lesson->name);
    tk_lesson_info_free(lesson->info);
    json_decref(lesson->edits);
    g_ptr_array_unref(lesson->streams);
    g_ptr_array_unref(lesson->gaps);
    g_free(lesson);
}

RecStream *rec_lesson_stream(RecLesson *lesson, const char *name, gboolean create)
{
    for (guint i = 0; i < lesson->streams->len; i++) {
        RecStream *stream = lesson->streams->pdata[i];
        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    if (!create || lesson->streams->len >= STREAMS_MAX || !tk_name_stream_valid(name))
        return NULL;
    RecStream *stream = g_new0(RecStream, 1);
    stream->name = g_strdup(name);
    // Wherever streams are listed the teacher comes first, whoever began first.
    g_ptr_array_insert(lesson->streams, strcmp(name, TK_STREAM_MAIN) == 0 ? 0 : -1, stream);
    return stream;
}

gboolean rec_lesson_set_info(RecLesson *lesson, const json_t *info, GError **error)
{
    g_autoptr(TkLessonInfo) fresh = tk_lesson_info_new();
    if (info && !tk_lesson_info_merge_json(fresh, info, FALSE, error))
        return FALSE;
    if (lesson->edits && !tk_lesson_info_merge_json(fresh, lesson->edits, FALSE, error))
        return FALSE;
    tk_lesson_info_free(lesson->info);
    lesson->info = g_steal_pointer(&fresh);
    return TRUE;
}

gboolean rec_lesson_edit(RecLesson *lesson, const json_t *edits, GError **error)
{
    g_autoptr(json_t) left = json_copy((json_t *)edits);
    RecVerdict verdict = lesson->verdict;

    if (!rec_verdict_take(&verdict, left, error) ||
        !tk_lesson_info_merge_json(lesson->info, left, TRUE, error))
        return FALSE;
    lesson->verdict = verdict;
    if (!lesson->edits && json_object_size(left) > 0)
        lesson->edits = json_object();
    json_object_update(lesson->edits, left);
    return TRUE;
}

gint64 rec_lesson_end_ns(const RecLesson *lesson)
{
    gint64 end_ns = 0;
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        if (stream->started)
            end_ns = MAX(end_ns, stream->end_ns);
    }
    return end_ns;
}

gint64 rec_lesson_duration_ns(const RecLesson *lesson)
{
    gint64 end_ns = rec_lesson_end_ns(lesson), first_ns = end_ns;
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        if (stream->started)
            first_ns = MIN(first_ns, stream->first_ns);
    }
    return end_ns - first_ns;
}

guint64 rec_lesson_bytes(const RecLesson *lesson)
{
    guint64 bytes = 0;
    for (guint i = 0; i < lesson->streams->len; i++)
        bytes += ((const RecStream *)lesson->streams->pdata[i])->size_bytes;
    return bytes;
}

// What healing filled is remembered as one gap, for as long as its chunks follow each other.
static void healed_add(RecLesson *lesson, const RecStream *stream, const RecEntry *before,
                       const RecEntry *entry)
{
    RecGap *last = NULL;
    for (guint i = lesson->gaps->len; i > 0 && !last; i--) {
        last = lesson->gaps->pdata[i - 1];
        if (strcmp(last->stream, stream->name) != 0)
            last = NULL;
    }
    gboolean goes_on = before && before->flags & REC_ENTRY_HEALED && last && last->healed;
    if (goes_on && !(entry->flags & REC_ENTRY_HEALED)) {
        // Numbers that follow each other say that the relay had nothing between them.
        last->reason = rec_gap_word(entry->sequence != before->sequence + 1 ? REC_GAP_MISSED
                                    : entry->flags & REC_ENTRY_SOUND_FIRST  ? REC_GAP_PICTURE
                                                                            : REC_GAP_AWAY);
    } else if (goes_on) {
        last->to_ns = rec_entry_end_ns(entry);
        last->end_wall_ns = entry->wall_ns ? entry->wall_ns + entry->duration_ns : 0;
    } else if (entry->flags & REC_ENTRY_HEALED && lesson->gaps->len < GAPS_MAX) {
        RecGap gap = {.stream = g_strdup(stream->name),
                      .from_ns = entry->media_ns,
                      .to_ns = rec_entry_end_ns(entry),
                      .start_wall_ns = entry->wall_ns,
                      .end_wall_ns = entry->wall_ns ? entry->wall_ns + entry->duration_ns : 0,
                      .reason = rec_gap_word(REC_GAP_AWAY),
                      .healed = TRUE};
        g_ptr_array_add(lesson->gaps, g_memdup2(&gap, sizeof gap));
    }
}

guint rec_lesson_open_gaps(const RecLesson *lesson)
{
    guint count = 0;
    for (guint i = 0; i < lesson->gaps->len; i++)
        count += !((const RecGap *)lesson->gaps->pdata[i])->healed;
    return count;
}

// One that began earlier may be found later: while pictures are missing sound may be, too.
static void gap_put(RecLesson *lesson, const RecGap *gap)
{
    guint at = lesson->gaps->len;
    for (guint i = at; i > 0; i--) {
        const RecGap *other = lesson->gaps->pdata[i - 1];
        gboolean same = strcmp(other->stream, gap->stream) == 0;
        if (same && other->from_ns <= gap->from_ns)
            break;
        at = same ? i - 1 : at;
    }
    g_ptr_array_insert(lesson->gaps, (gint)at, g_memdup2(gap, sizeof *gap));
}

void rec_lesson_add_entry(RecLesson *lesson, RecStream *stream, const RecEntry *entry)
{
    const RecEntry before = stream->trail.before;
    gboolean begun = stream->trail.begun;
    RecGap gap;

    stream->size_bytes = MAX(stream->size_bytes, entry->offset + entry->bytes);
    if (entry->flags & REC_ENTRY_INIT)
        return;
    if (!stream->started) {
        stream->started = TRUE;
        stream->first_ns = entry->media_ns;
        stream->end_ns = rec_entry_end_ns(entry);
    }
    stream->first_ns = MIN(stream->first_ns, entry->media_ns);
    stream->end_ns = MAX(stream->end_ns, rec_entry_end_ns(entry));
    if (rec_trail_next(&stream->trail, entry, &gap) && lesson->gaps->len < GAPS_MAX) {
        gap.stream = g_strdup(stream->name);
        gap_put(lesson, &gap);
    }
    healed_add(lesson, stream, begun ? &before : NULL, entry);
}

void rec_lesson_reset_stream(RecLesson *lesson, RecStream *stream)
{
    stream->started = FALSE;
    stream->first_ns = stream->end_ns = 0;
    stream->size_bytes = 0;
    stream->trail = (RecTrail){0};
    for (guint i = lesson->gaps->len; i-- > 0;)
        if (strcmp(((RecGap *)lesson->gaps->pdata[i])->stream, stream->name) == 0)
            g_ptr_array_remove_index(lesson->gaps, i);
}

static json_t *seconds(gint64 ns)
{
    return json_real((double)ns / 1e9);
}

char *rec_lesson_dump(const RecLesson *lesson)
{
    g_autoptr(json_t) root = json_object();
    tk_json_set_int(root, "format", FORMAT);
    tk_json_set_string(root, "id", lesson->id);
    tk_json_set_string(root, "name", lesson->name);
    tk_json_set_string(root, "state", rec_state_word(lesson->state));
    tk_json_set_time(root, "started", lesson->started_ns);
    tk_json_set_time(root, "ended", lesson->ended_ns);
    json_object_set_new(root, "info", tk_lesson_info_to_json(lesson->info));
    if (lesson->edits)
        json_object_set(root, "edits", lesson->edits);

    rec_verdict_write(&lesson->verdict, root);

    json_t *streams = json_array();
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        json_t *object = json_object();
        tk_json_set_string(object, "name", stream->name);
        tk_json_set_string(object, "mime", stream->mime);
        tk_json_set_int(object, "width", stream->width);
        tk_json_set_int(object, "height", stream->height);
        if (stream->started) {
            json_object_set_new(object, "first_s", seconds(stream->first_ns));
            json_object_set_new(object, "end_s", seconds(stream->end_ns));
        }
        tk_json_set_int(object, "size_bytes", (gint64)stream->size_bytes);
        json_array_append_new(streams, object);
    }
    json_object_set_new(root, "streams", streams);

    json_t *gaps = json_array();
    for (guint i = 0; i < lesson->gaps->len; i++) {
        const RecGap *gap = lesson->gaps->pdata[i];
        json_t *object = json_object();
        tk_json_set_string(object, "stream", gap->stream);
        json_object_set_new(object, "from_s", seconds(gap->from_ns));
        json_object_set_new(object, "to_s", seconds(gap->to_ns));
        tk_json_set_time(object, "start", gap->start_wall_ns);
        tk_json_set_time(object, "end", gap->end_wall_ns);
        tk_json_set_string(object, "reason", gap->reason);
        if (gap->healed)
            json_object_set_new(object, "healed", json_true());
        json_array_append_new(gaps, object);
    }
    json_object_set_new(root, "gaps", gaps);
    return tk_json_dump(root);
}

static gint64 time_read(const json_t *object, const char *key)
{
    gint64 wall_ns = 0;
    const char *text = tk_json_string(object, key, NULL);
    if (text && !tk_clock_parse_rfc3339(text, &wall_ns, NULL))
        return 0;
    return wall_ns;
}

static gint64 seconds_read(const json_t *object, const char *key)
{
    double value = tk_json_real(object, key, 0);
    return value > 0 && value < 1e9 ? (gint64)llround(value * 1e9) : 0;
}

static void stream_read(RecLesson *lesson, const json_t *object)
{
    const char *name = tk_json_string(object, "name", "");
    RecStream *stream = rec_lesson_stream(lesson, name, TRUE);
    if (!stream)
        return;
    g_free(stream->mime);
    stream->mime = g_strdup(tk_json_string(object, "mime", NULL));
    stream->width = (guint)CLAMP(tk_json_int(object, "width", 0), 0, 65535);
    stream->height = (guint)CLAMP(tk_json_int(object, "height", 0), 0, 65535);
    stream->started = json_object_get(object, "end_s") != NULL;
    stream->first_ns = seconds_read(object, "first_s");
    stream->end_ns = seconds_read(object, "end_s");
    stream->size_bytes = (guint64)MAX(tk_json_int(object, "size_bytes", 0), 0);
}

static void gap_read(RecLesson *lesson, const json_t *object)
{
    const char *stream = tk_json_string(object, "stream", "");
    const char *reason = tk_json_string(object, "reason", "");
    if (!tk_name_stream_valid(stream) || lesson->gaps->len >= GAPS_MAX)
        return;
    RecGap *gap = g_new0(RecGap, 1);
    gap->stream = g_strdup(stream);
    gap->from_ns = seconds_read(object, "from_s");
    gap->to_ns = seconds_read(object, "to_s");
    gap->start_wall_ns = time_read(object, "start");
    gap->end_wall_ns = time_read(object, "end");
    gap->reason = rec_gap_reason(reason);
    gap->healed = tk_json_bool(object, "healed", FALSE);
    g_ptr_array_add(lesson->gaps, gap);
}

RecLesson *rec_lesson_parse(const char *text, gsize length, GError **error)
{
    g_autoptr(json_t) root = tk_json_parse(text, length, LESSON_BYTES_MAX, error);
    const json_t *object;
    size_t i;
    if (!root)
        return NULL;
    const char *id = tk_json_string(root, "id", "");
    const char *name = tk_json_string(root, "name", "");
    if (tk_json_int(root, "format", 0) != FORMAT || !tk_ulid_valid(id) ||
        !tk_name_lesson_valid(name)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "not a recording of format %d with an id and a name", FORMAT);
        return NULL;
    }
    g_autoptr(RecLesson) lesson = rec_lesson_new(id, name);
    // What it was is not known: as if it had been left open.
    if (!rec_state_parse(tk_json_string(root, "state", ""), &lesson->state))
        lesson->state = REC_STATE_RECORDING;
    lesson->started_ns = time_read(root, "started");
    lesson->ended_ns = time_read(root, "ended");
    // A word that a later version knows must not cost the recording.
    if (!rec_verdict_take(&lesson->verdict, root, NULL))
        lesson->verdict = (RecVerdict){.keep = TRUE};
    const json_t *edits = json_object_get(root, "edits");
    if (json_is_object(edits))
        lesson->edits = json_deep_copy(edits);
    const json_t *info = json_object_get(root, "info");
    if (!rec_lesson_set_info(lesson, json_is_object(info) ? info : NULL, error))
        return NULL;
    json_array_foreach(json_object_get(root, "streams"), i, object) stream_read(lesson, object);
    json_array_foreach(json_object_get(root, "gaps"), i, object) gap_read(lesson, object);
    return g_steal_pointer(&lesson);
}

RecLesson *rec_lesson_load(const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, REC_LESSON_FILE, NULL);
    g_autofree char *text = NULL;
    gsize length;
    if (!g_file_get_contents(path, &text, &length, error))
        return NULL;
    RecLesson *lesson = rec_lesson_parse(text, length, error);
    if (!lesson)
        g_prefix_error(error, "%s: ", path);
    return lesson;
}

char *rec_lesson_stamp(const char *folder)
{
    g_autofree char *path = g_build_filename(folder, REC_LESSON_FILE, NULL);
    struct stat info;
    if (stat(path, &info) != 0)
        return NULL;
    return g_strdup_printf("%jd.%09ld %jd %ju", (intmax_t)info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                           (intmax_t)info.st_size, (uintmax_t)info.st_ino);
}

gboolean rec_lesson_save(const RecLesson *lesson, const char *folder, GError **error)
{
    g_autofree char *path = g_build_filename(folder, REC_LESSON_FILE, NULL);
    g_autofree char *text = rec_lesson_dump(lesson);
    return rec_file_replace(path, text, strlen(text), error);
}
