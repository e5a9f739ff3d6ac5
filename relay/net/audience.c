// SPDX-License-Identifier: MIT
#include "relay/net/audience.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#define MESSAGES_PER_SECOND 10
// Reports come once a second; without one for so long its socket is asked, once a second.
#define REPORT_FRESH_NS (3 * TK_NS_PER_S)
#define SAMPLE_EVERY_NS TK_NS_PER_S
// A follower that reads nothing loses its connection and gets a snapshot with the next one.
#define EVENTS_QUEUED_MAX 256
#define EVENTS_PATH "/api/v1/events"
#define LIVE_PREFIX "/live/"

typedef enum { SOCKET_CLOSING, SOCKET_LIVE, SOCKET_EVENTS } Kind;

struct _RelaySocket {
    RelayAudience *audience;
    gpointer link;
    guint64 serial;
    Kind kind;
    TkClaims *claims;  // of its token; NULL when the door is open
    gint64 expires_ns; // monotonic
    guint close_code;  // closes as soon as `queue` is out; 0 = stays
    GQueue queue;      // RelayUnit: texts to send first
    // SOCKET_LIVE
    char *word, *stream; // what was asked for
    guint64 from;
    RelayWebFeed *feed; // NULL: waiting for the lesson
    RelayWebViewer viewer;
    RelayViewerState counted; // in the statistics
    gint64 reported_ns,
        sampled_ns; // when it last told how far it is; when its socket was last asked
    // SOCKET_EVENTS
    gboolean has_snapshot;
    // Its own messages.
    gsize message_bytes;
    GString *message; // one that came in pieces; NULL mostly
    gint64 second_ns;
    guint messages;
};

struct _RelayAudience {
    RelayAudienceSpec spec;
    RelayViewerLimits limits;
    GPtrArray *feeds;    // RelayWebFeed, owned
    GHashTable *sockets; // RelaySocket, owned
    guint64 serials;
    RelayAudienceStats stats; // relaxed atomics
};

static void socket_free(gpointer data)
{
    RelaySocket *s = data;
    g_queue_clear_full(&s->queue, (GDestroyNotify)relay_unit_unref);
    tk_claims_free(s->claims);
    if (s->message)
        g_string_free(s->message, TRUE);
    g_free(s->word);
    g_free(s->stream);
    g_free(s);
}

static RelayStream *stream_of(const RelayWebFeed *feed)
{
    return relay_web_feed_owner(feed);
}

static void feed_free(gpointer data)
{
    relay_stream_unref(stream_of(data));
    relay_web_feed_free(data);
}

RelayAudience *relay_audience_new(const RelayAudienceSpec *spec)
{
    RelayAudience *a = g_new0(RelayAudience, 1);
    a->spec = *spec;
    a->limits = RELAY_VIEWER_LIMITS_DEFAULT;
    a->feeds = g_ptr_array_new_with_free_func(feed_free);
    a->sockets = g_hash_table_new_full(NULL, NULL, NULL, socket_free);
    return a;
}

void relay_audience_free(RelayAudience *audience)
{
    if (!audience)
        return;
    g_hash_table_unref(audience->sockets);
    g_ptr_array_unref(audience->feeds);
    g_free(audience);
}

static void queue_text(RelaySocket *s, const char *text)
{
    g_queue_push_tail(&s->queue, relay_web_message(text, strlen(text)));
    s->audience->spec.wake(s->link);
}

static gboolean wants(const RelaySocket *s, const RelayStream *stream)
{
    return g_str_equal(s->stream, stream->name) &&
           (g_str_equal(s->word, stream->lesson_id) || g_str_equal(s->word, stream->lesson_name));
}

static const char *school_of(const RelaySocket *s)
{
    return s->claims ? s->claims->school : NULL;
}

static void attach(RelaySocket *s, RelayWebFeed *feed)
{
    RelayAudience *a = s->audience;
    RelayStream *stream = stream_of(feed);
    s->feed = feed;
    relay_web_viewer_init(&s->viewer, feed, s->from);
    relay_web_feed_join(feed, s);
    relay_stat_add(a->stats.viewers, 1);
    s->counted = s->viewer.place.state;
    relay_stat_add(a->stats.states[s->counted], 1);
    a->spec.on_viewer(a->spec.user, stream, 1, school_of(s));
    TkLogFields fields = {.lesson = stream->lesson_name, .stream = stream->name};
    tk_log(TK_LOG_INFO, &fields, "a viewer begins over WebSocket");
    a->spec.wake(s->link);
}

static void detach(RelaySocket *s)
{
    RelayAudience *a = s->audience;
    if (!s->feed)
        return;
    relay_web_feed_leave(s->feed, s);
    relay_stat_add(a->stats.viewers, -1u);
    relay_stat_add(a->stats.states[s->counted], -1u);
    a->spec.on_viewer(a->spec.user, stream_of(s->feed), -1, school_of(s));
    s->feed = NULL;
}

// The newest running one that the socket asked for.
static RelayWebFeed *find_feed(const RelaySocket *s)
{
    for (guint i = s->audience->feeds->len; i-- > 0;) {
        RelayWebFeed *feed = s->audience->feeds->pdata[i];
        if (relay_web_feed_is_open(feed) && wants(s, stream_of(feed)))
            return feed;
    }
    return NULL;
}

static gboolean lesson_runs(const RelayAudience *a, const char *id)
{
    for (guint i = 0; i < a->feeds->len; i++)
        if (relay_web_feed_is_open(a->feeds->pdata[i]) &&
            g_str_equal(stream_of(a->feeds->pdata[i])->lesson_id, id))
            return TRUE;
    return FALSE;
}

static void say_state(RelaySocket *s, const char *state)
{
    g_autofree char *text = g_strdup_printf(
        "{\"type\":\"state\",\"stream\":\"%s\",\"state\":\"%s\",\"lesson\":{\"name\":\"%s\"}}",
        s->stream, state, s->word);
    queue_text(s, text);
}

static void open_live(RelaySocket *s, const char *path, const char *from, const char *token)
{
    if (!tk_name_split_path(path + strlen(LIVE_PREFIX) - 1, &s->word, &s->stream, NULL))
        return;
    if (from && !g_ascii_string_to_unsigned(from, 10, 1, G_MAXUINT32, &s->from, NULL))
        s->from = 0;
    RelayWebFeed *feed = find_feed(s);
    const RelayStream *stream = feed ? stream_of(feed) : NULL;
    if (!relay_door_admit(s->audience->spec.door, token, TK_ROLE_VIEWER,
                          stream ? stream->lesson_name : s->word, stream ? stream->lesson_id : NULL,
                          &s->claims, NULL))
        return;
    s->kind = SOCKET_LIVE;
    s->close_code = 0;
    if (feed) {
        attach(s, feed);
    } else if (tk_ulid_valid(s->word) && !lesson_runs(s->audience, s->word)) {
        say_state(s, "ended"); // no name looks like an id, and ids are given to lessons that run
        s->close_code = RELAY_CLOSE_OVER;
    } else {
        say_state(s, "waiting");
    }
}

static void open_events(RelaySocket *s, const char *token)
{
    if (!relay_door_admit(s->audience->spec.door, token, TK_ROLE_VIEWER, NULL, NULL, &s->claims,
                          NULL))
        return;
    s->kind = SOCKET_EVENTS;
    s->close_code = 0;
    s->audience->spec.on_snapshot(s->audience->spec.user, s->serial, s->claims);
}

RelaySocket *relay_audience_open(RelayAudience *audience, const char *path, const char *from,
                                 const char *token, gpointer link, gint64 now_ns)
{
    RelaySocket *s = g_new0(RelaySocket, 1);
    s->audience = audience;
    s->link = link;
    s->serial = ++audience->serials;
    s->kind = SOCKET_CLOSING;
    s->close_code = RELAY_CLOSE_REFUSED;
    g_queue_init(&s->queue);
    if (g_hash_table_size(audience->sockets) >= audience->spec.sockets_max)
        s->close_code = RELAY_CLOSE_TRY_LATER;
    else if (g_str_has_prefix(path, LIVE_PREFIX))
        open_live(s, path, from, token);
    else if (g_str_equal(path, EVENTS_PATH))
        open_events(s, token);
    if (s->claims)
        s->expires_ns = now_ns + s->claims->expires_s * TK_NS_PER_S - tk_clock_wall_ns();
    g_hash_table_add(audience->sockets, s);
    relay_stat_set(audience->stats.sockets, g_hash_table_size(audience->sockets));
    if (s->kind == SOCKET_CLOSING)
        relay_stat_add(audience->stats.refused, 1);
    audience->spec.wake(link);
    return s;
}

// An ended feed stays until its last viewer has left.
static void sweep_feeds(RelayAudience *a)
{
    for (guint i = a->feeds->len; i-- > 0;) {
        RelayWebFeed *feed = a->feeds->pdata[i];
        if (!relay_web_feed_ended(feed) || relay_web_feed_members(feed)->len)
            continue;
        stream_of(feed)->web_feeds[a->spec.index] = NULL;
        g_ptr_array_remove_index(a->feeds, i);
    }
}

void relay_audience_leave(RelayAudience *audience, RelaySocket *socket)
{
    detach(socket);
    g_hash_table_remove(audience->sockets, socket);
    relay_stat_set(audience->stats.sockets, g_hash_table_size(audience->sockets));
    sweep_feeds(audience);
}

static const char *reason_of(guint close_code)
{
    switch (close_code) {
    case RELAY_CLOSE_OVER:
        return "the lesson is over";
    case RELAY_CLOSE_TRY_LATER:
        return "too many viewers";
    case RELAY_CLOSE_TOO_SLOW:
        return "too slow for too long";
    case RELAY_CLOSE_TOO_BIG:
        return "a message may have 4 KiB";
    default:
        return "not allowed";
    }
}

RelayWebNext relay_socket_next(RelaySocket *socket, gint64 now_ns, RelayUnit **ret_message,
                               guint *ret_close_code, const char **ret_reason)
{
    RelaySocket *s = socket;
    if (s->claims && now_ns > s->expires_ns && !s->close_code)
        s->close_code = RELAY_CLOSE_REFUSED;
    if ((*ret_message = g_queue_pop_head(&s->queue)))
        return RELAY_WEB_TEXT;
    if (s->feed && !s->close_code) {
        RelayWebNext next = relay_web_viewer_next(&s->viewer, s->feed, ret_message);
        if (next != RELAY_WEB_OVER && next != RELAY_WEB_TOO_SLOW)
            return next;
        s->close_code = next == RELAY_WEB_OVER ? RELAY_CLOSE_OVER : RELAY_CLOSE_TOO_SLOW;
    }
    if (!s->close_code)
        return RELAY_WEB_NOTHING;
    *ret_close_code = s->close_code;
    *ret_reason = reason_of(s->close_code);
    return RELAY_WEB_OVER;
}

gboolean relay_socket_has_more(const RelaySocket *socket)
{
    return socket->close_code || socket->queue.length > 0 ||
           (socket->feed && relay_web_viewer_has_more(&socket->viewer, socket->feed));
}

static void log_state(const RelaySocket *s, RelayViewerState state)
{
    const RelayStream *stream = relay_web_feed_owner(s->feed);
    const char *school = school_of(s);
    TkLogFields fields = {.lesson = stream->lesson_name, .stream = stream->name};
    tk_log(TK_LOG_INFO, &fields, "a viewer over WebSocket%s%s: %s, was %s", school ? " of " : "",
           school ? school : "", relay_viewer_state_word(state),
           relay_viewer_state_word(s->counted));
}

// The policy was applied to it: it lost `lost` units, and may be in another state.
static void note(RelaySocket *s, guint64 lost)
{
    RelayAudience *a = s->audience;
    RelayViewerState state = s->viewer.place.state;
    if (lost)
        relay_stat_add(a->stats.units_dropped, lost);
    if (state == s->counted)
        return;
    if (s->counted != RELAY_VIEWER_WAITING)
        log_state(s, state);
    relay_stat_add(a->stats.states[s->counted], -1u);
    relay_stat_add(a->stats.states[state], 1);
    s->counted = state;
    if (state == RELAY_VIEWER_CATCHING_UP)
        relay_stat_add(a->stats.fallen_behind, 1);
    if (state == RELAY_VIEWER_GONE) {
        relay_stat_add(a->stats.viewers_gone, 1);
        a->spec.drop(s->link);
    }
}

static void take_message(RelaySocket *s, const char *text, gsize bytes, gint64 now_ns)
{
    RelayReport report;
    if (!s->feed || s->counted == RELAY_VIEWER_GONE || !relay_report_parse(text, bytes, &report))
        return;
    s->reported_ns = now_ns;
    relay_stat_add(s->audience->stats.reports, 1);
    note(s,
         relay_web_viewer_take_report(&s->viewer, s->feed, &s->audience->limits, &report, now_ns));
}

guint relay_socket_received(RelaySocket *socket, const RelaySocketFragment *fragment, gint64 now_ns)
{
    RelaySocket *s = socket;
    const RelaySocketFragment *f = fragment;
    if (now_ns - s->second_ns > TK_NS_PER_S) {
        s->second_ns = now_ns;
        s->messages = 0;
    }
    if (f->first) {
        s->message_bytes = 0;
        s->messages++;
        if (s->message)
            g_string_truncate(s->message, 0);
    }
    s->message_bytes += f->bytes;
    if (s->message_bytes > RELAY_SOCKET_MESSAGE_MAX ||
        f->left > RELAY_SOCKET_MESSAGE_MAX - s->message_bytes)
        return RELAY_CLOSE_TOO_BIG;
    if (s->messages > MESSAGES_PER_SECOND)
        return RELAY_CLOSE_REFUSED;
    if (!f->text)
        return 0;
    if (f->first && f->last) {
        take_message(s, f->data, f->bytes, now_ns);
        return 0;
    }
    if (!s->message)
        s->message = g_string_new(NULL);
    g_string_append_len(s->message, f->data, (gssize)f->bytes);
    if (f->last)
        take_message(s, s->message->str, s->message->len, now_ns);
    return 0;
}

// A socket that reads nothing is never asked what it wants next: it is judged by what comes in.
static void judge(RelaySocket *s, gint64 now_ns)
{
    RelayAudience *a = s->audience;
    if (s->counted == RELAY_VIEWER_GONE)
        return;
    guint64 lost = relay_web_viewer_judge(&s->viewer, s->feed, &a->limits, now_ns);
    if (now_ns - s->reported_ns > REPORT_FRESH_NS && now_ns - s->sampled_ns >= SAMPLE_EVERY_NS) {
        s->sampled_ns = now_ns;
        lost += relay_web_viewer_take_unsent(&s->viewer, s->feed, &a->limits,
                                             a->spec.unsent(s->link), now_ns);
    }
    note(s, lost);
}

void relay_audience_push(RelayAudience *audience, RelayStream *stream, const RelayUnit *piece,
                         const RelayStreamFormat *format)
{
    RelayWebFeed *feed = stream->web_feeds[audience->spec.index];
    if (!feed)
        return;
    relay_web_feed_push(feed, piece, format);
    relay_stat_set(stream->chunk_oldest, relay_web_feed_oldest(feed));
    // Once through them all: what is known of a viewer is out of the processor's cache by the next.
    const GPtrArray *members = relay_web_feed_members(feed);
    for (guint i = 0; i < members->len; i++) {
        RelaySocket *s = members->pdata[i];
        judge(s, piece->arrived_ns);
        audience->spec.push(s->link);
    }
}

static RelayWebFeed *begin_feed(RelayAudience *a, RelayStream *stream)
{
    RelayWebFeed *feed = relay_web_feed_new(stream->name, relay_stream_ref(stream),
                                            a->spec.history_span_ns, a->spec.history_bytes_max);
    stream->web_feeds[a->spec.index] = feed;
    g_ptr_array_add(a->feeds, feed);
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, a->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL))
        if (s->kind == SOCKET_LIVE && !s->feed && !s->close_code && wants(s, stream))
            attach(s, feed);
    return feed;
}

void relay_audience_set_state(RelayAudience *audience, RelayStream *stream, const char *state,
                              const char *lesson_json)
{
    RelayWebFeed *feed = stream->web_feeds[audience->spec.index];
    if (!feed && g_str_has_prefix(state, "end")) // what waits by name waits for the next lesson
        return;
    if (!feed)
        feed = begin_feed(audience, stream);
    relay_web_feed_set_state(feed, state, lesson_json);
    const GPtrArray *members = relay_web_feed_members(feed);
    for (guint i = 0; i < members->len; i++)
        audience->spec.wake(((RelaySocket *)members->pdata[i])->link);
    sweep_feeds(audience);
}

void relay_audience_send_event(RelayAudience *audience, const char *json, const char *name,
                               const char *id)
{
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, audience->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL)) {
        if (s->kind != SOCKET_EVENTS || !s->has_snapshot || s->close_code ||
            (s->claims && !tk_claims_allow(s->claims, TK_ROLE_VIEWER, name, id)))
            continue;
        if (g_queue_get_length(&s->queue) < EVENTS_QUEUED_MAX) {
            queue_text(s, json);
        } else {
            g_queue_clear_full(&s->queue, (GDestroyNotify)relay_unit_unref);
            s->close_code = RELAY_CLOSE_TOO_SLOW;
        }
    }
}

void relay_audience_give_snapshot(RelayAudience *audience, guint64 serial, const char *json)
{
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, audience->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL)) {
        if (s->serial != serial)
            continue;
        s->has_snapshot = TRUE;
        queue_text(s, json);
    }
}

void relay_audience_stats(const RelayAudience *audience, RelayAudienceStats *ret)
{
    *ret = (RelayAudienceStats){.reports = relay_stat_get(audience->stats.reports),
                                .fallen_behind = relay_stat_get(audience->stats.fallen_behind),
                                .viewers = relay_stat_get(audience->stats.viewers),
                                .sockets = relay_stat_get(audience->stats.sockets),
                                .units_dropped = relay_stat_get(audience->stats.units_dropped),
                                .viewers_gone = relay_stat_get(audience->stats.viewers_gone),
                                .refused = relay_stat_get(audience->stats.refused)};
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        ret->states[i] = relay_stat_get(audience->stats.states[i]);
}
