// SPDX-License-Identifier: MIT
#include <string.h>

#include "tests/unit/check.h"

#include "client/player/options.h"
#include "client/player/receiver.h"

static PlayOptions *parse(GError **error, const char *a, const char *b, const char *c)
{
    const char *argv[] = {"tongke-player", a, b, c, NULL};

    return play_options_parse(a ? (b ? (c ? 4 : 3) : 2) : 1, (char **)argv, error);
}

static void defaults(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlayOptions) o = parse(&error, "rtsp://h:8554/math", NULL, NULL);

    assert_non_null(o);
    assert_string_equal(o->url, "rtsp://h:8554/math");
    assert_int_equal(o->latency_ms, 400);
    assert_int_equal(o->transport, PLAY_TRANSPORT_AUTO);
    assert_false(o->window);
    assert_null(o->video_sink);
}

static void options_are_taken(void **state)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(PlayOptions) o =
        parse(&error, "--latency=0", "--transport=tcp", "rtsp://h/math/slides");

    assert_non_null(o);
    assert_int_equal(o->latency_ms, 0);
    assert_int_equal(o->transport, PLAY_TRANSPORT_TCP);
}

static void nonsense_is_refused(void **state)
{
    static const char *const bad[][2] = {
        {NULL, NULL},
        {"http://h/math", NULL},
        {"rtsp://h/math", "rtsp://h/other"},
        {"--latency=-1", "rtsp://h/math"},
        {"--latency=10001", "rtsp://h/math"},
        {"--transport=pigeon", "rtsp://h/math"},
        {"rtsp://user:pass@h/math", NULL},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(PlayOptions) o = parse(&error, bad[i][0], bad[i][1], NULL);
        assert_null(o);
        assert_non_null(error);
    }
}

static void states_have_words(void **state)
{
    assert_string_equal(play_state_word(PLAY_CONNECTING), "connecting");
    assert_string_equal(play_state_word(PLAY_WAITING), "waiting");
    assert_string_equal(play_state_word(PLAY_PLAYING), "playing");
    assert_string_equal(play_state_word(PLAY_SOUND), "sound");
    assert_string_equal(play_state_word(PLAY_RECONNECTING), "reconnecting");
    assert_string_equal(play_state_word(PLAY_REFUSED), "refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(states_have_words),
    };

    return cmocka_run_group_tests_name("player-options", tests, NULL, NULL);
}
