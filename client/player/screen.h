// SPDX-License-Identifier: MIT
#pragma once

#include "client/player/options.h"
#include "common/gst/joint.h"

// What the class sees and hears: picture and sound pipelines that stand from start to end, so that
// the window never closes between two connections.
typedef struct _PlayScreen PlayScreen;

typedef struct {
    void (*on_closed)(void *user);                      // by the user
    void (*on_failed)(void *user, const GError *error); // no pictures can be shown
} PlayScreenEvents;

// `delay_ms` after its time a picture is shown. The joints get their outputs. `events` is copied,
// `user` borrowed.
PlayScreen *play_screen_new(const PlayOptions *options, guint delay_ms, TkJoint *pictures,
                            TkJoint *sound, GstClock *clock, GstClockTime base_time,
                            const PlayScreenEvents *events, void *user, GError **error);
void play_screen_free(PlayScreen *screen);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlayScreen, play_screen_free)
