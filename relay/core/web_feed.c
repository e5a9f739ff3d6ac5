// SPDX-License-Identifier: MIT
#include "relay/core/web_feed.h"

#include <string.h>

#include "common/base/json.h"

// Chunks come ten a second: an hour of history in count, whatever its bounds in time and bytes.
#define CHUNKS_MAX 32768
// Parameter sets change a handful of times a lesson; older ones go when no chunk needs them.
#define INITS_MAX 16

#define REPORT_BYTES_MAX 4096
// A year of media: sums and conversions stay far from their limits.
#define MEDIA_MAX_S (366.0 * 86400)
// Half a chunk: times are rounded on their way.
#define REPORT_SLACK_NS (50 * G_GINT64_CONSTANT(1000000))

typedef struct {
    RelayUnit *segment, *text;
    guint64 first_chunk;
} Init;

struct _RelayWebFeed {
    char *stream_name;
    gpointer owner;
    RelayHistory *history;
    GArray *inits; // oldest first
    RelayUnit *state;
    guint state_serial; // 0: none yet
    gboolean ending, ended;
    GPtrArray *members; // borrowed
};

RelayUnit *relay_web_message(const void *data, gsize size)
{
    RelayUnit *message = relay_unit_new(RELAY_WEB_HEADROOM + size);
    memcpy(message->data + RELAY_WEB_HEADROOM, data, size);
    return message;
}

static RelayUnit *json_message(json_t *object)
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
    feed->inits = g_array_new(FALSE, FALSE, sizeof(Init));
    feed->members = g_ptr_array_new();
    return feed;
}

static void drop_oldest_init(RelayWebFeed *feed)
{
    Init *init = &g_array_index(feed->inits, Init, 0);
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
    return json_message(object);
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
        Init init = {message, init_text(format), piece->number};
        g_array_append_val(feed->inits, init);
    } else {
        relay_history_push(feed->history, message);
    }
    guint64 oldest = relay_web_feed_oldest(feed);
    while (feed->inits->len > 1 && (g_array_index(feed->inits, Init, 1).first_chunk <= oldest ||
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

void relay_web_viewer_init(RelayWebViewer *viewer, const RelayWebFeed *feed, guint64 from)
{
    *viewer = (RelayWebViewer){0};
    if (!from) {
        relay_viewer_init(&viewer->place, feed->history);
        return;
    }
    relay_viewer_init_from(&viewer->place, feed->history, from);
    viewer->expected = from;
}

static const Init *init_for(const RelayWebFeed *feed, guint64 number)
{
    const Init *found = NULL;
    for (guint i = 0; i < feed->inits->len; i++) {
        const Init *init = &g_array_index(feed->inits, Init, i);
        if (!found || init->first_chunk <= number)
            found = init;
    }
    return found;
}

static RelayUnit *gap_text(guint64 from, guint64 to)
{
    json_t *object = json_object();
    tk_json_set_string(object, "type", "gap");
    tk_json_set_int(object, "from", (gint64)from);
    tk_json_set_int(object, "to", (gint64)to);
    return json_message(object);
}

static RelayWebNext next_chunk(RelayWebViewer *v, RelayWebFeed *feed, RelayUnit **ret_message)
{
    RelayUnit *chunk = relay_viewer_next(&v->place, feed->history);
    const Init *init = chunk ? init_for(feed, chunk->number) : NULL;
    if (!init)
        return feed->ended ? RELAY_WEB_OVER : RELAY_WEB_NOTHING;
    if (v->expected && chunk->number > v->expected) {
        *ret_message = gap_text(v->expected, chunk->number - 1);
        v->expected = chunk->number;
        return RELAY_WEB_TEXT;
    }
    if (v->init != init->segment && !v->init_named) {
        v->init_named = TRUE;
        *ret_message = relay_unit_ref(init->text);
        return RELAY_WEB_TEXT;
    }
    if (v->init != init->segment) {
        v->init = init->segment;
        v->init_named = FALSE;
        *ret_message = relay_unit_ref(init->segment);
        return RELAY_WEB_BINARY;
    }
    relay_viewer_advance(&v->place);
    v->expected = chunk->number + 1;
    *ret_message = relay_unit_ref(chunk);
    return RELAY_WEB_BINARY;
}

guint64 relay_web_viewer_judge(RelayWebViewer *viewer, const RelayWebFeed *feed,
                               const RelayViewerLimits *limits, gint64 now_ns)
{
    return relay_viewer_judge(&viewer->place, feed->history, limits, now_ns);
}

gboolean relay_report_parse(const char *text, gsize bytes, RelayReport *ret)
{
    g_autoptr(json_t) object = tk_json_parse(text, bytes, REPORT_BYTES_MAX, NULL);
    if (!json_is_object(object) || g_strcmp0(tk_json_string(object, "type", NULL), "report") != 0)
        return FALSE;
    double played_s = tk_json_real(object, "played_s", -1);
    double buffer_s = tk_json_real(object, "buffer_s", -1);
    // Also false for what is not a number.
    if (!(played_s >= 0 && played_s <= MEDIA_MAX_S && buffer_s >= 0 && buffer_s <= MEDIA_MAX_S))
        return FALSE;
    ret->here_ns = (gint64)((played_s + buffer_s) * 1e9);
    return TRUE;
}

// The oldest position whose chunk begins at `media_ns` or later.
static guint64 position_of_media(const RelayHistory *history, gint64 media_ns)
{
    guint64 low = relay_history_tail(history), high = relay_history_head(history);
    while (low < high) {
        guint64 middle = low + (high - low) / 2;
        if (relay_history_at(history, middle)->media_ns < media_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

guint64 relay_web_viewer_take_report(RelayWebViewer *viewer, const RelayWebFeed *feed,
                                     const RelayViewerLimits *limits, const RelayReport *report,
                                     gint64 now_ns)
{
    // A recorder asks for everything and reports nothing; a player that went on where it was does,
    // and by its first report it has had the time to catch up.
    viewer->place.lossless = FALSE;
    guint64 reached = position_of_media(feed->history, report->here_ns - REPORT_SLACK_NS);
    return relay_viewer_take_reached(&viewer->place, feed->history, limits, reached, now_ns);
}

guint64 relay_web_viewer_take_unsent(RelayWebViewer *viewer, const RelayWebFeed *feed,
                                     const RelayViewerLimits *limits, gsize bytes, gint64 now_ns)
{
    guint64 reached = viewer->place.position;
    for (gsize passed = 0; passed < bytes; reached--) {
        const RelayUnit *unit = reached ? relay_history_at(feed->history, reached - 1) : NULL;
        if (!unit)
            break;
        passed += unit->bytes;
    }
    return relay_viewer_take_reached(&viewer->place, feed->history, limits, reached, now_ns);
}

RelayWebNext relay_web_viewer_next(RelayWebViewer *viewer, RelayWebFeed *feed,
                                   RelayUnit **ret_message)
{
    RelayWebViewer *v = viewer;
    if (v->place.state == RELAY_VIEWER_GONE)
        return RELAY_WEB_TOO_SLOW;
    // The end is told last, when all media is out.
    if (v->state_seen != feed->state_serial && !feed->ended) {
        v->state_seen = feed->state_serial;
        *ret_message = relay_unit_ref(feed->state);
        return RELAY_WEB_TEXT;
    }
    RelayWebNext next = next_chunk(v, feed, ret_message);
    if (next == RELAY_WEB_OVER && v->state_seen != feed->state_serial) {
        v->state_seen = feed->state_serial;
        *ret_message = relay_unit_ref(feed->state);
        return RELAY_WEB_TEXT;
    }
    return next;
}

gboolean relay_web_viewer_has_more(const RelayWebViewer *viewer, const RelayWebFeed *feed)
{
    return viewer->place.state == RELAY_VIEWER_GONE || viewer->state_seen != feed->state_serial ||
           viewer->place.position < relay_history_head(feed->history) || feed->ended;
}
