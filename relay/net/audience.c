// SPDX-License-Identifier: MIT
#include "relay/net/audience_part.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#define MESSAGES_PER_SECOND 10
// A follower that reads nothing loses its connection and gets a snapshot with the next one.
#define EVENTS_QUEUED_MAX 256
// Ended streams whose chunks are kept: all lessons of a county end with one bell, each with three.
#define ENDED_MAX 64
#define EVENTS_PATH "/api/v1/events"
#define LIVE_PREFIX "/live/"

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

static void feed_free(gpointer data)
{
    relay_stream_unref(relay_audience_stream(data));
    relay_web_feed_free(data);
}

RelayAudience *relay_audience_new(const RelayAudienceSpec *spec)
{
    RelayAudience *a = g_new0(RelayAudience, 1);
    a->spec = *spec;
    a->limits = a->patient = RELAY_VIEWER_LIMITS_DEFAULT;
    a->patient.lag_max_ns *= 2;
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

void relay_socket_queue(RelaySocket *socket, const char *text)
{
    g_queue_push_tail(&socket->queue, relay_web_message(text, strlen(text)));
    socket->audience->spec.wake(socket->link);
}

static gboolean wants(const RelaySocket *s, const RelayWebFeed *feed)
{
    const RelayStream *stream = relay_audience_stream(feed);
    return g_str_equal(s->stream, relay_web_feed_name(feed)) &&
           (g_str_equal(s->word, stream->lesson_id) || g_str_equal(s->word, stream->lesson_name));
}

// The newest running one that the socket asked for; who resumes by the lesson's id may have what is
// left of one that is over.
static RelayWebFeed *find_feed(const RelaySocket *s)
{
    RelayWebFeed *over = NULL;
    for (guint i = s->audience->feeds->len; i-- > 0;) {
        RelayWebFeed *feed = s->audience->feeds->pdata[i];
        if (!wants(s, feed))
            continue;
        if (relay_web_feed_is_open(feed))
            return feed;
        if (!over && s->from && g_str_equal(s->word, relay_audience_stream(feed)->lesson_id))
            over = feed;
    }
    return over;
}

static gboolean lesson_runs(const RelayAudience *a, const char *id)
{
    for (guint i = 0; i < a->feeds->len; i++)
        if (relay_web_feed_is_open(a->feeds->pdata[i]) &&
            g_str_equal(relay_audience_stream(a->feeds->pdata[i])->lesson_id, id))
            return TRUE;
    return FALSE;
}

static void say_state(RelaySocket *s, const char *state)
{
    g_autofree char *text = g_strdup_printf(
        "{\"type\":\"state\",\"stream\":\"%s\",\"state\":\"%s\",\"lesson\":{\"name\":\"%s\"}}",
        s->stream, state, s->word);
    relay_socket_queue(s, text);
}

// Limits do not cut recordings: with a key only who has a recorder's token is one.
static gboolean is_exempt(const RelaySocket *s)
{
    return s->claims ? s->claims->role == TK_ROLE_RECORDER : s->from != 0;
}

static void open_live(RelaySocket *s, const RelaySocketRequest *request, gint64 now_ns)
{
    const char *path = request->path + strlen(LIVE_PREFIX) - 1, *from = request->from;
    if (!tk_name_split_path(path, &s->word, &s->stream, NULL))
        return;
    if (from && !g_ascii_string_to_unsigned(from, 10, 1, G_MAXUINT32, &s->from, NULL))
        s->from = 0;
    s->automatic = g_strcmp0(request->rendition, "auto") == 0 ||
                   relay_rendition_from_word(request->rendition, &s->best);
    RelayWebFeed *feed = find_feed(s);
    const RelayStream *stream = feed ? relay_audience_stream(feed) : NULL;
    if (!relay_door_admit(s->audience->spec.door, request->token, TK_ROLE_VIEWER,
                          stream ? stream->lesson_name : s->word, stream ? stream->lesson_id : NULL,
                          &s->claims, NULL))
        return;
    s->school = relay_schools_find(s->audience->spec.schools, s->claims ? s->claims->school : NULL);
    s->share = relay_schools_share(s->audience->spec.schools, s->school, is_exempt(s));
    s->kind = RELAY_SOCKET_LIVE;
    s->close_code = 0;
    if (feed) {
        relay_socket_attach(s, feed, now_ns);
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
    s->kind = RELAY_SOCKET_EVENTS;
    s->close_code = 0;
    s->audience->spec.on_snapshot(s->audience->spec.user, s->serial, s->claims);
}

RelaySocket *relay_audience_open(RelayAudience *audience, const RelaySocketRequest *request,
                                 gpointer link, gint64 now_ns)
{
    RelaySocket *s = g_new0(RelaySocket, 1);
    s->audience = audience;
    s->link = link;
    s->serial = ++audience->serials;
    s->kind = RELAY_SOCKET_CLOSING;
    s->close_code = RELAY_CLOSE_REFUSED;
    g_queue_init(&s->queue);
    if (g_hash_table_size(audience->sockets) >= audience->spec.sockets_max)
        s->close_code = RELAY_CLOSE_TRY_LATER;
    else if (g_str_has_prefix(request->path, LIVE_PREFIX))
        open_live(s, request, now_ns);
    else if (g_str_equal(request->path, EVENTS_PATH))
        open_events(s, request->token);
    if (s->claims)
        s->expires_ns = now_ns + tk_claims_left_ns(s->claims, tk_clock_wall_ns());
    g_hash_table_add(audience->sockets, s);
    relay_stat_set(audience->stats.sockets, g_hash_table_size(audience->sockets));
    if (s->kind == RELAY_SOCKET_CLOSING)
        relay_stat_add(audience->stats.refused, 1);
    audience->spec.wake(link);
    return s;
}

// Who watches the feed, or another in its place.
static gboolean has_viewers(const RelayAudience *a, const RelayWebFeed *feed)
{
    GHashTableIter iter;
    const RelaySocket *s;
    g_hash_table_iter_init(&iter, a->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL))
        if (s->attached && (s->viewer.home == feed || s->viewer.feed == feed))
            return TRUE;
    return FALSE;
}

// `other` is what viewers of `feed` may get instead, the first of its word. A lesson that comes
// from another relay may end and rise again under its id: what is left of it before is none of its
// renditions.
static void link_rendition(RelayWebFeed *feed, RelayWebFeed *other)
{
    RelayRendition r;
    if (feed != other && relay_web_feed_is_open(feed) && relay_web_feed_is_open(other) &&
        g_str_equal(relay_audience_stream(feed)->lesson_id,
                    relay_audience_stream(other)->lesson_id) &&
        g_str_equal(relay_web_feed_name(feed), TK_STREAM_MAIN) &&
        relay_rendition_from_word(relay_web_feed_name(other), &r) &&
        !relay_web_feed_rendition(feed, r))
        relay_web_feed_set_rendition(feed, r, other);
}

static void unlink_rendition(RelayWebFeed *feed, const RelayWebFeed *other)
{
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        if (feed != other && relay_web_feed_rendition(feed, i) == other)
            relay_web_feed_set_rendition(feed, i, NULL);
}

// Whether a recorder that comes back may still want something of it: as of a running lesson.
static gboolean is_recent(const RelayAudience *a, const RelayWebFeed *feed, gint64 now_ns)
{
    return now_ns - relay_web_feed_heard_ns(feed) < a->spec.history_span_ns;
}

// An ended feed stays as long as the history of a running one, and until its last viewer has left.
static void sweep_feeds(RelayAudience *a, gint64 now_ns)
{
    guint kept = 0;
    for (guint i = a->feeds->len; i-- > 0;) {
        RelayWebFeed *feed = a->feeds->pdata[i];
        RelayStream *stream = relay_audience_stream(feed);
        if (!relay_web_feed_ended(feed) || has_viewers(a, feed))
            continue;
        if (is_recent(a, feed, now_ns) && ++kept <= ENDED_MAX)
            continue;
        for (guint j = 0; j < a->feeds->len; j++)
            unlink_rendition(a->feeds->pdata[j], feed);
        if (stream->web_feeds[a->spec.index] == feed)
            stream->web_feeds[a->spec.index] = NULL;
        else
            stream->web_sounds[a->spec.index] = NULL;
        g_ptr_array_remove_index(a->feeds, i);
    }
}

void relay_audience_leave(RelayAudience *audience, RelaySocket *socket)
{
    relay_socket_detach(socket);
    g_hash_table_remove(audience->sockets, socket);
    relay_stat_set(audience->stats.sockets, g_hash_table_size(audience->sockets));
}

static gboolean has_expired(const RelaySocket *s, gint64 now_ns)
{
    return s->claims && now_ns > s->expires_ns && !s->close_code;
}

// Who waits, or follows events, may have nothing to be sent for long.
static void close_expired(RelayAudience *a, gint64 now_ns)
{
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, a->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL)) {
        if (!has_expired(s, now_ns))
            continue;
        s->close_code = RELAY_CLOSE_REFUSED;
        a->spec.wake(s->link);
    }
}

void relay_audience_tick(RelayAudience *audience, gint64 now_ns)
{
    sweep_feeds(audience, now_ns);
    close_expired(audience, now_ns);
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
    if (has_expired(s, now_ns))
        s->close_code = RELAY_CLOSE_REFUSED;
    if ((*ret_message = g_queue_pop_head(&s->queue)))
        return RELAY_WEB_TEXT;
    if (s->attached && !s->close_code) {
        RelayWebNext next = relay_web_viewer_next(&s->viewer, ret_message);
        s->sent_bytes += *ret_message ? (*ret_message)->bytes - RELAY_WEB_HEADROOM : 0;
        if (next != RELAY_WEB_OVER && next != RELAY_WEB_TOO_SLOW)
            return next;
        s->close_code = next == RELAY_WEB_OVER ? RELAY_CLOSE_OVER : RELAY_CLOSE_TOO_SLOW;
    }
    if (!s->close_code)
        return RELAY_WEB_NOTHING;
    *ret_close_code = s->close_code;
    *ret_reason = s->no_room ? "the limits leave no room" : reason_of(s->close_code);
    return RELAY_WEB_OVER;
}

gboolean relay_socket_has_more(const RelaySocket *socket)
{
    return socket->close_code || socket->queue.length > 0 ||
           (socket->attached && relay_web_viewer_has_more(&socket->viewer));
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
        relay_socket_take_message(s, f->data, f->bytes, now_ns);
        return 0;
    }
    if (!s->message)
        s->message = g_string_new(NULL);
    g_string_append_len(s->message, f->data, (gssize)f->bytes);
    if (f->last)
        relay_socket_take_message(s, s->message->str, s->message->len, now_ns);
    return 0;
}

static RelayWebFeed *begin_feed(RelayAudience *a, RelayStream *stream, const char *name)
{
    RelayWebFeed *feed = relay_web_feed_new(name, relay_stream_ref(stream), a->spec.history_span_ns,
                                            a->spec.history_bytes_max);
    for (guint i = 0; i < a->feeds->len; i++) {
        link_rendition(a->feeds->pdata[i], feed);
        link_rendition(feed, a->feeds->pdata[i]);
    }
    g_ptr_array_add(a->feeds, feed);
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, a->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL))
        if (s->kind == RELAY_SOCKET_LIVE && !s->attached && !s->close_code && wants(s, feed))
            relay_socket_attach(s, feed, tk_clock_monotonic_ns());
    return feed;
}

static void wake_members(const RelayAudience *a, const RelayWebFeed *feed)
{
    const GPtrArray *members = relay_web_feed_members(feed);
    for (guint i = 0; i < members->len; i++)
        a->spec.wake(((RelaySocket *)members->pdata[i])->link);
}

void relay_audience_set_state(RelayAudience *audience, RelayStream *stream, const char *state,
                              const char *lesson_json)
{
    RelayWebFeed *feed = stream->web_feeds[audience->spec.index];
    if (!feed && g_str_has_prefix(state, "end")) // what waits by name waits for the next lesson
        return;
    if (!feed)
        feed = stream->web_feeds[audience->spec.index] = begin_feed(audience, stream, stream->name);
    relay_web_feed_set_state(feed, state, lesson_json);
    if (stream->web_sounds[audience->spec.index])
        relay_web_feed_set_state(stream->web_sounds[audience->spec.index], state, lesson_json);
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        if (relay_web_feed_rendition(feed, i))
            wake_members(audience, relay_web_feed_rendition(feed, i));
}

static RelayWebFeed *feed_of(RelayAudience *a, RelayStream *stream, const RelayUnit *piece)
{
    RelayWebFeed *feed = stream->web_feeds[a->spec.index];
    if (!feed || !(piece->flags & RELAY_UNIT_SOUND))
        return feed;
    RelayWebFeed **sound = &stream->web_sounds[a->spec.index];
    if (!*sound) {
        *sound = begin_feed(a, stream, RELAY_RENDITION_AUDIO_STREAM);
        relay_web_feed_share_state(*sound, feed);
    }
    return *sound;
}

gboolean relay_audience_has_init(const RelayAudience *audience, const RelayStream *stream,
                                 const RelayUnit *init)
{
    const RelayWebFeed *feed = init->flags & RELAY_UNIT_SOUND
                                   ? stream->web_sounds[audience->spec.index]
                                   : stream->web_feeds[audience->spec.index];
    const RelayWebInit *newest = feed ? relay_web_feed_init_for(feed, G_MAXUINT64) : NULL;
    return newest && newest->first_chunk == init->number;
}

void relay_audience_push(RelayAudience *audience, RelayStream *stream, const RelayUnit *piece,
                         const RelayStreamFormat *format)
{
    RelayWebFeed *feed = feed_of(audience, stream, piece);
    if (!feed)
        return;
    relay_web_feed_push(feed, piece, format);
    if (!(piece->flags & RELAY_UNIT_SOUND))
        relay_stat_set(stream->chunk_oldest, relay_web_feed_oldest(feed));
    relay_audience_serve(audience, feed, piece->arrived_ns);
}

void relay_audience_send_event(RelayAudience *audience, const char *json, const char *name,
                               const char *id)
{
    GHashTableIter iter;
    RelaySocket *s;
    g_hash_table_iter_init(&iter, audience->sockets);
    while (g_hash_table_iter_next(&iter, (gpointer *)&s, NULL)) {
        if (s->kind != RELAY_SOCKET_EVENTS || !s->has_snapshot || s->close_code ||
            (s->claims && !tk_claims_allow(s->claims, TK_ROLE_VIEWER, name, id)))
            continue;
        if (g_queue_get_length(&s->queue) < EVENTS_QUEUED_MAX) {
            relay_socket_queue(s, json);
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
        relay_socket_queue(s, json);
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
    for (guint i = 0; i < G_N_ELEMENTS(ret->moves); i++)
        ret->moves[i] = relay_stat_get(audience->stats.moves[i]);
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        ret->states[i] = relay_stat_get(audience->stats.states[i]);
}
