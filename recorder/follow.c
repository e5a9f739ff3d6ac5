// SPDX-License-Identifier: MIT
#include "recorder/follow.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#include <string.h>

#define EVENT_BYTES_MAX (8u << 20)
#define UPDATE_S 2
#define SESSIONS_MAX 2000

struct _RecFollow {
    const RecFollowRules *rules;
    RecWriter *writer;
    const TkWebTarget *target;
    const RecFollowHandler *handler;
    void *user;

    TkWebLink *link;
    GHashTable *sessions; // id → RecSession
    GHashTable *waiting;  // id → json_t: a lesson for which there is no room, or no folder
    RecDiskLevel disk;    // as it was last seen
    GHashTable *again;    // id → json_t: a lesson that began again while its session was ending
    guint timer;
    RecFollowDown down;
};

static void lesson_event(RecFollow *follow, const char *event, const json_t *lesson);

static void session_closed(RecSession *session, void *user)
{
    RecFollow *follow = user;
    g_autofree char *id = NULL;
    g_autoptr(json_t) again = NULL;
    const RecLesson *lesson = rec_session_lesson(session);

    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id},
           "recording closed: %.1f s, %u streams, %u gaps, %" G_GUINT64_FORMAT " bytes",
           (double)rec_lesson_duration_ns(lesson) / 1e9, lesson->streams->len,
           rec_lesson_open_gaps(lesson), rec_lesson_bytes(lesson));
    follow->handler->on_lesson(lesson, follow->user);
    g_hash_table_steal_extended(follow->again, lesson->id, (void **)&id, (void **)&again);
    g_hash_table_remove(follow->sessions, lesson->id);
    if (again)
        lesson_event(follow, "lesson-started", again);
}

static const RecSessionHandler session_handler = {session_closed};

static RecSession *session_add(RecFollow *follow, RecLesson *lesson, const char *folder)
{
    char *id = g_strdup(lesson->id);
    RecSession *session = rec_session_new(lesson, folder, follow->rules->streams, follow->writer,
                                          follow->target, &session_handler, follow);
    g_hash_table_insert(follow->sessions, id, session);
    return session;
}

void rec_follow_resume(RecFollow *follow, RecLesson *lesson, const char *folder)
{
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id}, "recording goes on: %s",
           lesson->name);
    session_add(follow, lesson, folder);
}

// Looks at the disk, and says so when it is not as it was.
static RecDiskLevel disk_look(RecFollow *follow)
{
    guint64 open_bytes = 0, free_bytes = rec_disk_free(follow->rules->data);
    GHashTableIter iter;
    void *session;

    g_hash_table_iter_init(&iter, follow->sessions);
    while (g_hash_table_iter_next(&iter, NULL, &session))
        open_bytes +=
            rec_disk_expected(&follow->rules->disk, rec_lesson_bytes(rec_session_lesson(session)));
    RecDiskLevel level = rec_disk_judge(&follow->rules->disk, free_bytes, open_bytes);
    if (level != follow->disk) {
        static const char *const advice[REC_DISK_LEVELS] = {
            "lessons are recorded again",
            "no further lesson is begun until there is room: delete recordings, or set [retention]",
            "the reserve is being used up: lessons that are being recorded will have gaps soon"};
        static const TkLogLevel levels[REC_DISK_LEVELS] = {TK_LOG_INFO, TK_LOG_WARNING,
                                                           TK_LOG_ERROR};
        tk_log(levels[level], &(TkLogFields){.reason = "disk"},
               "disk %s: %" G_GUINT64_FORMAT " MB are free; %s", rec_disk_word(level),
               free_bytes / 1000000, advice[level]);
        follow->disk = level;
    }
    return level;
}

// A lesson that begins, or one whose recording was closed and whose sender came back with its id.
static RecSession *session_begin(RecFollow *follow, const char *id, const char *name,
                                 const json_t *event)
{
    g_autofree char *folder = rec_folder_path(follow->rules->data, id);
    g_autoptr(GError) error = NULL;

    if (g_hash_table_size(follow->sessions) >= SESSIONS_MAX) {
        tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = id, .reason = "limit"},
               "not recorded: %d lessons are being recorded already", SESSIONS_MAX);
        return NULL;
    }
    gboolean waits = g_hash_table_contains(follow->waiting, id);
    if (disk_look(follow) != REC_DISK_ROOM) {
        if (!waits)
            tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = id, .reason = "disk"},
                   "not recorded: the disk has no room for %s; it begins as soon as there is",
                   name);
        g_hash_table_insert(follow->waiting, g_strdup(id), json_deep_copy(event));
        return NULL;
    }
    RecLesson *lesson = rec_lesson_load(folder, NULL);
    if (lesson && strcmp(lesson->id, id) != 0)
        g_clear_pointer(&lesson, rec_lesson_free);
    if (!lesson) {
        lesson = rec_lesson_new(id, name);
        if (!rec_folder_make(folder, &error)) {
            if (!waits)
                tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = id, .reason = "io"},
                       "not recorded: %s; it begins as soon as that can be made", error->message);
            rec_writer_count_failure(follow->writer);
            rec_lesson_free(lesson);
            g_hash_table_insert(follow->waiting, g_strdup(id), json_deep_copy(event));
            return NULL;
        }
    }
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = id}, "recording: %s", name);
    g_hash_table_remove(follow->waiting, id);
    return session_add(follow, lesson, folder);
}

static gint64 ended_read(const json_t *lesson)
{
    gint64 wall_ns = 0;
    const char *ended = tk_json_string(lesson, "ended", NULL);
    return ended && tk_clock_parse_rfc3339(ended, &wall_ns, NULL) ? wall_ns : 0;
}

static void lesson_event(RecFollow *follow, const char *event, const json_t *lesson)
{
    const char *id = tk_json_string(lesson, "id", "");
    const char *name = tk_json_string(lesson, "name", "");
    const char *state = tk_json_string(lesson, "state", "");
    gboolean over = strcmp(event, "lesson-ended") == 0 || strcmp(state, "ended") == 0;

    if (!tk_ulid_valid(id) || !tk_name_lesson_valid(name))
        return;
    RecSession *session = g_hash_table_lookup(follow->sessions, id);
    if (over)
        g_hash_table_remove(follow->waiting, id);
    if (!session && !over && tk_name_matches(follow->rules->lessons, name))
        session = session_begin(follow, id, name, lesson);
    if (!session)
        return;
    if (rec_session_ended(session)) {
        g_hash_table_remove(follow->again, id);
        if (!over)
            g_hash_table_insert(follow->again, g_strdup(id), json_deep_copy(lesson));
        return;
    }
    rec_session_update(session, event, lesson);
    if (over)
        rec_session_end(session, ended_read(lesson));
    else if (rec_session_take_changed(session))
        follow->handler->on_lesson(rec_session_lesson(session), follow->user);
}

static gboolean not_named(void *id, void *lesson, void *named)
{
    return !g_hash_table_contains(named, id);
}

// Lessons that the relay does not know (any more) are over.
static void snapshot_event(RecFollow *follow, const json_t *lessons)
{
    g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GList) ids = NULL;
    const json_t *lesson;
    size_t i;

    json_array_foreach(lessons, i, lesson)
    {
        g_hash_table_add(named, (char *)tk_json_string(lesson, "id", ""));
        lesson_event(follow, "snapshot", lesson);
    }
    ids = g_hash_table_get_keys(follow->sessions);
    for (GList *id = ids; id; id = id->next)
        if (!g_hash_table_contains(named, id->data))
            rec_session_end(g_hash_table_lookup(follow->sessions, id->data), 0);
    g_hash_table_foreach_remove(follow->waiting, not_named, named);
}

static char *follow_path(void *user)
{
    return g_strdup("/api/v1/events");
}

static void follow_text(void *user, const char *text, gsize length)
{
    RecFollow *follow = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) message = tk_json_parse(text, length, EVENT_BYTES_MAX, &error);

    if (!message) {
        tk_warning("an event of the relay cannot be read: %s", error->message);
        return;
    }
    if (follow->down.since_wall_ns) {
        follow->down = (RecFollowDown){0};
        tk_info("the relay is back");
    }
    const char *type = tk_json_string(message, "type", "");
    if (strcmp(type, "snapshot") == 0)
        snapshot_event(follow, json_object_get(message, "lessons"));
    else if (g_str_has_prefix(type, "lesson-"))
        lesson_event(follow, type, json_object_get(message, "lesson"));
}

static void follow_binary(void *user, GBytes *message) {}

static void follow_down(void *user, guint status, guint code, const char *why)
{
    RecFollow *follow = user;
    gboolean refused = status == 401 || status == 403 || code == 1008;
    if (follow->down.since_wall_ns && follow->down.refused == refused)
        return;
    if (!follow->down.since_wall_ns)
        follow->down.since_wall_ns = tk_clock_wall_ns();
    follow->down.refused = refused;
    if (refused)
        tk_log(TK_LOG_ERROR, &(TkLogFields){.reason = "forbidden"},
               "the relay does not let the recorder in (%s); it needs a token of the role recorder "
               "in [relay] token_file; trying again until it does",
               why);
    else
        tk_warning("the relay at %s cannot be reached: %s; trying again until it can",
                   follow->target->relay_url, why);
}

static const TkWebLinkHandler link_handler = {follow_path, follow_text, follow_binary, follow_down};

// Those that can begin now.
static void waiting_try(RecFollow *follow)
{
    g_autoptr(GList) ids = g_hash_table_get_keys(follow->waiting);
    for (GList *at = ids; at && follow->disk == REC_DISK_ROOM; at = at->next) {
        g_autofree char *id = g_strdup(at->data);
        g_autoptr(json_t) lesson = json_incref(g_hash_table_lookup(follow->waiting, id));
        lesson_event(follow, "lesson-changed", lesson);
    }
}

static gboolean update_due(void *data)
{
    RecFollow *follow = data;
    GHashTableIter iter;
    void *session;

    if (disk_look(follow) == REC_DISK_ROOM)
        waiting_try(follow);

    g_hash_table_iter_init(&iter, follow->sessions);
    while (g_hash_table_iter_next(&iter, NULL, &session))
        if (rec_session_take_changed(session))
            follow->handler->on_lesson(rec_session_lesson(session), follow->user);
    return G_SOURCE_CONTINUE;
}

RecFollow *rec_follow_new(const RecFollowRules *rules, RecWriter *writer, const TkWebTarget *target,
                          const RecFollowHandler *handler, void *user)
{
    RecFollow *follow = g_new0(RecFollow, 1);
    follow->rules = rules;
    follow->writer = writer;
    follow->target = target;
    follow->handler = handler;
    follow->user = user;
    follow->sessions =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)rec_session_free);
    follow->again =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref);
    follow->waiting =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref);
    follow->link = tk_web_link_new(target, &link_handler, follow);
    follow->timer = g_timeout_add_seconds(UPDATE_S, update_due, follow);
    return follow;
}

void rec_follow_free(RecFollow *follow)
{
    if (!follow)
        return;
    g_clear_handle_id(&follow->timer, g_source_remove);
    tk_web_link_free(follow->link);
    g_hash_table_unref(follow->sessions);
    g_hash_table_unref(follow->again);
    g_hash_table_unref(follow->waiting);
    g_free(follow);
}

RecSession *rec_follow_session(RecFollow *follow, const char *id)
{
    return g_hash_table_lookup(follow->sessions, id);
}

guint rec_follow_count(const RecFollow *follow)
{
    return g_hash_table_size(follow->sessions);
}

guint rec_follow_waiting(const RecFollow *follow)
{
    return g_hash_table_size(follow->waiting);
}

json_t *rec_follow_waiting_names(const RecFollow *follow, const TkClaims *claims, guint max)
{
    json_t *names = json_array();
    GHashTableIter iter;
    void *id, *lesson;

    g_hash_table_iter_init(&iter, follow->waiting);
    while (json_array_size(names) < max && g_hash_table_iter_next(&iter, &id, &lesson)) {
        const char *name = tk_json_string(lesson, "name", "");
        if (!claims || tk_claims_allow(claims, TK_ROLE_SENDER, name, id))
            json_array_append_new(names, json_string(name));
    }
    return names;
}

RecDiskLevel rec_follow_disk(const RecFollow *follow)
{
    return follow->disk;
}

gboolean rec_follow_connected(const RecFollow *follow)
{
    return tk_web_link_connected(follow->link);
}

RecFollowDown rec_follow_down(const RecFollow *follow)
{
    return follow->down;
}
