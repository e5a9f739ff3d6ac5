// SPDX-License-Identifier: MIT
#include "relay/core/rendition.h"

static const char *const words[] = {"main", RELAY_RENDITION_LOW_STREAM,
                                    RELAY_RENDITION_AUDIO_STREAM};

const char *relay_rendition_word(RelayRendition rendition)
{
    return words[rendition];
}

gboolean relay_rendition_from_word(const char *word, RelayRendition *ret)
{
    for (guint i = 0; word && i < RELAY_RENDITIONS; i++) {
        if (!g_str_equal(word, words[i]))
            continue;
        *ret = i;
        return TRUE;
    }
    return FALSE;
}

// The next worse that there is; `at` when there is none.
static RelayRendition worse(const RelayLadder *ladder, RelayRendition at)
{
    for (RelayRendition r = at + 1; r < RELAY_RENDITIONS; r++)
        if (ladder->need_bps[r])
            return r;
    return at;
}

static RelayRendition better(const RelayRenditionChoice *c, const RelayLadder *ladder)
{
    for (RelayRendition r = c->at; r-- > c->best;)
        if (ladder->need_bps[r])
            return r;
    return c->at;
}

// The best there is that is allowed, whatever the line carries.
static RelayRendition nearest(const RelayRenditionChoice *c, const RelayLadder *ladder)
{
    RelayRendition least = MAX(c->at, c->best);
    if (ladder->need_bps[least])
        return least;
    RelayRendition r = worse(ladder, least);
    return r != least ? r : better(c, ladder);
}

static RelayRendition step_down(const RelayRenditionChoice *c, const RelayLadder *ladder,
                                const RelayLineSeen *seen)
{
    RelayRendition to = worse(ladder, c->at);
    while (seen->passes_bps && ladder->need_bps[to] > seen->passes_bps && worse(ladder, to) != to)
        to = worse(ladder, to);
    return to;
}

static gboolean is_too_much(RelayRenditionChoice *c, const RelayLineSeen *seen, gint64 now_ns)
{
    if (seen->behind_ns < c->least_behind_ns) {
        c->least_behind_ns = seen->behind_ns;
        c->improved_ns = now_ns;
    }
    if (seen->behind_ns <= RELAY_RENDITION_LATE_NS)
        return FALSE;
    if (!c->moved_ns || c->raised_ns == c->moved_ns)
        return TRUE;
    return now_ns - c->moved_ns > RELAY_RENDITION_SETTLE_MAX_NS ||
           now_ns - MAX(c->improved_ns, c->moved_ns) > RELAY_RENDITION_SETTLE_NS;
}

static gboolean may_have_more(const RelayRenditionChoice *c, const RelayLineSeen *seen,
                              gint64 need_bps, gint64 now_ns)
{
    gint64 clean_ns = now_ns - MAX(c->clean_ns, c->moved_ns);
    gint64 patience_ns = c->patience_ns ? c->patience_ns : RELAY_RENDITION_PATIENCE_NS;
    if (!c->clean_ns)
        return FALSE;
    if (seen->passes_bps >= need_bps + need_bps / 4)
        return clean_ns >= RELAY_RENDITION_PATIENCE_SURE_NS;
    return clean_ns >= patience_ns && !(seen->fails_bps && seen->fails_bps < need_bps);
}

RelayRendition relay_rendition_judge(RelayRenditionChoice *choice, const RelayLadder *ladder,
                                     const RelayLineSeen *seen, gint64 now_ns)
{
    RelayRenditionChoice *c = choice;
    if (seen->behind_ns > RELAY_RENDITION_CLEAN_NS)
        c->clean_ns = 0;
    else if (!c->clean_ns)
        c->clean_ns = now_ns;
    if (c->raised_ns && now_ns - c->raised_ns > RELAY_RENDITION_FAILED_NS)
        c->raised_ns = c->patience_ns = 0;
    if (c->at < c->best || !ladder->need_bps[c->at])
        return nearest(c, ladder);
    if (is_too_much(c, seen, now_ns))
        return step_down(c, ladder, seen);
    RelayRendition up = better(c, ladder);
    return up != c->at && may_have_more(c, seen, ladder->need_bps[up], now_ns) ? up : c->at;
}

void relay_rendition_moved(RelayRenditionChoice *choice, RelayRendition to, gint64 now_ns)
{
    RelayRenditionChoice *c = choice;
    gint64 patience_ns = c->patience_ns ? c->patience_ns : RELAY_RENDITION_PATIENCE_NS;
    gint64 tried_ns = now_ns - c->raised_ns;
    if (to > c->at && c->raised_ns) // sooner taken back, the further the line was from it
        c->patience_ns = tried_ns < RELAY_RENDITION_SETTLE_NS * 2
                             ? MIN(patience_ns * 2, RELAY_RENDITION_PATIENCE_MAX_NS)
                             : RELAY_RENDITION_PATIENCE_NS;
    c->raised_ns = to < c->at ? now_ns : 0;
    c->at = to;
    c->moved_ns = now_ns;
    c->least_behind_ns = G_MAXINT64;
}

RelayViewerState relay_rendition_state(RelayViewerState place, RelayRendition at)
{
    if (place != RELAY_VIEWER_LIVE || at == RELAY_RENDITION_MAIN)
        return place;
    return at == RELAY_RENDITION_LOW ? RELAY_VIEWER_LOW : RELAY_VIEWER_AUDIO;
}
