// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/base/json.h"
#include "relay/net/audience.h"

#define SECOND G_GINT64_CONSTANT(1000000000)

typedef struct {
    RelayAudience *audience;
    RelayDoor *door;
    RelaySchools *schools;
    RelayStream *stream;
    gint viewers, wakes, drops;
    gsize unsent_bytes;
    guint64 snapshot_for;
    guint64 chunks;
    gint64 now_ns;
} Stage;

static void on_wake(gpointer link)
{
    ((Stage *)link)->wakes++;
}

static gsize unsent(gpointer link)
{
    return ((Stage *)link)->unsent_bytes;
}

static void look(gpointer link, RelayTcpLine *ret)
{
    *ret = (RelayTcpLine){0};
}

static void on_drop(gpointer link)
{
    ((Stage *)link)->drops++;
}

static void on_viewer(gpointer user, RelayStream *stream, gint change, const char *school)
{
    ((Stage *)user)->viewers += change;
}

static void on_snapshot(gpointer user, guint64 serial, const TkClaims *claims)
{
    ((Stage *)user)->snapshot_for = serial;
}

static int set_up(void **state)
{
    Stage *stage = g_new0(Stage, 1);
    stage->door = relay_door_new(NULL, NULL);
    stage->schools = relay_schools_new(0, 0);
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", "main");
    RelayAudienceSpec spec = {.history_span_ns = 60 * SECOND,
                              .history_bytes_max = 1 << 20,
                              .sockets_max = 4,
                              .door = stage->door,
                              .schools = stage->schools,
                              .wake = on_wake,
                              .push = on_wake,
                              .unsent = unsent,
                              .look = look,
                              .drop = on_drop,
                              .on_viewer = on_viewer,
                              .on_snapshot = on_snapshot,
                              .user = stage};
    stage->audience = relay_audience_new(&spec);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    Stage *stage = *state;
    relay_audience_free(stage->audience);
    relay_stream_unref(stage->stream);
    relay_schools_free(stage->schools);
    relay_door_free(stage->door);
    g_free(stage);
    return 0;
}

static RelaySocket *open_socket(Stage *stage, const char *path, const char *from)
{
    RelaySocketRequest request = {.path = path, .from = from};
    return relay_audience_open(stage->audience, &request, stage, stage->now_ns);
}

static void push_init(Stage *stage, const char *content)
{
    static const RelayStreamFormat format = {.mime = "video/mp4", .has_video = TRUE};
    g_autoptr(RelayUnit) unit = relay_unit_new(strlen(content));
    memcpy(unit->data, content, strlen(content));
    unit->flags = RELAY_UNIT_INIT;
    unit->number = stage->chunks + 1;
    relay_audience_push(stage->audience, stage->stream, unit, &format);
}

static void push_chunks(Stage *stage, guint count)
{
    for (guint i = 0; i < count; i++) {
        g_autoptr(RelayUnit) unit = relay_unit_new(8);
        unit->flags = stage->chunks % 20 == 0 ? RELAY_UNIT_KEY : 0;
        unit->media_ns = (gint64)stage->chunks * SECOND / 10;
        unit->number = ++stage->chunks;
        stage->now_ns += SECOND / 10;
        unit->arrived_ns = stage->now_ns;
        memcpy(unit->data, &unit->number, 8);
        relay_audience_push(stage->audience, stage->stream, unit, NULL);
    }
}

static void begin(Stage *stage)
{
    relay_audience_set_state(stage->audience, stage->stream, "live", "{\"id\":\"x\"}");
    push_init(stage, "init-one");
}

// The next message's type word, "chunk N", "binary TEXT", "nothing" or "close N". New text.
static char *next(Stage *stage, RelaySocket *socket)
{
    g_autoptr(RelayUnit) message = NULL;
    guint code = 0;
    const char *reason = NULL;
    RelayWebNext what = relay_socket_next(socket, stage->now_ns, &message, &code, &reason);
    if (what == RELAY_WEB_NOTHING)
        return g_strdup("nothing");
    if (what == RELAY_WEB_OVER)
        return g_strdup_printf("close %u", code);
    const char *data = (const char *)message->data + RELAY_WEB_HEADROOM;
    gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
    if (what == RELAY_WEB_BINARY && bytes != 8)
        return g_strdup_printf("binary %.*s", (int)bytes, data);
    if (what == RELAY_WEB_BINARY && memcmp(data, "init", 4) == 0)
        return g_strdup_printf("binary %.8s", data);
    if (what == RELAY_WEB_BINARY) {
        guint64 number;
        memcpy(&number, data, 8);
        return g_strdup_printf("chunk %" G_GUINT64_FORMAT, number);
    }
    g_autoptr(json_t) object = tk_json_parse(data, bytes, 65536, NULL);
    assert_non_null(object);
    if (g_str_equal(tk_json_string(object, "type", ""), "gap"))
        return g_strdup_printf("gap %d-%d", (int)tk_json_int(object, "from", 0),
                               (int)tk_json_int(object, "to", 0));
    return g_strdup_printf("%s %s", tk_json_string(object, "type", ""),
                           tk_json_string(object, "state", ""));
}

#define check_next(expected)                                                                       \
    do {                                                                                           \
        g_autofree char *got = next(stage, socket);                                                \
        assert_string_equal(got, expected);                                                        \
    } while (0)

static void gives_state_init_and_chunks_from_the_keyframe(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 23);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    assert_int_equal(stage->viewers, 1);
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 21");
    check_next("chunk 22");
    check_next("chunk 23");
    check_next("nothing");
    stage->wakes = 0;
    push_chunks(stage, 1);
    assert_int_equal(stage->wakes, 1);
    check_next("chunk 24");
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(stage->viewers, 0);
}

static void waits_for_a_lesson_and_goes_on_by_itself(void **state)
{
    Stage *stage = *state;
    RelaySocket *socket = open_socket(stage, "/live/math/main", NULL);
    check_next("state waiting");
    check_next("nothing");
    assert_int_equal(stage->viewers, 0);
    begin(stage);
    assert_int_equal(stage->viewers, 1);
    check_next("state live");
    check_next("nothing");
    push_chunks(stage, 1);
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    relay_audience_leave(stage->audience, socket);
}

static void resumes_where_it_was_told(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 50);
    RelaySocket *socket = open_socket(stage, "/live/01JD0000000000000000000000", "13");
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
    begin(stage);
    push_chunks(stage, 1000); // 60 s hold 400 and later
    RelaySocket *socket = open_socket(stage, "/live/math", "7");
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
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    check_next("state live");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    push_chunks(stage, 60);
    check_next("gap 2-40");
    check_next("chunk 41");
    relay_audience_leave(stage->audience, socket);
}

static void cuts_off_who_reads_nothing(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    RelayAudienceStats stats;
    for (guint i = 0; i < 200 && stage->drops == 0; i++)
        push_chunks(stage, 10);
    assert_int_equal(stage->drops, 1);
    push_chunks(stage, 100);
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
    begin(stage);
    push_chunks(stage, 20);
    push_init(stage, "init-two");
    push_chunks(stage, 2);
    RelaySocket *socket = open_socket(stage, "/live/math", "20");
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
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    relay_audience_set_state(stage->audience, stage->stream, "ended", "{\"id\":\"x\"}");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 1");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
    socket = open_socket(stage, "/live/01JD0000000000000000000000", NULL);
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
}

// A recorder that comes back when the lesson is over.
static void gives_what_is_left_to_who_resumes(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 3);
    relay_audience_set_state(stage->audience, stage->stream, "ended", "{\"id\":\"x\"}");
    relay_audience_tick(stage->audience, stage->now_ns + 59 * SECOND);
    RelaySocket *socket = open_socket(stage, "/live/01JD0000000000000000000000", "2");
    check_next("init ");
    check_next("binary init-one");
    check_next("chunk 2");
    check_next("chunk 3");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
    socket = open_socket(stage, "/live/math", "2"); // the next lesson there
    check_next("state waiting");
    relay_audience_leave(stage->audience, socket);
    relay_audience_tick(stage->audience, stage->now_ns + 61 * SECOND);
    assert_null(stage->stream->web_feeds[0]);
    socket = open_socket(stage, "/live/01JD0000000000000000000000", "2");
    check_next("state ended");
    check_next("close 1000");
    relay_audience_leave(stage->audience, socket);
}

static void lets_nobody_begin_at_the_end_but_gives_the_rest(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *watching = open_socket(stage, "/live/math", NULL);
    relay_audience_set_state(stage->audience, stage->stream, "ending", "");
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    check_next("state waiting");
    check_next("nothing");
    relay_audience_leave(stage->audience, socket);
    push_chunks(stage, 1);
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
        RelaySocket *socket = open_socket(stage, odd[i], NULL);
        check_next("close 1008");
        relay_audience_leave(stage->audience, socket);
    }
    RelaySocket *some[4];
    for (guint i = 0; i < 4; i++)
        some[i] = open_socket(stage, "/live/math", NULL);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    check_next("close 1013");
    relay_audience_leave(stage->audience, socket);
    for (guint i = 0; i < 4; i++)
        relay_audience_leave(stage->audience, some[i]);
}

static void tells_events_after_the_snapshot_and_closes_a_dead_follower(void **state)
{
    Stage *stage = *state;
    RelaySocket *socket = open_socket(stage, "/api/v1/events", NULL);
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
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
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

// Takes all there is: its socket has room.
static void take_all(Stage *stage, RelaySocket *socket)
{
    for (gboolean more = TRUE; more;) {
        g_autofree char *got = next(stage, socket);
        more = !g_str_equal(got, "nothing");
    }
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
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    for (guint i = 0; i < 6; i++) {
        take_all(stage, socket);
        assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), i > 0 ? 1 : 0);
        assert_int_equal(say(socket, REPORT_OF_2_S, stage->now_ns), 0);
        push_chunks(stage, 10);
    }
    take_all(stage, socket); // 61 chunks, of which 20 have arrived
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 1);
    say(socket, REPORT_OF_2_S, stage->now_ns);
    assert_int_equal(in_state(stage, RELAY_VIEWER_CATCHING_UP), 1);
    push_chunks(stage, 22);
    check_next("nothing");
    // What was under way has arrived.
    say(socket, "{\"type\":\"report\",\"played_s\":2,\"buffer_s\":4.1}", stage->now_ns);
    check_next("gap 62-80");
    check_next("chunk 81");
    take_all(stage, socket);
    for (guint i = 0; i < 11; i++) {
        say(socket, "{\"type\":\"report\",\"played_s\":1e6,\"buffer_s\":0}", stage->now_ns);
        push_chunks(stage, 10);
        take_all(stage, socket);
    }
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 1);
    relay_audience_leave(stage->audience, socket);
    assert_int_equal(in_state(stage, RELAY_VIEWER_LIVE), 0);
}

static void asks_the_socket_of_who_reports_nothing(void **state)
{
    Stage *stage = *state;
    begin(stage);
    push_chunks(stage, 1);
    RelaySocket *socket = open_socket(stage, "/live/math", NULL);
    stage->unsent_bytes = 35 * (8 + RELAY_WEB_HEADROOM); // chunks of 0.1 s
    for (guint i = 0; i < 60; i++) {
        take_all(stage, socket);
        push_chunks(stage, 1);
    }
    assert_int_equal(in_state(stage, RELAY_VIEWER_CATCHING_UP), 1);
    stage->unsent_bytes = 0;
    push_chunks(stage, 11);
    RelayAudienceStats stats;
    relay_audience_stats(stage->audience, &stats);
    assert_int_equal(stats.fallen_behind, 1);
    assert_true(stats.units_dropped > 0);
    g_autofree char *got = next(stage, socket);
    assert_true(g_str_has_prefix(got, "gap "));
    relay_audience_leave(stage->audience, socket);
}

// A viewer that asks for `rendition` of a lesson that has two.
static void check_begins_with(Stage *stage, const char *rendition, const char *const *expected)
{
    RelayStream *main = stage->stream;
    begin(stage);
    push_chunks(stage, 62);
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", "low");
    stage->chunks = 0;
    stage->now_ns = 0;
    relay_audience_set_state(stage->audience, stage->stream, "live", "{\"id\":\"x\"}");
    push_init(stage, "init-low");
    push_chunks(stage, 62);
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

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
        T(lets_nobody_begin_at_the_end_but_gives_the_rest),
        T(refuses_odd_paths_and_too_many),
        T(tells_events_after_the_snapshot_and_closes_a_dead_follower),
        T(bounds_what_a_viewer_says),
        T(holds_back_who_reports_to_be_behind),
        T(asks_the_socket_of_who_reports_nothing),
        T(begins_with_the_rendition_that_is_wished_for),
        T(begins_with_the_best_where_the_line_decides),
        T(takes_no_nonsense_for_a_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
