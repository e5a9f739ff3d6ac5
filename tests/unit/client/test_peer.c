// SPDX-License-Identifier: MIT
#include <glib/gstdio.h>
#include <gst/gst.h>
#include <string.h>

#include "tests/unit/check.h"

#include "client/peer/peer.h"

static void backoff_doubles_and_stops(void **state)
{
    const guint expected[] = {1, 2, 4, 8, 15, 15};

    for (guint i = 0; i < G_N_ELEMENTS(expected); i++)
        assert_int_equal(client_backoff_s(i, 15), expected[i]);
    assert_int_equal(client_backoff_s(G_MAXUINT, 15), 15);
    assert_int_equal(client_backoff_s(3, 5), 5);
}

static void urls(void **state)
{
    static const char *const good[] = {"rtsp://h/math", "rtsp://10.0.0.1:8554/math",
                                       "rtsp://h:1/math/slides", "rtsp://[::1]:8554/math"};
    static const char *const bad[] = {"",
                                      "math",
                                      "http://h/math",
                                      "rtsp:///math",
                                      "rtsp://h",
                                      "rtsp://h/",
                                      "rtsp://h/../etc",
                                      "rtsp://h/a/b/c",
                                      "rtsp://user:secret@h/math",
                                      "rtsp://h:99999/math"};
    GError *error = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
        if (!client_url_check(good[i], &error))
            fail_msg("%s was refused: %s", good[i], error->message);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        if (client_url_check(bad[i], &error))
            fail_msg("%s was taken", bad[i]);
        assert_non_null(error);
        assert_null(strstr(error->message, "secret"));
        g_clear_error(&error);
    }
}

static void token_comes_from_file_or_environment(void **state)
{
    g_autofree char *folder = g_dir_make_tmp("tongke-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "token", NULL);
    g_autofree char *long_text = g_strnfill(5000, 'a');
    static const char *const bad[] = {"", "\n", "two words\n", "two\nlines\n"};
    GError *error = NULL;
    char *token;

    g_unsetenv("TONGKE_TOKEN");
    assert_null(client_token_read(NULL, &error));
    assert_null(error);
    g_setenv("TONGKE_TOKEN", "from-environment", TRUE);
    token = client_token_read(NULL, &error);
    assert_string_equal(token, "from-environment");
    g_free(token);

    g_file_set_contents(path, "  a.b.c\n", -1, NULL);
    token = client_token_read(path, &error);
    assert_string_equal(token, "a.b.c");
    g_free(token);
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_file_set_contents(path, bad[i], -1, NULL);
        assert_null(client_token_read(path, &error));
        check_error(error, TK_ERROR_INVALID);
    }
    g_file_set_contents(path, long_text, -1, NULL);
    assert_null(client_token_read(path, &error));
    check_error(error, TK_ERROR_INVALID);
    g_unlink(path);
    assert_null(client_token_read(path, &error));
    assert_non_null(error);
    g_clear_error(&error);
    g_rmdir(folder);
    g_unsetenv("TONGKE_TOKEN");
}

static void choices(void **state)
{
    static const char *const words[] = {"auto", "udp", "tcp", NULL};
    GError *error = NULL;
    guint chosen = 7;

    assert_true(client_choose("transport", NULL, words, &chosen, &error));
    assert_int_equal(chosen, 7);
    assert_true(client_choose("transport", "tcp", words, &chosen, &error));
    assert_int_equal(chosen, 2);
    assert_false(client_choose("transport", "sctp", words, &chosen, &error));
    check_contains(error->message, "auto, udp, tcp");
    check_error(error, TK_ERROR_INVALID);
    assert_int_equal(chosen, 2);
}

static void errors_become_sentences(void **state)
{
    g_autoptr(GError) open =
        g_error_new_literal(GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ_WRITE, "technical");
    g_autoptr(GError) other = g_error_new_literal(GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE, "own");

    check_contains(client_error_sentence(open), "cannot be reached");
    assert_string_equal(client_error_sentence(other), "own");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backoff_doubles_and_stops),
        cmocka_unit_test(urls),
        cmocka_unit_test(token_comes_from_file_or_environment),
        cmocka_unit_test(choices),
        cmocka_unit_test(errors_become_sentences),
    };

    return cmocka_run_group_tests_name("client-peer", tests, NULL, NULL);
}
