// SPDX-License-Identifier: MIT
#include "relay/core/packet_feed.h"

#include "common/base/clock.h"
#include "relay/core/packager.h"

void relay_packet_feed_init(RelayPacketFeed *feed, gint64 span_ns, gsize bytes_max, guint units_max)
{
    *feed = (RelayPacketFeed){.history = relay_history_new(span_ns, bytes_max, units_max),
                              .index = relay_repair_index_new()};
}

void relay_packet_feed_clear(RelayPacketFeed *feed)
{
    g_clear_pointer(&feed->history, relay_history_free);
    g_clear_pointer(&feed->index, relay_repair_index_free);
}

static void note_times(RelayPacketFeed *feed, const RelayUnit *packet)
{
    if (packet->track == RELAY_SOUND_TRACK)
        feed->sound_ns = packet->arrived_ns;
    if (packet->track == RELAY_PICTURE_TRACK || !feed->picture_ns)
        feed->picture_ns = packet->arrived_ns;
}

void relay_packet_feed_push(RelayPacketFeed *feed, RelayUnit *packet)
{
    note_times(feed, packet);
    relay_repair_index_note(feed->index, packet, relay_history_head(feed->history));
    relay_stream_rate_note(&feed->rate, packet);
    feed->configures |= (packet->flags & RELAY_UNIT_CONFIG) != 0;
    if (packet->flags & RELAY_UNIT_SOUND)
        relay_stream_rate_note_any(&feed->sound, packet);
    relay_history_push(feed->history, packet);
}

gint64 relay_packet_feed_need_bps(const RelayPacketFeed *feed)
{
    guint64 tail = relay_history_tail(feed->history), head = relay_history_head(feed->history);
    if (feed->rate.bps || tail == head)
        return feed->rate.bps;
    gint64 span_ns = relay_history_at(feed->history, head - 1)->arrived_ns -
                     relay_history_at(feed->history, tail)->arrived_ns;
    gint64 bits = (gint64)relay_history_bytes(feed->history) * 8;
    return (gint64)((double)bits * TK_NS_PER_S / (double)MAX(span_ns, TK_NS_PER_S));
}

gint64 relay_packet_feed_sound_bps(const RelayPacketFeed *feed)
{
    return feed->clocks[RELAY_SOUND_TRACK].known ? feed->sound.bps : 0;
}

gboolean relay_packet_feed_is_blind(const RelayPacketFeed *feed)
{
    return feed->sound_ns - feed->picture_ns > RELAY_PACKAGER_VIDEO_SILENT_NS;
}

gint64 relay_packet_feed_heard_ns(const RelayPacketFeed *feed)
{
    guint64 head = relay_history_head(feed->history);
    const RelayUnit *newest = head ? relay_history_at(feed->history, head - 1) : NULL;
    return newest ? newest->arrived_ns : G_MININT64;
}
