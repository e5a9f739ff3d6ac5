// SPDX-License-Identifier: MIT
#include "recorder/posters.h"

#include "common/base/log.h"
#include "common/base/name.h"

#include <gio/gio.h>
#include <string.h>

#define PROGRAM "tongke-study"
#define RUN_S_MAX 60

typedef struct {
    char *folder, *stream;
} Job;

struct _RecPosters {
    const char *data;
    char *program;
    GQueue jobs;
    GHashTable *seen; // ids of running lessons that have had their turn
    GSubprocess *running;
    GCancellable *cancel;
    guint timer;
};

static void next_start(RecPosters *posters);

static void job_free(void *data)
{
    Job *job = data;
    g_free(job->folder);
    g_free(job->stream);
    g_free(job);
}

static void program_ended(GObject *source, GAsyncResult *result, void *data)
{
    g_autoptr(GError) error = NULL;
    g_subprocess_wait_finish(G_SUBPROCESS(source), result, &error);
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
        return;
    RecPosters *posters = data;
    g_clear_handle_id(&posters->timer, g_source_remove);
    g_clear_object(&posters->running);
    next_start(posters);
}

static gboolean program_late(void *data)
{
    RecPosters *posters = data;
    posters->timer = 0;
    g_subprocess_force_exit(posters->running);
    return G_SOURCE_REMOVE;
}

static void next_start(RecPosters *posters)
{
    g_autoptr(GError) error = NULL;
    Job *job = posters->running ? NULL : g_queue_pop_head(&posters->jobs);
    if (!job)
        return;
    posters->running = g_subprocess_new(G_SUBPROCESS_FLAGS_STDIN_PIPE, &error, posters->program,
                                        job->folder, job->stream, NULL);
    job_free(job);
    if (!posters->running) {
        tk_warning("no stills are made: %s", error->message);
        return;
    }
    posters->timer = g_timeout_add_seconds(RUN_S_MAX, program_late, posters);
    g_subprocess_wait_async(posters->running, posters->cancel, program_ended, posters);
}

RecPosters *rec_posters_new(const char *data)
{
    RecPosters *posters = g_new0(RecPosters, 1);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : g_strdup(".");
    posters->data = data;
    posters->program = g_build_filename(folder, PROGRAM, NULL);
    posters->cancel = g_cancellable_new();
    posters->seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_queue_init(&posters->jobs);
    return posters;
}

void rec_posters_free(RecPosters *posters)
{
    if (!posters)
        return;
    g_cancellable_cancel(posters->cancel);
    g_clear_handle_id(&posters->timer, g_source_remove);
    if (posters->running)
        g_subprocess_force_exit(posters->running);
    g_clear_object(&posters->running);
    g_object_unref(posters->cancel);
    g_queue_clear_full(&posters->jobs, job_free);
    g_hash_table_unref(posters->seen);
    g_free(posters->program);
    g_free(posters);
}

// The teacher's picture if there is one.
static const RecStream *stream_choose(const RecLesson *lesson)
{
    const RecStream *found = NULL;
    for (guint i = 0; i < lesson->streams->len; i++) {
        const RecStream *stream = lesson->streams->pdata[i];
        if (stream->started && stream->width > 0 &&
            (!found || strcmp(stream->name, TK_STREAM_MAIN) == 0))
            found = stream;
    }
    return found;
}

void rec_posters_consider(RecPosters *posters, const RecLesson *lesson)
{
    const RecStream *stream = stream_choose(lesson);
    gboolean closed = lesson->state == REC_STATE_CLOSED;

    if (closed)
        g_hash_table_remove(posters->seen, lesson->id);
    else if (rec_lesson_duration_ns(lesson) < REC_POSTER_AFTER_NS ||
             !g_hash_table_add(posters->seen, g_strdup(lesson->id)))
        return;
    if (!stream || g_queue_get_length(&posters->jobs) >= REC_POSTERS_QUEUE_MAX)
        return;
    Job *job = g_new0(Job, 1);
    job->folder = rec_folder_path(posters->data, lesson->id);
    job->stream = g_strdup(stream->name);
    g_queue_push_tail(&posters->jobs, job);
    next_start(posters);
}
