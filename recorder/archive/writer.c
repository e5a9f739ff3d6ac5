// SPDX-License-Identifier: MIT
#include "recorder/archive/writer.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// After this long a lesson.json that could not be written is tried again.
#define LATE_MS 1000

struct _RecFile {
    gint refs; // atomic: the owner's, and one per queued job and call-back
    RecWriter *writer;
    char *lesson, *stream, *path, *index_path;
    RecFailFunc on_fail; // main thread only; NULL once closed
    void *user;
    gint failed; // atomic

    // The writing thread only, after open.
    int media_fd, index_fd;
    guint64 media_end, index_end;         // all good bytes end here
    guint64 media_durable, index_durable; // and these are on the disk for certain
    GString *lines;                       // index lines whose media is not synced yet
    gint64 dirty_since_ns;                // 0 = all is durable
    gint64 oldest_ns;                     // when the oldest piece that is not durable was queued
};

typedef enum {
    JOB_APPEND,
    JOB_REMARK,
    JOB_CLOSE,
    JOB_REPLACE,
    JOB_NOTE,
    JOB_AFTER,
    JOB_STOP
} JobKind;

typedef struct {
    JobKind kind;
    RecFile *file;
    GBytes *piece;
    RecEntry entry;
    gint64 queued_ns;
    char *path, *text;
    void (*done)(void *user);
    void *user;
} Job;

struct _RecWriter {
    GThread *thread;
    GMainContext *context;
    gint64 sync_ns;

    GMutex lock; // guards what follows
    GCond more;
    GQueue jobs;
    gsize queued_bytes;
    RecWriterStats stats;
    gint64 dirty_since_ns;

    GPtrArray *dirty; // files with unsynced pieces; the writing thread only, no references
    GHashTable *late; // path → text that could not be written yet; the writing thread only
};

static RecFile *file_ref(RecFile *file)
{
    g_atomic_int_inc(&file->refs);
    return file;
}

static void file_unref(void *data)
{
    RecFile *file = data;
    if (!g_atomic_int_dec_and_test(&file->refs))
        return;
    if (file->media_fd >= 0)
        close(file->media_fd);
    if (file->index_fd >= 0)
        close(file->index_fd);
    g_string_free(file->lines, TRUE);
    g_free(file->lesson);
    g_free(file->stream);
    g_free(file->path);
    g_free(file->index_path);
    g_free(file);
}

static void job_free(Job *job)
{
    if (job->file)
        file_unref(job->file);
    if (job->piece)
        g_bytes_unref(job->piece);
    g_free(job->path);
    g_free(job->text);
    g_free(job);
}

static void main_call(RecWriter *writer, GSourceFunc func, void *data, GDestroyNotify notify)
{
    g_autoptr(GSource) source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, func, data, notify);
    g_source_attach(source, writer->context);
}

static gboolean failure_tell(void *data)
{
    RecFile *file = data;
    if (file->on_fail)
        file->on_fail(file->user);
    return G_SOURCE_REMOVE;
}

void rec_writer_count_failure(RecWriter *writer)
{
    g_mutex_lock(&writer->lock);
    writer->stats.failures++;
    writer->stats.failed_ns = tk_clock_monotonic_ns();
    writer->stats.failed_wall_ns = tk_clock_wall_ns();
    g_mutex_unlock(&writer->lock);
}

// The file as it was before the failed write; what cannot be cut off now is cut off by recovery.
// After a failed sync nobody knows what of the rest is on the disk (the kernel may call pages clean
// that it could not write), so that goes, too: the relay still has it.
static void file_fail(RecFile *file, const char *what, int code)
{
    RecWriter *writer = file->writer;

    g_atomic_int_set(&file->failed, 1);
    if (ftruncate(file->media_fd, (off_t)file->media_end) != 0 ||
        ftruncate(file->index_fd, (off_t)file->index_end) != 0)
        tk_debug("cannot cut %s back: %s", file->path, g_strerror(errno));
    g_string_truncate(file->lines, 0);
    rec_writer_count_failure(writer);

    // Here, since its owner may have closed it.
    tk_log(TK_LOG_ERROR,
           &(TkLogFields){.lesson = file->lesson,
                          .stream = file->stream,
                          .reason = tk_error_word(TK_ERROR_IO)},
           "cannot %s %s: %s", what, file->path, g_strerror(code));
    main_call(writer, failure_tell, file_ref(file), file_unref);
}

static void file_append(RecFile *file, const Job *job, gint64 now_ns)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(job->piece, &size);

    if (g_atomic_int_get(&file->failed))
        return;
    if (!rec_write_all(file->media_fd, data, size)) {
        file_fail(file, "write", errno);
        return;
    }
    file->media_end += size;
    rec_entry_format(&job->entry, file->lines);
    if (file->dirty_since_ns == 0) {
        file->dirty_since_ns = now_ns;
        file->oldest_ns = job->queued_ns;
        g_ptr_array_add(file->writer->dirty, file);
    }
    g_mutex_lock(&file->writer->lock);
    file->writer->stats.pieces++;
    file->writer->stats.bytes += size;
    if (file->writer->dirty_since_ns == 0)
        file->writer->dirty_since_ns = now_ns;
    g_mutex_unlock(&file->writer->lock);
}

static void count_sync(RecFile *file)
{
    RecWriter *writer = file->writer;
    gint64 took_ns = tk_clock_monotonic_ns() - file->oldest_ns;

    g_mutex_lock(&writer->lock);
    writer->stats.syncs += 2;
    writer->stats.late += took_ns > REC_WRITER_SYNC_MS_MAX * TK_NS_PER_MS;
    writer->stats.slowest_ns = MAX(writer->stats.slowest_ns, took_ns);
    g_mutex_unlock(&writer->lock);
}

static gboolean media_sync(RecFile *file)
{
    file->dirty_since_ns = 0;
    if (g_atomic_int_get(&file->failed))
        return FALSE;
    if (fdatasync(file->media_fd) != 0) {
        file->media_end = file->media_durable;
        file_fail(file, "sync", errno);
        return FALSE;
    }
    file->media_durable = file->media_end;
    return TRUE;
}

static gboolean lines_write(RecFile *file)
{
    if (!rec_write_all(file->index_fd, file->lines->str, file->lines->len)) {
        file_fail(file, "write the index of", errno);
        return FALSE;
    }
    file->index_end += file->lines->len;
    g_string_truncate(file->lines, 0);
    return TRUE;
}

static void index_sync(RecFile *file)
{
    if (fdatasync(file->index_fd) != 0) {
        file->index_end = file->index_durable;
        file_fail(file, "sync the index of", errno);
        return;
    }
    file->index_durable = file->index_end;
    count_sync(file);
}

// Media first, so that the index never speaks of bytes that a power cut could take away.
static void file_sync(RecFile *file)
{
    if (media_sync(file) && lines_write(file))
        index_sync(file);
}

static void file_remark(RecFile *file, const char *line)
{
    if (g_atomic_int_get(&file->failed))
        return;
    g_string_append(file->lines, line);
    if (!g_ptr_array_remove(file->writer->dirty, file))
        file->oldest_ns = tk_clock_monotonic_ns();
    file_sync(file);
}

// The same for all: the disk is told of everything before the first is waited for, which takes
// half to two thirds of the time.
static void sync_all(RecWriter *writer)
{
    RecFile **files = (RecFile **)writer->dirty->pdata;
    guint count = writer->dirty->len, good = 0;

    for (guint i = 0; i < count; i++)
        (void)sync_file_range(files[i]->media_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    for (guint i = 0; i < count; i++)
        if (media_sync(files[i]) && lines_write(files[i]))
            files[good++] = files[i];
    for (guint i = 0; i < good; i++)
        (void)sync_file_range(files[i]->index_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    for (guint i = 0; i < good; i++)
        index_sync(files[i]);
    g_ptr_array_set_size(writer->dirty, 0);
    g_mutex_lock(&writer->lock);
    writer->dirty_since_ns = 0;
    g_mutex_unlock(&writer->lock);
}

// Takes `text`. A lesson.json that the disk refuses now is tried again until it takes it.
static void text_replace(RecWriter *writer, const char *path, char *text)
{
    g_autoptr(GError) error = NULL;
    if (rec_file_replace(path, text, strlen(text), &error)) {
        if (g_hash_table_remove(writer->late, path))
            tk_info("%s is written after all", path);
        g_free(text);
        return;
    }
    g_autofree char *folder = g_path_get_dirname(path);
    if (!g_file_test(folder, G_FILE_TEST_IS_DIR)) { // deleted meanwhile
        g_hash_table_remove(writer->late, path);
        g_free(text);
        return;
    }
    if (!g_hash_table_contains(writer->late, path))
        tk_error("%s; it is tried again until the disk takes it", error->message);
    g_hash_table_replace(writer->late, g_strdup(path), text);
}

static void late_retry(RecWriter *writer)
{
    g_autoptr(GList) paths = g_hash_table_get_keys(writer->late);
    for (GList *at = paths; at; at = at->next) {
        g_autofree char *path = g_strdup(at->data);
        text_replace(writer, path, g_strdup(g_hash_table_lookup(writer->late, path)));
    }
}

static gboolean after_tell(void *data)
{
    Job *job = data;
    job->done(job->user);
    return G_SOURCE_REMOVE;
}

static void after_free(void *data)
{
    job_free(data);
}

static void note_append(const char *path, const char *line)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    g_autofree char *text = g_strconcat(line, "\n", NULL);
    if (fd < 0 || !rec_write_all(fd, text, strlen(text)))
        tk_warning("cannot write %s: %s; the media is not affected", path, g_strerror(errno));
    if (fd >= 0)
        close(fd);
}

// Takes the job.
static void job_run(RecWriter *writer, Job *job)
{
    switch (job->kind) {
    case JOB_APPEND:
        file_append(job->file, job, tk_clock_monotonic_ns());
        break;
    case JOB_REMARK:
        file_remark(job->file, job->text);
        break;
    case JOB_CLOSE:
        if (g_ptr_array_remove(writer->dirty, job->file))
            file_sync(job->file);
        break;
    case JOB_REPLACE:
        sync_all(writer);
        text_replace(writer, job->path, g_steal_pointer(&job->text));
        break;
    case JOB_NOTE:
        note_append(job->path, job->text);
        break;
    case JOB_AFTER:
        sync_all(writer);
        main_call(writer, after_tell, job, after_free);
        return;
    case JOB_STOP:
        break;
    }
    job_free(job);
}

static Job *job_next(RecWriter *writer)
{
    g_mutex_lock(&writer->lock);
    while (g_queue_is_empty(&writer->jobs)) {
        gint64 until_ns = writer->dirty_since_ns ? writer->dirty_since_ns + writer->sync_ns
                          : g_hash_table_size(writer->late)
                              ? tk_clock_monotonic_ns() + LATE_MS * TK_NS_PER_MS
                              : 0;
        if (until_ns == 0)
            g_cond_wait(&writer->more, &writer->lock);
        else if (!g_cond_wait_until(&writer->more, &writer->lock, until_ns / 1000))
            break;
    }
    Job *job = g_queue_pop_head(&writer->jobs);
    if (job && job->piece)
        writer->queued_bytes -= g_bytes_get_size(job->piece);
    g_mutex_unlock(&writer->lock);
    return job;
}

static void *writer_run(void *data)
{
    RecWriter *writer = data;
    for (;;) {
        Job *job = job_next(writer);
        if (job && job->kind == JOB_STOP) {
            job_free(job);
            break;
        }
        if (job)
            job_run(writer, job);
        if (!job)
            late_retry(writer);
        // Only this thread writes dirty_since_ns, so it may read it without the lock.
        if (writer->dirty_since_ns &&
            tk_clock_monotonic_ns() - writer->dirty_since_ns >= writer->sync_ns)
            sync_all(writer);
    }
    sync_all(writer);
    late_retry(writer);
    return NULL;
}

static void job_push(RecWriter *writer, Job *job)
{
    g_mutex_lock(&writer->lock);
    if (job->piece)
        writer->queued_bytes += g_bytes_get_size(job->piece);
    g_queue_push_tail(&writer->jobs, job);
    g_cond_signal(&writer->more);
    g_mutex_unlock(&writer->lock);
}

static Job *job_new(JobKind kind)
{
    Job *job = g_new0(Job, 1);
    job->kind = kind;
    return job;
}

RecWriter *rec_writer_new(guint sync_ms)
{
    RecWriter *writer = g_new0(RecWriter, 1);
    writer->context = g_main_context_ref_thread_default();
    writer->sync_ns = MIN(sync_ms, REC_WRITER_SYNC_MS_MAX) * TK_NS_PER_MS;
    writer->dirty = g_ptr_array_new();
    writer->late = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_mutex_init(&writer->lock);
    g_cond_init(&writer->more);
    g_queue_init(&writer->jobs);
    writer->thread = g_thread_new("rec-writer", writer_run, writer);
    return writer;
}

void rec_writer_free(RecWriter *writer)
{
    if (!writer)
        return;
    job_push(writer, job_new(JOB_STOP));
    g_thread_join(writer->thread);
    g_ptr_array_unref(writer->dirty);
    g_hash_table_unref(writer->late);
    g_mutex_clear(&writer->lock);
    g_cond_clear(&writer->more);
    g_main_context_unref(writer->context);
    g_free(writer);
}

static int file_open(const char *path, guint64 *ret_end)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (end < 0) {
        int saved = errno;
        if (fd >= 0)
            close(fd);
        errno = saved;
        return -1;
    }
    *ret_end = (guint64)end;
    return fd;
}

// What an earlier writer left behind has been read, but only a sync makes it durable. The index
// says whose boot it is before the first byte of media comes.
static gboolean file_settle(RecFile *file, GError **error)
{
    g_autofree char *boot = rec_index_boot(file->index_path);
    if (file->index_end == 0)
        g_string_append(file->lines, REC_INDEX_HEADER);
    if (g_strcmp0(boot, rec_boot_id()) != 0)
        g_string_append_printf(file->lines, REC_INDEX_BOOT "%s\n", rec_boot_id());
    gboolean ok = rec_write_all(file->index_fd, file->lines->str, file->lines->len);
    file->index_end += file->lines->len;
    g_string_truncate(file->lines, 0);
    if (!ok || fdatasync(file->media_fd) != 0 || fdatasync(file->index_fd) != 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot sync %s: %s", file->path,
                    g_strerror(errno));
        return FALSE;
    }
    file->media_durable = file->media_end;
    file->index_durable = file->index_end;
    return TRUE;
}

RecFile *rec_writer_open(RecWriter *writer, const char *folder, const char *stream,
                         guint64 media_bytes, RecFailFunc on_fail, void *user, GError **error)
{
    RecFile *file = g_new0(RecFile, 1);
    file->refs = 1;
    file->writer = writer;
    file->lesson = g_path_get_basename(folder);
    file->stream = g_strdup(stream);
    file->path = rec_stream_path(folder, stream, "mp4");
    file->index_path = rec_stream_path(folder, stream, "index");
    file->on_fail = on_fail;
    file->user = user;
    file->lines = g_string_new(NULL);
    file->index_fd = -1;
    file->media_fd = file_open(file->path, &file->media_end);
    if (file->media_fd >= 0)
        file->index_fd = file_open(file->index_path, &file->index_end);
    if (file->media_fd < 0 || file->index_fd < 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot open %s and its index: %s", file->path,
                    g_strerror(errno));
    } else if (file->media_end != media_bytes) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT,
                    "%s has %" G_GUINT64_FORMAT " bytes instead of %" G_GUINT64_FORMAT
                    ": somebody else writes it",
                    file->path, file->media_end, media_bytes);
    } else if (rec_folder_sync(folder, error) && file_settle(file, error)) {
        return file;
    }
    file_unref(file);
    return NULL;
}

gboolean rec_file_append(RecFile *file, GBytes *piece, const RecEntry *entry)
{
    RecWriter *writer = file->writer;

    g_mutex_lock(&writer->lock);
    gboolean full = writer->queued_bytes + g_bytes_get_size(piece) > REC_WRITER_QUEUE_BYTES_MAX;
    g_mutex_unlock(&writer->lock);
    if (full || g_atomic_int_get(&file->failed))
        return FALSE;
    Job *job = job_new(JOB_APPEND);
    job->file = file_ref(file);
    job->piece = g_bytes_ref(piece);
    job->entry = *entry;
    job->queued_ns = tk_clock_monotonic_ns();
    job_push(writer, job);
    return TRUE;
}

void rec_file_counting(RecFile *file, const RecCounting *counting)
{
    g_autoptr(GString) line = g_string_new(NULL);
    Job *job = job_new(JOB_REMARK);

    rec_counting_format(counting, line);
    job->file = file_ref(file);
    job->text = g_strdup(line->str);
    job_push(file->writer, job);
}

void rec_file_close(RecFile *file)
{
    if (!file)
        return;
    file->on_fail = NULL;
    Job *job = job_new(JOB_CLOSE);
    job->file = file; // the owner's reference goes with it
    job_push(file->writer, job);
}

void rec_writer_replace(RecWriter *writer, const char *path, char *text)
{
    Job *job = job_new(JOB_REPLACE);
    job->path = g_strdup(path);
    job->text = text;
    job_push(writer, job);
}

void rec_writer_note(RecWriter *writer, const char *path, char *line)
{
    Job *job = job_new(JOB_NOTE);
    job->path = g_strdup(path);
    job->text = line;
    job_push(writer, job);
}

void rec_writer_after(RecWriter *writer, void (*done)(void *user), void *user)
{
    Job *job = job_new(JOB_AFTER);
    job->done = done;
    job->user = user;
    job_push(writer, job);
}

void rec_writer_stats(RecWriter *writer, RecWriterStats *ret)
{
    g_mutex_lock(&writer->lock);
    *ret = writer->stats;
    ret->queued_bytes = writer->queued_bytes;
    ret->unsynced_ns =
        writer->dirty_since_ns ? tk_clock_monotonic_ns() - writer->dirty_since_ns : 0;
    g_mutex_unlock(&writer->lock);
}
