// SPDX-License-Identifier: MIT
#include "recorder/recorder.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "recorder/follow.h"
#include "recorder/library/remove.h"
#include "recorder/library/serve.h"
#include "recorder/library/upload.h"
#include "recorder/posters.h"
#include "recorder/retain.h"
#include "recorder/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

// A disk that refuses is tried again every few seconds: without a failure for so long it takes.
#define FAILURE_SHOWN_NS (60 * TK_NS_PER_S)
#define NAMES_SHOWN 10

typedef struct {
    const char *data;
    int lock_fd;
    GMainLoop *loop;
    ShelfIndex *index;
    gint64 memory_wall_ns; // since when it is in memory; 0: it is on the disk
    RecWriter *writer;
    TkWebTarget target;
    RecFollowRules rules;
    RecFollow *follow;
    RecPosters *posters; // NULL: none are made
    ShelfReplay *replay;
    ShelfGrants *grants;
    ShelfPlayed played;
    ShelfUploads *uploads;
    RecRetain *retain; // NULL: nothing is deleted by rule
    ShelfApi api;
    ShelfServer *server;
    gint64 search_ns;
    guint sigterm, sigint;
} Recorder;

static void lesson_changed(const RecLesson *lesson, void *user)
{
    Recorder *recorder = user;
    g_autoptr(GError) error = NULL;
    if (!shelf_index_put(recorder->index, lesson, NULL, &error))
        tk_log(TK_LOG_ERROR,
               &(TkLogFields){.lesson = lesson->id, .reason = tk_error_word(error->code)},
               "%s; the next start mends it", error->message);
    if (recorder->posters)
        rec_posters_consider(recorder->posters, lesson);
}

static const RecFollowHandler follow_handler = {lesson_changed};

static gboolean recording_edit(void *user, const char *id, const json_t *edits,
                               gboolean *ret_running, GError **error)
{
    Recorder *recorder = user;
    RecSession *session = rec_follow_session(recorder->follow, id);
    *ret_running = session != NULL;
    return !session || rec_session_edit(session, edits, error);
}

static const char *not_ready(void *user)
{
    const Recorder *recorder = user;
    if (!rec_follow_connected(recorder->follow))
        return rec_follow_down(recorder->follow).refused ? "the relay does not let the recorder in"
                                                         : "the relay cannot be reached";
    return rec_follow_disk(recorder->follow) == REC_DISK_ROOM ? NULL
                                                              : "the disk has no room for a lesson";
}

static gboolean lesson_running(void *user, const char *id)
{
    const Recorder *recorder = user;
    return rec_follow_session(recorder->follow, id) != NULL;
}

static gboolean lesson_wanted(void *user, const char *name)
{
    const Recorder *recorder = user;
    return tk_name_matches(recorder->rules.lessons, name);
}

static guint64 disk_spare(void *user)
{
    const Recorder *recorder = user;
    guint64 free_bytes = rec_disk_free(recorder->data);
    return free_bytes - MIN(free_bytes, recorder->rules.disk.reserve_bytes);
}

static void recording_changed(void *user, const RecLesson *lesson)
{
    lesson_changed(lesson, user);
}

static json_t *alarm_add(json_t *alarms, const char *what)
{
    json_t *alarm = json_object();
    tk_json_set_string(alarm, "what", what);
    json_array_append_new(alarms, alarm);
    return alarm;
}

// What keeps lessons from being recorded, the worst first; then what else asks for somebody.
static json_t *alarms(void *user, const TkClaims *claims)
{
    const Recorder *recorder = user;
    RecDiskLevel level = rec_follow_disk(recorder->follow);
    guint waiting = rec_follow_waiting(recorder->follow);
    json_t *all = json_array();
    RecFollowDown down = rec_follow_down(recorder->follow);
    RecWriterStats stats;

    if (down.since_wall_ns) {
        json_t *alarm = alarm_add(all, "relay");
        tk_json_set_time(alarm, "since", down.since_wall_ns);
        json_object_set_new(alarm, "refused", json_boolean(down.refused));
    }
    rec_writer_stats(recorder->writer, &stats);
    if (stats.failed_ns && tk_clock_monotonic_ns() - stats.failed_ns < FAILURE_SHOWN_NS)
        tk_json_set_time(alarm_add(all, "write"), "at", stats.failed_wall_ns);
    if (waiting) {
        json_t *alarm = alarm_add(all, "waiting");
        tk_json_set_int(alarm, "count", waiting);
        json_object_set_new(alarm, "names",
                            rec_follow_waiting_names(recorder->follow, claims, NAMES_SHOWN));
    }
    if (level != REC_DISK_ROOM) {
        json_t *alarm = alarm_add(all, "disk");
        tk_json_set_string(alarm, "level", rec_disk_word(level));
        tk_json_set_int(alarm, "free_bytes", (gint64)rec_disk_free(recorder->data));
    }
    if (recorder->memory_wall_ns)
        tk_json_set_time(alarm_add(all, "index"), "since", recorder->memory_wall_ns);
    return all;
}

static void metric(GString *out, const char *name, const char *type, const char *help, double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_dtostr(text, sizeof text, value);
    g_string_append_printf(out,
                           "# HELP tongke_recorder_%s %s\n# TYPE tongke_recorder_%s %s\n"
                           "tongke_recorder_%s %s\n",
                           name, help, name, type, name, text);
}

static void metrics(void *user, GString *out)
{
    const Recorder *recorder = user;
    RecWriterStats stats;
    const RecFollow *follow = recorder->follow;
    guint64 free_bytes = rec_disk_free(recorder->data);

    rec_writer_stats(recorder->writer, &stats);
    metric(out, "recordings_open", "gauge", "Lessons being recorded.", rec_follow_count(follow));
    metric(out, "relay_connected", "gauge", "1 while the relay's events are followed.",
           rec_follow_connected(follow));
    metric(out, "chunks_total", "counter", "Pieces written.", (double)stats.pieces);
    metric(out, "bytes_total", "counter", "Bytes of media written.", (double)stats.bytes);
    metric(out, "write_failures_total", "counter", "Files that the disk refused.",
           (double)stats.failures);
    metric(out, "queued_bytes", "gauge", "Bytes waiting to be written.",
           (double)stats.queued_bytes);
    metric(out, "unsynced_seconds", "gauge", "Age of the oldest piece that is not durable yet.",
           (double)stats.unsynced_ns / 1e9);
    metric(out, "syncs_total", "counter", "Syncs of media and of their index.",
           (double)stats.syncs);
    metric(out, "syncs_late_total", "counter",
           "Files durable later than a second after a piece came.", (double)stats.late);
    metric(out, "durable_seconds_max", "gauge",
           "The longest from a piece's coming to its being durable, since the start.",
           (double)stats.slowest_ns / 1e9);
    metric(out, "search_seconds_max", "gauge", "The longest search since the start.",
           (double)recorder->search_ns / 1e9);
    metric(out, "http_connections", "gauge", "Open connections to the library.",
           shelf_server_connections(recorder->server));
    metric(out, "hls_playlists_total", "counter", "HLS playlists asked for.",
           (double)recorder->played.playlists);
    metric(out, "hls_segments_total", "counter", "HLS segments asked for.",
           (double)recorder->played.segments);
    metric(out, "lessons_waiting", "gauge", "Lessons that the disk has no room or no folder for.",
           rec_follow_waiting(follow));
    metric(out, "disk_level", "gauge",
           "0: room for a lesson; 1: low, none is begun; 2: full, the reserve is being used up.",
           rec_follow_disk(follow));
    if (free_bytes != G_MAXUINT64)
        metric(out, "disk_free_bytes", "gauge", "Free bytes where the recordings are.",
               (double)free_bytes);
}

// Two recorders on one folder would write over each other.
static gboolean data_lock(Recorder *recorder, GError **error)
{
    g_autofree char *path = g_build_filename(recorder->data, "recorder.lock", NULL);
    if (g_mkdir_with_parents(recorder->data, 0755) != 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot make the folder %s: %s", recorder->data,
                    g_strerror(errno));
        return FALSE;
    }
    recorder->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (recorder->lock_fd < 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "cannot write in %s: %s", recorder->data,
                    g_strerror(errno));
        return FALSE;
    }
    if (flock(recorder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "another recorder works in %s",
                    recorder->data);
        return FALSE;
    }
    return TRUE;
}

static void recording_open(RecLesson *lesson, const char *folder, void *user)
{
    Recorder *recorder = user;
    rec_follow_resume(recorder->follow, lesson, folder);
}

static gboolean index_fill(Recorder *recorder, gboolean all, RecScanCounts *ret, GError **error)
{
    return rec_scan(recorder->data, recorder->index, all, recorder->follow ? recording_open : NULL,
                    recorder, ret, error);
}

static gboolean index_open(Recorder *recorder, gboolean rebuild, RecScanCounts *ret, GError **error)
{
    gboolean fresh = FALSE;
    recorder->index = shelf_index_open(recorder->data, &fresh, error);
    return recorder->index && (!rebuild || shelf_index_clear(recorder->index, error)) &&
           index_fill(recorder, fresh || rebuild, ret, error);
}

static gboolean data_open(Recorder *recorder, gboolean rebuild, RecScanCounts *ret, GError **error)
{
    g_autoptr(GError) why = NULL;

    if (!data_lock(recorder, error))
        return FALSE;
    shelf_deletions_reserve(recorder->data);
    if (index_open(recorder, rebuild, ret, &why))
        return TRUE;
    if (rebuild) {
        g_propagate_error(error, g_steal_pointer(&why));
        return FALSE;
    }
    // Lessons are recorded without it, and deleting with it may be what makes room.
    tk_error("%s; until the next start the index is kept in memory, made from the folders. Make "
             "room on the disk or mend it (the index itself may be deleted), and start again",
             why->message);
    g_clear_pointer(&recorder->index, shelf_index_free);
    recorder->memory_wall_ns = tk_clock_wall_ns();
    recorder->index = shelf_index_open_memory(error);
    return recorder->index && index_fill(recorder, TRUE, ret, error);
}

static gboolean stop(void *data)
{
    Recorder *recorder = data;
    g_main_loop_quit(recorder->loop);
    return G_SOURCE_CONTINUE;
}

static gboolean serve(Recorder *recorder, const TkConfig *config, GError **error)
{
    const char *key_file = tk_config_string(config, "auth", "key_file");
    g_autoptr(TkTokenKey) key = *key_file ? tk_token_key_load(key_file, error) : NULL;
    ShelfServerOptions options = {
        .listen = tk_config_string(config, "http", "listen"),
        .port = (guint16)tk_config_int(config, "http", "port"),
        .allow_origin = tk_config_string(config, "http", "allow_origin"),
        .connections_max = (guint)tk_config_int(config, "http", "connections_max"),
        .key = key,
    };

    if (*key_file && !key)
        return FALSE;
    recorder->grants = shelf_grants_open(recorder->data, error);
    if (!recorder->grants)
        return FALSE;
    recorder->api = (ShelfApi){
        .data = recorder->data,
        .index = recorder->index,
        .replay = recorder->replay,
        .grants = recorder->grants,
        .played = &recorder->played,
        .search_ns = &recorder->search_ns,
        .edit = recording_edit,
        .not_ready = not_ready,
        .running = lesson_running,
        .wanted = lesson_wanted,
        .spare = disk_spare,
        .changed = recording_changed,
        .uploads = recorder->uploads,
        .alarms = alarms,
        .metrics = metrics,
        .user = recorder,
    };
    recorder->server = shelf_server_new(&options, &recorder->api, error);
    if (!recorder->server)
        return FALSE;
    // Before it says that it is there: who hears that may stop it.
    recorder->sigterm = g_unix_signal_add(SIGTERM, stop, recorder);
    recorder->sigint = g_unix_signal_add(SIGINT, stop, recorder);
    gboolean brackets = strchr(options.listen, ':') != NULL;
    g_print("listening http %s%s%s:%u\n", brackets ? "[" : "", options.listen, brackets ? "]" : "",
            shelf_server_port(recorder->server));
    fflush(stdout);
    g_main_loop_run(recorder->loop);
    tk_info("ending: what was received is being made durable");
    g_clear_pointer(&recorder->server, shelf_server_free);
    return TRUE;
}

static void recorder_clear(Recorder *recorder)
{
    g_clear_handle_id(&recorder->sigterm, g_source_remove);
    g_clear_handle_id(&recorder->sigint, g_source_remove);
    g_clear_pointer(&recorder->retain, rec_retain_free);
    g_clear_pointer(&recorder->posters, rec_posters_free);
    g_clear_pointer(&recorder->follow, rec_follow_free);
    g_clear_pointer(&recorder->writer, rec_writer_free);
    g_clear_object(&recorder->target.session);
    g_clear_pointer(&recorder->index, shelf_index_free);
    g_clear_pointer(&recorder->replay, shelf_replay_free);
    g_clear_pointer(&recorder->uploads, shelf_uploads_free);
    g_clear_pointer(&recorder->grants, shelf_grants_free);
    g_clear_pointer(&recorder->loop, g_main_loop_unref);
    if (recorder->lock_fd >= 0)
        close(recorder->lock_fd);
}

static guint64 megabytes(const TkConfig *config, const char *key)
{
    return (guint64)tk_config_int(config, "disk", key) * 1000000;
}

gboolean rec_recorder_run(const TkConfig *config, GError **error)
{
    g_autofree char *url = g_strdup(tk_config_string(config, "relay", "url"));
    RecScanCounts counts = {0};
    Recorder recorder = {.data = tk_config_string(config, "archive", "data"), .lock_fd = -1};

    while (g_str_has_suffix(url, "/"))
        url[strlen(url) - 1] = '\0';
    recorder.loop = g_main_loop_new(NULL, FALSE);
    recorder.replay = shelf_replay_new();
    recorder.uploads = shelf_uploads_new();
    recorder.writer = rec_writer_new((guint)tk_config_int(config, "archive", "sync_ms"));
    recorder.target = (TkWebTarget){tk_web_session_new("tongke-recorder"), url,
                                    tk_config_string(config, "relay", "token_file")};
    recorder.rules =
        (RecFollowRules){recorder.data,
                         tk_config_string(config, "record", "lessons"),
                         tk_config_string(config, "record", "streams"),
                         {megabytes(config, "reserve_mb"), megabytes(config, "lesson_mb")}};
    recorder.follow = rec_follow_new(&recorder.rules, recorder.writer, &recorder.target,
                                     &follow_handler, &recorder);
    if (tk_config_bool(config, "record", "posters"))
        recorder.posters = rec_posters_new(recorder.data);
    RecRetention rules = rec_retain_rules(config);
    gboolean ok = data_open(&recorder, FALSE, &counts, error);
    if (ok)
        recorder.retain = rec_retain_new(recorder.data, recorder.index, &rules);
    ok = ok && serve(&recorder, config, error);
    recorder_clear(&recorder);
    return ok;
}

static void due_print(const RecLesson *lesson, const char *reason, void *user)
{
    g_autofree char *started = tk_clock_format_rfc3339(lesson->started_ns);
    g_print("%s  %s  %-10s  %s\n", lesson->id, started, reason,
            lesson->info->title ? lesson->info->title : lesson->name);
}

gboolean rec_recorder_retain(const TkConfig *config, gboolean dry, GError **error)
{
    Recorder recorder = {.data = tk_config_string(config, "archive", "data"), .lock_fd = -1};
    RecRetention rules = rec_retain_rules(config);
    RecScanCounts counts = {0};
    RecRetainCounts retained = {0};
    gboolean ok;

    // To look is allowed beside a recorder that works.
    if (dry)
        ok = (recorder.index = shelf_index_look(recorder.data, error)) != NULL;
    else
        ok = data_open(&recorder, FALSE, &counts, error);
    ok = ok && rec_retain_run(recorder.data, recorder.index, &rules, dry, due_print, NULL,
                              &retained, error);
    if (ok)
        g_print(dry ? "%u recordings would be deleted\n" : "%u recordings deleted\n",
                retained.due - retained.failed);
    if (ok && retained.failed) {
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "%u recordings that are due could not be deleted",
                    retained.failed);
        ok = FALSE;
    }
    recorder_clear(&recorder);
    return ok;
}

gboolean rec_recorder_rebuild(const TkConfig *config, GError **error)
{
    Recorder recorder = {.data = tk_config_string(config, "archive", "data"), .lock_fd = -1};
    RecScanCounts counts = {0};
    gboolean ok = data_open(&recorder, TRUE, &counts, error);
    if (ok)
        g_print("%u recordings in the index, %u folders left out\n", counts.put, counts.failed);
    recorder_clear(&recorder);
    return ok;
}
