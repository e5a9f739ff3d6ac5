// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/rendition.h"

#define MS G_GINT64_CONSTANT(1000000)
#define SECOND (1000 * MS)
#define STEP (100 * MS)

static const RelayLadder ladder = {{2000000, 320000, 70000}};

// A line that carries `bps` of what it is given, and keeps the rest waiting.
typedef struct {
    RelayRenditionChoice choice;
    RelayLadder ladder;
    gint64 now_ns, bps, waiting_bits;
    gboolean tells; // what passes is known
    guint moves, raises;
} Line;

static void run(Line *l, gint64 ns)
{
    if (!l->choice.moved_ns)
        relay_rendition_begin(&l->choice, l->choice.best, l->now_ns - 20 * SECOND);
    for (gint64 end_ns = l->now_ns + ns; l->now_ns < end_ns; l->now_ns += STEP) {
        gint64 sent = l->ladder.need_bps[l->choice.at] * STEP / SECOND;
        gint64 passed = MIN(l->waiting_bits + sent, l->bps * STEP / SECOND);
        l->waiting_bits += sent - passed;
        RelayLineSeen seen = {.behind_ns = l->waiting_bits * SECOND / l->bps + 50 * MS,
                              .passes_bps = l->tells ? l->bps : 0};
        RelayRendition to = relay_rendition_judge(&l->choice, &l->ladder, &seen, l->now_ns);
        if (to == l->choice.at)
            continue;
        l->moves++;
        l->raises += to < l->choice.at;
        relay_rendition_moved(&l->choice, to, l->now_ns);
    }
}

static void a_good_line_keeps_the_picture(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 4000000};
    run(&l, 60 * SECOND);
    assert_int_equal(l.moves, 0);
}

static void the_rendition_follows_the_line(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 4000000};
    run(&l, 10 * SECOND);
    l.bps = 1000000;
    run(&l, 3 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
    l.bps = 4000000;
    run(&l, 20 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_MAIN);
    l.bps = 64000;
    run(&l, 10 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
}

static void one_step_is_enough_where_the_line_is_known(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 100000, .tells = TRUE};
    run(&l, 3 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
    assert_int_equal(l.moves, 1);
    l.bps = 4000000;
    run(&l, 8 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_MAIN);
}

static void what_is_on_its_way_is_waited_for(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 600000, .waiting_bits = 1500000};
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
    run(&l, 4 * SECOND); // it drains
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
}

static void tries_become_rare(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 1000000};
    run(&l, 600 * SECOND);
    assert_int_not_equal(l.raises, 0);
    assert_true(l.raises <= 13);
}

static void a_wish_is_a_bound(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 4000000};
    l.choice.best = RELAY_RENDITION_LOW;
    run(&l, 60 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
    assert_int_equal(l.moves, 1);
    l.choice.best = RELAY_RENDITION_MAIN;
    run(&l, 10 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_MAIN);
}

static void what_is_not_there_is_not_chosen(void **state)
{
    Line l = {.ladder = {{2000000, 0, 70000}}, .now_ns = SECOND, .bps = 1000000};
    run(&l, 3 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
    l.ladder.need_bps[RELAY_RENDITION_AUDIO] = 0;
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_MAIN);
    Line alone = {.ladder = {{2000000, 0, 0}}, .now_ns = SECOND, .bps = 100000};
    run(&alone, 20 * SECOND);
    assert_int_equal(alone.moves, 0);
}

static void what_comes_back_is_had_again_at_once(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 4000000};
    run(&l, 5 * SECOND);
    l.ladder.need_bps[RELAY_RENDITION_MAIN] = l.ladder.need_bps[RELAY_RENDITION_LOW] = 0;
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
    l.ladder.need_bps[RELAY_RENDITION_LOW] = ladder.need_bps[RELAY_RENDITION_LOW];
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
    assert_true(relay_rendition_returns(&l.choice, RELAY_RENDITION_MAIN));
    l.ladder.need_bps[RELAY_RENDITION_MAIN] = ladder.need_bps[RELAY_RENDITION_MAIN];
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_MAIN);
    assert_int_equal(l.choice.left, RELAY_RENDITIONS);
}

static void what_the_line_took_meanwhile_is_not(void **state)
{
    Line l = {.ladder = ladder, .now_ns = SECOND, .bps = 4000000};
    run(&l, 5 * SECOND);
    l.ladder.need_bps[RELAY_RENDITION_MAIN] = 0;
    run(&l, STEP);
    assert_int_equal(l.choice.at, RELAY_RENDITION_LOW);
    l.bps = 100000;
    run(&l, 8 * SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
    l.ladder = ladder;
    run(&l, SECOND);
    assert_int_equal(l.choice.at, RELAY_RENDITION_AUDIO);
}

static void words_and_states(void **state)
{
    RelayRendition r;
    for (guint i = 0; i < RELAY_RENDITIONS; i++) {
        assert_true(relay_rendition_from_word(relay_rendition_word(i), &r));
        assert_int_equal(r, i);
    }
    assert_false(relay_rendition_from_word("slides", &r));
    assert_int_equal(relay_rendition_state(RELAY_VIEWER_LIVE, RELAY_RENDITION_LOW),
                     RELAY_VIEWER_LOW);
    assert_int_equal(relay_rendition_state(RELAY_VIEWER_GONE, RELAY_RENDITION_LOW),
                     RELAY_VIEWER_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_line_keeps_the_picture),
        cmocka_unit_test(the_rendition_follows_the_line),
        cmocka_unit_test(one_step_is_enough_where_the_line_is_known),
        cmocka_unit_test(what_is_on_its_way_is_waited_for),
        cmocka_unit_test(tries_become_rare),
        cmocka_unit_test(a_wish_is_a_bound),
        cmocka_unit_test(what_is_not_there_is_not_chosen),
        cmocka_unit_test(what_comes_back_is_had_again_at_once),
        cmocka_unit_test(what_the_line_took_meanwhile_is_not),
        cmocka_unit_test(words_and_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
