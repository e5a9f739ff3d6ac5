// SPDX-License-Identifier: MIT
#include "tests/unit/relay/audience_stage.h"

#include <string.h>

// A viewer that asks for `rendition` of a lesson that has two.
static void check_begins_with(Stage *stage, const char *rendition, const char *const *expected)
{
    RelayStream *main = stage->stream;
    stage_begin(stage);
    stage_push(stage, 62);
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", "low");
    stage->chunks = 0;
    stage->now_ns = 0;
    relay_audience_set_state(stage->audience, stage->stream, "live", "{\"id\":\"x\"}");
    stage_push_init(stage, "init-low");
    stage_push(stage, 62);
    RelaySocketRequest request = {.path = "/live/math", .rendition = rendition};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    for (; *expected; expected++)
        check_next(*expected);
    relay_audience_leave(stage->audience, socket);
    relay_stream_unref(stage->stream);
    stage->stream = main;
}

static void begins_with_the_rendition_that_is_wished_for(void **state)
{
    static const char *const low[] = {"state live", "rendition ", "init ",   "binary init-low",
                                      "chunk 61",   "chunk 62",   "nothing", NULL};
    check_begins_with(*state, "low", low);
}

static void begins_with_the_best_where_the_line_decides(void **state)
{
    static const char *const best[] = {"state live", "init ", "binary init-one", "chunk 61", NULL};
    check_begins_with(*state, "auto", best);
}

static RelayStream *begin_stream(Stage *stage, const char *name)
{
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", name);
    stage->chunks = 0;
    stage_begin(stage);
    stage_push(stage, 21);
    return stage->stream;
}

static void end_stream(Stage *stage, RelayStream *stream)
{
    relay_audience_set_state(stage->audience, stream, "ended", "{\"id\":\"x\"}");
    relay_stream_unref(stream);
}

// As a lesson does whose upstream was out of sight: what is left of it before goes later.
static void keeps_the_renditions_of_a_lesson_that_rises_again(void **state)
{
    Stage *stage = *state;
    RelayStream *own = stage->stream;
    RelayStream *main = begin_stream(stage, "main"), *low = begin_stream(stage, "low");
    end_stream(stage, main);
    end_stream(stage, low);
    stage->now_ns += 59 * SECOND;
    main = begin_stream(stage, "main");
    low = begin_stream(stage, "low");
    relay_audience_tick(stage->audience, stage->now_ns);
    RelaySocketRequest request = {.path = "/live/math", .rendition = "low"};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    check_next("state live");
    check_next("rendition ");
    assert_int_equal(low->guests, 1);
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(low->guests, 0);
    end_stream(stage, main);
    end_stream(stage, low);
    stage->stream = own;
}

// As one whose line broke: somebody else has the room for `main` meanwhile.
static void goes_on_with_less_where_there_is_no_room(void **state)
{
    Stage *stage = *state;
    RelayStream *own = stage->stream;
    g_autofree char *token = stage_lock(stage);
    RelayStream *main = begin_stream(stage, "main");
    for (guint i = 0; i < 3; i++) {
        g_autoptr(RelayUnit) large = relay_unit_new(1000);
        large->number = ++stage->chunks;
        large->arrived_ns = stage->now_ns;
        relay_audience_push(stage->audience, main, large, NULL);
        stage_push(stage, 20);
    }
    stage->now_ns = 0; // both at once
    RelayStream *low = begin_stream(stage, "low");
    stage_push(stage, 60);
    RelaySchool *school = relay_schools_find(stage->schools, NULL);
    school->pool.max_bps = 2500;
    RelaySocketRequest request = {
        .path = "/live/math", .rendition = "auto", .from = "30", .token = token};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    check_next("state live");
    check_next("rendition ");
    assert_true(school->pool.taken_bps > 0);
    relay_audience_leave(stage->audience, socket);
    request.rendition = NULL;
    socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    check_next("close 1013");
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(school->pool.taken_bps, 0);
    end_stream(stage, main);
    end_stream(stage, low);
    stage->stream = own;
}

// Pongs are under way as well, though nothing that was sent has left.
static void a_line_that_stands_still_carries_nothing(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    RelaySocketRequest request = {.path = "/live/math", .rendition = "auto"};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    for (guint i = 0; i < 450; i++) {
        stage_push(stage, 1);
        stage_take_all(stage, socket);
    }
    stage->unsent_bytes = 9000;
    for (guint i = 0; i < 70; i++) {
        stage_push(stage, 1);
        stage->unsent_bytes += 10;
    }
    const RelaySchool *school = relay_schools_find(stage->schools, NULL);
    assert_int_equal(school->line_full, 1);
    assert_int_equal(school->line_bps, 1);
    relay_audience_leave(stage->audience, socket);
}

static void push_sound(Stage *stage, guint64 number)
{
    static const RelayStreamFormat format = {.mime = "audio/mp4"};
    g_autoptr(RelayUnit) unit = relay_unit_new(8);
    unit->flags = RELAY_UNIT_SOUND | (number ? RELAY_UNIT_KEY : RELAY_UNIT_INIT);
    unit->number = MAX(number, 1);
    unit->arrived_ns = stage->now_ns;
    unit->media_ns = stage->now_ns - SECOND / 5;
    memcpy(unit->data, number ? (const void *)&unit->number : "init-two", 8);
    relay_audience_push(stage->audience, stage->stream, unit, number ? NULL : &format);
}

// What is under way of a larger rendition is more than half of what may be; the sound goes on.
static void sound_is_not_held_back_by_what_came_before(void **state)
{
    Stage *stage = *state;
    guint64 sounds = 0;
    stage_begin(stage);
    stage_push(stage, 2);
    push_sound(stage, sounds);
    push_sound(stage, ++sounds);
    RelaySocketRequest request = {.path = "/live/math", .rendition = "audio"};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    for (guint i = 0; i < 50; i++) {
        g_autofree char *expected = g_strdup_printf("chunk %u", i + 2);
        stage_push(stage, 2);
        push_sound(stage, ++sounds);
        if (i == 0)
            stage_take_all(stage, socket);
        else
            check_next(expected);
        stage->unsent_bytes = 8 * MIN(i, 24);
    }
    relay_audience_leave(stage->audience, socket);
}

// The door refuses a stream of that name; an audience does not rely on it.
static void keeps_who_has_the_sound_when_another_stream_is_called_so(void **state)
{
    Stage *stage = *state;
    RelayStream *main = stage->stream;
    stage_begin(stage);
    stage_push(stage, 2);
    push_sound(stage, 0);
    push_sound(stage, 1);
    RelaySocketRequest request = {.path = "/live/math", .rendition = "audio"};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    stage_take_all(stage, socket);
    RelayStream *other = begin_stream(stage, "audio");
    stage->stream = main;
    stage->wakes = 0;
    relay_audience_set_state(stage->audience, main, "ended", "{\"id\":\"x\"}");
    assert_int_equal(stage->wakes, 1);
    stage->now_ns += 61 * SECOND;
    relay_audience_tick(stage->audience, stage->now_ns);
    assert_non_null(main->web_feeds[0]);
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
    relay_audience_tick(stage->audience, stage->now_ns);
    assert_null(main->web_feeds[0]);
    assert_null(main->web_sounds[0]);
    end_stream(stage, other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(begins_with_the_rendition_that_is_wished_for),
        T(begins_with_the_best_where_the_line_decides),
        T(keeps_the_renditions_of_a_lesson_that_rises_again),
        T(goes_on_with_less_where_there_is_no_room),
        T(a_line_that_stands_still_carries_nothing),
        T(sound_is_not_held_back_by_what_came_before),
        T(keeps_who_has_the_sound_when_another_stream_is_called_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
