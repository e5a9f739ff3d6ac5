// SPDX-License-Identifier: MIT
#include "relay/core/outgoing.h"

#include <string.h>

#include "common/media/rtp.h"

void relay_outgoing_init(RelayOutgoing *outgoing, const RelayPacketFeed *feed)
{
    *outgoing = (RelayOutgoing){.now = {.feed = feed, .begun = TRUE}};
}

static void begin(RelayOutgoing *o, guint64 from)
{
    o->now.begun = TRUE;
    o->now.from = from;
    o->now.shift = o->started ? o->highest + 1 - from : 0;
}

void relay_outgoing_turn(RelayOutgoing *outgoing, const RelayTrackIdentity *identity,
                         const RelayPacketFeed *feed, guint32 add, guint64 from)
{
    RelayOutgoing *o = outgoing;
    if (!o->own)
        o->identity = *identity;
    o->own = TRUE;
    if (o->now.begun)
        o->before = o->now;
    o->now = (RelayStretch){.feed = feed, .add = add};
    if (from)
        begin(o, from);
}

static const RelayStretch *stretch_of(const RelayOutgoing *o, const RelayPacketFeed *feed,
                                      guint64 number)
{
    if (o->now.feed == feed && number >= o->now.from)
        return &o->now;
    return o->before.begun && o->before.feed == feed && number >= o->before.from ? &o->before
                                                                                 : NULL;
}

gboolean relay_outgoing_knows(const RelayOutgoing *outgoing, const RelayPacketFeed *feed,
                              const RelayUnit *packet)
{
    return !outgoing->own || stretch_of(outgoing, feed, packet->number);
}

const guint8 *relay_outgoing_header(RelayOutgoing *outgoing, const RelayPacketFeed *feed,
                                    const RelayUnit *packet, guint8 buffer[12])
{
    RelayOutgoing *o = outgoing;
    if (!o->own)
        return NULL;
    if (!o->now.begun && o->now.feed == feed)
        begin(o, packet->number);
    const RelayStretch *s = stretch_of(o, feed, packet->number);
    if (!s)
        return NULL;
    memcpy(buffer, packet->data, TK_RTP_HEADER_BYTES);
    tk_rtp_rewrite(buffer, o->identity.payload_type, (guint16)(packet->number + s->shift),
                   packet->rtp_timestamp + s->add, o->identity.ssrc);
    return buffer;
}

void relay_outgoing_sent(RelayOutgoing *outgoing, const RelayUnit *packet)
{
    RelayOutgoing *o = outgoing;
    if (!o->now.begun)
        begin(o, packet->number);
    guint64 number = packet->number + o->now.shift;
    guint32 timestamp = relay_outgoing_timestamp(o, packet);
    gint32 step = (gint32)(timestamp - o->newest_timestamp);
    if (!o->started || step > 0) {
        o->step = o->started ? (guint32)step : 0;
        o->newest_timestamp = timestamp;
    }
    o->highest = o->started ? MAX(o->highest, number) : number;
    o->started = TRUE;
}

gboolean relay_outgoing_find(const RelayOutgoing *outgoing, guint16 sequence,
                             const RelayPacketFeed **ret_feed, guint64 *ret_number)
{
    const RelayOutgoing *o = outgoing;
    guint64 number = tk_rtp_unwrap(o->highest, sequence, 16);
    const RelayStretch *s = &o->now;
    if (!s->begun || number < s->from + s->shift)
        s = &o->before;
    if (!s->begun || number < s->from + s->shift)
        return FALSE;
    *ret_feed = s->feed;
    *ret_number = number - s->shift;
    return TRUE;
}
