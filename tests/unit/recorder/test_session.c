// SPDX-License-Identifier: MIT
// How a stream is followed to its end, with a relay's side of the WebSocket that says what a relay
// may say, at the moment that matters.
#include "recorder/session.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <string.h>
#include <unistd.h>

#define ID "01KAN0000000000000000000AA"
#define STUCK_S 60 // by then a test that waits will wait for ever

typedef struct _Bench Bench;

struct _Bench {
    SoupServer *server;
    SoupSession *web;
    char *url, *folder;
    TkWebTarget target;
    RecWriter *writer;
    RecSession *session;
    gboolean closed;

    // What the relay says to the recorder's n-th connection, which wants all from chunk `from` on.
    void (*answer)(Bench *bench, guint n, guint from);
    guint connections;
    SoupWebsocketConnection *connection; // the newest
};

static LessonPieces *pieces;

static int setup(void **state)
{
    pieces = lesson_make(2, 0, 1, 128);
    return 0;
}

static int teardown(void **state)
{
    lesson_free(pieces);
    return 0;
}

static gboolean stuck(void *data)
{
    fail_msg("nothing more happens");
    return G_SOURCE_REMOVE;
}

// Until `condition` holds, which is looked at after whatever happens.
#define until(condition)                                                                           \
    do {                                                                                           \
        guint guard_ = g_timeout_add_seconds(STUCK_S, stuck, NULL);                                \
        while (!(condition))                                                                       \
            g_main_context_iteration(NULL, TRUE);                                                  \
        g_source_remove(guard_);                                                                   \
    } while (0)

static void say_state(Bench *bench, const char *state)
{
    g_autofree char *text =
        g_strdup_printf("{\"type\":\"state\",\"stream\":\"main\",\"state\":\"%s\"}", state);
    soup_websocket_connection_send_text(bench->connection, text);
}

// Chunks [from, to), numbered from 1.
static void say_chunks(Bench *bench, guint from, guint to)
{
    for (guint i = from; i < to; i++)
        soup_websocket_connection_send_message(bench->connection, SOUP_WEBSOCKET_DATA_BINARY,
                                               pieces->chunks->pdata[i - 1]);
}

static void say_live(Bench *bench, guint from, guint to)
{
    say_state(bench, "live");
    soup_websocket_connection_send_message(bench->connection, SOUP_WEBSOCKET_DATA_BINARY,
                                           pieces->init);
    say_chunks(bench, from, to);
}

static void say_end(Bench *bench)
{
    say_state(bench, "ended");
    soup_websocket_connection_close(bench->connection, SOUP_WEBSOCKET_CLOSE_NORMAL, NULL);
}

// As a relay that goes away.
static void hang_up(Bench *bench)
{
    soup_websocket_connection_close(bench->connection, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
}

static void on_websocket(SoupServer *server, SoupServerMessage *message, const char *path,
                         SoupWebsocketConnection *connection, gpointer user)
{
    Bench *bench = user;
    const char *query = g_uri_get_query(soup_server_message_get_uri(message));

    assert_string_equal(path, "/live/" ID "/main");
    assert_true(g_str_has_prefix(query, "from="));
    g_set_object(&bench->connection, connection);
    bench->answer(bench, ++bench->connections, (guint)g_ascii_strtoull(query + 5, NULL, 10));
}

static void on_closed(RecSession *session, void *user)
{
    ((Bench *)user)->closed = TRUE;
}

static void bench_init(Bench *bench, void (*answer)(Bench *, guint, guint))
{
    static const RecSessionHandler handler = {on_closed};
    g_autoptr(GError) error = NULL;

    *bench = (Bench){.answer = answer, .folder = lesson_folder_new()};
    bench->server = soup_server_new(NULL, NULL);
    soup_server_add_websocket_handler(bench->server, "/live", NULL, NULL, on_websocket, bench,
                                      NULL);
    assert_true(soup_server_listen_local(bench->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, &error));
    GSList *uris = soup_server_get_uris(bench->server);
    bench->url = g_strdup_printf("http://127.0.0.1:%d", g_uri_get_port(uris->data));
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    bench->web = tk_web_session_new("test");
    bench->target = (TkWebTarget){bench->web, bench->url, ""};
    bench->writer = rec_writer_new(REC_WRITER_SYNC_MS_MAX);
    RecLesson *lesson = rec_lesson_new(ID, "math");
    rec_lesson_stream(lesson, "main", TRUE);
    bench->session =
        rec_session_new(lesson, bench->folder, "*", bench->writer, &bench->target, &handler, bench);
}

static void bench_clear(Bench *bench)
{
    rec_session_free(bench->session);
    rec_writer_free(bench->writer);
    soup_session_abort(bench->web);
    soup_server_disconnect(bench->server);
    g_clear_object(&bench->connection);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_object_unref(bench->web);
    g_object_unref(bench->server);
    g_free(bench->url);
    lesson_folder_free(bench->folder);
}

// How many chunks the session knows of: they make a tenth of a second each.
static guint chunks(const Bench *bench)
{
    const RecStream *stream = rec_session_lesson(bench->session)->streams->pdata[0];
    return (guint)((stream->end_ns + 50000000) / 100000000);
}

// Chunks 1 … count stand in the index, each once.
static void check_recorded(const Bench *bench, guint count)
{
    g_auto(RecRecovered) recovered = {0};
    assert_true(rec_recover_stream(bench->folder, "main", &recovered, NULL));
    assert_int_equal(recovered.entries->len, count + 1);
    for (guint i = 1; i <= count; i++)
        assert_int_equal(g_array_index(recovered.entries, RecEntry, i).sequence, i);
    assert_int_equal(recovered.found, 0);
}

static void answer_restarted(Bench *bench, guint n, guint from)
{
    if (n == 1)
        say_live(bench, from, 6);
    else if (n == 2) // the relay is back, the sender is not
        say_end(bench);
    else
        say_live(bench, from, 11);
}

static void test_an_end_that_the_events_do_not_tell_is_none(void **state)
{
    Bench bench;
    bench_init(&bench, answer_restarted);
    until(chunks(&bench) == 5);
    hang_up(&bench);
    until(chunks(&bench) == 10);
    assert_int_equal(rec_session_lesson(bench.session)->state, REC_STATE_RECORDING);
    rec_session_end(bench.session, 0);
    say_end(&bench);
    until(bench.closed);
    check_recorded(&bench, 10);
    bench_clear(&bench);
}

static void note(void *user)
{
    *(gboolean *)user = TRUE;
}

static void answer_live(Bench *bench, guint n, guint from)
{
    assert_int_equal(n, 1);
    say_live(bench, from, 11);
}

// The stream's end comes before the events': nobody is asked again.
static void test_the_end_closes_at_once(void **state)
{
    Bench bench;
    bench_init(&bench, answer_live);
    until(chunks(&bench) == 10);
    say_end(&bench);
    until(rec_session_lesson(bench.session)->state == REC_STATE_GAP);
    rec_session_end(bench.session, 0);
    soup_server_disconnect(bench.server);
    until(bench.closed);
    check_recorded(&bench, 10);
    bench_clear(&bench);
}

// A line that is away longer at the end than is waited for a relay that is there.
static void answer_late(Bench *bench, guint n, guint from)
{
    if (n == 1) {
        say_live(bench, from, 6);
    } else if (n < 6) { // 0, 1, 3 and 7 s after the end; the next is 15 s after it
        hang_up(bench);
    } else {
        say_live(bench, from, 11);
        say_end(bench);
    }
}

static void test_the_end_is_waited_for_while_the_relay_is_away(void **state)
{
    Bench bench;
    bench_init(&bench, answer_late);
    until(chunks(&bench) == 5);
    hang_up(&bench);
    until(rec_session_lesson(bench.session)->state == REC_STATE_GAP);
    rec_session_end(bench.session, 0);
    until(bench.closed);
    assert_int_equal(bench.connections, 6);
    check_recorded(&bench, 10);
    bench_clear(&bench);
}

static void edit(Bench *bench, const char *key, const char *value)
{
    g_autoptr(json_t) edits = json_object();
    tk_json_set_string(edits, key, value);
    assert_true(rec_session_edit(bench->session, edits, NULL));
}

// What was answered with yes while the recording is sealed, and after it, stands in lesson.json
// when the session is gone.
static void test_edits_while_it_closes_are_kept(void **state)
{
    Bench bench;
    bench_init(&bench, answer_live);
    until(chunks(&bench) == 10);
    rec_session_end(bench.session, 0);
    edit(&bench, "grade", "高一");
    say_end(&bench);
    const RecLesson *lesson = rec_session_lesson(bench.session);
    until(lesson->state == REC_STATE_CLOSED);
    edit(&bench, "title", "函数");
    until(bench.closed);
    g_autoptr(RecLesson) kept = rec_lesson_load(bench.folder, NULL);
    assert_non_null(kept);
    assert_int_equal(kept->state, REC_STATE_CLOSED);
    assert_non_null(kept->info->title);
    assert_string_equal(kept->info->title, "函数");
    assert_string_equal(kept->info->grade, "高一");
    bench_clear(&bench);
}

// And while it is sealed, which takes as long as it takes: at once.
static void test_an_edit_does_not_wait_for_the_seal(void **state)
{
    Bench bench;
    bench_init(&bench, answer_live);
    until(chunks(&bench) == 10);
    say_end(&bench);
    until(rec_session_lesson(bench.session)->state == REC_STATE_GAP);
    rec_session_end(bench.session, 0);
    edit(&bench, "title", "函数");
    gboolean written = FALSE;
    rec_writer_after(bench.writer, note, &written);
    until(written);
    g_autoptr(RecLesson) kept = rec_lesson_load(bench.folder, NULL);
    assert_non_null(kept->info->title);
    assert_string_equal(kept->info->title, "函数");
    until(bench.closed);
    bench_clear(&bench);
}

// The media file becomes one that takes all and can sync nothing: a pipe, whose reading end is
// given back.
static int media_break(const Bench *bench)
{
    g_autofree char *media = rec_stream_path(bench->folder, "main", "mp4");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    for (int fd = 0; fd < 1024; fd++) {
        g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
        g_autofree char *path = g_file_read_link(link, NULL);
        if (g_strcmp0(path, media) == 0)
            assert_int_equal(dup2(ends[1], fd), fd);
    }
    close(ends[1]);
    return ends[0];
}

static void answer_again(Bench *bench, guint n, guint from)
{
    say_live(bench, from, n == 1 ? 11 : 16);
    if (n == 2)
        say_end(bench);
}

static void test_what_cannot_be_synced_at_the_end_is_fetched_again(void **state)
{
    Bench bench;
    RecWriterStats stats;
    gboolean durable = FALSE;
    bench_init(&bench, answer_again);
    until(chunks(&bench) == 10);
    rec_writer_after(bench.writer, note, &durable);
    until(durable);
    int end = media_break(&bench);
    rec_session_end(bench.session, 0);
    say_chunks(&bench, 11, 16);
    say_end(&bench);
    until(bench.closed);
    check_recorded(&bench, 15);
    rec_writer_stats(bench.writer, &stats);
    assert_int_equal(stats.failures, 1);
    g_auto(RecRecovered) recovered = {0};
    g_autoptr(RecLesson) told = rec_lesson_load(bench.folder, NULL);
    assert_true(rec_recover_stream(bench.folder, "main", &recovered, NULL));
    assert_int_equal(rec_lesson_bytes(told), recovered.media_bytes);
    bench_clear(&bench);
    close(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_end_that_the_events_do_not_tell_is_none),
        cmocka_unit_test(test_the_end_closes_at_once),
        cmocka_unit_test(test_edits_while_it_closes_are_kept),
        cmocka_unit_test(test_an_edit_does_not_wait_for_the_seal),
        cmocka_unit_test(test_what_cannot_be_synced_at_the_end_is_fetched_again),
        cmocka_unit_test(test_the_end_is_waited_for_while_the_relay_is_away),
    };
    return cmocka_run_group_tests_name("session", tests, setup, teardown);
}
