// SPDX-License-Identifier: MIT
#include "relay/net/lessons.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/ulid.h"
#include "relay/net/audience_mail.h"

// Frames are captured before the connection that brings them is made; with media time zero a little
// before it none of them gets a negative time.
#define EPOCH_LEAD_NS TK_NS_PER_S
// Ended lessons that are remembered at most.
#define ENDED_MAX 256
// How long an ended lesson stays in the list.
#define REMEMBER_NS (600 * TK_NS_PER_S)
// A sender that has been silent for so long gives way to a newcomer.
#define YIELD_NS (5 * TK_NS_PER_S)
#define TICK_MS 200
#define BITRATE_INTERVAL_NS (2 * TK_NS_PER_S)

typedef struct {
    RelayStream *handle;
    RelayConn *sender; // a reference, or NULL
    guint tracks_count;
    TkTrackKind kinds[RELAY_INPUT_TRACKS_MAX];
    guint32 clock_rates[RELAY_INPUT_TRACKS_MAX];
    GBytes *configs[RELAY_INPUT_TRACKS_MAX];
    gint64 began_ns, measured_ns;
    guint64 measured_bytes;
} Stream;

typedef struct {
    RelayLesson *lesson;
    GPtrArray *streams;  // Stream, parallel to lesson->streams
    GHashTable *schools; // name -> number of viewers
    guint closing;       // ended: streams whose last media is still on its way out
    gint64 forget_ns;    // ended: when to drop it
} Lesson;

struct _RelayLessons {
    RelayHandoff *handoff;
    RelayIngest *ingest;
    RelayLessonsLimits limits;
    GPtrArray *lessons; // Lesson, oldest first
    guint timer;
};

static void stream_free(gpointer data)
{
    Stream *stream = data;
    relay_stream_unref(stream->handle);
    relay_conn_unref(stream->sender);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        g_clear_pointer(&stream->configs[i], g_bytes_unref);
    g_free(stream);
}

static void lesson_free(gpointer data)
{
    Lesson *entry = data;
    g_ptr_array_unref(entry->streams);
    g_hash_table_unref(entry->schools);
    relay_lesson_free(entry->lesson);
    g_free(entry);
}

static Lesson *find_entry(RelayLessons *l, const char *word)
{
    Lesson *ended = NULL;
    for (guint i = l->lessons->len; i-- > 0;) {
        Lesson *entry = l->lessons->pdata[i];
        if (!relay_lesson_is(entry->lesson, word))
            continue;
        if (entry->lesson->state != RELAY_LESSON_ENDED)
            return entry;
        ended = ended ? ended : entry;
    }
    return ended;
}

static Lesson *entry_of(RelayLessons *l, const RelayStream *handle)
{
    return find_entry(l, handle->lesson_id);
}

static Lesson *entry_with(RelayLessons *l, const RelayLesson *lesson)
{
    for (guint i = 0; i < l->lessons->len; i++)
        if (((Lesson *)l->lessons->pdata[i])->lesson == lesson)
            return l->lessons->pdata[i];
    g_assert_not_reached();
}

static RelayLessonStream *face_of(const Lesson *entry, const Stream *stream)
{
    guint index;
    gboolean found = g_ptr_array_find(entry->streams, stream, &index);
    g_assert(found);
    return entry->lesson->streams->pdata[index];
}

static Stream *stream_of(const Lesson *entry, const char *name)
{
    for (guint i = 0; entry && i < entry->streams->len; i++) {
        Stream *stream = entry->streams->pdata[i];
        if (g_str_equal(stream->handle->name, name))
            return stream;
    }
    return NULL;
}

// Numbers that others count, put into the lesson just before it is shown.
static void refresh(Lesson *entry)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        const Stream *stream = entry->streams->pdata[i];
        RelayLessonStream *face = entry->lesson->streams->pdata[i];
        face->newest_chunk = relay_stat_get(stream->handle->chunk_newest);
        face->oldest_chunk = relay_stat_get(stream->handle->chunk_oldest);
    }
    entry->lesson->schools = g_hash_table_size(entry->schools);
}

// Tells everybody at /events and every viewer of its streams.
static void announce(RelayLessons *l, Lesson *entry, const char *type)
{
    refresh(entry);
    json_t *object = relay_lesson_to_json(entry->lesson);
    g_autofree char *lesson_json = tk_json_dump(object);
    g_autofree char *event = g_strdup_printf("{\"type\":\"%s\",\"lesson\":%s}", type, lesson_json);
    json_decref(object);
    for (guint worker = 0; worker < l->handoff->web_count; worker++) {
        RelayMailbox *web = relay_web_mailbox(l->handoff->webs[worker]);
        relay_audience_mail_event(web, event, entry->lesson->name, entry->lesson->id);
        for (guint i = 0; i < entry->streams->len; i++) {
            const Stream *stream = entry->streams->pdata[i];
            const RelayLessonStream *face = entry->lesson->streams->pdata[i];
            const char *state = face->has_sender ? "live" : "away";
            relay_audience_mail_state(web, stream->handle,
                                      entry->lesson->state == RELAY_LESSON_ENDED ? "ended" : state,
                                      lesson_json);
        }
    }
}

// Opening and closing a stream on every worker.
typedef struct {
    RelayLessons *lessons;
    guint worker;
    RelayStream *stream;
    gint64 epoch_wall_ns;
} StreamTask;

static void post_stream_task(RelayLessons *l, guint worker, RelayStream *stream,
                             gint64 epoch_wall_ns, RelayTask task)
{
    StreamTask *t = g_new(StreamTask, 1);
    *t = (StreamTask){l, worker, relay_stream_ref(stream), epoch_wall_ns};
    relay_worker_post(l->handoff->workers[worker], task, t);
}

static void open_stream(gpointer owner, gpointer data)
{
    StreamTask *t = data;
    relay_fanout_open(t->lessons->handoff->fanouts[t->worker], t->stream);
    if (t->worker == 0)
        relay_ingest_open(t->lessons->ingest, t->stream, t->epoch_wall_ns);
    relay_stream_unref(t->stream);
    g_free(t);
}

// Worker 0 has given out the last chunks: now the end may be told, behind them.
static void stream_closed(gpointer owner, gpointer data)
{
    StreamTask *t = data;
    Lesson *entry = entry_of(t->lessons, t->stream);
    if (entry && --entry->closing == 0)
        announce(t->lessons, entry, "lesson-ended");
    relay_stream_unref(t->stream);
    g_free(t);
}

static void close_stream(gpointer owner, gpointer data)
{
    StreamTask *t = data;
    RelayHandoff *handoff = t->lessons->handoff;
    if (t->worker == 0)
        relay_ingest_close(t->lessons->ingest, t->stream);
    relay_fanout_close(handoff->fanouts[t->worker], t->stream);
    if (t->worker == 0) {
        relay_mailbox_post(handoff->desk, stream_closed, t);
    } else {
        relay_stream_unref(t->stream);
        g_free(t);
    }
}

static void forget_oldest_ended(RelayLessons *l)
{
    guint ended = 0;
    for (guint i = l->lessons->len; i-- > 0;) {
        const Lesson *entry = l->lessons->pdata[i];
        if (entry->lesson->state == RELAY_LESSON_ENDED && entry->closing == 0 &&
            ++ended > ENDED_MAX)
            g_ptr_array_remove_index(l->lessons, i);
    }
}

// At once: who comes now waits for the next lesson of that name.
static void let_nobody_begin(RelayLessons *l, const Stream *stream)
{
    for (guint worker = 0; worker < l->handoff->web_count; worker++)
        relay_audience_mail_state(relay_web_mailbox(l->handoff->webs[worker]), stream->handle,
                                  "ending", "");
}

static void end_lesson(RelayLessons *l, Lesson *entry)
{
    TkLogFields fields = {.lesson = entry->lesson->name};
    tk_log(TK_LOG_INFO, &fields, "lesson %s is over", entry->lesson->id);
    entry->forget_ns = tk_clock_monotonic_ns() + REMEMBER_NS;
    entry->closing = entry->streams->len;
    for (guint i = 0; i < entry->streams->len; i++) {
        Stream *stream = entry->streams->pdata[i];
        if (stream->sender)
            relay_conn_close(stream->sender, "the lesson is over");
        g_clear_pointer(&stream->sender, relay_conn_unref);
        ((RelayLessonStream *)entry->lesson->streams->pdata[i])->has_sender = FALSE;
        let_nobody_begin(l, stream);
        for (guint worker = 0; worker < l->handoff->packet_count; worker++)
            post_stream_task(l, worker, stream->handle, 0, close_stream);
    }
    if (entry->closing == 0)
        announce(l, entry, "lesson-ended");
    forget_oldest_ended(l);
}

static void lose_stalled(RelayLessons *l, Lesson *entry, gint64 now_ns)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        Stream *stream = entry->streams->pdata[i];
        gint64 heard_ns = MAX(relay_stat_get(stream->handle->last_packet_ns), stream->began_ns);
        if (stream->sender && now_ns - heard_ns > l->limits.stall_ns)
            relay_conn_close(stream->sender, "no media");
    }
}

static void measure(Lesson *entry, gint64 now_ns)
{
    for (guint i = 0; i < entry->streams->len; i++) {
        Stream *stream = entry->streams->pdata[i];
        if (now_ns - stream->measured_ns < BITRATE_INTERVAL_NS)
            continue;
        guint64 bytes = relay_stat_get(stream->handle->bytes_in);
        RelayLessonStream *face = entry->lesson->streams->pdata[i];
        face->bitrate_bps = (gint64)(bytes - stream->measured_bytes) * 8 * TK_NS_PER_S /
                            (now_ns - stream->measured_ns);
        stream->measured_bytes = bytes;
        stream->measured_ns = now_ns;
    }
}

static gboolean tick(gpointer user)
{
    RelayLessons *l = user;
    gint64 now_ns = tk_clock_monotonic_ns();
    for (guint i = l->lessons->len; i-- > 0;) {
        Lesson *entry = l->lessons->pdata[i];
        if (entry->lesson->state == RELAY_LESSON_ENDED) {
            if (now_ns > entry->forget_ns && entry->closing == 0)
                g_ptr_array_remove_index(l->lessons, i);
            continue;
        }
        lose_stalled(l, entry, now_ns);
        measure(entry, now_ns);
        if (relay_lesson_tick(entry->lesson, now_ns, tk_clock_wall_ns()))
            end_lesson(l, entry);
    }
    return G_SOURCE_CONTINUE;
}

RelayLessons *relay_lessons_new(RelayHandoff *handoff, RelayIngest *ingest,
                                const RelayLessonsLimits *limits)
{
    RelayLessons *l = g_new0(RelayLessons, 1);
    l->handoff = handoff;
    l->ingest = ingest;
    l->limits = *limits;
    l->lessons = g_ptr_array_new_with_free_func(lesson_free);
    l->timer = g_timeout_add(TICK_MS, tick, l);
    return l;
}

void relay_lessons_free(RelayLessons *lessons)
{
    if (!lessons)
        return;
    g_source_remove(lessons->timer);
    g_ptr_array_unref(lessons->lessons);
    g_free(lessons);
}

RelayLesson *relay_lessons_find(RelayLessons *lessons, const char *word)
{
    Lesson *entry = find_entry(lessons, word);
    if (!entry)
        return NULL;
    refresh(entry);
    return entry->lesson;
}

static Lesson *begin_lesson(RelayLessons *l, const char *name, const RelayOffer *offer,
                            GError **error)
{
    if (relay_lessons_running(l, NULL) >= l->limits.lessons_max) {
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT,
                    "%u lessons run already, as many as limits.lessons allows",
                    l->limits.lessons_max);
        return NULL;
    }
    Lesson *entry = g_new0(Lesson, 1);
    entry->lesson = relay_lesson_new(name, offer->id, tk_clock_wall_ns() - EPOCH_LEAD_NS);
    entry->streams = g_ptr_array_new_with_free_func(stream_free);
    entry->schools = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_ptr_array_add(l->lessons, entry);
    TkLogFields fields = {.lesson = name};
    tk_log(TK_LOG_INFO, &fields, "lesson %s begins", entry->lesson->id);
    return entry;
}

// An id stands for one lesson at one name, once: nobody takes over another's, and what is over
// does not rise again.
static gboolean may_use_id(RelayLessons *l, const char *name, const char *id, GError **error)
{
    const Lesson *other = id ? find_entry(l, id) : NULL;
    if (other && other->lesson->state == RELAY_LESSON_ENDED) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "lesson %s is over", id);
        return FALSE;
    }
    if (other && !relay_lesson_is(other->lesson, name)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT, "lesson %s runs at another name", id);
        return FALSE;
    }
    return TRUE;
}

// The running lesson at `name` that the offer goes on with; another id ends what runs there.
static Lesson *lesson_for(RelayLessons *l, const char *name, const RelayOffer *offer,
                          gboolean *ret_begun, GError **error)
{
    Lesson *entry = find_entry(l, name);
    *ret_begun = FALSE;
    if (!may_use_id(l, name, offer->id, error))
        return NULL;
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
    return begin_lesson(l, name, offer, error);
}

static Stream *add_stream(RelayLessons *l, Lesson *entry, const char *name, const RelayOffer *offer,
                          GError **error)
{
    if (!relay_lesson_stream(entry->lesson, name, TRUE)) {
        g_set_error(error, TK_ERROR, TK_ERROR_LIMIT, "a lesson has at most %u streams",
                    RELAY_LESSON_STREAMS_MAX);
        return NULL;
    }
    Stream *stream = g_new0(Stream, 1);
    stream->handle = relay_stream_new(entry->lesson->id, entry->lesson->name, name);
    stream->tracks_count = offer->tracks_count;
    for (guint i = 0; i < offer->tracks_count; i++) {
        stream->kinds[i] = offer->formats[i].kind;
        stream->clock_rates[i] = offer->formats[i].clock_rate;
    }
    g_ptr_array_add(entry->streams, stream);
    for (guint worker = 0; worker < l->handoff->packet_count; worker++)
        post_stream_task(l, worker, stream->handle, entry->lesson->started_wall_ns, open_stream);
    return stream;
}

static gboolean may_send(const Stream *stream, const RelayOffer *offer, GError **error)
{
    gboolean same = stream->tracks_count == offer->tracks_count;
    for (guint i = 0; same && i < offer->tracks_count; i++)
        same = stream->kinds[i] == offer->formats[i].kind &&
               stream->clock_rates[i] == offer->formats[i].clock_rate;
    if (!same) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFLICT,
                    "the tracks differ from those this stream began with");
        return FALSE;
    }
    gint64 heard_ns = MAX(relay_stat_get(stream->handle->last_packet_ns), stream->began_ns);
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

RelayStream *relay_lessons_publish(RelayLessons *lessons, const char *name, const char *stream,
                                   const RelayOffer *offer, RelayConn *conn, GError **error)
{
    gboolean begun;
    Lesson *entry = lesson_for(lessons, name, offer, &begun, error);
    Stream *found = stream_of(entry, stream);
    if (entry && !found)
        found = add_stream(lessons, entry, stream, offer, error);
    if (!found || !may_send(found, offer, error))
        return NULL;
    if (found->sender)
        relay_conn_close(found->sender, "another sender took over");
    relay_conn_unref(found->sender);
    found->sender = relay_conn_ref(conn);
    found->began_ns = tk_clock_monotonic_ns();
    take_info(entry->lesson->info, offer->info);
    relay_lesson_sender_came(entry->lesson, face_of(entry, found));
    announce(lessons, entry, begun ? "lesson-started" : "lesson-changed");
    return found->handle;
}

void relay_lessons_unpublish(RelayLessons *lessons, RelayStream *stream, RelayConn *conn,
                             gboolean orderly)
{
    Lesson *entry = entry_of(lessons, stream);
    Stream *found = stream_of(entry, stream->name);
    if (!found || found->sender != conn || entry->lesson->state == RELAY_LESSON_ENDED)
        return;
    g_clear_pointer(&found->sender, relay_conn_unref);
    gint64 patience_ns = orderly ? lessons->limits.teardown_ns : lessons->limits.away_ns;
    if (relay_lesson_sender_left(entry->lesson, face_of(entry, found), tk_clock_monotonic_ns(),
                                 patience_ns)) {
        TkLogFields fields = {.lesson = entry->lesson->name, .stream = stream->name};
        tk_log(orderly ? TK_LOG_INFO : TK_LOG_WARNING, &fields,
               "the sender has left; the lesson waits %" G_GINT64_FORMAT " s for it",
               patience_ns / TK_NS_PER_S);
    }
    announce(lessons, entry, "lesson-changed");
}

gboolean relay_lessons_describe(RelayLessons *lessons, const char *word, const char *stream,
                                RelayStream **ret_stream, RelayDescription *ret)
{
    Lesson *entry = find_entry(lessons, word);
    Stream *found = stream_of(entry, stream);
    if (!found || entry->lesson->state == RELAY_LESSON_ENDED)
        return FALSE;
    const RelayLessonStream *face = face_of(entry, found);
    if (!face->has_format)
        return FALSE;
    *ret = (RelayDescription){.title = entry->lesson->info->title, .format = &face->format};
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++)
        ret->configs[i] = found->configs[i];
    *ret_stream = found->handle;
    return TRUE;
}

gboolean relay_lessons_edit(RelayLessons *lessons, RelayLesson *lesson, const json_t *info,
                            GError **error)
{
    if (!tk_lesson_info_merge_json(lesson->info, info, TRUE, error))
        return FALSE;
    announce(lessons, entry_with(lessons, lesson), "lesson-changed");
    return TRUE;
}

void relay_lessons_end(RelayLessons *lessons, RelayLesson *lesson)
{
    if (relay_lesson_end(lesson, tk_clock_wall_ns()))
        end_lesson(lessons, entry_with(lessons, lesson));
}

void relay_lessons_count_viewer(RelayLessons *lessons, RelayStream *stream, RelayViewerKind kind,
                                gint change, const char *school)
{
    Lesson *entry = entry_of(lessons, stream);
    Stream *found = stream_of(entry, stream->name);
    if (!found)
        return;
    RelayLessonStream *face = face_of(entry, found);
    if (kind == RELAY_VIEWER_RTP)
        face->viewers_rtp += (guint)change;
    else
        face->viewers_ws += (guint)change;
    if (!school)
        return;
    gint count = GPOINTER_TO_INT(g_hash_table_lookup(entry->schools, school)) + change;
    if (count > 0)
        g_hash_table_replace(entry->schools, g_strdup(school), GINT_TO_POINTER(count));
    else
        g_hash_table_remove(entry->schools, school);
}

json_t *relay_lessons_list(RelayLessons *lessons, const TkClaims *claims)
{
    json_t *array = json_array(), *object = json_object();
    for (guint i = lessons->lessons->len; i-- > 0;) {
        Lesson *entry = lessons->lessons->pdata[i];
        if (claims &&
            !tk_claims_allow(claims, TK_ROLE_VIEWER, entry->lesson->name, entry->lesson->id))
            continue;
        refresh(entry);
        json_array_append_new(array, relay_lesson_to_json(entry->lesson));
    }
    json_object_set_new(object, "lessons", array);
    return object;
}

guint relay_lessons_running(RelayLessons *lessons, guint *ret_viewers)
{
    guint running = 0, viewers = 0;
    for (guint i = 0; i < lessons->lessons->len; i++) {
        const Lesson *entry = lessons->lessons->pdata[i];
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
                                        const RelayStream *stream),
                           gpointer user)
{
    for (guint i = 0; i < lessons->lessons->len; i++) {
        const Lesson *entry = lessons->lessons->pdata[i];
        for (guint j = 0; entry->lesson->state != RELAY_LESSON_ENDED && j < entry->streams->len;
             j++)
            each(user, entry->lesson, ((Stream *)entry->streams->pdata[j])->handle);
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
    Lesson *entry = entry_of(l, news->stream);
    Stream *found = stream_of(entry, news->stream->name);
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        if (found) {
            g_clear_pointer(&found->configs[i], g_bytes_unref);
            found->configs[i] = g_steal_pointer(&news->configs[i]);
        }
        g_clear_pointer(&news->configs[i], g_bytes_unref);
    }
    if (found && entry->lesson->state != RELAY_LESSON_ENDED) {
        RelayLessonStream *face = face_of(entry, found);
        face->format = news->format;
        face->has_format = TRUE;
        announce(l, entry, "lesson-changed");
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
