// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/policy.h"

// 64 kbit/s carry the sound of 57 (docs/architecture.md); with half as much again nothing of it may
// be later than what a player on a weak line has in store, and a try of more.
#define SOUND_NEEDS_BPS (STUDIO_SOUND_BPS / 2 * 3)
#define SOUND_LATE_MS 4000
// Over UDP a frame may be lost and its repairs with it: of 1,000.
#define SOUND_MISSING_PER_MILLE 2
// Back on `main` so soon when the line is well again; where it loses, what lately did not pass may
// have to be forgotten first.
#define MAIN_AGAIN_MS 20000
#define MAIN_AGAIN_LOSSY_MS 40000
#define MAIN_CARRIED_BPS (2 * STUDIO_MAIN_BPS)
#define MINUTE_MS 60000
#define MOVES_A_MINUTE 12
// The newest frames may be on their way.
#define UNDER_WAY_MS 5000

static Move move_at(const Watcher *w, guint i)
{
    return g_array_index(w->moves, Move, i);
}

// Since when its line has not become narrower, and the rate of it at a moment.
static gint64 rate_at(const Watcher *w, gint64 ms, gint64 *ret_since_ms)
{
    gint64 rate_bps = w->crowd->down.rate_bps;
    *ret_since_ms = w->join_ms;
    for (guint i = 0; i < w->steps_count && w->steps[i].at_ms <= ms; i++) {
        if (w->steps[i].rate_bps < rate_bps)
            *ret_since_ms = w->steps[i].at_ms;
        rate_bps = w->steps[i].rate_bps;
    }
    return rate_bps;
}

static guint count_moves(const Watcher *w)
{
    guint most = 0, first = 0;
    for (guint i = 0; i < w->moves->len; i++) {
        while (move_at(w, i).at_ms - move_at(w, first).at_ms > MINUTE_MS)
            first++;
        most = MAX(most, i + 1 - first);
    }
    return most;
}

// What was queued when its line became narrower is through, and that carries the sound.
static gboolean is_settled(const Watcher *w, gint64 made_ms)
{
    gint64 made_since_ms, since_ms;
    gint64 rate_bps = rate_at(w, made_ms, &made_since_ms);
    (void)rate_at(w, made_ms + SOUND_LATE_MS, &since_ms);
    return rate_bps >= SOUND_NEEDS_BPS && since_ms == made_since_ms &&
           made_ms - since_ms >= POLICY_SETTLED_MS;
}

Story policy_tell(const Watcher *watcher)
{
    const Watcher *w = watcher;
    Story story = {.moves_a_minute = count_moves(w)};
    gint64 end_ms = w->hall->now_ms - UNDER_WAY_MS;
    for (guint i = 0; i < w->sounds->len && studio_made_ms(1, i) < end_ms; i++) {
        gint32 came_ms = g_array_index(w->sounds, gint32, i);
        gint64 made_ms = studio_made_ms(1, i);
        if (!came_ms && !story.sounds)
            continue;
        story.sounds++;
        story.missing += !came_ms && is_settled(w, made_ms);
        if (came_ms && is_settled(w, made_ms))
            story.latest_ms = MAX(story.latest_ms, came_ms - made_ms);
    }
    return story;
}

static gint64 first_on_main(const Watcher *w, gint64 from_ms)
{
    gint64 since_ms = w->at == RELAY_RENDITION_MAIN ? 0 : G_MAXINT64;
    for (guint i = w->moves->len; since_ms != G_MAXINT64 && i-- > 0;) {
        if (move_at(w, i).to == RELAY_RENDITION_MAIN)
            since_ms = move_at(w, i).at_ms;
        if (move_at(w, i).at_ms < from_ms)
            break;
    }
    return since_ms;
}

void policy_check(const Watcher *watcher, const Story *story)
{
    const Watcher *w = watcher;
    gint64 now_ms = w->hall->now_ms;
    gint64 last_ms = w->steps_count ? w->steps[w->step - (w->step > 0)].at_ms : now_ms;
    must(w, !w->over);
    must(w, w->steps_count || !w->moves->len); // alone on a good line
    must(w, story->sounds > 0);
    must(w, story->missing * 1000 <= story->sounds * SOUND_MISSING_PER_MILLE);
    must(w, w->crowd->kind == WATCHER_UDP || !story->missing);
    must(w, story->latest_ms <= SOUND_LATE_MS);
    must(w, story->moves_a_minute <= MOVES_A_MINUTE);
    gint64 again_ms = w->crowd->down.loss > 0 ? MAIN_AGAIN_LOSSY_MS : MAIN_AGAIN_MS;
    if (now_ms - last_ms >= again_ms && w->rate_bps >= MAIN_CARRIED_BPS)
        must(w, first_on_main(w, last_ms) <= last_ms + again_ms);
}
