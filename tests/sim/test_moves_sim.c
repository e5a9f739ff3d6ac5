// SPDX-License-Identifier: MIT
// Viewers on lines that change, moved between the renditions of a lesson by the relay's whole core.
//
// TONGKE_SIM="7" plays seed 7 alone, "100:50" fifty seeds from 100 on; what fails says its seed.
#include "tests/unit/check.h"

#include "common/base/log.h"
#include "tests/sim/policy.h"
#include "tests/sim/seeds.h"

#define MBIT (1000 * 1000)
#define LESSON_MS 160000
#define SAME_MS 20

static const StudioPlan studio = {.line = {{.delay_ms = 10}, {.delay_ms = 10}}, .late_ms = 1500};

#define STEPS                                                                                      \
    {                                                                                              \
        {30000, MBIT}, {70000, 300000},                                                            \
        {                                                                                          \
            110000, 4 * MBIT                                                                       \
        }                                                                                          \
    }

static const Crowd school[] = {
    {"udp-good",
     WATCHER_UDP,
     3,
     {.delay_ms = 15, .rate_bps = 8 * MBIT, .buffer_bytes = 64 << 10},
     {.delay_ms = 15},
     .join_within_ms = 4000},
    {"tcp-good",
     WATCHER_TCP,
     2,
     {.delay_ms = 15, .rate_bps = 8 * MBIT},
     {.delay_ms = 15},
     .join_within_ms = 4000},
    {"web-good",
     WATCHER_WEB,
     3,
     {.delay_ms = 15, .rate_bps = 8 * MBIT},
     {.delay_ms = 15},
     .join_within_ms = 4000},
    {"udp-steps",
     WATCHER_UDP,
     4,
     {.delay_ms = 25, .rate_bps = 4 * MBIT, .buffer_bytes = 64 << 10},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"udp-lossy",
     WATCHER_UDP,
     4,
     {.loss = 0.02,
      .delay_ms = 25,
      .jitter_ms = 10,
      .rate_bps = 4 * MBIT,
      .buffer_bytes = 64 << 10},
     {.loss = 0.02, .delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"udp-weak",
     WATCHER_UDP,
     2,
     {.delay_ms = 25, .rate_bps = 4 * MBIT, .buffer_bytes = 64 << 10},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000},
    {"tcp-weak",
     WATCHER_TCP,
     2,
     {.delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000},
    {"web-weak",
     WATCHER_WEB,
     2,
     {.delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000},
    {"udp-plain",
     WATCHER_UDP,
     2,
     {.loss = 0.01, .delay_ms = 25, .rate_bps = 4 * MBIT, .buffer_bytes = 64 << 10},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .plain = TRUE,
     .left_out = TRUE},
    {"udp-walk",
     WATCHER_UDP,
     4,
     {.loss = 0.01, .delay_ms = 25, .rate_bps = 4 * MBIT, .buffer_bytes = 48 << 10},
     {.loss = 0.01, .delay_ms = 25},
     .walks_from = 100000,
     .walks_to = 5 * MBIT,
     .walks_every_ms = 8000,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"tcp-steps",
     WATCHER_TCP,
     4,
     {.delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"tcp-walk",
     WATCHER_TCP,
     3,
     {.loss = 0.01, .delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .walks_from = 100000,
     .walks_to = 5 * MBIT,
     .walks_every_ms = 8000,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"web-steps",
     WATCHER_WEB,
     4,
     {.delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {"web-mute",
     WATCHER_WEB,
     3,
     {.loss = 0.01, .delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .steps = STEPS,
     .join_within_ms = 4000,
     .plain = TRUE,
     .left_out = TRUE},
    {"web-walk",
     WATCHER_WEB,
     4,
     {.loss = 0.01, .delay_ms = 25, .rate_bps = 4 * MBIT},
     {.delay_ms = 25},
     .walks_from = 100000,
     .walks_to = 5 * MBIT,
     .walks_every_ms = 8000,
     .join_within_ms = 4000,
     .left_out = TRUE},
    {0},
};

// With TONGKE_SIM_TELL set: the figures.
static void tell(const Watcher *w, const Story *story)
{
    g_autoptr(GString) moves = g_string_new(NULL);
    if (!sim_tells())
        return;
    for (guint i = 0; i < w->moves->len; i++) {
        const Move *m = &g_array_index(w->moves, Move, i);
        g_string_append_printf(moves, " %.1f:%s", (double)m->at_ms / 1000,
                               relay_rendition_word(m->to));
    }
    print_message(
        "# %-10s %2u %5d kbit/s, sound missing %u, latest %d ms; again %u, cut %u, gaps %u, "
        "moves a minute %u%s%s\n",
        w->crowd->name, w->id, (int)(w->bytes * 8 / LESSON_MS), story->missing,
        (int)story->latest_ms, w->rtp.again, w->rtp.cut, w->web.gaps, story->moves_a_minute,
        w->over ? ", cut off" : "", moves->str);
}

static Hall *play(const Crowd *crowds, gboolean with_all, guint32 seed)
{
    Hall *h = hall_new(&studio, crowds, with_all, seed);
    h->strict = TRUE;
    while (h->now_ms < LESSON_MS)
        hall_step(h);
    for (guint i = 0; i < h->count; i++) {
        if (h->watchers[i].crowd->left_out && !with_all)
            continue;
        Story story = policy_tell(&h->watchers[i]);
        tell(&h->watchers[i], &story);
        policy_check(&h->watchers[i], &story);
    }
    return h;
}

// Who is there without the others, too, is moved as with them, and gets the same in the same
// moment: a place in the row of those who are served is a millisecond, and over TCP a millisecond
// may be a packet that has to wait for the next picture's room.
static void check_same(const Hall *with, const Hall *without)
{
    for (guint i = 0; i < with->count; i++) {
        const Watcher *a = &with->watchers[i], *b = &without->watchers[i];
        if (a->crowd->left_out)
            continue;
        must(a, a->moves->len == b->moves->len && a->sounds->len == b->sounds->len);
        for (guint j = 0; j < a->moves->len; j++) {
            const Move *m = &g_array_index(a->moves, Move, j);
            const Move *n = &g_array_index(b->moves, Move, j);
            must(a, m->to == n->to && ABS(m->at_ms - n->at_ms) <= SAME_MS);
        }
        for (guint j = 0; a->crowd->kind != WATCHER_TCP && j < a->sounds->len; j++)
            must(a, ABS(g_array_index(a->sounds, gint32, j) -
                        g_array_index(b->sounds, gint32, j)) <= SAME_MS);
    }
}

static void everybody_gets_what_his_line_carries(void **state)
{
    guint32 first, count;
    sim_seeds(SEEDS, &first, &count);
    for (guint32 seed = first; seed < first + count; seed++) {
        g_autoptr(Hall) with = play(school, TRUE, seed);
        g_autoptr(Hall) without = play(school, FALSE, seed);
        check_same(with, without);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_what_his_line_carries),
    };
    g_setenv("TONGKE_LOG", "warning", FALSE);
    tk_log_init("test-sim-moves");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
