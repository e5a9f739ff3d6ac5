// SPDX-License-Identifier: MIT
#include "relay/net/lessons.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/ulid.h"
#include "relay/net/lesson_post.h"

// Frames are captured before the connection that brings them is made (a slate is half a second old,
// and a far relay is asked three times); with media time zero before that none of them gets a
// negative time. A sender that did would be moved, away from the lesson's other streams.
#define EPOCH_LEAD_NS (2 * TK_NS_PER_S)
// Ended lessons that are remembered at most.
#define ENDED_MAX 256
// How long an ended lesson stays in the list.
#define REMEMBER_NS (600 * TK_NS_PER_S)
// A sender that has been silent for so long gives way to a newcomer.
#define YIELD_NS (5 * TK_NS_PER_S)
#define TICK_MS 200

struct _RelayLessons {
    RelayLessonPost post;
    RelayLessonsLimits limits;
    GPtrArray *watchers; // RelayLessonsWatcher
    GPtrArray *lessons;  // RelayLessonEntry, oldest first
    guint timer;
};

static RelayLessonEntry *find_entry(RelayLessons *l, const char *word)
{
    RelayLessonEntry *ended = NULL;
    for (guint i = l->lessons->len; i-- > 0;) {
        RelayLessonEntry *entry = l->lessons->pdata[i];
        if (!relay_lesson_is(entry->lesson, word))
            continue;
        if (entry->lesson->state != RELAY_LESSON_ENDED)
            return entry;
        ended = ended ? ended : entry;
    }
    return ended;
}

static RelayLessonEntry *entry_of(RelayLessons *l, const RelayStream *handle)
{
    return find_entry(l, handle->lesson_id);
}

static RelayLessonEntry *entry_with(RelayLessons *l, const RelayLesson *lesson)
{
    for (guint i = 0; i < l->lessons->len; i++)
        if (((RelayLessonEntry *)l->lessons->pdata[i])->lesson == lesson)
            return l->lessons->pdata[i];
    g_assert_not_reached();
}

// Worker 0 has given out the last chunks: now the end may be told, behind them.
static void stream_closed(gpointer owner, RelayStream *stream)
{
    RelayLessons *l = owner;
    RelayLessonEntry *entry = entry_of(l, stream);
    if (entry && --entry->closing == 0)
        relay_lesson_post_news(&l->post, entry, "lesson-ended");
}

static void forget_oldest_ended(RelayLessons *l)
{
    guint ended = 0;
    for (guint i = l->lessons->len; i-- > 0;) {
        const RelayLessonEntry *entry = l->lessons->pdata[i];
        if (entry->lesson->state == RELAY_LESSON_ENDED && entry->closing == 0 &&
            ++ended > ENDED_MAX)
            g_ptr_array_remove_index(l->lessons, i);
    }
}

static void end_lesson(RelayLessons *l, RelayLessonEntry *entry)
{
    TkLogFields fields = {.lesson = entry->lesson->name};
    tk_log(TK_LOG_INFO, &fields, "lesson %s is over", entry->lesson->id);
    entry->forget_ns = tk_clock_monotonic_ns() + REMEMBER_NS;
    entry->closing = entry->streams->len;
    for (guint i = 0; i < entry->streams->len; i++) {
        RelayStreamEntry *stream = entry->streams->pdata[i];
        if (stream->sender)
            relay_conn_close(stream->sender, "the lesson is over");
        g_clear_pointer(&stream->sender, relay_conn_unref);
        ((RelayLessonStream *)entry->lesson->streams->pdata[i])->has_sender = FALSE;
        relay_lesson_post_close(&l->post, stream->handle);
    }
    if (entry->closing == 0)
        relay_lesson_post_news(&l->post, entry, "lesson-ended");
    forget_oldest_ended(l);
}

static void lose_stalled(RelayLessons *l, RelayLessonEntry *entry, gint64 now_ns)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        RelayStreamEntry *stream = entry->streams->pdata[i];
        gint64 heard_ns = relay_stream_entry_heard_ns(stream);
        if (stream->sender && now_ns - heard_ns > l->limits.stall_ns)
            relay_conn_close(stream->sender, "no media");
    }
}

static gboolean tick(gpointer user)
{
    RelayLessons *l = user;
    gint64 now_ns = tk_clock_monotonic_ns();
    for (guint i = l->lessons->len; i-- > 0;) {
        RelayLessonEntry *entry = l->lessons->pdata[i];
        if (entry->lesson->state == RELAY_LESSON_ENDED) {
            if (now_ns > entry->forget_ns && entry->closing == 0)
                g_ptr_array_remove_index(l->lessons, i);
            continue;
        }
        if (!entry->mirrored)
            lose_stalled(l, entry, now_ns);
        relay_lesson_entry_measure(entry, now_ns);
        if (relay_lesson_tick(entry->lesson, now_ns, tk_clock_wall_ns())) {
            entry->lapsed = TRUE;
            end_lesson(l, entry);
        }
    }
    return G_SOURCE_CONTINUE;
}

RelayLessons *relay_lessons_new(RelayHandoff *handoff, RelayIngest *ingest,
                                const RelayLessonsLimits *limits)
{
    RelayLessons *l = g_new0(RelayLessons, 1);
    l->post = (RelayLessonPost){handoff, ingest, stream_closed};
    l->limits = *limits;
    l->lessons = g_ptr_array_new_with_free_func(relay_lesson_entry_free);
    l->watchers = g_ptr_array_new_with_free_func(g_free);
    l->timer = g_timeout_add(TICK_MS, tick, l);
    return l;
}

void relay_lessons_free(RelayLessons *lessons)
{
    if (!lessons)
        return;
    g_source_remove(lessons->timer);
    g_ptr_array_unref(lessons->lessons);
    g_ptr_array_unref(lessons->watchers);
    g_free(lessons);
}

void relay_lessons_watch(RelayLessons *lessons, const RelayLessonsWatcher *watcher)
{
    g_ptr_array_add(lessons->watchers, g_memdup2(watcher, sizeof *watcher));
}

static void tell_wanted(RelayLessons *l, RelayStream *stream, gint change)
{
    for (guint i = 0; i < l->watchers->len; i++) {
        const RelayLessonsWatcher *watcher = l->watchers->pdata[i];
        if (watcher->on_wanted)
            watcher->on_wanted(watcher->user, stream, change);
    }
}

static void tell_format(RelayLessons *l, RelayStream *stream)
{
    for (guint i = 0; i < l->watchers->len; i++) {
        const RelayLessonsWatcher *watcher = l->watchers->pdata[i];
        if (watcher->on_format)
            watcher->on_format(watcher->user, stream);
    }
}

RelayLesson *relay_lessons_find(RelayLessons *lessons, const char *word)
{
    RelayLessonEntry *entry = find_entry(lessons, word);
    if (!entry)
        return NULL;
    relay_lesson_entry_refresh(entry);
    return entry->lesson;
}

static RelayLessonEntry *begin_lesson(RelayLessons *l, const char *name, const char *id,
                                      gint64 wall_ns, GError **error)
{
    if (relay_lessons_running(l, NULL) >= l->limits.lessons_max) {
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT,
                    "%u lessons run already, as many as limits.lessons allows",
                    l->limits.lessons_max);
        return NULL;
    }
    RelayLessonEntry *entry = relay_lesson_entry_new(name, id, wall_ns);
    g_ptr_array_add(l->lessons, entry);
    TkLogFields fields = {.lesson = name};
    tk_log(TK_LOG_INFO, &fields, "lesson %s begins", entry->lesson->id);
    return entry;
}

// An id stands for one lesson at one name, once: nobody takes over another's, and what is over
// does not rise again, unless nobody had said so: its sender may have been cut off for long.
static gboolean may_use_id(RelayLessons *l, const char *name, const char *id, GError **error)
{
    const RelayLessonEntry *other = id ? find_entry(l, id) : NULL;
    if (other && other->lapsed && other->closing == 0 && relay_lesson_is(other->lesson, name)) {
        g_ptr_array_remove(l->lessons, (gpointer)other);
        return TRUE;
    }
    if (other && other->lesson->state == RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_GONE, "lesson %s was ended", id);
        return FALSE;
    }
    if (other && !relay_lesson_is(other->lesson, name)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "lesson %s runs at another name", id);
        return FALSE;
    }
    return TRUE;
}

// The running lesson at `name` that the offer goes on with; another id ends what runs there.
static RelayLessonEntry *lesson_for(RelayLessons *l, const char *name, const RelayOffer *offer,
                                    gboolean *ret_begun, GError **error)
{
    *ret_begun = FALSE;
    if (!may_use_id(l, name, offer->id, error))
        return NULL;
    RelayLessonEntry *entry = find_entry(l, name);
    if (entry && entry->mirrored && entry->lesson->state != RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "the lesson at %s comes from another relay",
                    name);
        return NULL;
    }
    if (entry && entry->lesson->state != RELAY_LESSON_ENDED) {
        if (!offer->id || g_str_equal(offer->id, entry->lesson->id))
            return entry;
        if (entry->lesson->state == RELAY_LESSON_LIVE) {
            g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "another lesson runs at %s", name);
            return NULL;
        }
        relay_lesson_end(entry->lesson, tk_clock_wall_ns());
        end_lesson(l, entry);
    }
    if (tk_ulid_valid(name)) {
        g_set_error(error, TK_ERROR, TK_ERROR_INVALID,
                    "%s looks like a lesson's id, and no such lesson runs: send to a name", name);
        return NULL;
    }
    *ret_begun = TRUE;
    // Whole milliseconds, as others are told it: media time zero is the same on every relay.
    gint64 started_ns = tk_clock_wall_ns() - EPOCH_LEAD_NS;
    return begin_lesson(l, name, offer->id, started_ns - started_ns % TK_NS_PER_MS, error);
}

static RelayStreamEntry *add_stream(RelayLessons *l, RelayLessonEntry *entry, const char *name,
                                    GError **error)
{
    RelayStreamEntry *stream = relay_lesson_entry_add(entry, name);
    if (stream)
        relay_lesson_post_open(&l->post, stream->handle, entry->lesson->started_wall_ns);
    else
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT, "a lesson has at most %u streams",
                    RELAY_LESSON_STREAMS_MAX);
    return stream;
}

static gboolean is_free(const RelayStreamEntry *stream, GError **error)
{
    gint64 heard_ns = relay_stream_entry_heard_ns(stream);
    if (stream->sender && tk_clock_monotonic_ns() - heard_ns < YIELD_NS) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "somebody sends this stream already");
        return FALSE;
    }
    return TRUE;
}

// Fields that the sender names replace what was known; nothing is cleared.
static void take_info(TkLessonInfo *info, const TkLessonInfo *offered)
{
    json_t *object = tk_lesson_info_to_json(offered);
    (void)!tk_lesson_info_merge_json(info, object, FALSE, NULL); // comes from a valid info
    json_decref(object);
}

static void set_sender(RelayStreamEntry *stream, RelayConn *conn)
{
    if (stream->sender && stream->sender != conn)
        relay_conn_close(stream->sender, "another sender took over");
    relay_conn_ref(conn);
    relay_conn_unref(stream->sender);
    stream->sender = conn;
    stream->began_ns = tk_clock_monotonic_ns();
}

RelayStream *relay_lessons_publish(RelayLessons *lessons, const char *name, const char *stream,
                                   const RelayOffer *offer, RelayConn *conn, GError **error)
{
    gboolean begun;
    RelayLessonEntry *entry = lesson_for(lessons, name, offer, &begun, error);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream);
    if (entry && !found)
        found = add_stream(lessons, entry, stream, error);
    if (!found || !relay_stream_entry_take_tracks(found, offer, error) || !is_free(found, error))
        return NULL;
    set_sender(found, conn);
    take_info(entry->lesson->info, offer->info);
    relay_lesson_sender_came(entry->lesson, relay_lesson_entry_face(entry, found));
    relay_lesson_post_news(&lessons->post, entry, begun ? "lesson-started" : "lesson-changed");
    return found->handle;
}

void relay_lessons_unpublish(RelayLessons *lessons, RelayStream *stream, RelayConn *conn,
                             gboolean orderly)
{
    RelayLessonEntry *entry = entry_of(lessons, stream);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream->name);
    if (!found || found->sender != conn || entry->lesson->state == RELAY_LESSON_ENDED)
        return;
    g_clear_pointer(&found->sender, relay_conn_unref);
    if (entry->mirrored)
        return;
    gint64 patience_ns = orderly ? lessons->limits.teardown_ns : lessons->limits.away_ns;
    if (relay_lesson_sender_left(entry->lesson, relay_lesson_entry_face(entry, found),
                                 tk_clock_monotonic_ns(), patience_ns)) {
        TkLogFields fields = {.lesson = entry->lesson->name, .stream = stream->name};
        tk_log(orderly ? TK_LOG_INFO : TK_LOG_WARNING, &fields,
               "the sender has left; the lesson waits %" G_GINT64_FORMAT " s for it",
               patience_ns / TK_NS_PER_S);
    }
    relay_lesson_post_news(&lessons->post, entry, "lesson-changed");
}

RelayDescribed relay_lessons_describe(RelayLessons *lessons, const char *word, const char *stream,
                                      RelayStream **ret_stream, RelayDescription *ret)
{
    RelayLessonEntry *entry = find_entry(lessons, word);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream);
    if (!found || entry->lesson->state == RELAY_LESSON_ENDED)
        return RELAY_DESCRIBE_NEVER;
    if (!found->configs[0] && !found->configs[1]) {
        tell_wanted(lessons, found->handle, 0);
        *ret_stream = found->handle;
        return RELAY_DESCRIBE_LATER;
    }
    *ret = (RelayDescription){.title = entry->lesson->info->title,
                              .session = found->handle->session,
                              .format = &relay_lesson_entry_face(entry, found)->format};
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        ret->configs[i] = found->configs[i];
    *ret_stream = found->handle;
    return RELAY_DESCRIBED;
}

static RelayLessonEntry *begin_mirrored(RelayLessons *l, const RelayMirrored *mirrored,
                                        GError **error)
{
    const RelayLessonEntry *there = find_entry(l, mirrored->name);
    if (there && there->lesson->state != RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "another lesson runs at %s here",
                    mirrored->name);
        return NULL;
    }
    RelayLessonEntry *entry =
        begin_lesson(l, mirrored->name, mirrored->id, mirrored->started_wall_ns, error);
    if (entry)
        entry->mirrored = TRUE;
    return entry;
}

// Whether it has changed. What cannot be kept here (a relay of another version may allow more)
// changes nothing: a lesson is more than its record.
static gboolean take_record(RelayLessonEntry *entry, const json_t *record)
{
    g_autoptr(GError) error = NULL;
    TkLessonInfo *info = tk_lesson_info_new();
    gboolean odd = record && !tk_lesson_info_merge_json(info, record, FALSE, &error);
    if (odd && !entry->odd_record) {
        TkLogFields fields = {.lesson = entry->lesson->name, .reason = tk_error_word(error->code)};
        tk_log(TK_LOG_WARNING, &fields, "the lesson's record is not taken over from upstream: %s",
               error->message);
    }
    entry->odd_record = odd;
    if (odd || tk_lesson_info_equal(info, entry->lesson->info)) {
        tk_lesson_info_free(info);
        return FALSE;
    }
    tk_lesson_info_free(entry->lesson->info);
    entry->lesson->info = info;
    return TRUE;
}

gboolean relay_lessons_mirror(RelayLessons *lessons, const RelayMirrored *mirrored, GError **error)
{
    RelayLessonEntry *entry = find_entry(lessons, mirrored->id);
    // One that ended may rise again: it was only out of sight.
    if (entry && entry->mirrored && entry->lesson->state == RELAY_LESSON_ENDED &&
        entry->closing == 0) {
        g_ptr_array_remove(lessons->lessons, entry);
        entry = NULL;
    }
    gboolean begins = !entry;
    if (begins && !(entry = begin_mirrored(lessons, mirrored, error)))
        return FALSE;
    if (!entry->mirrored || entry->lesson->state == RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "lesson %s is one of this relay's own",
                    mirrored->id);
        return FALSE;
    }
    if (!take_record(entry, mirrored->info) && !begins)
        return TRUE;
    relay_lesson_post_news(&lessons->post, entry, begins ? "lesson-started" : "lesson-changed");
    return TRUE;
}

RelayStream *relay_lessons_mirror_stream(RelayLessons *lessons, const char *id, const char *stream,
                                         gboolean live, const RelayStreamFormat *format)
{
    RelayLessonEntry *entry = find_entry(lessons, id);
    if (!entry || !entry->mirrored || entry->lesson->state == RELAY_LESSON_ENDED)
        return NULL;
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream);
    gboolean changed = !found;
    if (!found && !(found = add_stream(lessons, entry, stream, NULL)))
        return NULL;
    RelayLessonStream *face = relay_lesson_entry_face(entry, found);
    changed |= format && relay_lesson_stream_is_told(face, format);
    changed |= face->has_sender != live;
    if (live)
        relay_lesson_sender_came(entry->lesson, face);
    else // who mirrors it knows when it is over
        relay_lesson_sender_left(entry->lesson, face, 0, G_MAXINT64);
    if (changed)
        relay_lesson_post_news(&lessons->post, entry, "lesson-changed");
    return found->handle;
}

void relay_lessons_end_mirrored(RelayLessons *lessons, const char *id)
{
    RelayLessonEntry *entry = find_entry(lessons, id);
    if (entry && entry->mirrored && relay_lesson_end(entry->lesson, tk_clock_wall_ns()))
        end_lesson(lessons, entry);
}

gboolean relay_lessons_feed(RelayLessons *lessons, RelayStream *stream, const RelayOffer *offer,
                            RelayConn *conn, GError **error)
{
    RelayLessonEntry *entry = entry_of(lessons, stream);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream->name);
    if (!found || !entry->mirrored || entry->lesson->state == RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND, "the lesson is over");
        return FALSE;
    }
    if (!relay_stream_entry_take_tracks(found, offer, error))
        return FALSE;
    set_sender(found, conn);
    return TRUE;
}

static gboolean is_ours(const RelayLessonEntry *entry, GError **error)
{
    if (entry->mirrored)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT,
                    "the lesson comes from another relay: change it where it begins");
    return !entry->mirrored;
}

gboolean relay_lessons_edit(RelayLessons *lessons, RelayLesson *lesson, const json_t *info,
                            GError **error)
{
    RelayLessonEntry *entry = entry_with(lessons, lesson);
    if (!is_ours(entry, error) || !tk_lesson_info_merge_json(lesson->info, info, TRUE, error))
        return FALSE;
    relay_lesson_post_news(&lessons->post, entry, "lesson-changed");
    return TRUE;
}

gboolean relay_lessons_end(RelayLessons *lessons, RelayLesson *lesson, GError **error)
{
    RelayLessonEntry *entry = entry_with(lessons, lesson);
    if (!is_ours(entry, error))
        return FALSE;
    if (relay_lesson_end(lesson, tk_clock_wall_ns()))
        end_lesson(lessons, entry);
    return TRUE;
}

void relay_lessons_count_viewer(RelayLessons *lessons, RelayStream *stream, RelayViewerKind kind,
                                gint change, const char *school)
{
    RelayLessonEntry *entry = entry_of(lessons, stream);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, stream->name);
    if (!found || found->handle != stream) // of the lesson of this id before it lapsed
        return;
    RelayLessonStream *face = relay_lesson_entry_face(entry, found);
    if (kind == RELAY_VIEWER_RTP)
        face->viewers_rtp += (guint)change;
    else
        face->viewers_ws += (guint)change;
    if (entry->mirrored)
        tell_wanted(lessons, stream, change);
    if (school)
        relay_lesson_entry_count_school(entry, school, change);
}

json_t *relay_lessons_list(RelayLessons *lessons, const TkClaims *claims)
{
    json_t *array = json_array(), *object = json_object();
    for (guint i = lessons->lessons->len; i-- > 0;) {
        RelayLessonEntry *entry = lessons->lessons->pdata[i];
        if (claims &&
            !tk_claims_allow(claims, TK_ROLE_VIEWER, entry->lesson->name, entry->lesson->id))
            continue;
        relay_lesson_entry_refresh(entry);
        json_array_append_new(array, relay_lesson_to_json(entry->lesson));
    }
    json_object_set_new(object, "lessons", array);
    return object;
}

void relay_lessons_tell_all(RelayLessons *lessons, const char *event)
{
    relay_lesson_post_event(&lessons->post, event);
}

guint relay_lessons_running(RelayLessons *lessons, guint *ret_viewers)
{
    guint running = 0, viewers = 0;
    for (guint i = 0; i < lessons->lessons->len; i++) {
        const RelayLessonEntry *entry = lessons->lessons->pdata[i];
        if (entry->lesson->state == RELAY_LESSON_ENDED)
            continue;
        running++;
        for (guint j = 0; j < entry->lesson->streams->len; j++) {
            const RelayLessonStream *face = entry->lesson->streams->pdata[j];
            viewers += face->viewers_rtp + face->viewers_ws;
        }
    }
    if (ret_viewers)
        *ret_viewers = viewers;
    return running;
}

void relay_lessons_foreach(RelayLessons *lessons,
                           void (*each)(gpointer user, const RelayLesson *lesson,
                                        const RelayLessonStream *face, const RelayStream *stream),
                           gpointer user)
{
    for (guint i = 0; i < lessons->lessons->len; i++) {
        RelayLessonEntry *entry = lessons->lessons->pdata[i];
        relay_lesson_entry_refresh(entry);
        for (guint j = 0; entry->lesson->state != RELAY_LESSON_ENDED && j < entry->streams->len;
             j++)
            each(user, entry->lesson, entry->lesson->streams->pdata[j],
                 ((RelayStreamEntry *)entry->streams->pdata[j])->handle);
    }
}

typedef struct {
    RelayStream *stream;
    RelayStreamFormat format;
    GBytes *configs[RELAY_INPUT_TRACKS_MAX];
} FormatNews;

static void take_format(gpointer owner, gpointer data)
{
    RelayLessons *l = owner;
    FormatNews *news = data;
    RelayLessonEntry *entry = entry_of(l, news->stream);
    RelayStreamEntry *found = relay_lesson_entry_stream(entry, news->stream->name);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        if (found) {
            g_clear_pointer(&found->configs[i], g_bytes_unref);
            found->configs[i] = g_steal_pointer(&news->configs[i]);
        }
        g_clear_pointer(&news->configs[i], g_bytes_unref);
    }
    if (found && entry->lesson->state != RELAY_LESSON_ENDED) {
        RelayLessonStream *face = relay_lesson_entry_face(entry, found);
        face->format = news->format;
        face->has_format = TRUE;
        relay_lesson_post_news(&l->post, entry, "lesson-changed");
        tell_format(l, news->stream);
    }
    relay_stream_unref(news->stream);
    g_free(news);
}

void relay_lessons_post_format(RelayMailbox *desk, RelayStream *stream,
                               const RelayStreamFormat *format,
                               GBytes *const configs[RELAY_INPUT_TRACKS_MAX])
{
    FormatNews *news = g_new(FormatNews, 1);
    *news = (FormatNews){.stream = relay_stream_ref(stream), .format = *format};
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        news->configs[i] = configs[i] ? g_bytes_ref(configs[i]) : NULL;
    relay_mailbox_post(desk, take_format, news);
}
