// SPDX-License-Identifier: MIT
#include "tests/unit/relay/audience_stage.h"

#include <string.h>

static void gives_state_init_and_chunks_from_the_keyframe(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 23);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    assert_int_equal(stage->viewers, 1);
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 21");
    check_next("chunk 22");
    check_next("chunk 23");
    check_next("nothing");
    stage->wakes = 0;
    stage_push(stage, 1);
    assert_int_equal(stage->wakes, 1);
    check_next("chunk 24");
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(stage->viewers, 0);
}

static void waits_for_a_lesson_and_goes_on_by_itself(void **state)
{
    Stage *stage = *state;
    RelaySocket *socket = stage_open(stage, "/live/math/main", NULL);
    check_next("state waiting");
    check_next("nothing");
    assert_int_equal(stage->viewers, 0);
    stage_begin(stage);
    assert_int_equal(stage->viewers, 1);
    check_next("state live");
    check_next("nothing");
    stage_push(stage, 1);
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    relay_audience_leave(stage->audience, socket);
}

static void resumes_where_it_was_told(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 50);
    RelaySocket *socket = stage_open(stage, "/live/01JD0000000000000000000000", "13");
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    for (guint number = 13; number <= 50; number++) {
        g_autofree char *expected = g_strdup_printf("chunk %u", number);
        check_next(expected);
    }
    check_next("nothing");
    relay_audience_leave(stage->audience, socket);
}

static void tells_of_the_gap_when_it_cannot_resume(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1000); // 60 s hold 400 and later
    RelaySocket *socket = stage_open(stage, "/live/math", "7");
    check_next("state live");
    check_next("gap 7-400");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 401");
    relay_audience_leave(stage->audience, socket);
}

static void sets_a_slow_viewer_forward_and_says_so(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    stage_push(stage, 60);
    check_next("gap 2-40");
    check_next("chunk 41");
    relay_audience_leave(stage->audience, socket);
}

static void cuts_off_who_reads_nothing(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    RelayAudienceStats stats;
    for (guint i = 0; i < 200 && stage->drops == 0; i++)
        stage_push(stage, 10);
    assert_int_equal(stage->drops, 1);
    stage_push(stage, 100);
    assert_int_equal(stage->drops, 1);
    relay_audience_stats(stage->audience, &stats);
    assert_int_equal(stats.viewers_gone, 1);
    assert_true(stats.units_dropped > 100);
    check_next("close 4008");
    relay_audience_leave(stage->audience, socket);
}

static void gives_each_chunk_the_init_it_needs(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 20);
    stage_push_init(stage, "init-two");
    stage_push(stage, 2);
    RelaySocket *socket = stage_open(stage, "/live/math", "20");
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 20");
    check_next("init ");
    check_next("binary init-two");
    check_next("chunk 21");
    relay_audience_leave(stage->audience, socket);
}

static void closes_when_the_lesson_is_over_and_all_is_sent(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    relay_audience_set_state(stage->audience, stage->stream, "ended", "{\"id\":\"x\"}");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
    socket = stage_open(stage, "/live/01JD0000000000000000000000", NULL);
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
}

static void keeps_so_many_ended_lessons_and_no_more(void **state)
{
    Stage *stage = *state;
    RelayStream *streams[100];
    for (guint i = 0; i < G_N_ELEMENTS(streams); i++) {
        g_autofree char *id = g_strdup_printf("01JD%022u", i);
        streams[i] = relay_stream_new(id, "math", "main");
        relay_audience_set_state(stage->audience, streams[i], "live", "{}");
        g_autoptr(RelayUnit) unit = relay_unit_new(8);
        unit->number = 1;
        unit->arrived_ns = SECOND;
        relay_audience_push(stage->audience, streams[i], unit, NULL);
        relay_audience_set_state(stage->audience, streams[i], "ended", "{}");
    }
    relay_audience_tick(stage->audience, 2 * SECOND);
    assert_null(streams[0]->web_feeds[0]);
    assert_non_null(streams[99]->web_feeds[0]);
    relay_audience_tick(stage->audience, 100 * SECOND);
    for (guint i = 0; i < G_N_ELEMENTS(streams); i++) {
        assert_null(streams[i]->web_feeds[0]);
        relay_stream_unref(streams[i]);
    }
}

// A recorder that comes back when the lesson is over.
static void gives_what_is_left_to_who_resumes(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 3);
    relay_audience_set_state(stage->audience, stage->stream, "ended", "{\"id\":\"x\"}");
    relay_audience_tick(stage->audience, stage->now_ns + 59 * SECOND);
    RelaySocket *socket = stage_open(stage, "/live/01JD0000000000000000000000", "2");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 2");
    check_next("chunk 3");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
    socket = stage_open(stage, "/live/math", "2"); // the next lesson there
    check_next("state waiting");
    relay_audience_leave(stage->audience, socket);
    relay_audience_tick(stage->audience, stage->now_ns + 61 * SECOND);
    assert_null(stage->stream->web_feeds[0]);
    socket = stage_open(stage, "/live/01JD0000000000000000000000", "2");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
}

static void lets_nobody_begin_at_the_end_but_gives_the_rest(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *watching = stage_open(stage, "/live/math", NULL);
    relay_audience_set_state(stage->audience, stage->stream, "ending", "");
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    check_next("state waiting");
    check_next("nothing");
    relay_audience_leave(stage->audience, socket);
    stage_push(stage, 1);
    relay_audience_set_state(stage->audience, stage->stream, "ended", "{\"id\":\"x\"}");
    socket = watching;
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    check_next("chunk 2");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
}

static void refuses_odd_paths_and_too_many(void **state)
{
    Stage *stage = *state;
    static const char *const odd[] = {"/live/", "/live/a/b/c", "/live/../x", "/other"};
    for (guint i = 0; i < G_N_ELEMENTS(odd); i++) {
        RelaySocket *socket = stage_open(stage, odd[i], NULL);
        check_next("close 1008");
        relay_audience_leave(stage->audience, socket);
    }
    RelaySocket *some[4];
    for (guint i = 0; i < 4; i++)
        some[i] = stage_open(stage, "/live/math", NULL);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    check_next("close 1013");
    relay_audience_leave(stage->audience, socket);
    for (guint i = 0; i < 4; i++)
        relay_audience_leave(stage->audience, some[i]);
}

static void keeps_who_has_a_token_for_ever(void **state)
{
    Stage *stage = *state;
    g_autofree char *token = stage_lock(stage);
    RelaySocketRequest request = {.path = "/live/math", .token = token};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    check_next("state waiting");
    stage->now_ns += G_GINT64_CONSTANT(100) * 365 * 86400 * SECOND;
    check_next("nothing");
    relay_audience_leave(stage->audience, socket);
}

static void closes_who_waits_when_the_token_ends(void **state)
{
    Stage *stage = *state;
    g_autofree char *token = stage_lock(stage);
    RelaySocketRequest request = {.path = "/live/math", .token = token};
    RelaySocket *socket = relay_audience_open(stage->audience, &request, stage, stage->now_ns);
    check_next("state waiting");
    stage->wakes = 0;
    relay_audience_tick(stage->audience, stage->now_ns);
    assert_int_equal(stage->wakes, 0);
    stage->now_ns += G_GINT64_CONSTANT(250) * 365 * 86400 * SECOND; // past 2255
    relay_audience_tick(stage->audience, stage->now_ns);
    assert_int_equal(stage->wakes, 1);
    check_next("close 1008");
    relay_audience_leave(stage->audience, socket);
}

static void tells_events_after_the_snapshot_and_closes_a_dead_follower(void **state)
{
    Stage *stage = *state;
    RelaySocket *socket = stage_open(stage, "/api/v1/events", NULL);
    relay_audience_send_event(stage->audience, "{\"type\":\"early\"}", "math",
                              "x"); // is in the snapshot
    check_next("nothing");
    relay_audience_give_snapshot(stage->audience, stage->snapshot_for, "{\"type\":\"snapshot\"}");
    relay_audience_send_event(stage->audience, "{\"type\":\"late\"}", "math", "x");
    check_next("snapshot ");
    check_next("late ");
    for (guint i = 0; i < 1000; i++)
        relay_audience_send_event(stage->audience, "{\"type\":\"late\"}", "math", "x");
    check_next("close 4008");
    relay_audience_leave(stage->audience, socket);
}

static guint say(RelaySocket *socket, const char *text, gint64 now_ns)
{
    RelaySocketFragment fragment = {
        .data = text, .bytes = strlen(text), .first = TRUE, .last = TRUE, .text = TRUE};
    return relay_socket_received(socket, &fragment, now_ns);
}

static guint piece(RelaySocket *socket, gboolean first, gsize bytes, gsize left, gint64 now_ns)
{
    static const char blanks[RELAY_SOCKET_MESSAGE_MAX];
    RelaySocketFragment fragment = {
        .data = blanks, .bytes = bytes, .left = left, .first = first, .text = TRUE};
    return relay_socket_received(socket, &fragment, now_ns);
}

static void bounds_what_a_viewer_says(void **state)
{
    Stage *stage = *state;
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    assert_int_equal(piece(socket, TRUE, 4096, 0, SECOND), 0);
    assert_int_equal(piece(socket, TRUE, 10, G_MAXSIZE / 2, SECOND), RELAY_CLOSE_TOO_BIG);
    assert_int_equal(piece(socket, TRUE, 4000, 0, SECOND), 0);
    assert_int_equal(piece(socket, FALSE, 97, 0, SECOND), RELAY_CLOSE_TOO_BIG);
    guint code = 0;
    for (guint i = 0; i < 20; i++)
        code = piece(socket, TRUE, 10, 0, 5 * SECOND);
    assert_int_equal(code, RELAY_CLOSE_REFUSED);
    relay_audience_leave(stage->audience, socket);
}

static guint in_state(Stage *stage, RelayViewerState state)
{
    RelayAudienceStats stats;
    relay_audience_stats(stage->audience, &stats);
    return stats.states[state];
}

#define REPORT_OF_2_S "{\"type\":\"report\",\"played_s\":1.5,\"buffer_s\":0.5}"

static void holds_back_who_reports_to_be_behind(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    for (guint i = 0; i < 6; i++) {
        stage_take_all(stage, socket);
        assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), i > 0 ? 1 : 0);
        assert_int_equal(say(socket, REPORT_OF_2_S, stage->now_ns), 0);
        stage_push(stage, 10);
    }
    stage_take_all(stage, socket); // 61 chunks, of which 20 have arrived
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 1);
    say(socket, REPORT_OF_2_S, stage->now_ns);
    assert_int_equal(in_state(stage, RELAY_VIEWER_CATCHING_UP), 1);
    stage_push(stage, 22);
    check_next("nothing");
    // What was under way has arrived.
    say(socket, "{\"type\":\"report\",\"played_s\":2,\"buffer_s\":4.1}", stage->now_ns);
    check_next("gap 62-80");
    check_next("chunk 81");
    stage_take_all(stage, socket);
    for (guint i = 0; i < 11; i++) {
        say(socket, "{\"type\":\"report\",\"played_s\":1e6,\"buffer_s\":0}", stage->now_ns);
        stage_push(stage, 10);
        stage_take_all(stage, socket);
    }
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 1);
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 0);
}

static void asks_the_socket_of_who_reports_nothing(void **state)
{
    Stage *stage = *state;
    stage_begin(stage);
    stage_push(stage, 1);
    RelaySocket *socket = stage_open(stage, "/live/math", NULL);
    stage->unsent_bytes = 35 * (8 + RELAY_WEB_HEADROOM); // chunks of 0.1 s
    for (guint i = 0; i < 60; i++) {
        stage_take_all(stage, socket);
        stage_push(stage, 1);
    }
    assert_int_equal(in_state(stage, RELAY_VIEWER_CATCHING_UP), 1);
    stage->unsent_bytes = 0;
    stage_push(stage, 11);
    RelayAudienceStats stats;
    relay_audience_stats(stage->audience, &stats);
    assert_int_equal(stats.fallen_behind, 1);
    assert_true(stats.units_dropped > 0);
    g_autofree char *got = stage_next(stage, socket);
    assert_true(g_str_has_prefix(got, "gap "));
    relay_audience_leave(stage->audience, socket);
}

static void takes_no_nonsense_for_a_report(void **state)
{
    static const char *const nonsense[] = {
        "",
        "{",
        "[]",
        "7",
        "{\"type\":\"report\"}",
        "{\"type\":7,\"played_s\":1,\"buffer_s\":1}",
        "{\"type\":\"report\",\"played_s\":-1,\"buffer_s\":0}",
        "{\"type\":\"report\",\"played_s\":1e300,\"buffer_s\":0}",
        "{\"type\":\"report\",\"played_s\":1,\"buffer_s\":\"1\"}",
        "{\"type\":\"report\",\"played_s\":1,\"buffer_s\":null}"};
    RelayReport report;
    for (guint i = 0; i < G_N_ELEMENTS(nonsense); i++)
        assert_false(relay_report_parse(nonsense[i], strlen(nonsense[i]), &report));
    assert_true(relay_report_parse(REPORT_OF_2_S, strlen(REPORT_OF_2_S), &report));
    assert_int_equal(report.here_ns, 2 * SECOND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, stage_set_up, stage_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(gives_state_init_and_chunks_from_the_keyframe),
        T(waits_for_a_lesson_and_goes_on_by_itself),
        T(resumes_where_it_was_told),
        T(tells_of_the_gap_when_it_cannot_resume),
        T(sets_a_slow_viewer_forward_and_says_so),
        T(cuts_off_who_reads_nothing),
        T(gives_each_chunk_the_init_it_needs),
        T(closes_when_the_lesson_is_over_and_all_is_sent),
        T(gives_what_is_left_to_who_resumes),
        T(keeps_so_many_ended_lessons_and_no_more),
        T(lets_nobody_begin_at_the_end_but_gives_the_rest),
        T(refuses_odd_paths_and_too_many),
        T(keeps_who_has_a_token_for_ever),
        T(closes_who_waits_when_the_token_ends),
        T(tells_events_after_the_snapshot_and_closes_a_dead_follower),
        T(bounds_what_a_viewer_says),
        T(holds_back_who_reports_to_be_behind),
        T(asks_the_socket_of_who_reports_nothing),
        T(takes_no_nonsense_for_a_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
