// SPDX-License-Identifier: MIT
#include "relay/core/crossing.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"
#include "relay/core/ticks.h"

// Units that are looked at of each stream: some seconds, and no more work than that.
#define UNITS_MAX 4096
#define SOUNDS_TRIED 16

gboolean relay_crossing_possible(const RelayPacketFeed *here, const RelayPacketFeed *there)
{
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++) {
        const RelayTrackClock *a = &here->clocks[t], *b = &there->clocks[t];
        if (a->known != b->known)
            return FALSE;
        if (a->known && (a->identity.payload_type != b->identity.payload_type ||
                         a->identity.clock_rate != b->identity.clock_rate ||
                         a->identity.sound != b->identity.sound))
            return FALSE;
    }
    return here->clocks[RELAY_PICTURE_TRACK].known;
}

static guint32 by_clocks(const RelayTrackClock *here, const RelayTrackClock *there)
{
    gint64 apart_ns = here->wall_ns - there->wall_ns;
    gint64 apart = relay_ticks_from_ns(apart_ns, here->identity.clock_rate);
    return there->rtp_timestamp + (guint32)apart - here->rtp_timestamp;
}

static gboolean same_payload(const RelayUnit *a, const RelayUnit *b)
{
    return a->bytes == b->bytes &&
           memcmp(a->data + TK_RTP_HEADER_BYTES, b->data + TK_RTP_HEADER_BYTES,
                  a->bytes - TK_RTP_HEADER_BYTES) == 0;
}

// What `unit` is over there: of all units with these flags (and the same payload) the nearest to
// `timestamp`. FALSE: none within `within` ticks; *ret_off: how far off it is.
static gboolean find_same(const RelayPacketFeed *there, const RelayUnit *unit, guint32 flags,
                          guint32 timestamp, gint64 within, gint32 *ret_off)
{
    guint64 head = relay_history_head(there->history), tail = relay_history_tail(there->history);
    gint64 best = within + 1;
    tail = MAX(tail, head - MIN(head, UNITS_MAX));
    for (guint64 at = head; at-- > tail;) {
        const RelayUnit *other = relay_history_at(there->history, at);
        gint32 off = (gint32)(other->rtp_timestamp - timestamp);
        if ((other->flags & flags) != flags || other->track != unit->track || ABS(off) >= best ||
            (flags & RELAY_UNIT_SOUND && !same_payload(unit, other)))
            continue;
        best = ABS(off);
        *ret_off = off;
    }
    return best <= within;
}

// How far the clocks are off, by the newest sound here that is there as well.
static gboolean by_sound(const RelayPacketFeed *here, const RelayPacketFeed *there, guint32 add,
                         gint64 within, gint32 *ret_off)
{
    guint64 head = relay_history_head(here->history), tail = relay_history_tail(here->history);
    guint tried = 0;
    for (guint64 at = head; at-- > tail && tried < SOUNDS_TRIED;) {
        const RelayUnit *unit = relay_history_at(here->history, at);
        if (!(unit->flags & RELAY_UNIT_SOUND))
            continue;
        tried++;
        if (find_same(there, unit, RELAY_UNIT_SOUND, unit->rtp_timestamp + add, within, ret_off))
            return TRUE;
    }
    return FALSE;
}

static gboolean agrees(const RelayCrossing *known, const RelayCrossing *new,
                       const RelayPacketFeed *here)
{
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++) {
        guint32 rate = here->clocks[t].identity.clock_rate;
        gint64 off = (gint32)(new->add[t] - known->add[t]);
        if (here->clocks[t].known && ABS(off) > relay_ticks_from_ns(RELAY_CROSSING_SHAKE_NS, rate))
            return FALSE;
    }
    return TRUE;
}

gboolean relay_crossing_find(RelayCrossing *crossing, const RelayPacketFeed *here,
                             const RelayPacketFeed *there)
{
    RelayCrossing new = {.known = relay_crossing_possible(here, there)};
    gint64 off_ns = 0;
    gint32 off;
    if (!new.known) {
        crossing->known = FALSE;
        return FALSE;
    }
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        new.add[t] = by_clocks(&here->clocks[t], &there->clocks[t]);
    const RelayTrackIdentity *sound = &here->clocks[RELAY_SOUND_TRACK].identity;
    if (here->clocks[RELAY_SOUND_TRACK].known &&
        by_sound(here, there, new.add[RELAY_SOUND_TRACK],
                 relay_ticks_from_ns(RELAY_CROSSING_SOUND_NS, sound->clock_rate), &off)) {
        new.add[RELAY_SOUND_TRACK] += (guint32)off;
        off_ns = off * TK_NS_PER_S / sound->clock_rate;
    }
    guint32 rate = here->clocks[RELAY_PICTURE_TRACK].identity.clock_rate;
    new.add[RELAY_PICTURE_TRACK] += (guint32)relay_ticks_from_ns(off_ns, rate);
    const RelayUnit *key = relay_history_at(here->history, relay_history_newest_key(here->history));
    if (key &&
        find_same(there, key, RELAY_UNIT_KEY, key->rtp_timestamp + new.add[RELAY_PICTURE_TRACK],
                  relay_ticks_from_ns(RELAY_CROSSING_KEY_NS, rate), &off))
        new.add[RELAY_PICTURE_TRACK] += (guint32)off;
    if (!crossing->known || !agrees(crossing, &new, here))
        *crossing = new;
    return TRUE;
}
