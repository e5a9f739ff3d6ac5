// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/packet_feed.h"

// The RTP identity under which one viewer gets a track, whatever feed its packets come from: one
// SSRC, sequence numbers without a hole at a change, timestamps of the stream that it asked for.
// As long as nothing has changed, packets are the viewer's as they are.

// Packets of one feed in a row.
typedef struct {
    const RelayPacketFeed *feed; // compared, never followed
    gboolean begun;              // the next two are known
    guint64 from;  // its first packet, by the feed's numbers; those before it are not the viewer's
    guint64 shift; // the viewer's numbers - the feed's
    guint32 add;   // the viewer's timestamps - the feed's
} RelayStretch;

// Zeroed but for `now`.
typedef struct {
    gboolean own; // it has a header of its own
    RelayTrackIdentity identity;
    RelayStretch now, before;
    gboolean started;
    guint64 highest;          // the viewer's number, of those sent
    guint32 newest_timestamp; // the viewer's, the latest in presentation of those sent
    guint32 step;             // from the one before that
} RelayOutgoing;

void relay_outgoing_init(RelayOutgoing *outgoing, const RelayPacketFeed *feed);

// What follows comes from `feed`, whose timestamps need `add`, from its packet `from` on; 0: from
// the first that is sent. `identity`: what the viewer was told of the track.
void relay_outgoing_turn(RelayOutgoing *outgoing, const RelayTrackIdentity *identity,
                         const RelayPacketFeed *feed, guint32 add, guint64 from);

// A packet's timestamp as the viewer has it, when it comes from the feed of now.
static inline guint32 relay_outgoing_timestamp(const RelayOutgoing *outgoing,
                                               const RelayUnit *packet)
{
    return packet->rtp_timestamp + outgoing->now.add;
}

// Whether a packet of the feed of now is none of the viewer's: it came late from before the turn.
static inline gboolean relay_outgoing_is_before(const RelayOutgoing *outgoing,
                                                const RelayUnit *packet)
{
    return outgoing->own && outgoing->now.begun && packet->number < outgoing->now.from;
}

// Whether what the viewer calls a packet of `feed` is known: not of before the last two turns.
gboolean relay_outgoing_knows(const RelayOutgoing *outgoing, const RelayPacketFeed *feed,
                              const RelayUnit *packet);
// The header of a packet of `feed`, for the first time or again: `buffer`, filled; NULL: its own.
const guint8 *relay_outgoing_header(RelayOutgoing *outgoing, const RelayPacketFeed *feed,
                                    const RelayUnit *packet, guint8 buffer[12]);
// A packet of the feed of now has been sent.
void relay_outgoing_sent(RelayOutgoing *outgoing, const RelayUnit *packet);

// What the viewer calls `sequence`: the feed, and the number there. FALSE: nothing that it was sent
// lately.
gboolean relay_outgoing_find(const RelayOutgoing *outgoing, guint16 sequence,
                             const RelayPacketFeed **ret_feed, guint64 *ret_number);
