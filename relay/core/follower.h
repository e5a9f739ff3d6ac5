// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/crossing.h"
#include "relay/core/outgoing.h"
#include "relay/core/viewer.h"

// One viewer over RTP: its place in a feed, what it gets of it, and how it comes to another feed
// that shows the same in smaller. Sound goes first: where the line is too slow for all, sound goes
// ahead of pictures that wait, and at a change none is missing and none comes twice.

// A key frame of where it is waits so long for the same one of where it is to go: both are made at
// once, but the larger one is longer under way.
#define RELAY_FOLLOWER_HOLD_NS (200 * G_GINT64_CONSTANT(1000000))
// The rest of a picture that it has begun to get is waited for so long.
#define RELAY_FOLLOWER_REST_NS (200 * G_GINT64_CONSTANT(1000000))
// After so long without a key frame behind what was sent, the picture waits until one comes: of
// streams whose key frames are not made together one may always lie before the other.
#define RELAY_FOLLOWER_PAUSE_NS (6 * G_GINT64_CONSTANT(1000000000))

typedef struct {
    RelayViewer place; // of the pictures, and of the sound as long as the two are together
    const RelayPacketFeed *feed;
    RelayOutgoing tracks[RELAY_INPUT_TRACKS_MAX];
    RelayTrackIdentity
        told[RELAY_INPUT_TRACKS_MAX]; // of the stream that it asked for; when it moves
    gboolean parts;                   // sound may go ahead:
    gboolean fresh;                   // not yet, it has yet to get all that there was when it came
    gboolean parted;                  // it does
    guint64 sound_at;                 // where the next sound stands, or behind that
    gboolean no_picture;              // it gets the sound alone
    gboolean blank;                   // … until a key frame, for there was none when it came
    gboolean midway;                  // it has a part of a picture
    struct {
        const RelayPacketFeed *feed; // NULL: nowhere
        gboolean picture;
        guint32 add[RELAY_INPUT_TRACKS_MAX];
        gint64 since_ns;
    } aim;
} RelayFollower;

// Begins at the newest key frame, or waits for one; with the sound where pictures do not come.
// `parts`: sound may go ahead.
void relay_follower_init(RelayFollower *follower, const RelayPacketFeed *feed, gboolean parts);
// Begins at `position` and is lossless (relay_viewer_init_at).
void relay_follower_init_at(RelayFollower *follower, const RelayPacketFeed *feed, guint64 position);
// Goes on at the newest key frame, or the next.
void relay_follower_restart(RelayFollower *follower);

// As relay_viewer_judge, but sound is not lost by it.
guint64 relay_follower_judge(RelayFollower *follower, const RelayViewerLimits *limits,
                             gint64 now_ns);

// What to send next, or NULL; call relay_follower_sent when it was. Borrowed until the history
// changes.
RelayUnit *relay_follower_next(RelayFollower *follower, gint64 now_ns);
void relay_follower_sent(RelayFollower *follower, const RelayUnit *packet);
// What `next` gave may not leave now: sound goes ahead of it. FALSE: it does already, or may not.
gboolean relay_follower_part(RelayFollower *follower);
// Whether the packet is sound that goes ahead.
static inline gboolean relay_follower_is_ahead(const RelayFollower *follower,
                                               const RelayUnit *packet)
{
    return follower->parted && packet->flags & RELAY_UNIT_SOUND;
}

// The place of what it gets next of a track.
guint64 relay_follower_position(const RelayFollower *follower, guint track);

// How long ago the next came in that it has not got; 0: it has all.
gint64 relay_follower_behind_ns(const RelayFollower *follower, gint64 now_ns);

// It is to get its packets from `feed`, whose timestamps become those that it was told of by
// `crossing` (NULL: they are), with the picture or without: by relay_follower_turn.
void relay_follower_aim(RelayFollower *follower, const RelayPacketFeed *feed,
                        const RelayCrossing *crossing, gboolean picture, gint64 now_ns);
// The same at once, where it is going from being no more: from the next key frame on.
void relay_follower_go(RelayFollower *follower, const RelayPacketFeed *feed);
// It is to stay where it is.
void relay_follower_stay(RelayFollower *follower);
// Goes there if it can be done now: at a key frame behind what it was sent; without the picture at
// once. TRUE: it has.
gboolean relay_follower_turn(RelayFollower *follower, gint64 now_ns);
