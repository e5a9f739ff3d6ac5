// SPDX-License-Identifier: MIT
#pragma once

#include "client/player/options.h"
#include "common/gst/joint.h"

// The way from the relay: RTSP, by UDP or TCP, decoded into two joints. Tries again by itself, for
// ever; a classroom has nobody to press a button.
typedef struct _PlayReceiver PlayReceiver;

typedef enum {
    PLAY_CONNECTING,
    PLAY_WAITING, // for a lesson that has not begun
    PLAY_PLAYING,
    PLAY_SOUND, // without the picture: the line carries no more
    PLAY_RECONNECTING,
    PLAY_REFUSED, // the relay wants another token
} PlayState;

// "connecting" …; borrowed, static.
const char *play_state_word(PlayState state);

// `why` is one sentence or NULL. From the main loop, or from play_receiver_start().
typedef void (*PlayStateChanged)(void *user, PlayState state, const char *why);

// `options` is borrowed for the object's life, `user` too. Raw pictures and raw sound (S16LE, 48
// kHz stereo) go into the joints, whose inputs this object selects while it plays.
PlayReceiver *play_receiver_new(const PlayOptions *options, TkJoint *pictures, TkJoint *sound,
                                GstClock *clock, GstClockTime base_time,
                                PlayStateChanged on_changed, void *user);
void play_receiver_free(PlayReceiver *receiver);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlayReceiver, play_receiver_free)

void play_receiver_start(PlayReceiver *receiver);

// "udp", "tcp" or "multicast": how it comes or is tried now. Borrowed, static.
const char *play_receiver_transport(const PlayReceiver *receiver);
