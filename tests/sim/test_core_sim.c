// SPDX-License-Identifier: MIT
// Lessons for hundreds of viewers through the relay's whole core, over networks made by a seed.
//
// TONGKE_SIM="7" plays seed 7 alone, "100:50" fifty seeds from 100 on; what fails says its seed.
#include "tests/unit/check.h"

#include "tests/sim/seeds.h"
#include "tests/sim/world.h"

#define LESSON_MS 20000
#define SEEDS 3
#define BEHIND_CHUNKS 30 // RELAY_VIEWER_LIMITS_DEFAULT: 3 s
// Packets, whatever their share: one seed alone may have several long bursts.
#define SPARE 120

#define MBIT (1000 * 1000)
#define LAN                                                                                        \
    {                                                                                              \
        .delay_ms = 1                                                                              \
    }
#define AWAY                                                                                       \
    {                                                                                              \
        .loss = 1.1                                                                                \
    }

// 400 viewers, 80 of them hopeless.
static const Role school[] = {
    {"lan", VIEWER_UDP, 40, LAN, LAN, .buffer_ms = 200, .join_within_ms = 8000},
    {"lossy",
     VIEWER_UDP,
     30,
     {.loss = 0.05, .delay_ms = 20},
     {.loss = 0.05, .delay_ms = 20},
     .buffer_ms = 400,
     .join_within_ms = 6000,
     .left_over = 0.001},
    {"far-lossy",
     VIEWER_UDP,
     30,
     {.loss = 0.1, .delay_ms = 100},
     {.loss = 0.1, .delay_ms = 100},
     .buffer_ms = 1000,
     .join_within_ms = 4000,
     .left_over = 0.0005},
    {"bursts",
     VIEWER_UDP,
     20,
     {.loss = 0.05, .burst = 5, .delay_ms = 60},
     {.loss = 0.05, .burst = 5, .delay_ms = 60},
     .buffer_ms = 800,
     .join_within_ms = 6000,
     .left_over = 0.001},
    {"shuffling",
     VIEWER_UDP,
     20,
     {.loss = 0.01, .delay_ms = 30, .jitter_ms = 40},
     {.loss = 0.01, .delay_ms = 30, .jitter_ms = 40},
     .buffer_ms = 600,
     .join_within_ms = 6000,
     .left_over = 0.0005},
    {"narrow",
     VIEWER_UDP,
     20,
     {.delay_ms = 15, .rate_bps = 4 * MBIT, .buffer_bytes = 64 << 10},
     {.delay_ms = 15},
     .buffer_ms = 600,
     .join_within_ms = 8000},
    {"tcp", VIEWER_TCP, 40, .rate_bps = 4 * MBIT, .join_within_ms = 8000},
    {"web", VIEWER_WEB, 80, .rate_bps = 4 * MBIT, .join_within_ms = 8000},
    {"web-stalling", VIEWER_WEB, 20, .rate_bps = 4 * MBIT, .stalls_ms = 2000,
     .join_within_ms = 8000},
    {"recorder", VIEWER_WEB, 20, .rate_bps = 4 * MBIT, .away_ms = 1500, .join_within_ms = 2000},
    {"udp-deaf", VIEWER_UDP, 10, AWAY, AWAY, .buffer_ms = 400, .join_ms = 3000, .bad = TRUE},
    {"udp-half",
     VIEWER_UDP,
     15,
     {.delay_ms = 15, .rate_bps = 300000, .buffer_bytes = 64 << 10},
     {.delay_ms = 15},
     .buffer_ms = 400,
     .join_ms = 1,
     .join_within_ms = 3000,
     .bad = TRUE},
    {"udp-storm",
     VIEWER_UDP,
     5,
     {.loss = 0.1, .delay_ms = 20},
     {.delay_ms = 20},
     .buffer_ms = 400,
     .join_within_ms = 5000,
     .bad = TRUE,
     .storms = TRUE},
    {"tcp-deaf", VIEWER_TCP, 10, .join_within_ms = 5000, .bad = TRUE},
    {"tcp-half", VIEWER_TCP, 15, .rate_bps = 300000, .join_within_ms = 5000, .bad = TRUE},
    {"web-deaf", VIEWER_WEB, 10, .join_within_ms = 5000, .bad = TRUE},
    {"web-half", VIEWER_WEB, 15, .rate_bps = 300000, .join_within_ms = 5000, .bad = TRUE},
    {0},
};

// The sender's line loses packets; in the middle it is gone for 2 s and comes back as another.
static const NetSpec sender_line = {.loss = 0.02, .delay_ms = 15, .jitter_ms = 4};

static World *play(const NetSpec *line, const Role *roles, gboolean with_bad, guint32 seed)
{
    World *w = world_new(line, roles, with_bad, seed);
    gint64 gone_ms = LESSON_MS / 2 + 37 * (gint64)(seed % 50), back_ms = gone_ms + 2000;
    source_begin(&w->source, 0);
    while (w->now_ms < LESSON_MS) {
        if (w->now_ms == gone_ms)
            source_end(&w->source, gone_ms);
        if (w->now_ms == back_ms)
            source_begin(&w->source, back_ms);
        world_step(w);
    }
    return w;
}

// What came to the good viewers came in both runs in the same millisecond.
static void check_same(const World *with, const World *without)
{
    for (guint i = 0; i < with->count; i++) {
        const Viewer *a = &with->viewers[i], *b = &without->viewers[i];
        if (a->role->bad)
            continue;
        for (guint second = 0; second < a->hashes->len; second++)
            if (g_array_index(a->hashes, guint64, second) !=
                g_array_index(b->hashes, guint64, second))
                world_fail(with, a, "others delay what came");
    }
}

typedef struct {
    guint64 sent, lost, missing, resent, drops, told, gone;
} Sum;

static Sum sum_of(const World *w, const Role *role)
{
    Sum s = {0};
    for (guint i = 0; i < w->count; i++) {
        const Viewer *v = &w->viewers[i];
        if (v->role != role)
            continue;
        s.sent += v->sent, s.lost += v->lost, s.missing += v->missing, s.resent += v->resent;
        s.drops += v->drops, s.told += v->told, s.gone += v->over;
    }
    return s;
}

// With TONGKE_SIM_TELL set: the figures.
static void tell(const World *w, const Role *role)
{
    Sum s = sum_of(w, role);
    if (sim_tells())
        print_message("# %-14s sent %7d lost %6d again %6d (%.2f each) missing %.4f %%; chunks %d; "
                      "drops %d, cut off %d\n",
                      role->name, (int)s.sent, (int)s.lost, (int)s.resent,
                      (double)s.resent / (double)MAX(s.lost, 1),
                      100.0 * (double)s.missing / (double)MAX(s.sent, 1), (int)s.told, (int)s.drops,
                      (int)s.gone);
}

static void check_shares(const World *w)
{
    for (guint i = 0; i < w->count; i++) {
        const Viewer *v = &w->viewers[i];
        if (!v->role->bad && v->role->kind == VIEWER_WEB && v->present)
            require(w, v, v->last_chunk + BEHIND_CHUNKS >= w->chunks);
    }
    for (const Role *r = school; r->name; r++) {
        Sum s = sum_of(w, r);
        tell(w, r);
        if (!r->bad && (double)s.missing > SPARE + r->left_over * (double)s.sent)
            world_fail(w, NULL, r->name);
    }
}

static void nobody_is_delayed_by_another(void **state)
{
    guint32 first, count;
    sim_seeds(SEEDS, &first, &count);
    for (guint32 seed = first; seed < first + count; seed++) {
        g_autoptr(World) with = play(&sender_line, school, TRUE, seed);
        check_shares(with);
        g_autoptr(World) without = play(&sender_line, school, FALSE, seed);
        check_same(with, without);
    }
}

static const NetSpec clean = LAN;
#define CELL_VIEWERS 8

static Role cell(double loss, guint burst, guint round_ms, guint buffer_ms)
{
    NetSpec line = {.loss = loss, .burst = burst, .delay_ms = round_ms / 2};
    return (Role){.name =
                      g_strdup_printf("%.0f%%x%u %u/%u", 100 * loss, burst, round_ms, buffer_ms),
                  .kind = VIEWER_UDP,
                  .count = CELL_VIEWERS,
                  .down = line,
                  .up = line,
                  .buffer_ms = buffer_ms,
                  .join_ms = 1,
                  .join_within_ms = 2000};
}

static World *play_cells(const Role *roles, gboolean repairs, guint32 seed)
{
    World *w = world_new(&clean, roles, TRUE, seed);
    w->repairs = repairs;
    source_begin(&w->source, 0);
    while (w->now_ms < LESSON_MS)
        world_step(w);
    return w;
}

static void clear_role(gpointer role)
{
    g_free((char *)((Role *)role)->name);
}

// Losses each way, alone and in bursts, near and far: how much may stay lost, and how many packets
// one that is lost may cost.
static void losses_are_repaired(void **state)
{
    static const struct {
        double loss, left_over;
    } kinds[] = {{0.05, 0.002}, {0.1, 0.005}, {0.2, 0.005}};
    static const guint bursts[] = {1, 3, 5}, rounds[] = {40, 120, 200};
    g_autoptr(GArray) roles = g_array_new(TRUE, TRUE, sizeof(Role));
    g_array_set_clear_func(roles, clear_role);
    for (guint l = 0; l < G_N_ELEMENTS(kinds); l++) {
        for (guint i = 0; i < 9; i++) {
            guint round_ms = rounds[i % 3];
            guint buffer_ms = kinds[l].loss > 0.15 ? 800 : MAX(400, 3 * round_ms + 100);
            Role role = cell(kinds[l].loss, bursts[i / 3], round_ms, buffer_ms);
            role.left_over = kinds[l].left_over;
            g_array_append_val(roles, role);
        }
    }
    guint32 first, count;
    sim_seeds(SEEDS, &first, &count);
    g_autofree Sum *sums = g_new0(Sum, roles->len);
    for (guint32 seed = first; seed < first + count; seed++) {
        g_autoptr(World) w = play_cells((const Role *)roles->data, TRUE, seed);
        for (guint i = 0; i < roles->len; i++) {
            const Role *r = &g_array_index(roles, Role, i);
            Sum s = sum_of(w, r);
            tell(w, r);
            sums[i].sent += s.sent, sums[i].lost += s.lost;
            sums[i].missing += s.missing, sums[i].resent += s.resent;
        }
    }
    for (guint i = 0; i < roles->len; i++) {
        const Role *r = &g_array_index(roles, Role, i);
        if ((double)sums[i].missing > SPARE + r->left_over * (double)sums[i].sent ||
            sums[i].resent > 2 * sums[i].lost + SPARE)
            fail_msg("TONGKE_SIM=%u:%u: %s", first, count, r->name);
    }
}

static void without_repair_the_damage_shows(void **state)
{
    g_autofree char *name = NULL;
    Role roles[] = {cell(0.1, 1, 200, 1000), {0}};
    name = (char *)roles[0].name;
    g_autoptr(World) w = play_cells(roles, FALSE, 1);
    Sum s = sum_of(w, roles);
    assert_int_equal(s.resent, 0);
    assert_true(s.missing > s.sent / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_repaired),
        cmocka_unit_test(without_repair_the_damage_shows),
        cmocka_unit_test(nobody_is_delayed_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
