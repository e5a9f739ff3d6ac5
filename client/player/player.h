// SPDX-License-Identifier: MIT
#pragma once

#include "client/player/options.h"

// The whole player: receiver, slate and screen. Prints a line "state=…" on standard output at each
// change of state.
typedef struct _Player Player;

typedef struct {
    void (*on_closed)(void *user);                      // by the user
    void (*on_failed)(void *user, const GError *error); // it cannot show anything
} PlayerEvents;

// `options` is borrowed for the object's life; `events` copied, `user` borrowed.
Player *player_new(const PlayOptions *options, const PlayerEvents *events, void *user,
                   GError **error);
void player_free(Player *player);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Player, player_free)
