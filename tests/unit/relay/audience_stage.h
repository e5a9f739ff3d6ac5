// SPDX-License-Identifier: MIT
#pragma once

#include "tests/unit/check.h"

#include "relay/net/audience.h"

// An audience with a door that is open, and one stream's sender; every socket's link is the stage.

#define SECOND G_GINT64_CONSTANT(1000000000)

typedef struct {
    RelayAudience *audience;
    RelayDoor *door;
    RelaySchools *schools;
    RelayStream *stream;
    gint viewers, wakes, drops;
    gsize unsent_bytes;
    guint64 snapshot_for;
    guint64 chunks;
    gint64 now_ns;
} Stage;

int stage_set_up(void **state);
int stage_tear_down(void **state);
// At first: the door has a key from now on. A viewer's token, new.
char *stage_lock(Stage *stage);
RelaySocket *stage_open(Stage *stage, const char *path, const char *from);
void stage_push_init(Stage *stage, const char *content);
// Chunks of 0.1 s, of which each twentieth is a key.
void stage_push(Stage *stage, guint count);
// The stream is live and has its first initialisation segment.
void stage_begin(Stage *stage);
// The next message's type word, "chunk N", "binary TEXT", "nothing" or "close N". New text.
char *stage_next(Stage *stage, RelaySocket *socket);
// Takes all there is: its socket has room.
void stage_take_all(Stage *stage, RelaySocket *socket);

#define check_next(expected)                                                                       \
    do {                                                                                           \
        g_autofree char *got = stage_next(stage, socket);                                          \
        assert_string_equal(got, expected);                                                        \
    } while (0)
