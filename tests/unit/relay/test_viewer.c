// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/pacer.h"
#include "relay/core/viewer.h"

#define SECOND G_GINT64_CONSTANT(1000000000)
#define STEP (SECOND / 10)
#define KEY_EVERY 20

static const RelayViewerLimits limits = {
    .lag_max_ns = 3 * SECOND, .settle_ns = 10 * SECOND, .drops_max = 3};

typedef struct {
    RelayHistory *history;
    guint64 pushed;
    gint64 now_ns;
} Stage;

// A unit each 100 ms, numbered from 1, every 20th a keyframe.
static void play(Stage *stage, guint units)
{
    for (guint i = 0; i < units; i++) {
        RelayUnit *unit = relay_unit_new(100);
        unit->flags = stage->pushed % KEY_EVERY == 0 ? RELAY_UNIT_KEY : 0;
        unit->number = ++stage->pushed;
        stage->now_ns += STEP;
        unit->arrived_ns = stage->now_ns;
        relay_history_push(stage->history, unit);
    }
}

static int set_up(void **state)
{
    Stage *stage = g_new0(Stage, 1);
    stage->history = relay_history_new(60 * SECOND, 1 << 20, 1024);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    Stage *stage = *state;
    relay_history_free(stage->history);
    g_free(stage);
    return 0;
}

static guint64 take(Stage *stage, RelayViewer *viewer)
{
    relay_viewer_judge(viewer, stage->history, &limits, stage->now_ns);
    const RelayUnit *unit = relay_viewer_next(viewer, stage->history);
    if (!unit)
        return 0;
    relay_viewer_advance(viewer);
    return unit->number;
}

static void begins_at_the_newest_keyframe(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 50);
    relay_viewer_init(&viewer, stage->history);
    for (guint64 number = 41; number <= 50; number++)
        assert_int_equal(take(stage, &viewer), number);
    assert_int_equal(take(stage, &viewer), 0);
    assert_int_equal(viewer.state, RELAY_VIEWER_LIVE);
}

static void what_is_of_long_ago_is_no_beginning(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer, recorder;
    play(stage, 45);
    stage->now_ns += limits.lag_max_ns; // nothing comes
    relay_viewer_init(&viewer, stage->history);
    assert_int_equal(take(stage, &viewer), 41); // as late as one may be
    stage->now_ns += STEP;
    relay_viewer_init(&viewer, stage->history);
    assert_int_equal(take(stage, &viewer), 0);
    relay_viewer_init_from(&recorder, stage->history, 42);
    assert_int_equal(take(stage, &recorder), 42);
    play(stage, 17);
    assert_int_equal(take(stage, &viewer), 61);
    assert_int_equal(viewer.units_dropped, 0);
}

static void waits_for_the_first_keyframe(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    stage->pushed = 5; // the first keyframe is number 21
    relay_viewer_init(&viewer, stage->history);
    play(stage, 10);
    assert_int_equal(take(stage, &viewer), 0);
    assert_int_equal(viewer.state, RELAY_VIEWER_WAITING);
    play(stage, 10);
    assert_int_equal(take(stage, &viewer), 21);
    assert_int_equal(viewer.state, RELAY_VIEWER_LIVE);
}

static void is_set_forward_to_a_keyframe_when_it_lags(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 5);
    relay_viewer_init(&viewer, stage->history);
    assert_int_equal(take(stage, &viewer), 1);
    play(stage, 60); // 6 s without reading: next would be 2
    assert_int_equal(relay_viewer_judge(&viewer, stage->history, &limits, stage->now_ns), 61 - 2);
    assert_int_equal(viewer.state, RELAY_VIEWER_CATCHING_UP);
    assert_int_equal(take(stage, &viewer), 61);
    assert_int_equal(viewer.units_dropped, 59);
}

static void is_left_alone_while_no_keyframe_lies_ahead(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 19);
    relay_viewer_init(&viewer, stage->history);
    assert_int_equal(take(stage, &viewer), 1);
    stage->now_ns += 20 * SECOND;
    assert_int_equal(relay_viewer_judge(&viewer, stage->history, &limits, stage->now_ns), 0);
    assert_int_equal(take(stage, &viewer), 2);
}

static void is_live_again_when_it_has_followed_for_long(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 1);
    relay_viewer_init(&viewer, stage->history);
    play(stage, 60);
    take(stage, &viewer);
    assert_int_equal(viewer.state, RELAY_VIEWER_CATCHING_UP);
    for (guint i = 0; i < 110; i++) {
        while (take(stage, &viewer))
            ;
        play(stage, 1);
    }
    take(stage, &viewer);
    assert_int_equal(viewer.state, RELAY_VIEWER_LIVE);
    assert_int_equal(viewer.drops, 0);
}

static void is_gone_when_it_is_hopeless(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 1);
    relay_viewer_init(&viewer, stage->history);
    for (guint i = 0; i < 10 && viewer.state != RELAY_VIEWER_GONE; i++) {
        play(stage, 60); // one unit each 6 s
        take(stage, &viewer);
    }
    assert_int_equal(viewer.state, RELAY_VIEWER_GONE);
    assert_int_equal(viewer.drops, limits.drops_max + 1);
    assert_null(relay_viewer_next(&viewer, stage->history));
}

static void resumes_without_loss(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 300);
    assert_int_equal(relay_viewer_init_from(&viewer, stage->history, 123), 0);
    for (guint64 number = 123; number <= 300; number++) // far behind, and never set forward
        assert_int_equal(take(stage, &viewer), number);
    assert_int_equal(relay_viewer_init_from(&viewer, stage->history, 301), 0);
    assert_int_equal(take(stage, &viewer), 0);
    play(stage, 1);
    assert_int_equal(take(stage, &viewer), 301);
}

static void resumes_at_a_keyframe_when_the_history_is_too_short(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 1000); // 60 s hold 400 to 1000
    assert_int_equal(relay_viewer_init_from(&viewer, stage->history, 10), 401 - 10);
    assert_int_equal(take(stage, &viewer), 401);
}

static void loses_what_leaves_the_history(void **state)
{
    Stage *stage = *state;
    RelayViewer viewer;
    play(stage, 10);
    assert_int_equal(relay_viewer_init_from(&viewer, stage->history, 5), 0);
    play(stage, 1000);
    guint64 lost = relay_viewer_judge(&viewer, stage->history, &limits, stage->now_ns);
    guint64 number = take(stage, &viewer);
    assert_int_equal(number, 5 + lost);
    assert_int_equal(number % KEY_EVERY, 1);
}

static void pacer_keeps_its_rate(void **state)
{
    RelayPacer pacer;
    gint64 now_ns = 7 * SECOND;
    gsize sent = 0;
    relay_pacer_init(&pacer, 2 * 1000 * 1000, 10000, now_ns);
    for (guint i = 0; i < 10000; i++, now_ns += SECOND / 1000)
        while (relay_pacer_ready(&pacer, now_ns)) {
            relay_pacer_spend(&pacer, 1200);
            sent += 1200;
        }
    // 10 s at 250,000 bytes a second, the first bucketful, and less than one packet over.
    assert_in_range(sent, 2500000, 2500000 + 10000 + 1200);
}

static void pacer_never_saves_more_than_its_depth(void **state)
{
    RelayPacer pacer;
    gsize sent = 0;
    relay_pacer_init(&pacer, 8 * 1000 * 1000, 5000, 0);
    while (relay_pacer_ready(&pacer, 1000 * SECOND)) {
        relay_pacer_spend(&pacer, 1000);
        sent += 1000;
    }
    assert_int_equal(sent, 5000);
}

static void pacer_makes_up_for_lateness(void **state)
{
    RelayPacer pacer;
    gint64 now_ns = SECOND;
    gsize sent = 0;
    relay_pacer_init(&pacer, 0, 0, now_ns);
    relay_pacer_set_rate(&pacer, 8 * 1000 * 1000);
    for (guint i = 0; i < 100; i++, now_ns += 40 * SECOND / 1000)
        while (relay_pacer_ready(&pacer, now_ns)) {
            relay_pacer_spend(&pacer, 1000);
            sent += 1000;
        }
    assert_in_range(sent, 3900000, 4000000);
    assert_in_range(relay_pacer_due_ns(&pacer), now_ns - 40 * SECOND / 1000 + 1, now_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(begins_at_the_newest_keyframe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_of_long_ago_is_no_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waits_for_the_first_keyframe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_set_forward_to_a_keyframe_when_it_lags, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_left_alone_while_no_keyframe_lies_ahead, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_live_again_when_it_has_followed_for_long, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_gone_when_it_is_hopeless, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumes_without_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(resumes_at_a_keyframe_when_the_history_is_too_short, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(loses_what_leaves_the_history, set_up, tear_down),
        cmocka_unit_test(pacer_keeps_its_rate),
        cmocka_unit_test(pacer_never_saves_more_than_its_depth),
        cmocka_unit_test(pacer_makes_up_for_lateness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
