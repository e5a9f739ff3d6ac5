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
    gint64 carries_bps = seen->full_bps ? seen->full_bps : seen->passes_bps;
    while (carries_bps && ladder->need_bps[to] > carries_bps && worse(ladder, to) != to)
        to = worse(ladder, to);
    return to;
}

static gboolean is_trial(const RelayRenditionChoice *c, gint64 now_ns)
{
    return c->raised_ns && c->raised_ns == c->moved_ns &&
           now_ns - c->raised_ns < RELAY_RENDITION_SETTLE_MAX_NS;
}

// How far behind the viewer is, its line's short stops apart.
static gint64 settled_ns(RelayRenditionChoice *c, gint64 behind_ns, gint64 now_ns)
{
    if (now_ns - c->window_ns >= RELAY_RENDITION_WINDOW_NS) {
        c->nearest_ns[0] = c->window_ns ? c->nearest_ns[1] : behind_ns;
        c->nearest_ns[1] = behind_ns;
        c->window_ns = now_ns;
    }
    c->nearest_ns[1] = MIN(c->nearest_ns[1], behind_ns);
    return MIN(c->nearest_ns[0], c->nearest_ns[1]);
}

static gboolean is_too_much(RelayRenditionChoice *c, gint64 behind_ns, gint64 now_ns)
{
    if (behind_ns < c->least_behind_ns) {
        c->least_behind_ns = behind_ns;
        c->improved_ns = now_ns;
    }
    if (behind_ns <=
        (c->at == RELAY_RENDITION_MAIN ? RELAY_RENDITION_LATE_NS : RELAY_RENDITION_LATE_WEAK_NS))
        return FALSE;
    if (is_trial(c, now_ns))
        return TRUE;
    return now_ns - c->moved_ns > RELAY_RENDITION_SETTLE_MAX_NS ||
           now_ns - MAX(c->improved_ns, c->moved_ns) > RELAY_RENDITION_SETTLE_NS;
}

static gboolean may_have_more(const RelayRenditionChoice *c, const RelayLineSeen *seen,
                              gint64 need_bps, gint64 now_ns)
{
    gint64 clean_ns = now_ns - MAX(c->clean_ns, c->moved_ns);
    // After a try that failed more patience, unless the line shows that it has changed.
    gboolean changed = seen->passes_bps > c->failed_bps + c->failed_bps / 2;
    gint64 patience_ns = c->patience_ns && !changed ? c->patience_ns : RELAY_RENDITION_PATIENCE_NS;
    if (!c->clean_ns)
        return FALSE;
    // Without a picture there are no bursts that show what passes, and any picture is worth a try.
    if (c->at == RELAY_RENDITION_AUDIO)
        patience_ns = MIN(patience_ns, RELAY_RENDITION_PATIENCE_SOUND_NS);
    else if (seen->passes_bps && seen->passes_bps < need_bps)
        patience_ns = MAX(patience_ns, RELAY_RENDITION_PATIENCE_DOUBT_NS);
    if (seen->passes_bps >= need_bps + need_bps / 4)
        return clean_ns >= RELAY_RENDITION_PATIENCE_SURE_NS;
    return clean_ns >= patience_ns && !(seen->fails_bps && seen->fails_bps < need_bps);
}

void relay_rendition_begin(RelayRenditionChoice *choice, RelayRendition best, gint64 now_ns)
{
    *choice = (RelayRenditionChoice){
        .best = best, .left = RELAY_RENDITIONS, .moved_ns = now_ns, .least_behind_ns = G_MAXINT64};
}

gboolean relay_rendition_returns(const RelayRenditionChoice *choice, RelayRendition to)
{
    return to < choice->at && to >= choice->left;
}

// What it may have again, or `at`.
static RelayRendition back(const RelayRenditionChoice *c, const RelayLadder *ladder)
{
    for (RelayRendition r = MAX(c->left, c->best); r < c->at; r++)
        if (ladder->need_bps[r])
            return r;
    return c->at;
}

RelayRendition relay_rendition_judge(RelayRenditionChoice *choice, const RelayLadder *ladder,
                                     const RelayLineSeen *seen, gint64 now_ns)
{
    RelayRenditionChoice *c = choice;
    if (seen->passes_bps)
        c->passes_bps = seen->passes_bps;
    gint64 behind_ns = settled_ns(c, seen->behind_ns, now_ns);
    if (is_trial(c, now_ns)) // nothing is let pass
        behind_ns = seen->behind_ns;
    if (behind_ns > RELAY_RENDITION_CLEAN_NS)
        c->clean_ns = 0;
    else if (!c->clean_ns)
        c->clean_ns = now_ns;
    if (c->raised_ns && now_ns - c->raised_ns > RELAY_RENDITION_FAILED_NS)
        c->raised_ns = c->patience_ns = 0;
    if (!ladder->need_bps[c->at] && c->left == RELAY_RENDITIONS)
        c->left = c->at;
    else if (ladder->need_bps[c->at] && c->at <= c->left)
        c->left = RELAY_RENDITIONS; // it came again before anything else was to be had
    if (c->at < c->best || !ladder->need_bps[c->at])
        return nearest(c, ladder);
    if (is_too_much(c, behind_ns, now_ns)) {
        c->left = RELAY_RENDITIONS;
        return step_down(c, ladder, seen);
    }
    if (back(c, ladder) != c->at)
        return back(c, ladder);
    RelayRendition up = better(c, ladder);
    return up != c->at && may_have_more(c, seen, ladder->need_bps[up], now_ns) ? up : c->at;
}

void relay_rendition_moved(RelayRenditionChoice *choice, RelayRendition to, gint64 now_ns)
{
    RelayRenditionChoice *c = choice;
    gint64 patience_ns = c->patience_ns ? c->patience_ns : RELAY_RENDITION_PATIENCE_NS;
    gint64 tried_ns = now_ns - c->raised_ns;
    if (to > c->at && c->raised_ns) { // sooner taken back, the further the line was from it
        c->patience_ns = tried_ns < RELAY_RENDITION_SETTLE_NS * 2
                             ? MIN(patience_ns * 2, RELAY_RENDITION_PATIENCE_MAX_NS)
                             : RELAY_RENDITION_PATIENCE_NS;
        c->failed_bps = c->passes_bps;
    }
    c->raised_ns = to < c->at && !relay_rendition_returns(c, to) ? now_ns : 0;
    if (to <= c->left)
        c->left = RELAY_RENDITIONS;
    c->at = to;
    c->moved_ns = now_ns;
    c->least_behind_ns = G_MAXINT64;
    c->window_ns = 0;
}

RelayViewerState relay_rendition_state(RelayViewerState place, RelayRendition at)
{
    if (place != RELAY_VIEWER_LIVE || at == RELAY_RENDITION_MAIN)
        return place;
    return at == RELAY_RENDITION_LOW ? RELAY_VIEWER_LOW : RELAY_VIEWER_AUDIO;
}
