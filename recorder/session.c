// SPDX-License-Identifier: MIT
#include "recorder/session.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/error.h"
#include "common/base/name.h"
#include "recorder/archive/recover.h"
#include "recorder/archive/state.h"
#include "recorder/library/head.h"

#include <string.h>

// lesson.json follows a change after this long; many changes in a row are one write.
#define SAVE_MS 500

typedef struct _Seal Seal;

struct _RecSession {
    RecLesson *lesson;
    char *folder;
    const char *stream_rule;
    RecWriter *writer;
    const TkWebTarget *target;
    const RecSessionHandler *handler;
    void *user;

    GPtrArray *sources;
    guint save_timer, close_idle;
    Seal *seal; // being made; the task's
    guint gaps_saved;
    gboolean ended, changed, closing;
    gboolean edited;  // while it was closing; not known to be on the disk
    char *info_saved; // to see whether the relay says anything new
};

static void lesson_write(RecSession *session)
{
    g_autofree char *path = g_build_filename(session->folder, REC_LESSON_FILE, NULL);
    session->gaps_saved = session->lesson->gaps->len;
    rec_writer_replace(session->writer, path, rec_lesson_dump(session->lesson));
}

static gboolean save_due(void *data)
{
    RecSession *session = data;
    session->save_timer = 0;
    lesson_write(session);
    return G_SOURCE_REMOVE;
}

static void save_soon(RecSession *session)
{
    session->changed = TRUE;
    if (!session->save_timer && !session->closing)
        session->save_timer = g_timeout_add(SAVE_MS, save_due, session);
}

static void closed_done(void *user)
{
    RecSession *session = user;
    if (session->edited) {
        session->edited = FALSE;
        rec_writer_after(session->writer, closed_done, session);
        return;
    }
    session->handler->on_closed(session, session->user);
}

// What the sealing thread works on; the session may go before it is done.
struct _Seal {
    RecSession *session; // main thread only; NULL once it is freed
    char *id, *folder;
    char **streams;
};

static void seal_free(void *data)
{
    Seal *seal = data;
    g_free(seal->id);
    g_free(seal->folder);
    g_strfreev(seal->streams);
    g_free(seal);
}

static void seal_run(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    const Seal *seal = data;
    for (char **stream = seal->streams; *stream; stream++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GBytes) head = shelf_head_make(seal->folder, *stream, G_MAXUINT64, TRUE, &error);
        if (!head && !g_error_matches(error, TK_ERROR, TK_ERROR_NOT_FOUND))
            tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = seal->id, .stream = *stream},
                   "not sealed: %s; it is made at the first download", error->message);
    }
    g_task_return_boolean(task, TRUE);
}

static void sealed(GObject *source, GAsyncResult *result, void *data)
{
    const Seal *seal = g_task_get_task_data(G_TASK(result));
    RecSession *session = seal->session;
    if (!session)
        return;
    session->seal = NULL;
    g_clear_handle_id(&session->save_timer, g_source_remove);
    rec_state_set(session->lesson, REC_STATE_CLOSED, "what was recorded is on the disk");
    if (!session->lesson->ended_ns)
        session->lesson->ended_ns =
            session->lesson->started_ns + rec_lesson_end_ns(session->lesson);
    lesson_write(session);
    rec_writer_after(session->writer, closed_done, session);
}

// All that came is durable: the seek index is made of it.
static void seal_begin(void *user)
{
    RecSession *session = user;
    Seal *seal = g_new0(Seal, 1);
    seal->session = session;
    seal->id = g_strdup(session->lesson->id);
    seal->folder = g_strdup(session->folder);
    seal->streams = rec_recover_streams(session->folder);
    session->seal = seal;
    g_autoptr(GTask) task = g_task_new(NULL, NULL, sealed, NULL);
    g_task_set_task_data(task, seal, seal_free);
    g_task_run_in_thread(task, seal_run);
}

static gboolean close_due(void *data)
{
    RecSession *session = data;

    session->close_idle = 0;
    g_ptr_array_set_size(session->sources, 0);
    rec_writer_after(session->writer, seal_begin, session);
    return G_SOURCE_REMOVE;
}

// From an idle call: sources tell that they are done from inside their links' call-backs.
static void close_maybe(RecSession *session)
{
    if (!session->ended || session->closing)
        return;
    for (guint i = 0; i < session->sources->len; i++)
        if (!rec_source_done(session->sources->pdata[i]))
            return;
    session->closing = TRUE;
    session->close_idle = g_idle_add(close_due, session);
}

static void source_changed(void *user)
{
    RecSession *session = user;
    session->changed = TRUE;
    if (session->lesson->gaps->len != session->gaps_saved)
        save_soon(session);
}

static void source_done(void *user)
{
    close_maybe(user);
}

// A stream beside others that comes or goes does not change what the recording does.
static void source_flowed(void *user, const char *why)
{
    RecSession *session = user;
    gboolean flowing = FALSE;

    for (guint i = 0; i < session->sources->len; i++)
        flowing |= rec_source_flowing(session->sources->pdata[i]);
    if (session->ended || (!flowing && session->lesson->state == REC_STATE_ARMED))
        return;
    if (rec_state_set(session->lesson, flowing ? REC_STATE_RECORDING : REC_STATE_GAP, why))
        save_soon(session);
}

static const RecSourceHandler source_handler = {source_changed, source_flowed, source_done};

RecSession *rec_session_new(RecLesson *lesson, const char *folder, const char *stream_rule,
                            RecWriter *writer, const TkWebTarget *target,
                            const RecSessionHandler *handler, void *user)
{
    RecSession *session = g_new0(RecSession, 1);
    session->lesson = lesson;
    session->folder = g_strdup(folder);
    session->stream_rule = stream_rule;
    session->writer = writer;
    session->target = target;
    session->handler = handler;
    session->user = user;
    session->sources = g_ptr_array_new_with_free_func((GDestroyNotify)rec_source_free);
    if (lesson->state == REC_STATE_CLOSED)
        rec_state_set(lesson, REC_STATE_ARMED, "the lesson goes on");
    else if (lesson->state != REC_STATE_ARMED)
        rec_state_set(lesson, REC_STATE_SALVAGED, "an earlier run left it open");
    for (guint i = 0; i < lesson->streams->len; i++)
        g_ptr_array_add(session->sources, rec_source_new(lesson, lesson->streams->pdata[i], folder,
                                                         writer, target, &source_handler, session));
    lesson_write(session);
    session->changed = TRUE;
    return session;
}

void rec_session_free(RecSession *session)
{
    if (!session)
        return;
    g_clear_handle_id(&session->save_timer, g_source_remove);
    g_clear_handle_id(&session->close_idle, g_source_remove);
    if (session->seal)
        session->seal->session = NULL;
    g_ptr_array_unref(session->sources);
    rec_lesson_free(session->lesson);
    g_free(session->folder);
    g_free(session->info_saved);
    g_free(session);
}

static void stream_update(RecSession *session, const json_t *object)
{
    RecLesson *lesson = session->lesson;
    const char *name = tk_json_string(object, "name", "");

    if (!tk_name_stream_valid(name) || tk_name_is_rendition(name) ||
        !tk_name_matches(session->stream_rule, name))
        return;
    gboolean known = rec_lesson_stream(lesson, name, FALSE) != NULL;
    RecStream *stream = rec_lesson_stream(lesson, name, TRUE);
    if (!stream)
        return;
    const char *mime = tk_json_string(object, "mime", NULL);
    if (mime && *mime && g_strcmp0(stream->mime, mime) != 0) {
        g_free(stream->mime);
        stream->mime = g_strdup(mime);
        stream->width = (guint)CLAMP(tk_json_int(object, "width", 0), 0, 65535);
        stream->height = (guint)CLAMP(tk_json_int(object, "height", 0), 0, 65535);
        save_soon(session);
    }
    if (known)
        return;
    g_ptr_array_add(session->sources,
                    rec_source_new(lesson, stream, session->folder, session->writer,
                                   session->target, &source_handler, session));
    save_soon(session);
}

static void event_note(RecSession *session, const char *event, const json_t *lesson)
{
    g_autoptr(json_t) note = json_object();
    g_autofree char *path = g_build_filename(session->folder, "events.jsonl", NULL);
    tk_json_set_time(note, "time", tk_clock_wall_ns());
    tk_json_set_string(note, "event", event);
    tk_json_set_string(note, "state", tk_json_string(lesson, "state", NULL));
    json_t *info = json_object_get(lesson, "info");
    if (info)
        json_object_set(note, "info", info);
    rec_writer_note(session->writer, path, tk_json_dump(note));
}

void rec_session_update(RecSession *session, const char *event, const json_t *lesson)
{
    g_autoptr(GError) error = NULL;
    const json_t *info = json_object_get(lesson, "info"), *stream;
    const char *started = tk_json_string(lesson, "started", NULL);
    gint64 epoch_ns = 0;
    size_t i;

    if (session->ended)
        return;
    event_note(session, event, lesson);
    if (started && tk_clock_parse_rfc3339(started, &epoch_ns, NULL)) {
        if (!session->lesson->started_ns)
            session->lesson->started_ns = epoch_ns;
        for (i = 0; i < session->sources->len; i++)
            rec_source_set_epoch(session->sources->pdata[i], epoch_ns);
    }
    g_autofree char *text = info ? tk_json_dump(info) : g_strdup("");
    if (g_strcmp0(text, session->info_saved) != 0) {
        if (!rec_lesson_set_info(session->lesson, json_is_object(info) ? info : NULL, &error))
            tk_log(TK_LOG_WARNING, &(TkLogFields){.lesson = session->lesson->id},
                   "the relay's record of the lesson is not taken over: %s", error->message);
        g_free(session->info_saved);
        session->info_saved = g_steal_pointer(&text);
        save_soon(session);
    }
    json_array_foreach(json_object_get(lesson, "streams"), i, stream)
        stream_update(session, stream);
}

void rec_session_end(RecSession *session, gint64 ended_ns)
{
    if (session->ended)
        return;
    session->ended = TRUE;
    session->lesson->ended_ns = ended_ns;
    rec_state_set(session->lesson, REC_STATE_CLOSING, "the lesson is over");
    save_soon(session);
    for (guint i = 0; i < session->sources->len; i++)
        rec_source_drain(session->sources->pdata[i]);
    close_maybe(session);
}

gboolean rec_session_ended(const RecSession *session)
{
    return session->ended;
}

gboolean rec_session_edit(RecSession *session, const json_t *edits, GError **error)
{
    if (!rec_lesson_edit(session->lesson, edits, error))
        return FALSE;
    if (!session->ended) {
        save_soon(session);
    } else { // there may be no later
        session->changed = session->edited = TRUE;
        lesson_write(session);
    }
    return TRUE;
}

const RecLesson *rec_session_lesson(const RecSession *session)
{
    return session->lesson;
}

gboolean rec_session_take_changed(RecSession *session)
{
    gboolean changed = session->changed;
    session->changed = FALSE;
    return changed;
}
