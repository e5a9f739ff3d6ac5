// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/net/lessons.h"

#define FIRST "01JDAAAAAAAAAAAAAAAAAAAAAA"
#define SECOND "01JDBBBBBBBBBBBBBBBBBBBBBB"

static RelayHandoff nobody; // without workers: lessons of no streams

static RelayLessons *lessons_new(guint max)
{
    return relay_lessons_new(&nobody, NULL, &(RelayLessonsLimits){.lessons_max = max});
}

static gboolean mirror(RelayLessons *lessons, const char *id, const char *title)
{
    g_autoptr(json_t) info = json_object();
    tk_json_set_string(info, "title", title);
    RelayMirrored mirrored = {.id = id, .name = "math", .started_wall_ns = 1, .info = info};
    return relay_lessons_mirror(lessons, &mirrored, NULL);
}

static const char *title_of(RelayLessons *lessons, const char *id)
{
    return relay_lessons_find(lessons, id)->info->title;
}

static void takes_a_lesson_without_a_record_that_it_cannot_keep(void **state)
{
    RelayLessons *lessons = lessons_new(1);
    g_autofree char *more = g_strnfill(TK_LESSON_INFO_MAX + 1, 'x');
    assert_true(mirror(lessons, FIRST, more));
    assert_null(title_of(lessons, FIRST));
    assert_true(mirror(lessons, FIRST, "Functions"));
    assert_true(mirror(lessons, FIRST, more));
    assert_string_equal(title_of(lessons, FIRST), "Functions");
    assert_int_equal(relay_lessons_find(lessons, FIRST)->state, RELAY_LESSON_LIVE);
    relay_lessons_free(lessons);
}

static void gives_name_and_place_free_when_a_lesson_ends(void **state)
{
    RelayLessons *lessons = lessons_new(1);
    assert_true(mirror(lessons, FIRST, "Functions"));
    assert_false(mirror(lessons, SECOND, "Sets"));
    assert_null(relay_lessons_find(lessons, SECOND));
    relay_lessons_end_mirrored(lessons, FIRST);
    assert_int_equal(relay_lessons_running(lessons, NULL), 0);
    assert_true(mirror(lessons, SECOND, "Sets"));
    assert_string_equal(title_of(lessons, "math"), "Sets");
    relay_lessons_free(lessons);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_lesson_without_a_record_that_it_cannot_keep),
        cmocka_unit_test(gives_name_and_place_free_when_a_lesson_ends),
    };
    return cmocka_run_group_tests_name("lessons", tests, NULL, NULL);
}
