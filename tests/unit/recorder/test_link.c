// SPDX-License-Identifier: MIT
#include "common/web/link.h"

#include "tests/unit/check.h"

#include <libsoup/soup.h>

// A server that takes every WebSocket, and what a link to it went through.
typedef struct {
    SoupServer *server;
    GPtrArray *taken;
    GString *paths;
    char *url;
    SoupSession *session;
    TkWebTarget target;
    TkWebLink *link;
    guint tries;
    gboolean drop_while_trying;
    char *why;
    GMainLoop *loop;
} Bench;

static void on_socket(SoupServer *server, SoupServerMessage *message, const char *path,
                      SoupWebsocketConnection *connection, void *user)
{
    Bench *bench = user;
    GUri *uri = soup_server_message_get_uri(message);
    g_string_append_printf(bench->paths, "%s ", g_uri_get_query(uri));
    g_ptr_array_add(bench->taken, g_object_ref(connection));
    soup_websocket_connection_send_text(connection, "hello");
}

static gboolean drop(void *user)
{
    Bench *bench = user;
    tk_web_link_drop(bench->link, "changed its mind");
    return G_SOURCE_REMOVE;
}

static char *link_path(void *user)
{
    Bench *bench = user;
    // Before any answer: at the next turn of the loop.
    if (bench->drop_while_trying && bench->tries == 0)
        g_idle_add_full(G_PRIORITY_HIGH, drop, bench, NULL);
    return g_strdup_printf("/live/x?from=%u", ++bench->tries);
}

static void link_text(void *user, const char *text, gsize length)
{
    Bench *bench = user;
    g_main_loop_quit(bench->loop);
}

static void link_binary(void *user, GBytes *message) {}

static void link_down(void *user, guint status, guint code, const char *why)
{
    Bench *bench = user;
    g_free(bench->why);
    bench->why = g_strdup(why);
}

static const TkWebLinkHandler handler = {link_path, link_text, link_binary, link_down};

static int bench_begin(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    bench->loop = g_main_loop_new(NULL, FALSE);
    bench->taken = g_ptr_array_new_with_free_func(g_object_unref);
    bench->paths = g_string_new(NULL);
    bench->server = soup_server_new(NULL, NULL);
    soup_server_add_websocket_handler(bench->server, NULL, NULL, NULL, on_socket, bench, NULL);
    assert_true(soup_server_listen_local(bench->server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, NULL));
    GSList *uris = soup_server_get_uris(bench->server);
    bench->url = g_strdup_printf("http://127.0.0.1:%d", g_uri_get_port(uris->data));
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    bench->session = tk_web_session_new("test");
    bench->target =
        (TkWebTarget){.session = bench->session, .relay_url = bench->url, .token_file = ""};
    *state = bench;
    return 0;
}

static int bench_end(void **state)
{
    Bench *bench = *state;
    tk_web_link_free(bench->link);
    g_ptr_array_unref(bench->taken);
    soup_session_abort(bench->session);
    g_object_unref(bench->session);
    soup_server_disconnect(bench->server);
    g_object_unref(bench->server);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_string_free(bench->paths, TRUE);
    g_main_loop_unref(bench->loop);
    g_free(bench->url);
    g_free(bench->why);
    g_free(bench);
    return 0;
}

static void test_it_connects(void **state)
{
    Bench *bench = *state;
    bench->link = tk_web_link_new(&bench->target, &handler, bench);
    g_main_loop_run(bench->loop);
    assert_true(tk_web_link_connected(bench->link));
    assert_string_equal(bench->paths->str, "from=1 ");
}

static void test_what_is_dropped_while_it_connects_is_asked_for_anew(void **state)
{
    Bench *bench = *state;
    bench->drop_while_trying = TRUE;
    bench->link = tk_web_link_new(&bench->target, &handler, bench);
    g_main_loop_run(bench->loop);
    assert_true(tk_web_link_connected(bench->link));
    assert_int_equal(bench->tries, 2);
    assert_string_equal(bench->why, "changed its mind");
    assert_true(g_str_has_suffix(bench->paths->str, "from=2 "));
}

static void test_what_is_dropped_is_connected_again(void **state)
{
    Bench *bench = *state;
    bench->link = tk_web_link_new(&bench->target, &handler, bench);
    g_main_loop_run(bench->loop);
    tk_web_link_drop(bench->link, "enough");
    assert_false(tk_web_link_connected(bench->link));
    g_main_loop_run(bench->loop);
    assert_string_equal(bench->why, "enough");
    assert_string_equal(bench->paths->str, "from=1 from=2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_connects, bench_begin, bench_end),
        cmocka_unit_test_setup_teardown(test_what_is_dropped_while_it_connects_is_asked_for_anew,
                                        bench_begin, bench_end),
        cmocka_unit_test_setup_teardown(test_what_is_dropped_is_connected_again, bench_begin,
                                        bench_end),
    };
    return cmocka_run_group_tests_name("web link", tests, NULL, NULL);
}
