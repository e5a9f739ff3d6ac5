// SPDX-License-Identifier: MIT
#include "relay/core/web_feed.h"

#include <string.h>

#include "relay/core/stream_rate.h"

// Chunks come ten a second: an hour of history in count, whatever its bounds in time and bytes.
#define CHUNKS_MAX 32768
// Parameter sets change a handful of times a lesson; older ones go when no chunk needs them.
#define INITS_MAX 16
// Of a rendition that has given nothing for so long there is none now.
#define RENDITION_FRESH_NS (2000 * G_GINT64_CONSTANT(1000000))

struct _RelayWebFeed {
    char *stream_name;
    gpointer owner;
    RelayHistory *history;
    GArray *inits; // RelayWebInit, oldest first
    RelayUnit *state;
    guint state_serial; // 0: none yet
    gboolean ending, ended;
    GPtrArray *members; // borrowed
    RelayStreamRate rate;
    RelayWebFeed *renditions[RELAY_RENDITIONS]; // of it; borrowed
};

RelayUnit *relay_web_message(const void *data, gsize size)
{
    RelayUnit *message = relay_unit_new(RELAY_WEB_HEADROOM + size);
    memcpy(message->data + RELAY_WEB_HEADROOM, data, size);
    return message;
}

RelayUnit *relay_web_message_json(json_t *object)
{
    g_autofree char *text = tk_json_dump(object);
    json_decref(object);
    return relay_web_message(text, strlen(text));
}

RelayWebFeed *relay_web_feed_new(const char *stream_name, gpointer owner, gint64 history_span_ns,
                                 gsize history_bytes_max)
{
    RelayWebFeed *feed = g_new0(RelayWebFeed, 1);
    feed->stream_name = g_strdup(stream_name);
    feed->owner = owner;
    feed->history = relay_history_new(history_span_ns, history_bytes_max, CHUNKS_MAX);
    feed->inits = g_array_new(FALSE, FALSE, sizeof(RelayWebInit));
    feed->members = g_ptr_array_new();
    feed->renditions[RELAY_RENDITION_MAIN] = feed;
    return feed;
}

static void drop_oldest_init(RelayWebFeed *feed)
{
    RelayWebInit *init = &g_array_index(feed->inits, RelayWebInit, 0);
    relay_unit_unref(init->segment);
    relay_unit_unref(init->text);
    g_array_remove_index(feed->inits, 0);
}

void relay_web_feed_free(RelayWebFeed *feed)
{
    if (!feed)
        return;
    while (feed->inits->len)
        drop_oldest_init(feed);
    g_array_unref(feed->inits);
    g_ptr_array_unref(feed->members);
    relay_unit_unref(feed->state);
    relay_history_free(feed->history);
    g_free(feed->stream_name);
    g_free(feed);
}

const char *relay_web_feed_name(const RelayWebFeed *feed)
{
    return feed->stream_name;
}

void relay_web_feed_share_state(RelayWebFeed *feed, const RelayWebFeed *other)
{
    if (!other->state)
        return;
    relay_unit_unref(feed->state);
    feed->state = relay_unit_ref(other->state);
    feed->state_serial++;
    feed->ending = other->ending;
    feed->ended = other->ended;
}

gpointer relay_web_feed_owner(const RelayWebFeed *feed)
{
    return feed->owner;
}

static RelayUnit *init_text(const RelayStreamFormat *format)
{
    json_t *object = json_object(), *timescale = json_object();
    tk_json_set_string(object, "type", "init");
    tk_json_set_string(object, "mime", format->mime);
    if (format->has_video) {
        tk_json_set_int(object, "width", format->width);
        tk_json_set_int(object, "height", format->height);
    }
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        char id[] = {(char)('1' + i), '\0'};
        if (format->timescale[i])
            tk_json_set_int(timescale, id, format->timescale[i]);
    }
    json_object_set_new(object, "timescale", timescale);
    return relay_web_message_json(object);
}

guint64 relay_web_feed_oldest(const RelayWebFeed *feed)
{
    const RelayUnit *oldest = relay_history_at(feed->history, relay_history_tail(feed->history));
    return oldest ? oldest->number : 0;
}

void relay_web_feed_push(RelayWebFeed *feed, const RelayUnit *piece,
                         const RelayStreamFormat *format)
{
    RelayUnit *message = relay_web_message(piece->data, piece->bytes);
    message->flags = piece->flags;
    message->number = piece->number;
    message->arrived_ns = piece->arrived_ns;
    message->media_ns = piece->media_ns;
    if (format) {
        RelayWebInit init = {message, init_text(format), piece->number};
        g_array_append_val(feed->inits, init);
    } else {
        relay_stream_rate_note(&feed->rate, message);
        relay_history_push(feed->history, message);
    }
    guint64 oldest = relay_web_feed_oldest(feed);
    while (feed->inits->len > 1 &&
           (g_array_index(feed->inits, RelayWebInit, 1).first_chunk <= oldest ||
            feed->inits->len > INITS_MAX))
        drop_oldest_init(feed);
}

void relay_web_feed_set_state(RelayWebFeed *feed, const char *state, const char *lesson_json)
{
    if (g_str_equal(state, "ending")) {
        feed->ending = TRUE;
        return;
    }
    g_autofree char *text =
        g_strdup_printf("{\"type\":\"state\",\"stream\":\"%s\",\"state\":\"%s\",\"lesson\":%s}",
                        feed->stream_name, state, lesson_json);
    relay_unit_unref(feed->state);
    feed->state = relay_web_message(text, strlen(text));
    feed->state_serial++;
    feed->ended = g_str_equal(state, "ended");
}

gboolean relay_web_feed_is_open(const RelayWebFeed *feed)
{
    return !feed->ending && !feed->ended;
}

gboolean relay_web_feed_ended(const RelayWebFeed *feed)
{
    return feed->ended;
}

void relay_web_feed_join(RelayWebFeed *feed, gpointer member)
{
    g_ptr_array_add(feed->members, member);
}

void relay_web_feed_leave(RelayWebFeed *feed, gpointer member)
{
    g_ptr_array_remove_fast(feed->members, member);
}

const GPtrArray *relay_web_feed_members(const RelayWebFeed *feed)
{
    return feed->members;
}

void relay_web_feed_set_rendition(RelayWebFeed *feed, RelayRendition rendition, RelayWebFeed *other)
{
    feed->renditions[rendition] = other;
}

RelayWebFeed *relay_web_feed_rendition(const RelayWebFeed *feed, RelayRendition rendition)
{
    return feed->renditions[rendition];
}

gint64 relay_web_feed_heard_ns(const RelayWebFeed *feed)
{
    const RelayUnit *newest =
        relay_history_at(feed->history, relay_history_head(feed->history) - 1);
    return newest ? newest->arrived_ns : 0;
}

static gint64 need_of(const RelayWebFeed *feed, gint64 now_ns)
{
    gint64 heard_ns = relay_web_feed_heard_ns(feed);
    return heard_ns && now_ns - heard_ns <= RENDITION_FRESH_NS ? MAX(feed->rate.bps, 1) : 0;
}

gboolean relay_web_feed_is_blind(const RelayWebFeed *feed)
{
    const RelayUnit *newest =
        relay_history_at(feed->history, relay_history_head(feed->history) - 1);
    return newest && newest->flags & RELAY_UNIT_BLIND;
}

void relay_web_feed_ladder(const RelayWebFeed *feed, gint64 now_ns, RelayLadder *ret)
{
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        ret->need_bps[i] = feed->renditions[i] && !relay_web_feed_is_blind(feed->renditions[i])
                               ? need_of(feed->renditions[i], now_ns)
                               : 0;
}

const RelayHistory *relay_web_feed_history(const RelayWebFeed *feed)
{
    return feed->history;
}

RelayUnit *relay_web_feed_state(const RelayWebFeed *feed, guint *ret_serial)
{
    *ret_serial = feed->state_serial;
    return feed->state;
}

const RelayWebInit *relay_web_feed_init_for(const RelayWebFeed *feed, guint64 number)
{
    const RelayWebInit *found = NULL;
    for (guint i = 0; i < feed->inits->len; i++) {
        const RelayWebInit *init = &g_array_index(feed->inits, RelayWebInit, i);
        if (!found || init->first_chunk <= number)
            found = init;
    }
    return found;
}

guint64 relay_web_feed_find_media(const RelayWebFeed *feed, gint64 media_ns)
{
    guint64 low = relay_history_tail(feed->history), high = relay_history_head(feed->history);
    while (low < high) {
        guint64 middle = low + (high - low) / 2;
        if (relay_history_at(feed->history, middle)->media_ns < media_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
