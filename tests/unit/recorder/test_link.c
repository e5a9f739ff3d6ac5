// SPDX-License-Identifier: MIT
#include "common/web/link.h"

#include "tests/unit/check.h"

// A server that hears what is asked of it and never answers.
typedef struct {
    GPtrArray *open;
    TkWebLink *link;
    guint tries;
    char *why;
    GMainLoop *loop;
} Bench;

static gboolean on_incoming(GSocketService *service, GSocketConnection *connection, GObject *source,
                            gpointer user)
{
    Bench *bench = user;
    g_ptr_array_add(bench->open, g_object_ref(connection));
    if (bench->tries == 2)
        g_main_loop_quit(bench->loop);
    else
        tk_web_link_drop(bench->link, "changed its mind");
    return TRUE;
}

static char *link_path(void *user)
{
    Bench *bench = user;
    return g_strdup_printf("/live/x?from=%u", ++bench->tries);
}

static void link_text(void *user, const char *text, gsize length) {}

static void link_binary(void *user, GBytes *message) {}

static void link_down(void *user, guint status, guint code, const char *why)
{
    Bench *bench = user;
    g_free(bench->why);
    bench->why = g_strdup(why);
}

static void test_a_try_that_is_dropped_is_asked_for_anew(void **state)
{
    static const TkWebLinkHandler handler = {link_path, link_text, link_binary, link_down};
    Bench bench = {.loop = g_main_loop_new(NULL, FALSE),
                   .open = g_ptr_array_new_with_free_func(g_object_unref)};
    GSocketService *service = g_socket_service_new();
    guint16 port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(service), NULL, NULL);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u", port);
    SoupSession *session = tk_web_session_new("test");
    const TkWebTarget target = {.session = session, .relay_url = url, .token_file = ""};

    g_signal_connect(service, "incoming", G_CALLBACK(on_incoming), &bench);
    bench.link = tk_web_link_new(&target, &handler, &bench);
    g_main_loop_run(bench.loop);
    assert_string_equal(bench.why, "changed its mind");
    assert_false(tk_web_link_connected(bench.link));

    tk_web_link_free(bench.link);
    g_socket_service_stop(service);
    g_ptr_array_unref(bench.open);
    soup_session_abort(session);
    g_object_unref(session);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_object_unref(service);
    g_main_loop_unref(bench.loop);
    g_free(bench.why);
}

// A server that closes the first connection, and says nothing on others.
static void on_websocket(SoupServer *server, SoupServerMessage *message, const char *path,
                         SoupWebsocketConnection *connection, gpointer user)
{
    Bench *bench = user;
    if (bench->tries == 1)
        soup_websocket_connection_close(connection, SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
    g_ptr_array_add(bench->open, g_object_ref(connection));
}

static gboolean ask(void *data)
{
    tk_web_link_try_now(((Bench *)data)->link);
    return G_SOURCE_CONTINUE;
}

static void test_a_wait_or_a_silent_line_gives_way_to_a_try(void **state)
{
    static const TkWebLinkHandler handler = {link_path, link_text, link_binary, link_down};
    Bench bench = {.open = g_ptr_array_new_with_free_func(g_object_unref)};
    SoupServer *server = soup_server_new(NULL, NULL);
    SoupSession *session = tk_web_session_new("test");

    soup_server_add_websocket_handler(server, "/", NULL, NULL, on_websocket, &bench, NULL);
    assert_true(soup_server_listen_local(server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, NULL));
    GSList *uris = soup_server_get_uris(server);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%d", g_uri_get_port(uris->data));
    const TkWebTarget target = {.session = session, .relay_url = url, .token_file = ""};
    bench.link = tk_web_link_new(&target, &handler, &bench);
    while (!bench.why)
        g_main_context_iteration(NULL, TRUE);
    assert_int_equal(bench.tries, 1);
    // Without any wait.
    tk_web_link_try_now(bench.link);
    while (bench.tries == 1)
        assert_true(g_main_context_iteration(NULL, FALSE));
    while (!tk_web_link_connected(bench.link))
        g_main_context_iteration(NULL, TRUE);

    // Of one that was just opened more may be hoped for.
    g_clear_pointer(&bench.why, g_free);
    tk_web_link_try_now(bench.link);
    assert_true(tk_web_link_connected(bench.link));
    guint timer = g_timeout_add(100, ask, &bench);
    while (bench.tries == 2)
        g_main_context_iteration(NULL, TRUE);
    assert_string_equal(bench.why, "no sign of life from the relay");
    g_source_remove(timer);

    tk_web_link_free(bench.link);
    soup_server_disconnect(server);
    soup_session_abort(session);
    g_ptr_array_unref(bench.open);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    g_slist_free_full(uris, (GDestroyNotify)g_uri_unref);
    g_object_unref(session);
    g_object_unref(server);
    g_free(bench.why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_try_that_is_dropped_is_asked_for_anew),
        cmocka_unit_test(test_a_wait_or_a_silent_line_gives_way_to_a_try),
    };
    return cmocka_run_group_tests_name("web link", tests, NULL, NULL);
}
