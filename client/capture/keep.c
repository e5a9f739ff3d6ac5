// SPDX-License-Identifier: MIT
#include "client/capture/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "client/capture/copies.h"
#include "client/capture/track.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/ulid.h"

#define QUEUE_BYTES_MAX (64u << 20) // half a minute at the highest rate, for a disk that sleeps
#define SYNC_NS TK_NS_PER_S
#define WAIT_US 200000 // for media; then it is time to sync
#define SEGMENT_NS (30 * TK_NS_PER_S)
#define SOUND_WAIT_NS (3 * TK_NS_PER_S) // for the sound's configuration, at the beginning
#define HELD_MAX 500                    // buffers that wait for it
#define RETRY_NS (5 * TK_NS_PER_S)      // after the disk refused

typedef struct {
    CapKeepStream *stream; // NULL: the end
    TkTrackKind kind;
    GstBuffer *buffer;
    GstCaps *caps;
    gint64 wall_ns; // captured
} Item;

struct _CapKeepStream {
    CapKeep *keep;
    char *name;
    gboolean has_sound;
    GstClock *clock;
    GstClockTime base_time;
    gint64 base_ns; // media time of running time zero
    // The writing thread's:
    CapTrack *tracks;
    GQueue held; // Item: pictures that wait for the sound to be known
    TkCmafMux *mux;
    GBytes *init; // of the segment
    int fd;       // of the segment; -1: none
    gint64 begun_ns, synced_ns, refused_ns;
    gboolean dirty;
};

struct _CapKeep {
    CapKeepRules rules;
    char *root, *folder, *id;
    json_t *lesson;
    gint64 started_ns;
    int lock_fd;
    GPtrArray *streams;
    GAsyncQueue *queue;
    gint queued_bytes, dropped; // atomic
    GThread *thread;
};

static void item_free(Item *item)
{
    gst_clear_buffer(&item->buffer);
    gst_clear_caps(&item->caps);
    g_free(item);
}

static void segment_close(CapKeepStream *stream)
{
    if (stream->mux)
        tk_cmaf_mux_flush(stream->mux, -1, -1);
    g_clear_pointer(&stream->mux, tk_cmaf_mux_free);
    if (stream->fd >= 0) {
        fdatasync(stream->fd);
        close(stream->fd);
    }
    stream->fd = -1;
    stream->dirty = FALSE;
}

static void refused(CapKeepStream *stream)
{
    tk_error("%s: the local copy cannot be written: %s", stream->name, g_strerror(errno));
    stream->refused_ns = tk_clock_monotonic_ns();
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
}

static void put(CapKeepStream *stream, const void *data, gsize size)
{
    const guint8 *at = data;
    while (size > 0 && stream->fd >= 0) {
        ssize_t done = write(stream->fd, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            refused(stream);
            return;
        }
        at += done;
        size -= (gsize)done;
    }
    stream->dirty = TRUE;
}

static void on_chunk(void *user, GBytes *chunk, gboolean key)
{
    gsize size;
    const void *data = g_bytes_get_data(chunk, &size);
    put(user, data, size);
}

static void folder_sync(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static void segment_open(CapKeepStream *stream, gint64 wall_ns)
{
    CapKeep *keep = stream->keep;
    g_autofree char *name = g_strdup_printf("%s-%0*" G_GINT64_FORMAT ".mp4", stream->name,
                                            CAP_KEEP_SEGMENT_DIGITS, wall_ns / TK_NS_PER_MS);
    g_autofree char *path = g_build_filename(keep->folder, name, NULL);
    TkCmafTrack tracks[TK_CMAF_TRACKS_MAX];
    guint count = cap_track_describe(stream->tracks, tracks);

    segment_close(stream);
    if (tk_clock_monotonic_ns() < stream->refused_ns + RETRY_NS && stream->refused_ns)
        return;
    cap_copies_trim(keep->root, keep->rules.bytes_max, tk_clock_wall_ns() - keep->rules.age_max_ns);
    stream->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (stream->fd < 0) {
        refused(stream);
        return;
    }
    g_clear_pointer(&stream->init, g_bytes_unref);
    stream->init = tk_cmaf_init_write(tracks, count);
    stream->mux = tk_cmaf_mux_new(tracks, count, on_chunk, stream);
    stream->begun_ns = wall_ns;
    put(stream, g_bytes_get_data(stream->init, NULL), g_bytes_get_size(stream->init));
    folder_sync(keep->folder);
}

static gboolean must_begin(CapKeepStream *stream, gint64 wall_ns)
{
    TkCmafTrack tracks[TK_CMAF_TRACKS_MAX];
    guint count = cap_track_describe(stream->tracks, tracks);

    if (stream->fd < 0 || ABS(wall_ns - stream->begun_ns) >= SEGMENT_NS)
        return TRUE;
    g_autoptr(GBytes) init = tk_cmaf_init_write(tracks, count);
    return !g_bytes_equal(init, stream->init);
}

static void write_item(CapKeepStream *stream, Item *item)
{
    TkCmafMuxSample sample = {.kind = item->kind, .wall_ns = item->wall_ns};
    GstMapInfo map;

    if (!gst_buffer_map(item->buffer, &map, GST_MAP_READ))
        return;
    gboolean delta = GST_BUFFER_FLAG_IS_SET(item->buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    gboolean good = item->kind == TK_TRACK_VIDEO
                        ? cap_track_picture(stream->tracks, map.data, map.size, !delta, &sample)
                        : cap_track_sound(stream->tracks, map.data, map.size, &sample);
    if (good) {
        sample.decode = cap_track_ticks(stream->tracks, item->kind, stream->base_ns,
                                        (gint64)GST_BUFFER_PTS(item->buffer));
        if (item->kind == TK_TRACK_VIDEO && sample.key && must_begin(stream, item->wall_ns))
            segment_open(stream, item->wall_ns);
        if (stream->mux && stream->fd >= 0)
            (void)!tk_cmaf_mux_push(stream->mux, &sample);
    }
    gst_buffer_unmap(item->buffer, &map);
}

// Pictures first: a file begins with one.
static void release_held(CapKeepStream *stream)
{
    static const TkTrackKind order[] = {TK_TRACK_VIDEO, TK_TRACK_AUDIO};

    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        for (GList *at = stream->held.head; at; at = at->next)
            if (((Item *)at->data)->kind == order[i])
                write_item(stream, at->data);
    g_queue_clear_full(&stream->held, (GDestroyNotify)item_free);
}

// At the beginning pictures wait for the sound's configuration, and sound for the first picture.
static gboolean must_wait(const CapKeepStream *stream, const Item *item)
{
    const Item *first = g_queue_peek_head((GQueue *)&stream->held);
    gboolean waits = item->kind == TK_TRACK_AUDIO
                         ? stream->fd < 0
                         : stream->has_sound && !cap_track_has_sound(stream->tracks);
    return waits && (!first || (item->wall_ns - first->wall_ns < SOUND_WAIT_NS &&
                                g_queue_get_length((GQueue *)&stream->held) < HELD_MAX));
}

static void take_item(Item *item)
{
    CapKeepStream *stream = item->stream;

    cap_track_caps(stream->tracks, item->kind, item->caps);
    g_queue_push_tail(&stream->held, item);
    if (!must_wait(stream, item))
        release_held(stream);
}

static void sync_due(CapKeepStream *stream, gint64 now_ns)
{
    if (!stream->dirty || stream->fd < 0 || now_ns - stream->synced_ns < SYNC_NS)
        return;
    stream->dirty = FALSE;
    stream->synced_ns = now_ns;
    if (fdatasync(stream->fd) != 0)
        refused(stream);
}

static gpointer write_all(gpointer data)
{
    CapKeep *keep = data;
    gboolean ends = FALSE;

    while (!ends) {
        Item *item = g_async_queue_timeout_pop(keep->queue, WAIT_US);
        if (item && item->stream) {
            g_atomic_int_add(&keep->queued_bytes, -(gint)gst_buffer_get_size(item->buffer));
            take_item(item);
        } else if (item) {
            ends = TRUE;
            item_free(item);
        }
        gint64 now_ns = tk_clock_monotonic_ns();
        for (guint i = 0; i < keep->streams->len; i++)
            sync_due(keep->streams->pdata[i], now_ns);
    }
    for (guint i = 0; i < keep->streams->len; i++) {
        release_held(keep->streams->pdata[i]);
        segment_close(keep->streams->pdata[i]);
    }
    return NULL;
}

static void enqueue(CapKeepStream *stream, TkTrackKind kind, GstBuffer *buffer, GstCaps *caps)
{
    CapKeep *keep = stream->keep;
    gint size = (gint)gst_buffer_get_size(buffer);
    gint64 wall_ns = tk_clock_wall_ns();
    GstClockTime now = gst_clock_get_time(stream->clock) - stream->base_time;

    if (g_atomic_int_get(&keep->queued_bytes) + size > (gint)QUEUE_BYTES_MAX) {
        if (g_atomic_int_add(&keep->dropped, 1) == 0)
            tk_error("%s: the disk does not keep up: the local copy has holes", stream->name);
        return;
    }
    Item *item = g_new0(Item, 1);
    *item = (Item){stream, kind, gst_buffer_ref(buffer), caps ? gst_caps_ref(caps) : NULL,
                   wall_ns - (gint64)(now - GST_BUFFER_PTS(buffer))};
    g_atomic_int_add(&keep->queued_bytes, size);
    g_async_queue_push(keep->queue, item);
}

void cap_keep_picture(void *user, GstBuffer *buffer, GstCaps *caps)
{
    enqueue(user, TK_TRACK_VIDEO, buffer, caps);
}

void cap_keep_sound(void *user, GstBuffer *buffer, GstCaps *caps)
{
    enqueue(user, TK_TRACK_AUDIO, buffer, caps);
}

CapKeepStream *cap_keep_stream(CapKeep *keep, const char *name, gboolean has_sound, GstClock *clock,
                               GstClockTime base_time)
{
    CapKeepStream *stream = g_new0(CapKeepStream, 1);
    gint64 running_ns = (gint64)(gst_clock_get_time(clock) - base_time);

    stream->keep = keep;
    stream->name = g_strdup(name);
    stream->has_sound = has_sound;
    stream->clock = gst_object_ref(clock);
    stream->base_time = base_time;
    stream->base_ns = MAX(tk_clock_wall_ns() - running_ns - keep->started_ns, 0);
    stream->tracks = cap_track_new();
    stream->fd = -1;
    g_queue_init(&stream->held);
    g_ptr_array_add(keep->streams, stream);
    return stream;
}

static void stream_free(void *data)
{
    CapKeepStream *stream = data;
    g_queue_clear_full(&stream->held, (GDestroyNotify)item_free);
    cap_track_free(stream->tracks);
    g_clear_pointer(&stream->init, g_bytes_unref);
    gst_clear_object(&stream->clock);
    g_free(stream->name);
    g_free(stream);
}

// A lesson that was cut off: its sender died, or its machine.
static gboolean goes_on(const char *folder, const char *relay)
{
    g_autoptr(json_t) lesson = cap_copy_load(folder);
    g_autoptr(GArray) segments = cap_segments_list(folder, NULL);
    gint64 newest_ns = lesson ? tk_ulid_wall_ns(tk_json_string(lesson, "id", "")) : 0;
    GStatBuf info;

    if (!lesson || strcmp(tk_json_string(lesson, "relay", ""), relay) != 0 ||
        strcmp(tk_json_string(lesson, "state", ""), "running") != 0)
        return FALSE;
    if (segments->len &&
        g_stat(g_array_index(segments, CapSegment, segments->len - 1).path, &info) == 0)
        newest_ns = MAX(newest_ns, (gint64)info.st_mtime * TK_NS_PER_S);
    return ABS(tk_clock_wall_ns() - newest_ns) < CAP_KEEP_RESUME_S * TK_NS_PER_S;
}

static void find_running(CapKeep *keep, const char *relay)
{
    g_auto(GStrv) folders = cap_copy_folders(keep->root);
    for (guint i = g_strv_length(folders); i > 0 && !keep->id; i--)
        if (goes_on(folders[i - 1], relay) && (keep->lock_fd = cap_copy_lock(folders[i - 1])) >= 0)
            keep->id = g_path_get_basename(folders[i - 1]);
}

static gboolean lesson_begin(CapKeep *keep, const char *relay, const TkLessonInfo *info,
                             GError **error)
{
    keep->lesson = cap_copy_load(keep->folder);
    if (keep->lesson) {
        const char *started = tk_json_string(keep->lesson, "started", NULL);
        if (started && tk_clock_parse_rfc3339(started, &keep->started_ns, NULL))
            tk_info("the lesson %s goes on", keep->id);
    } else {
        keep->lesson = json_object();
        keep->started_ns = tk_clock_wall_ns() / TK_NS_PER_S * TK_NS_PER_S;
        tk_json_set_string(keep->lesson, "id", keep->id);
        tk_json_set_string(keep->lesson, "relay", relay);
        tk_json_set_time(keep->lesson, "started", keep->started_ns);
    }
    json_object_set_new(keep->lesson, "info", tk_lesson_info_to_json(info));
    tk_json_set_string(keep->lesson, "state", "running");
    return cap_copy_save(keep->folder, keep->lesson, error);
}

CapKeep *cap_keep_new(const CapKeepRules *rules, const char *relay, const char *lesson_id,
                      const TkLessonInfo *info, GError **error)
{
    CapKeep *keep = g_new0(CapKeep, 1);

    keep->rules = *rules;
    keep->root = g_strdup(rules->folder);
    keep->rules.folder = keep->root;
    keep->lock_fd = -1;
    keep->streams = g_ptr_array_new_with_free_func(stream_free);
    keep->queue = g_async_queue_new();
    keep->id = g_strdup(lesson_id);
    if (!keep->id)
        find_running(keep, relay);
    if (!keep->id)
        keep->id = tk_ulid_new(tk_clock_wall_ns());
    keep->folder = g_build_filename(keep->root, keep->id, NULL);
    if (g_mkdir_with_parents(keep->folder, 0700) != 0)
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "no local copy: %s: %s; see --keep", keep->folder,
                    g_strerror(errno));
    else if (keep->lock_fd < 0 && (keep->lock_fd = cap_copy_lock(keep->folder)) < 0)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "another capture sends the lesson %s",
                    keep->id);
    else if (lesson_begin(keep, relay, info, error))
        return keep;
    cap_keep_free(keep, FALSE);
    return NULL;
}

void cap_keep_begin(CapKeep *keep)
{
    keep->thread = g_thread_new("keep", write_all, keep);
}

void cap_keep_free(CapKeep *keep, gboolean over)
{
    if (!keep)
        return;
    if (keep->thread) {
        g_async_queue_push(keep->queue, g_new0(Item, 1));
        g_thread_join(keep->thread);
    }
    if (over && keep->lesson) {
        g_autoptr(GError) error = NULL;
        tk_json_set_string(keep->lesson, "state", "over");
        if (!cap_copy_save(keep->folder, keep->lesson, &error))
            tk_error("the local copy's state cannot be written: %s", error->message);
    }
    if (keep->lock_fd >= 0)
        close(keep->lock_fd);
    for (Item *item; (item = g_async_queue_try_pop(keep->queue));)
        item_free(item);
    g_async_queue_unref(keep->queue);
    g_ptr_array_unref(keep->streams);
    json_decref(keep->lesson);
    g_free(keep->root);
    g_free(keep->folder);
    g_free(keep->id);
    g_free(keep);
}

const char *cap_keep_lesson_id(const CapKeep *keep)
{
    return keep->id;
}
