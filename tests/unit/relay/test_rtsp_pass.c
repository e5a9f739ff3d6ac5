// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <glib/gstdio.h>

#include "common/base/clock.h"
#include "relay/net/rtsp_pass.h"

#define FIRST "01JD0000000000000000000001"
#define SECOND "01JD0000000000000000000002"
#define GOOD_FOR_S 100

typedef struct {
    RelayDoor *door;
    TkTokenKey *key;
    RelayLesson *first, *second; // one after the other at `math`
} Room;

static int set_up(void **state)
{
    Room *room = g_new0(Room, 1);
    g_autofree char *folder = g_dir_make_tmp("pass-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "key", NULL);
    room->key = tk_token_key_generate("HS256", NULL);
    assert_true(tk_token_key_save(room->key, path, FALSE, NULL));
    room->door = relay_door_new(path, NULL);
    assert_non_null(room->door);
    g_unlink(path);
    g_rmdir(folder);
    room->first = relay_lesson_new("math", FIRST, 0);
    room->second = relay_lesson_new("math", SECOND, 0);
    *state = room;
    return 0;
}

static int tear_down(void **state)
{
    Room *room = *state;
    relay_lesson_free(room->first);
    relay_lesson_free(room->second);
    relay_door_free(room->door);
    tk_token_key_free(room->key);
    g_free(room);
    return 0;
}

static RelayRtspPass admitted(const Room *room, TkRole role, char *to, GError **error)
{
    RelayRtspPass pass = {0};
    g_auto(RelayRtspUrl) url = {0};
    gint64 now_s = tk_clock_wall_ns() / TK_NS_PER_S;
    TkClaims claims = {.role = role, .lesson = to, .expires_s = now_s + GOOD_FOR_S};
    g_autofree char *token = tk_token_issue(room->key, &claims, NULL);
    g_autofree char *header = g_strconcat("Bearer ", token, NULL);
    assert_true(relay_rtsp_url_parse("rtsp://h/math", &url, NULL));
    (void)!relay_rtsp_pass_admit(&pass, room->door, room->first, &url, role, header, error);
    return pass;
}

// A later request on the same connection, without the token.
static gboolean again(RelayRtspPass *pass, const Room *room, const RelayLesson *lesson,
                      const char *uri, GError **error)
{
    g_auto(RelayRtspUrl) url = {0};
    assert_true(relay_rtsp_url_parse(uri, &url, NULL));
    return relay_rtsp_pass_admit(pass, room->door, lesson, &url, TK_ROLE_VIEWER, NULL, error);
}

static void a_room_is_let_in_to_for_all_its_lessons(void **state)
{
    Room *room = *state;
    g_autoptr(GError) error = NULL;
    RelayRtspPass pass = admitted(room, TK_ROLE_VIEWER, (char *)"math", NULL);
    assert_string_equal(pass.lesson, "math");
    assert_true(again(&pass, room, room->second, "rtsp://h/math", NULL));
    assert_true(again(&pass, room, NULL, "rtsp://h/math", NULL));
    assert_false(again(&pass, room, room->first, "rtsp://h/math/low", &error));
    check_error(error, TK_ERROR_INVALID);
    relay_rtsp_pass_clear(&pass);
}

static void a_token_for_one_lesson_is_none_for_the_next(void **state)
{
    Room *room = *state;
    g_autoptr(GError) error = NULL;
    RelayRtspPass pass = admitted(room, TK_ROLE_VIEWER, (char *)FIRST, NULL);
    assert_true(again(&pass, room, room->first, "rtsp://h/math", NULL));
    assert_false(again(&pass, room, room->second, "rtsp://h/math", &error));
    check_error(error, TK_ERROR_FORBIDDEN);
    assert_false(relay_rtsp_pass_holds(&pass, room->second, pass.expires_ns, NULL));
    assert_true(relay_rtsp_pass_holds(&pass, room->first, pass.expires_ns, NULL));
    relay_rtsp_pass_clear(&pass);
}

static void a_pass_ends_with_its_token(void **state)
{
    Room *room = *state;
    g_autoptr(GError) error = NULL;
    gint64 now_ns = tk_clock_monotonic_ns();
    RelayRtspPass pass = admitted(room, TK_ROLE_SENDER, (char *)"*", NULL);
    assert_false(relay_rtsp_pass_is_over(&pass, now_ns + (GOOD_FOR_S - 1) * TK_NS_PER_S));
    assert_true(relay_rtsp_pass_is_over(&pass, now_ns + 2 * GOOD_FOR_S * TK_NS_PER_S));
    assert_false(relay_rtsp_pass_holds(&pass, room->first, pass.expires_ns + 1, &error));
    check_error(error, TK_ERROR_UNAUTHORIZED);
    relay_rtsp_pass_clear(&pass);
}

static void who_is_refused_has_no_pass(void **state)
{
    Room *room = *state;
    g_autoptr(GError) error = NULL;
    RelayRtspPass pass = admitted(room, TK_ROLE_VIEWER, (char *)SECOND, &error);
    check_error(error, TK_ERROR_FORBIDDEN);
    assert_null(pass.lesson);
    assert_null(pass.claims);
}

static void an_open_door_asks_nobody(void **state)
{
    Room *room = *state;
    RelayRtspPass pass = {0};
    relay_door_free(room->door);
    room->door = relay_door_new(NULL, NULL);
    assert_true(again(&pass, room, room->first, "rtsp://h/math", NULL));
    assert_true(again(&pass, room, room->second, "rtsp://h/math", NULL));
    assert_false(relay_rtsp_pass_is_over(&pass, G_MAXINT64));
    relay_rtsp_pass_clear(&pass);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_room_is_let_in_to_for_all_its_lessons),
        T(a_token_for_one_lesson_is_none_for_the_next),
        T(a_pass_ends_with_its_token),
        T(who_is_refused_has_no_pass),
        T(an_open_door_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
