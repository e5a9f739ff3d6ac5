// SPDX-License-Identifier: MIT
#include "relay/core/web_viewer.h"

#include "common/base/json.h"

#define REPORT_BYTES_MAX 4096
// A year of media: sums and conversions stay far from their limits.
#define MEDIA_MAX_S (366.0 * 86400)
// Half a chunk: times are rounded on their way.
#define REPORT_SLACK_NS (50 * G_GINT64_CONSTANT(1000000))
// A chunk's time, where nothing follows that would tell its end.
#define CHUNK_NS (100 * G_GINT64_CONSTANT(1000000))
// Keyframes of renditions are at the same time where tongke-capture made them, or nearly.
#define MOVE_SLACK_NS (20 * G_GINT64_CONSTANT(1000000))
// Where they are not, or sound alone is left, so much comes twice at a step up,
#define MOVE_UP_TWICE_NS (250 * G_GINT64_CONSTANT(1000000))
// and at a step down, or back to what did not come for a while, the group of pictures that has
// begun; of a longer one the next is waited for.
#define MOVE_DOWN_TWICE_NS (4000 * G_GINT64_CONSTANT(1000000))

// The sound of a chunk lies so far before its pictures: by a chunk, the wait of the pictures for it
// and what senders' sound comes later;
#define SOUND_BEFORE_NS (300 * G_GINT64_CONSTANT(1000000))
// and in one rendition so much further than in another.
#define SOUND_APART_NS (100 * G_GINT64_CONSTANT(1000000))

static const RelayHistory *history_of(const RelayWebViewer *v)
{
    return relay_web_feed_history(v->feed);
}

void relay_web_viewer_init(RelayWebViewer *viewer, RelayWebFeed *feed, guint64 from)
{
    *viewer = (RelayWebViewer){.home = feed, .feed = feed, .expected = from};
    if (from)
        relay_viewer_init_from(&viewer->place, history_of(viewer), from);
    else
        relay_viewer_init(&viewer->place, history_of(viewer));
    viewer->begun = viewer->place.position;
}

static RelayUnit *gap_text(guint64 from, guint64 to)
{
    json_t *object = json_object();
    tk_json_set_string(object, "type", "gap");
    tk_json_set_int(object, "from", (gint64)from);
    tk_json_set_int(object, "to", (gint64)to);
    return relay_web_message_json(object);
}

static RelayUnit *rendition_text(RelayRendition rendition)
{
    json_t *object = json_object();
    tk_json_set_string(object, "type", "rendition");
    tk_json_set_string(object, "rendition", relay_rendition_word(rendition));
    return relay_web_message_json(object);
}

static RelayWebNext next_chunk(RelayWebViewer *v, RelayUnit **ret_message)
{
    // Nothing follows that would fill its line: it may have the rest.
    if (relay_web_feed_ended(v->home))
        v->place.held = FALSE;
    RelayUnit *chunk = relay_viewer_next(&v->place, history_of(v));
    const RelayWebInit *init = chunk ? relay_web_feed_init_for(v->feed, chunk->number) : NULL;
    if (!init)
        return relay_web_feed_ended(v->home) ? RELAY_WEB_OVER : RELAY_WEB_NOTHING;
    if (v->lost_from) {
        *ret_message = gap_text(v->lost_from, v->lost_to);
        v->lost_from = 0;
        return RELAY_WEB_TEXT;
    }
    if (v->moved) {
        v->moved = FALSE;
        *ret_message = rendition_text(v->choice.at);
        return RELAY_WEB_TEXT;
    }
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

guint64 relay_web_viewer_judge(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                               gint64 now_ns)
{
    return relay_viewer_judge(&viewer->place, history_of(viewer), limits, now_ns);
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

gboolean relay_wish_parse(const char *text, gsize bytes, RelayRendition *ret)
{
    g_autoptr(json_t) object = tk_json_parse(text, bytes, REPORT_BYTES_MAX, NULL);
    return json_is_object(object) && g_strcmp0(tk_json_string(object, "type", NULL), "want") == 0 &&
           relay_rendition_from_word(tk_json_string(object, "rendition", NULL), ret);
}

// When the unit at `position` came in, of those that were sent.
static gint64 age_ns(const RelayWebViewer *v, guint64 position, gint64 now_ns)
{
    const RelayHistory *history = history_of(v);
    const RelayUnit *unit =
        position < v->place.position
            ? relay_history_at(history, MAX(position, relay_history_tail(history)))
            : NULL;
    return unit ? now_ns - unit->arrived_ns : 0;
}

guint64 relay_web_viewer_take_report(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                                     const RelayReport *report, gint64 now_ns)
{
    // A recorder asks for everything and reports nothing; a player that went on where it was does,
    // and by its first report it has had the time to catch up.
    viewer->place.lossless = FALSE;
    // A chunk comes as a whole, though its sound may end before its pictures begin: who has all but
    // that is not as far behind as the chunk is old.
    guint64 reached =
        relay_web_feed_find_media(viewer->feed, report->here_ns - REPORT_SLACK_NS) + 1;
    viewer->report_behind_ns = age_ns(viewer, reached, now_ns);
    return relay_viewer_take_reached(&viewer->place, history_of(viewer), limits, reached, now_ns);
}

// The position before which everything has left this machine, when `bytes` have not: but not from
// before this feed, whose messages had other sizes.
static guint64 left_here(const RelayWebViewer *v, gsize bytes)
{
    guint64 reached = v->place.position;
    for (gsize passed = 0; passed < bytes && reached > v->begun; reached--) {
        const RelayUnit *unit = relay_history_at(history_of(v), reached - 1);
        if (!unit)
            break;
        passed += unit->bytes - RELAY_WEB_HEADROOM;
    }
    return reached;
}

guint64 relay_web_viewer_take_unsent(RelayWebViewer *viewer, const RelayViewerLimits *limits,
                                     gsize bytes, gint64 now_ns)
{
    return relay_viewer_take_reached(&viewer->place, history_of(viewer), limits,
                                     left_here(viewer, bytes), now_ns);
}

gint64 relay_web_viewer_behind_ns(const RelayWebViewer *viewer, gsize bytes, gint64 now_ns)
{
    const RelayUnit *next = relay_history_at(history_of(viewer), viewer->place.position);
    gint64 waits_ns = next ? now_ns - next->arrived_ns : 0;
    return MAX(waits_ns, age_ns(viewer, left_here(viewer, bytes), now_ns));
}

// Where what it was sent ends; before its place where it was set forward since.
static guint64 sent_position(const RelayWebViewer *v)
{
    return v->expected ? MIN(v->place.position, relay_history_find(history_of(v), v->expected))
                       : v->place.position;
}

// Media time of a place in what it gets; who comes where only sound goes on wants none of what
// there was since the last picture.
static gint64 media_at(const RelayWebViewer *v, guint64 position)
{
    const RelayHistory *history = history_of(v);
    const RelayUnit *next = relay_history_at(history, position);
    if (next && (v->init || !relay_web_feed_is_blind(v->feed)))
        return next->media_ns;
    const RelayUnit *last = relay_history_at(history, relay_history_head(history) - 1);
    return last ? last->media_ns + CHUNK_NS : G_MAXINT64;
}

// The newest keyframe of `to` at or before `media_ns`; head if there is none.
static guint64 key_before(const RelayWebFeed *to, gint64 media_ns)
{
    const RelayHistory *history = relay_web_feed_history(to);
    guint64 tail = relay_history_tail(history), at = relay_web_feed_find_media(to, media_ns + 1);
    while (at > tail)
        if (relay_history_at(history, --at)->flags & RELAY_UNIT_KEY)
            return at;
    return relay_history_head(history);
}

static gint64 sound_before_ns(RelayRendition from, RelayRendition to)
{
    if (to == RELAY_RENDITION_AUDIO)
        return SOUND_BEFORE_NS;
    return from == RELAY_RENDITION_AUDIO ? 0 : SOUND_APART_NS;
}

// Sound went ahead of the pictures that come back, in the stream of both as in that of sound alone:
// until the viewer has all of that, it would miss the rest.
static gboolean has_sound_before(const RelayWebViewer *v, const RelayUnit *key)
{
    const RelayUnit *last = relay_history_at(history_of(v), v->place.position - 1);
    return last && last->arrived_ns >= key->arrived_ns;
}

gboolean relay_web_viewer_move(RelayWebViewer *viewer, RelayRendition to, gint64 now_ns)
{
    RelayWebViewer *v = viewer;
    RelayWebFeed *feed = relay_web_feed_rendition(v->home, to);
    if (!feed || feed == v->feed)
        return FALSE;
    const RelayHistory *history = relay_web_feed_history(feed);
    guint64 sent = sent_position(v);
    gint64 until_ns = media_at(v, to == RELAY_RENDITION_AUDIO ? sent : v->place.position), twice_ns;
    if (until_ns == G_MAXINT64)
        return FALSE;
    gboolean returns = relay_rendition_returns(&v->choice, to);
    twice_ns = to < v->choice.at && !returns ? MOVE_UP_TWICE_NS : MOVE_DOWN_TWICE_NS;
    if (v->init) // there is sound that has to go on
        until_ns -= sound_before_ns(v->choice.at, to);
    guint64 key = key_before(feed, until_ns + MOVE_SLACK_NS);
    const RelayUnit *unit = relay_history_at(history, key);
    if (!unit || unit->media_ns < until_ns - twice_ns || (returns && !has_sound_before(v, unit)))
        return FALSE;
    if (to != RELAY_RENDITION_AUDIO && sent < v->place.position) {
        v->lost_from = v->expected;
        v->lost_to = relay_history_at(history_of(v), v->place.position - 1)->number;
    }
    v->feed = feed;
    v->place = (RelayViewer){.state = v->place.state,
                             .position = key,
                             .reached = key,
                             .dropped_at_ns = v->place.dropped_at_ns,
                             .drops = v->place.drops,
                             .units_dropped = v->place.units_dropped};
    v->begun = key;
    v->init = NULL;
    v->init_named = FALSE;
    v->expected = unit->number;
    v->moved = TRUE;
    v->report_behind_ns = 0;
    relay_rendition_moved(&v->choice, to, now_ns);
    return TRUE;
}

RelayWebNext relay_web_viewer_next(RelayWebViewer *viewer, RelayUnit **ret_message)
{
    RelayWebViewer *v = viewer;
    guint serial;
    RelayUnit *state = relay_web_feed_state(v->home, &serial);
    if (v->place.state == RELAY_VIEWER_GONE)
        return RELAY_WEB_TOO_SLOW;
    // The end is told last, when all media is out.
    if (v->state_seen != serial && !relay_web_feed_ended(v->home)) {
        v->state_seen = serial;
        *ret_message = relay_unit_ref(state);
        return RELAY_WEB_TEXT;
    }
    RelayWebNext next = next_chunk(v, ret_message);
    if (next == RELAY_WEB_OVER && v->state_seen != serial) {
        v->state_seen = serial;
        *ret_message = relay_unit_ref(state);
        return RELAY_WEB_TEXT;
    }
    return next;
}

gboolean relay_web_viewer_has_more(const RelayWebViewer *viewer)
{
    const RelayWebViewer *v = viewer;
    guint serial;
    (void)!relay_web_feed_state(v->home, &serial);
    return v->place.state == RELAY_VIEWER_GONE || v->state_seen != serial ||
           v->place.position < relay_history_head(history_of(v)) || relay_web_feed_ended(v->home);
}
