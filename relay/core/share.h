// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/rendition.h"

// How much may be sent, as a reservation: a viewer takes what its rendition needs out of its
// pools before it gets it, and gives it back when it gets less or leaves. Nothing is dropped for
// the sake of a limit. Any thread, no lock; a share is its viewer's own.

typedef struct {
    gint64 max_bps;   // 0: no bound
    gint64 taken_bps; // relaxed atomic
} RelayPool;

#define RELAY_SHARE_POOLS 2

typedef struct {
    RelayPool *pools[RELAY_SHARE_POOLS]; // bounded ones, borrowed; NULL: none
    gboolean forced;                     // it takes what it needs, room or not
    gint64 bps;
} RelayShare;

// What a stream is measured to need moves by so much without having changed; and so much more must
// be free for a step up, or a school at its limit would go up and down with that.
#define RELAY_SHARE_SLACK(bps) ((bps) / 8)

// Whether any pool bounds it.
static inline gboolean relay_share_bounded(const RelayShare *share)
{
    return share->pools[0] || share->pools[1];
}

// Adds a pool; one without a bound is left out.
void relay_share_draw_on(RelayShare *share, RelayPool *pool);

// Takes `bps` in place of what it has. FALSE: there is no room for more, it has what it had.
gboolean relay_share_take(RelayShare *share, gint64 bps) G_GNUC_WARN_UNUSED_RESULT;
// What it is given is measured to need `bps` (0: not known): it has that, room or not.
void relay_share_keep(RelayShare *share, gint64 bps);
void relay_share_release(RelayShare *share);

// A viewer that comes: takes the best that there is room for, from `wish` on. Where nothing is
// known of a lesson yet that is nothing. FALSE: there is none.
gboolean relay_share_begin(RelayShare *share, const RelayLadder *ladder, RelayRendition wish,
                           RelayRendition *ret) G_GNUC_WARN_UNUSED_RESULT;
// Nothing better than this, from `wish` on, for one that is at `at` now: there is no room, or there
// is too little even for what was taken. A viewer that cannot be given less keeps what it has.
RelayRendition relay_share_best(const RelayShare *share, const RelayLadder *ladder,
                                RelayRendition at, RelayRendition wish);
