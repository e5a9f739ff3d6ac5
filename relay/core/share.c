// SPDX-License-Identifier: MIT
#include "relay/core/share.h"

static gint64 taken(const RelayPool *pool)
{
    return __atomic_load_n(&pool->taken_bps, __ATOMIC_RELAXED);
}

static void add(RelayPool *pool, gint64 bps)
{
    __atomic_fetch_add(&pool->taken_bps, bps, __ATOMIC_RELAXED);
}

static gboolean add_if_room(RelayPool *pool, gint64 bps)
{
    gint64 before = taken(pool);
    do {
        if (before + bps > pool->max_bps)
            return FALSE;
    } while (!__atomic_compare_exchange_n(&pool->taken_bps, &before, before + bps, TRUE,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return TRUE;
}

void relay_share_draw_on(RelayShare *share, RelayPool *pool)
{
    if (!pool->max_bps)
        return;
    guint i = share->pools[0] ? 1 : 0;
    share->pools[i] = pool;
}

static void set(RelayShare *share, gint64 bps)
{
    for (guint i = 0; i < RELAY_SHARE_POOLS; i++)
        if (share->pools[i])
            add(share->pools[i], bps - share->bps);
    share->bps = bps;
}

gboolean relay_share_take(RelayShare *share, gint64 bps)
{
    gint64 more = bps - share->bps;
    if (more <= 0 || share->forced) {
        set(share, bps);
        return TRUE;
    }
    for (guint i = 0; i < RELAY_SHARE_POOLS; i++) {
        if (!share->pools[i] || add_if_room(share->pools[i], more))
            continue;
        while (i-- > 0)
            if (share->pools[i])
                add(share->pools[i], -more);
        return FALSE;
    }
    share->bps = bps;
    return TRUE;
}

void relay_share_keep(RelayShare *share, gint64 bps)
{
    if (bps && ABS(bps - share->bps) > RELAY_SHARE_SLACK(share->bps))
        set(share, bps);
}

void relay_share_release(RelayShare *share)
{
    set(share, 0);
}

gboolean relay_share_begin(RelayShare *share, const RelayLadder *ladder, RelayRendition wish,
                           RelayRendition *ret)
{
    gboolean known = FALSE;
    *ret = wish;
    for (RelayRendition r = wish; r < RELAY_RENDITIONS; r++) {
        if (!ladder->need_bps[r])
            continue;
        known = TRUE;
        *ret = r;
        if (relay_share_take(share, ladder->need_bps[r]))
            return TRUE;
    }
    // There is nothing so small: it gets what comes nearest.
    for (RelayRendition r = wish; !known && r-- > 0;) {
        if (!ladder->need_bps[r])
            continue;
        *ret = r;
        return relay_share_take(share, ladder->need_bps[r]);
    }
    return !known;
}

static gboolean fits(const RelayShare *share, gint64 bps)
{
    for (guint i = 0; i < RELAY_SHARE_POOLS; i++)
        if (share->pools[i] && taken(share->pools[i]) - share->bps + bps > share->pools[i]->max_bps)
            return FALSE;
    return TRUE;
}

RelayRendition relay_share_best(const RelayShare *share, const RelayLadder *ladder,
                                RelayRendition at, RelayRendition wish)
{
    if (!relay_share_bounded(share) || share->forced)
        return wish;
    for (RelayRendition r = wish; r < RELAY_RENDITIONS; r++) {
        gint64 need_bps = ladder->need_bps[r];
        if (need_bps &&
            (r > at || fits(share, r == at ? share->bps : need_bps + RELAY_SHARE_SLACK(need_bps))))
            return r;
    }
    return MAX(at, wish);
}
