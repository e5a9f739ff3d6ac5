// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <pthread.h>

#include "relay/core/share.h"

#define KBPS 1000

static const RelayLadder ladder = {.need_bps = {2000 * KBPS, 300 * KBPS, 60 * KBPS}};

static RelayShare share_of(RelayPool *one, RelayPool *other)
{
    RelayShare share = {0};
    relay_share_draw_on(&share, one);
    relay_share_draw_on(&share, other);
    return share;
}

static RelayRendition begun(RelayShare *share, RelayRendition wish)
{
    RelayRendition at;
    return relay_share_begin(share, &ladder, wish, &at) ? at : RELAY_RENDITIONS;
}

static void who_comes_takes_the_best_that_fits(void **state)
{
    RelayPool total = {.max_bps = 100000 * KBPS}, school = {.max_bps = 2400 * KBPS};
    RelayShare shares[4];
    static const RelayRendition expected[] = {RELAY_RENDITION_MAIN, RELAY_RENDITION_LOW,
                                              RELAY_RENDITION_AUDIO, RELAY_RENDITIONS};
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++) {
        shares[i] = share_of(&total, &school);
        assert_int_equal(begun(&shares[i], RELAY_RENDITION_MAIN), expected[i]);
    }
    assert_int_equal(school.taken_bps, 2360 * KBPS);
    assert_int_equal(total.taken_bps, 2360 * KBPS);
    for (guint i = 0; i < G_N_ELEMENTS(shares); i++)
        relay_share_release(&shares[i]);
    assert_int_equal(school.taken_bps, 0);
    assert_int_equal(total.taken_bps, 0);
}

static void another_school_has_its_own_room(void **state)
{
    RelayPool total = {.max_bps = 4100 * KBPS}, one = {.max_bps = 2000 * KBPS}, other = one;
    RelayShare a = share_of(&total, &one), b = share_of(&total, &one), c = share_of(&total, &other);
    RelayShare d = share_of(&total, &other);
    assert_int_equal(begun(&a, RELAY_RENDITION_MAIN), RELAY_RENDITION_MAIN);
    assert_int_equal(begun(&b, RELAY_RENDITION_MAIN), RELAY_RENDITIONS);
    assert_int_equal(begun(&c, RELAY_RENDITION_MAIN), RELAY_RENDITION_MAIN);
    relay_share_release(&c);
    // What one pool gave before the other refused is given back.
    assert_false(relay_share_take(&d, 2050 * KBPS));
    assert_int_equal(total.taken_bps, 2000 * KBPS);
    assert_int_equal(other.taken_bps, 0);
}

static void no_bound_bounds_nothing(void **state)
{
    RelayPool total = {0}, school = {0};
    RelayShare share = share_of(&total, &school);
    assert_false(relay_share_bounded(&share));
    assert_true(relay_share_take(&share, G_MAXINT64 / 2));
    assert_int_equal(relay_share_best(&share, &ladder, RELAY_RENDITION_AUDIO, RELAY_RENDITION_LOW),
                     RELAY_RENDITION_LOW);
    assert_int_equal(total.taken_bps, 0);
}

static void what_is_not_known_takes_nothing(void **state)
{
    RelayPool total = {.max_bps = 1};
    RelayLadder unknown = {{0}};
    RelayShare share = {.pools = {&total}};
    RelayRendition at;
    assert_true(relay_share_begin(&share, &unknown, RELAY_RENDITION_LOW, &at));
    assert_int_equal(at, RELAY_RENDITION_LOW);
    assert_int_equal(share.bps, 0);
}

static void who_wants_less_than_there_is_needs_room_too(void **state)
{
    static const RelayLadder best = {.need_bps = {2000 * KBPS}};
    RelayPool school = {.max_bps = 2400 * KBPS}, none = {0};
    RelayShare first = share_of(&school, &none), second = first;
    RelayRendition at;
    assert_true(relay_share_begin(&first, &best, RELAY_RENDITION_AUDIO, &at));
    assert_int_equal(at, RELAY_RENDITION_MAIN);
    assert_int_equal(school.taken_bps, 2000 * KBPS);
    assert_false(relay_share_begin(&second, &best, RELAY_RENDITION_AUDIO, &at));
    relay_share_release(&first);
    assert_int_equal(school.taken_bps, 0);
}

static void a_step_up_needs_room_and_some_more(void **state)
{
    RelayPool total = {.max_bps = 2249 * KBPS};
    RelayShare share = {.pools = {&total}};
    assert_true(relay_share_take(&share, ladder.need_bps[RELAY_RENDITION_AUDIO]));
    assert_int_equal(relay_share_best(&share, &ladder, RELAY_RENDITION_AUDIO, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_LOW);
    total.max_bps = 2250 * KBPS;
    assert_int_equal(relay_share_best(&share, &ladder, RELAY_RENDITION_AUDIO, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_MAIN);
    assert_int_equal(relay_share_best(&share, &ladder, RELAY_RENDITION_AUDIO, RELAY_RENDITION_LOW),
                     RELAY_RENDITION_LOW); // no more than it wants
}

static void a_lesson_that_grows_makes_one_go_down(void **state)
{
    RelayPool total = {.max_bps = 4200 * KBPS};
    RelayShare a = {.pools = {&total}}, b = a;
    assert_true(relay_share_take(&a, 2000 * KBPS));
    assert_true(relay_share_take(&b, 2000 * KBPS));
    relay_share_keep(&a, 2200 * KBPS); // as measured; within the slack
    relay_share_keep(&a, 0);           // not known
    assert_int_equal(total.taken_bps, 4000 * KBPS);
    assert_int_equal(relay_share_best(&a, &ladder, RELAY_RENDITION_MAIN, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_MAIN);
    relay_share_keep(&a, 2300 * KBPS);
    assert_int_equal(relay_share_best(&a, &ladder, RELAY_RENDITION_MAIN, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_LOW);
    assert_true(relay_share_take(&a, 300 * KBPS));
    assert_int_equal(relay_share_best(&b, &ladder, RELAY_RENDITION_MAIN, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_MAIN);
    RelayLadder alone = {.need_bps = {2000 * KBPS, 0, 0}};
    relay_share_keep(&a, 3000 * KBPS); // nothing smaller: it keeps what it has
    assert_int_equal(relay_share_best(&a, &alone, RELAY_RENDITION_MAIN, RELAY_RENDITION_MAIN),
                     RELAY_RENDITION_MAIN);
}

static void who_may_not_be_refused_leaves_less_for_others(void **state)
{
    RelayPool total = {.max_bps = 2000 * KBPS};
    RelayShare recorder = {.pools = {&total}, .forced = TRUE}, viewer = {.pools = {&total}};
    assert_true(relay_share_take(&recorder, 5000 * KBPS));
    assert_int_equal(
        relay_share_best(&recorder, &ladder, RELAY_RENDITION_MAIN, RELAY_RENDITION_MAIN),
        RELAY_RENDITION_MAIN);
    assert_int_equal(begun(&viewer, RELAY_RENDITION_MAIN), RELAY_RENDITIONS);
    relay_share_release(&recorder);
    assert_int_equal(begun(&viewer, RELAY_RENDITION_MAIN), RELAY_RENDITION_MAIN);
}

#define THREADS 4
#define ROUNDS 20000

typedef struct {
    RelayPool *pools;
    guint seed;
    gboolean exceeded;
    guint taken;
} Crowd;

static gpointer come_and_go(gpointer data)
{
    Crowd *crowd = data;
    g_autoptr(GRand) random = g_rand_new_with_seed(crowd->seed);
    RelayShare share = share_of(&crowd->pools[0], &crowd->pools[1]);
    for (guint i = 0; i < ROUNDS; i++) {
        crowd->taken += relay_share_take(&share, g_rand_int_range(random, 0, 1000));
        for (guint p = 0; p < RELAY_SHARE_POOLS; p++)
            crowd->exceeded |= __atomic_load_n(&crowd->pools[p].taken_bps, __ATOMIC_RELAXED) >
                               crowd->pools[p].max_bps;
    }
    relay_share_release(&share);
    return NULL;
}

static void threads_never_take_more_than_there_is(void **state)
{
    RelayPool pools[RELAY_SHARE_POOLS] = {{.max_bps = 1500}, {.max_bps = 1200}};
    Crowd crowds[THREADS];
    pthread_t threads[THREADS];
    for (guint i = 0; i < THREADS; i++) {
        crowds[i] = (Crowd){.pools = pools, .seed = i + 1};
        assert_int_equal(
            pthread_create(&threads[i], NULL, (void *(*)(void *))come_and_go, &crowds[i]), 0);
    }
    for (guint i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(crowds[i].exceeded);
        assert_true(crowds[i].taken > 0);
    }
    assert_int_equal(pools[0].taken_bps, 0);
    assert_int_equal(pools[1].taken_bps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_takes_the_best_that_fits),
        cmocka_unit_test(another_school_has_its_own_room),
        cmocka_unit_test(no_bound_bounds_nothing),
        cmocka_unit_test(what_is_not_known_takes_nothing),
        cmocka_unit_test(who_wants_less_than_there_is_needs_room_too),
        cmocka_unit_test(a_step_up_needs_room_and_some_more),
        cmocka_unit_test(a_lesson_that_grows_makes_one_go_down),
        cmocka_unit_test(who_may_not_be_refused_leaves_less_for_others),
        cmocka_unit_test(threads_never_take_more_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
