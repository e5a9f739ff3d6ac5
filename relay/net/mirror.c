// SPDX-License-Identifier: MIT
#include "relay/net/mirror.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"
#include "relay/core/rendition.h"
#include "relay/net/fetch.h"
#include "relay/net/upstream.h"

#define UPSTREAMS_MAX 8
#define ANCESTORS_MAX 16
#define TICK_MS 100
// A lesson that is over upstream: its last media may still be on its way.
#define DRAIN_NS (3 * TK_NS_PER_S)
// As a lesson waits for its own sender, so it waits for the relay that it comes from.
#define UNSEEN_NS (300 * TK_NS_PER_S)
// For a lesson there may be no room yet, or its name may be another's still.
#define RETRY_NS TK_NS_PER_S

// A lesson that some upstream has.
typedef struct {
    char *id, *name;
    gboolean here;      // in this relay's list
    gint64 retry_ns;    // it is not: when to try again
    gint64 seen_ns;     // when a connected upstream last had it
    gint64 ending_ns;   // when to end it; 0 = it runs
    GPtrArray *fetches; // RelayFetch
} Lesson;

struct _RelayMirror {
    RelayMirrorSpec spec;
    char *id;
    RelayLessons *lessons;
    RelayConns *conns;
    SoupSession *session;
    GPtrArray *upstreams; // RelayUpstream, in order of preference
    GHashTable *mirrored; // id -> Lesson
    guint timer;
};

static void lesson_free(gpointer data)
{
    Lesson *lesson = data;
    g_ptr_array_unref(lesson->fetches);
    g_free(lesson->id);
    g_free(lesson->name);
    g_free(lesson);
}

static gboolean has(const RelayUpstream *upstream, const char *id)
{
    return relay_upstream_state(upstream) != RELAY_UPSTREAM_LOOP &&
           relay_upstream_lesson(upstream, id);
}

static gboolean has_now(const RelayUpstream *upstream, const char *id)
{
    return relay_upstream_state(upstream) == RELAY_UPSTREAM_CONNECTED && has(upstream, id);
}

// The first upstream that has the lesson and answers, else the first that had it.
static RelayUpstream *teller_of(const RelayMirror *m, const char *id)
{
    RelayUpstream *had = NULL;
    for (guint i = 0; i < m->upstreams->len; i++) {
        RelayUpstream *upstream = m->upstreams->pdata[i];
        if (has_now(upstream, id))
            return upstream;
        had = had ? had : has(upstream, id) ? upstream : NULL;
    }
    return had;
}

static gboolean read_format(const json_t *stream, RelayStreamFormat *ret)
{
    const char *mime = tk_json_string(stream, "mime", NULL);
    if (!mime)
        return FALSE;
    *ret = (RelayStreamFormat){.width = (guint)CLAMP(tk_json_int(stream, "width", 0), 0, 65535),
                               .height = (guint)CLAMP(tk_json_int(stream, "height", 0), 0, 65535),
                               .fps = tk_json_real(stream, "fps", 0),
                               .has_video = tk_json_bool(stream, "video", FALSE),
                               .has_audio = tk_json_bool(stream, "audio", FALSE)};
    g_strlcpy(ret->mime, mime, sizeof ret->mime);
    return TRUE;
}

static RelayFetch *fetch_of(const Lesson *lesson, const RelayStream *stream)
{
    for (guint i = 0; i < lesson->fetches->len; i++)
        if (relay_fetch_stream(lesson->fetches->pdata[i]) == stream)
            return lesson->fetches->pdata[i];
    return NULL;
}

static RelayFetch *fetch_named(const Lesson *lesson, const char *name)
{
    for (guint i = 0; i < lesson->fetches->len; i++)
        if (g_str_equal(relay_fetch_stream(lesson->fetches->pdata[i])->name, name))
            return lesson->fetches->pdata[i];
    return NULL;
}

static void mirror_stream(RelayMirror *m, Lesson *lesson, const json_t *object)
{
    const char *name = tk_json_string(object, "name", "");
    // `main` may be it already, and a line that carries one picture does not carry two. Its sound
    // alone is made here.
    gboolean spared = g_str_equal(name, RELAY_RENDITION_AUDIO_STREAM) ||
                      (m->spec.moves && g_str_equal(name, RELAY_RENDITION_LOW_STREAM));
    if (!tk_name_stream_valid(name) || spared)
        return;
    RelayStreamFormat format;
    gboolean known = read_format(object, &format);
    gboolean sent = g_str_equal(tk_json_string(object, "state", ""), "live");
    RelayFetch *fetch = fetch_named(lesson, name);
    gboolean live = sent && !(fetch && relay_fetch_is_stalled(fetch));
    RelayStream *stream =
        relay_lessons_mirror_stream(m->lessons, lesson->id, name, live, known ? &format : NULL);
    if (stream && !fetch) {
        fetch = relay_fetch_new(m->lessons, m->conns, stream, lesson->id);
        g_ptr_array_add(lesson->fetches, fetch);
    }
    if (fetch)
        relay_fetch_set_sent(fetch, sent);
}

static void end_here(RelayMirror *m, Lesson *lesson)
{
    g_ptr_array_set_size(lesson->fetches, 0); // their streams are over
    relay_lessons_end_mirrored(m->lessons, lesson->id);
    lesson->here = FALSE;
}

// What is over upstream and only drained here keeps no successor from its name.
static void clear_name(RelayMirror *m, const char *name)
{
    GHashTableIter iter;
    Lesson *other;
    g_hash_table_iter_init(&iter, m->mirrored);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&other))
        if (other->here && other->ending_ns && g_str_equal(other->name, name))
            end_here(m, other);
}

static void mirror_lesson(RelayMirror *m, Lesson *lesson, const json_t *told)
{
    g_autoptr(GError) error = NULL;
    RelayMirrored mirrored = {
        .id = lesson->id, .name = lesson->name, .info = json_object_get(told, "info")};
    const json_t *stream;
    size_t i;
    lesson->retry_ns = tk_clock_monotonic_ns() + RETRY_NS;
    if (!tk_clock_parse_rfc3339(tk_json_string(told, "started", ""), &mirrored.started_wall_ns,
                                NULL))
        return;
    clear_name(m, lesson->name);
    gboolean here = relay_lessons_mirror(m->lessons, &mirrored, &error);
    if (!here && lesson->here != here) {
        TkLogFields fields = {.lesson = mirrored.name, .reason = tk_error_word(error->code)};
        tk_log(TK_LOG_WARNING, &fields, "the lesson is not taken over from upstream: %s",
               error->message);
    }
    lesson->here = here;
    json_array_foreach(json_object_get(told, "streams"), i, stream)
    {
        if (here && i < RELAY_LESSON_STREAMS_MAX)
            mirror_stream(m, lesson, stream);
    }
}

static void update(RelayMirror *m, const char *id)
{
    Lesson *lesson = g_hash_table_lookup(m->mirrored, id);
    const RelayUpstream *teller = teller_of(m, id);
    const json_t *told = teller ? relay_upstream_lesson(teller, id) : NULL;
    gint64 now_ns = tk_clock_monotonic_ns();
    if (!told) {
        if (lesson && !lesson->ending_ns)
            lesson->ending_ns = now_ns + DRAIN_NS;
        return;
    }
    if (!lesson) {
        lesson = g_new0(Lesson, 1);
        lesson->id = g_strdup(id);
        lesson->name = g_strdup(tk_json_string(told, "name", ""));
        lesson->here = TRUE; // until found otherwise, which is worth a line
        lesson->seen_ns = now_ns;
        lesson->fetches = g_ptr_array_new_with_free_func((GDestroyNotify)relay_fetch_free);
        g_hash_table_insert(m->mirrored, lesson->id, lesson);
    }
    lesson->ending_ns = 0;
    mirror_lesson(m, lesson, told);
}

static void on_lesson(gpointer user, RelayUpstream *upstream, const char *id)
{
    update(user, id);
}

// Its sender is looked for, there and here, as one that was cut off.
static void on_lost(gpointer user, RelayUpstream *upstream, const char *id)
{
    RelayMirror *m = user;
    Lesson *lesson = g_hash_table_lookup(m->mirrored, id);
    if (teller_of(m, id))
        update(m, id);
    if (teller_of(m, id) || !lesson || lesson->ending_ns)
        return;
    lesson->ending_ns = tk_clock_monotonic_ns() + UNSEEN_NS;
    for (guint i = 0; i < lesson->fetches->len; i++) {
        RelayFetch *fetch = lesson->fetches->pdata[i];
        relay_fetch_set_sent(fetch, FALSE);
        relay_lessons_mirror_stream(m->lessons, id, relay_fetch_stream(fetch)->name, FALSE, NULL);
    }
}

static void on_change(gpointer user, RelayUpstream *upstream)
{
    RelayMirror *m = user;
    json_t *event = json_object();
    tk_json_set_string(event, "type", "relay-changed");
    json_object_set_new(event, "relay", relay_mirror_identity(m));
    g_autofree char *text = tk_json_dump(event);
    json_decref(event);
    relay_lessons_tell_all(m->lessons, text);
    g_autoptr(GList) ids = g_hash_table_get_keys(m->mirrored);
    for (GList *id = ids; id; id = id->next)
        update(m, id->data);
}

static const RelayUpstreamHandler upstream_handler = {on_lesson, on_lost, on_change};

static void on_wanted(gpointer user, RelayStream *stream, gint change)
{
    RelayMirror *m = user;
    const Lesson *lesson = g_hash_table_lookup(m->mirrored, stream->lesson_id);
    RelayFetch *fetch = lesson ? fetch_of(lesson, stream) : NULL;
    if (fetch)
        relay_fetch_want(fetch, change);
}

// From where each stream of the lesson is to come, first choice first. One whose events cannot be
// followed at the moment may still have the stream: its answer will tell.
static void tend(RelayMirror *m, Lesson *lesson, gint64 now_ns)
{
    const RelayUpstream *from[UPSTREAMS_MAX];
    guint count = 0;
    for (guint pass = 0; pass < 2; pass++) {
        for (guint i = 0; i < m->upstreams->len; i++) {
            const RelayUpstream *upstream = m->upstreams->pdata[i];
            gboolean now = has_now(upstream, lesson->id);
            if (pass == 0 ? now : !now && has(upstream, lesson->id))
                from[count++] = upstream;
            if (now)
                lesson->seen_ns = now_ns;
        }
    }
    RelayFetchPlan plan = {.from = from,
                           .from_count = count,
                           .transport = m->spec.transport,
                           .token_file = m->spec.token_file,
                           .return_ns = m->spec.return_ns};
    for (guint i = 0; i < lesson->fetches->len; i++) {
        RelayFetch *fetch = lesson->fetches->pdata[i];
        const RelayStream *stream = relay_fetch_stream(fetch);
        plan.ahead = tk_name_matches(m->spec.ahead, stream->lesson_name);
        plan.moves = m->spec.moves && g_str_equal(stream->name, TK_STREAM_MAIN);
        if (relay_fetch_flows(fetch))
            lesson->seen_ns = now_ns;
        if (relay_fetch_tend(fetch, &plan, now_ns))
            update(m, lesson->id); // it has stalled, or flows again
    }
}

static gboolean tick(gpointer user)
{
    RelayMirror *m = user;
    gint64 now_ns = tk_clock_monotonic_ns();
    g_autoptr(GList) lessons = g_hash_table_get_values(m->mirrored);
    for (GList *at = lessons; at; at = at->next) {
        Lesson *lesson = at->data;
        tend(m, lesson, now_ns);
        if (!lesson->here && !lesson->ending_ns && now_ns > lesson->retry_ns)
            update(m, lesson->id);
        gboolean over = lesson->ending_ns && now_ns > lesson->ending_ns;
        if (over || now_ns - lesson->seen_ns > UNSEEN_NS) {
            end_here(m, lesson);
            g_hash_table_remove(m->mirrored, lesson->id);
        }
    }
    return G_SOURCE_CONTINUE;
}

RelayMirror *relay_mirror_new(const RelayMirrorSpec *spec, RelayLessons *lessons, RelayConns *conns,
                              GError **error)
{
    RelayMirror *m = g_new0(RelayMirror, 1);
    g_auto(GStrv) urls = g_strsplit_set(spec->upstreams, " \t,", -1);
    m->spec = *spec;
    m->id = tk_ulid_new(tk_clock_wall_ns());
    m->lessons = lessons;
    m->conns = conns;
    m->session = tk_web_session_new("tongke-relay");
    m->upstreams = g_ptr_array_new_with_free_func((GDestroyNotify)relay_upstream_free);
    m->mirrored = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, lesson_free);
    RelayLessonsWatcher watcher = {.on_wanted = on_wanted, .user = m};
    relay_lessons_watch(lessons, &watcher);
    for (guint i = 0; urls[i]; i++) {
        if (!*urls[i])
            continue;
        RelayUpstream *upstream = NULL;
        if (m->upstreams->len == UPSTREAMS_MAX)
            g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                        "upstream.relays names more than %u relays", UPSTREAMS_MAX);
        else
            upstream = relay_upstream_new(urls[i], spec->token_file, m->session, m->id,
                                          &upstream_handler, m, error);
        if (!upstream) {
            relay_mirror_free(m);
            return NULL;
        }
        g_ptr_array_add(m->upstreams, upstream);
    }
    if (m->upstreams->len)
        m->timer = g_timeout_add(TICK_MS, tick, m);
    return m;
}

void relay_mirror_free(RelayMirror *mirror)
{
    if (!mirror)
        return;
    g_clear_handle_id(&mirror->timer, g_source_remove);
    g_hash_table_unref(mirror->mirrored);
    g_ptr_array_unref(mirror->upstreams);
    g_object_unref(mirror->session);
    g_free(mirror->id);
    g_free(mirror);
}

json_t *relay_mirror_identity(const RelayMirror *mirror)
{
    json_t *identity = json_object(), *ancestors = json_array(), *one;
    tk_json_set_string(identity, "id", mirror->id);
    tk_json_set_string(identity, "name", mirror->spec.name);
    tk_json_set_int(identity, "rtsp_port", mirror->spec.rtsp_port);
    for (guint i = 0; i < mirror->upstreams->len; i++) {
        const RelayUpstream *upstream = mirror->upstreams->pdata[i];
        size_t j;
        if (relay_upstream_state(upstream) == RELAY_UPSTREAM_LOOP)
            continue;
        json_array_foreach((json_t *)relay_upstream_lineage(upstream), j, one)
        {
            if (json_array_size(ancestors) < ANCESTORS_MAX)
                json_array_append(ancestors, one);
        }
    }
    json_object_set_new(identity, "ancestors", ancestors);
    return identity;
}

json_t *relay_mirror_upstreams(const RelayMirror *mirror)
{
    json_t *list = json_array();
    for (guint i = 0; i < mirror->upstreams->len; i++) {
        const RelayUpstream *upstream = mirror->upstreams->pdata[i];
        json_t *one = json_object();
        tk_json_set_string(one, "url", relay_upstream_url(upstream));
        tk_json_set_string(one, "name", relay_upstream_name(upstream));
        tk_json_set_string(one, "state", relay_upstream_state_word(relay_upstream_state(upstream)));
        json_array_append_new(list, one);
    }
    return list;
}
