// SPDX-License-Identifier: MIT
#include "relay/core/follower.h"

#include <string.h>

// Who had no picture begins with a key frame that comes now, not with one of long ago.
#define FRESH_NS (300 * G_GINT64_CONSTANT(1000000))

static void init(RelayFollower *f, const RelayPacketFeed *feed)
{
    *f = (RelayFollower){.feed = feed};
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        relay_outgoing_init(&f->tracks[t], feed);
}

// Without pictures there is no key frame to begin with: it begins with the sound of now.
static void begin(RelayFollower *f)
{
    relay_viewer_init(&f->place, f->feed->history);
    f->fresh = TRUE;
    f->blank = relay_packet_feed_is_blind(f->feed);
    if (!f->blank)
        return;
    f->place.position = relay_history_head(f->feed->history);
    f->place.awaits_key = FALSE;
}

void relay_follower_init(RelayFollower *follower, const RelayPacketFeed *feed, gboolean parts)
{
    init(follower, feed);
    follower->parts = parts;
    begin(follower);
}

void relay_follower_init_at(RelayFollower *follower, const RelayPacketFeed *feed, guint64 position)
{
    init(follower, feed);
    relay_viewer_init_at(&follower->place, position);
}

void relay_follower_restart(RelayFollower *follower)
{
    follower->parted = FALSE;
    begin(follower);
}

static void part(RelayFollower *f, guint64 sound_at)
{
    if (!f->parted)
        f->sound_at = sound_at;
    f->parted = TRUE;
}

guint64 relay_follower_judge(RelayFollower *follower, const RelayViewerLimits *limits,
                             gint64 now_ns)
{
    guint64 before = follower->place.position;
    guint64 lost = relay_viewer_judge(&follower->place, follower->feed->history, limits, now_ns);
    if (lost && follower->parts)
        part(follower, before);
    return lost;
}

static gboolean is_sound(const RelayUnit *unit)
{
    return (unit->flags & RELAY_UNIT_SOUND) != 0;
}

// Whether the viewer has heard this, or what follows it. Half a step: two streams may not be cut at
// the same places.
static gboolean was_heard(const RelayOutgoing *o, guint32 timestamp)
{
    return o->started && (gint32)(timestamp - o->newest_timestamp) <= (gint32)(o->step / 2);
}

// Whether a packet is of before the move, by its number or, until one is known, by its time.
static gboolean is_past(const RelayFollower *f, const RelayUnit *unit)
{
    const RelayOutgoing *o = &f->tracks[unit->track];
    return relay_outgoing_is_before(o, unit) ||
           (!o->now.begun && is_sound(unit) && was_heard(o, relay_outgoing_timestamp(o, unit)));
}

static gboolean is_wanted(const RelayFollower *f, const RelayUnit *picture)
{
    return !f->no_picture && (!f->blank || picture->flags & RELAY_UNIT_KEY);
}

// What went ahead, what it does not get, what is past.
static gboolean passes_over(const RelayFollower *f, const RelayUnit *unit)
{
    return (is_sound(unit) ? f->parted : !is_wanted(f, unit)) || is_past(f, unit);
}

// The next sound, when that has a place of its own.
static RelayUnit *next_sound(RelayFollower *f)
{
    const RelayHistory *history = f->feed->history;
    if (!f->parted)
        return NULL;
    for (f->sound_at = MAX(f->sound_at, relay_history_tail(history));
         f->sound_at < relay_history_head(history); f->sound_at++) {
        RelayUnit *unit = relay_history_at(history, f->sound_at);
        if (is_sound(unit) && !is_past(f, unit))
            return unit;
    }
    return NULL;
}

// Whether a picture waits for a key frame elsewhere.
static gboolean holds(const RelayFollower *f, const RelayUnit *unit, gint64 now_ns)
{
    if (!f->aim.feed || f->aim.feed == f->feed || !f->aim.picture || is_sound(unit))
        return FALSE;
    if (now_ns - f->aim.since_ns > RELAY_FOLLOWER_PAUSE_NS)
        return TRUE;
    return unit->flags & RELAY_UNIT_KEY && now_ns - unit->arrived_ns < RELAY_FOLLOWER_HOLD_NS;
}

RelayUnit *relay_follower_next(RelayFollower *follower, gint64 now_ns)
{
    RelayFollower *f = follower;
    RelayUnit *unit = next_sound(f);
    if (unit)
        return unit;
    while ((unit = relay_viewer_next(&f->place, f->feed->history)) && passes_over(f, unit))
        relay_viewer_advance(&f->place);
    if (unit && holds(f, unit, now_ns)) {
        part(f, f->place.position);
        return next_sound(f);
    }
    if (!unit && !f->place.awaits_key)
        f->parted = f->fresh = FALSE; // it has all
    return unit;
}

gboolean relay_follower_part(RelayFollower *follower)
{
    RelayFollower *f = follower;
    if (!f->parts || f->parted || f->fresh)
        return FALSE;
    part(f, f->place.position);
    return TRUE;
}

void relay_follower_sent(RelayFollower *follower, const RelayUnit *packet)
{
    RelayFollower *f = follower;
    relay_outgoing_sent(&f->tracks[packet->track], packet);
    if (!is_sound(packet)) {
        f->midway = !(packet->flags & RELAY_UNIT_FRAME_END);
        f->blank = FALSE;
    }
    if (relay_follower_is_ahead(f, packet))
        f->sound_at++;
    else
        relay_viewer_advance(&f->place);
}

guint64 relay_follower_position(const RelayFollower *follower, guint track)
{
    return follower->parted && track == RELAY_SOUND_TRACK ? follower->sound_at
                                                          : follower->place.position;
}

gint64 relay_follower_behind_ns(const RelayFollower *follower, gint64 now_ns)
{
    const RelayFollower *f = follower;
    guint64 at =
        relay_follower_position(f, f->no_picture ? RELAY_SOUND_TRACK : RELAY_PICTURE_TRACK);
    const RelayUnit *unit = relay_history_at(f->feed->history, at);
    return unit ? now_ns - unit->arrived_ns : 0;
}

void relay_follower_aim(RelayFollower *follower, const RelayPacketFeed *feed,
                        const RelayCrossing *crossing, gboolean picture, gint64 now_ns)
{
    RelayFollower *f = follower;
    if (f->aim.feed != feed || f->aim.picture != picture)
        f->aim.since_ns = now_ns;
    f->aim.feed = feed;
    f->aim.picture = picture;
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        f->aim.add[t] = crossing ? crossing->add[t] : 0;
}

void relay_follower_stay(RelayFollower *follower)
{
    follower->aim.feed = NULL;
}

// The first sound of `feed` behind what it was sent, or what a newcomer begins with; *ret_from: its
// number, 0: it is still to come. What came late may stand behind what follows it.
static guint64 sound_behind(const RelayFollower *f, const RelayPacketFeed *feed, guint32 add,
                            guint64 *ret_from)
{
    const RelayOutgoing *o = &f->tracks[RELAY_SOUND_TRACK];
    guint64 head = relay_history_head(feed->history), tail = relay_history_tail(feed->history);
    guint64 at = head, key = relay_history_newest_key(feed->history);
    *ret_from = 0;
    if (!o->started)
        tail = relay_history_at(feed->history, key) ? key : head;
    while (at > tail) {
        const RelayUnit *unit = relay_history_at(feed->history, at - 1);
        if (is_sound(unit) && was_heard(o, unit->rtp_timestamp + add))
            break;
        if (is_sound(unit))
            *ret_from = *ret_from ? MIN(*ret_from, unit->number) : unit->number;
        at--;
    }
    return at;
}

// The key frame to go on with, at *ret.
static gboolean find_key(const RelayFollower *f, guint64 *ret)
{
    const RelayOutgoing *o = &f->tracks[RELAY_PICTURE_TRACK];
    const RelayHistory *history = f->aim.feed->history;
    guint64 at = relay_history_newest_key(history);
    const RelayUnit *key = relay_history_at(history, at);
    if (!key || key->track != RELAY_PICTURE_TRACK)
        return FALSE;
    // Another picture needs other parameter sets.
    if (o->now.feed != f->aim.feed && !(key->flags & RELAY_UNIT_CONFIG))
        return FALSE;
    guint32 timestamp = key->rtp_timestamp + f->aim.add[RELAY_PICTURE_TRACK];
    if (o->started && (gint32)(timestamp - o->newest_timestamp) <= 0)
        return FALSE;
    *ret = at;
    return !f->no_picture || key->arrived_ns >= f->aim.since_ns - FRESH_NS;
}

// The sound comes from the aim's feed from now on, with none missing and none twice.
static void turn_sound(RelayFollower *f)
{
    RelayOutgoing *o = &f->tracks[RELAY_SOUND_TRACK];
    guint64 from;
    f->sound_at = sound_behind(f, f->aim.feed, f->aim.add[RELAY_SOUND_TRACK], &from);
    relay_outgoing_turn(o, &f->told[RELAY_SOUND_TRACK], f->aim.feed, f->aim.add[RELAY_SOUND_TRACK],
                        from);
}

// It has not moved yet: what it was told is what is here.
static void note_told(RelayFollower *f)
{
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        f->told[t] = f->feed->clocks[t].identity;
}

void relay_follower_go(RelayFollower *follower, const RelayPacketFeed *feed)
{
    RelayFollower *f = follower;
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        relay_outgoing_turn(&f->tracks[t], &f->told[t], feed, 0, 0);
    f->feed = feed;
    f->aim.feed = NULL;
    f->no_picture = f->blank = f->parted = FALSE;
    f->place.position = relay_history_head(feed->history);
    f->place.awaits_key = TRUE;
}

gboolean relay_follower_turn(RelayFollower *follower, gint64 now_ns)
{
    RelayFollower *f = follower;
    guint64 at = 0;
    if (!f->aim.feed || (f->aim.picture && !find_key(f, &at)) ||
        (f->midway && now_ns - f->aim.since_ns < RELAY_FOLLOWER_REST_NS))
        return FALSE;
    gboolean elsewhere = f->aim.feed != f->feed;
    if (!f->told[RELAY_PICTURE_TRACK].clock_rate)
        note_told(f);
    if (!elsewhere)
        part(f, f->place.position);
    else
        turn_sound(f);
    f->parted = TRUE;
    f->fresh = f->midway = FALSE;
    f->feed = f->aim.feed;
    if (f->aim.picture) {
        const RelayUnit *key = relay_history_at(f->feed->history, at);
        relay_outgoing_turn(&f->tracks[RELAY_PICTURE_TRACK], &f->told[RELAY_PICTURE_TRACK], f->feed,
                            f->aim.add[RELAY_PICTURE_TRACK], key->number);
    }
    if (f->aim.picture || elsewhere)
        f->place.position = f->aim.picture ? at : f->sound_at;
    f->place.awaits_key = FALSE;
    f->no_picture = !f->aim.picture;
    f->blank = FALSE;
    f->aim.feed = NULL;
    return TRUE;
}
