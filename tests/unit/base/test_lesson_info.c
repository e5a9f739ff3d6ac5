// SPDX-License-Identifier: MIT
#include <glib/gstdio.h>
#include <string.h>

#include "tests/unit/check.h"

#include "common/base/lesson_info.h"

static gboolean merge(TkLessonInfo *info, const char *text, gboolean strict, GError **error)
{
    g_autoptr(json_t) object = tk_json_parse(text, strlen(text), 1 << 16, NULL);

    assert_non_null(object);
    return tk_lesson_info_merge_json(info, object, strict, error);
}

static void every_field_is_kept(void **state)
{
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();
    guint n = 0;

    for (const char *const *field = tk_lesson_info_fields(); *field; field++, n++) {
        assert_null(tk_lesson_info_get(info, *field));
        assert_true(tk_lesson_info_set(info, *field, *field, NULL));
    }
    assert_int_equal(n, sizeof(TkLessonInfo) / sizeof(char *));
    assert_string_equal(info->title, "title");
    assert_string_equal(info->description, "description");

    g_autoptr(json_t) object = tk_lesson_info_to_json(info);
    g_autoptr(TkLessonInfo) again = tk_lesson_info_new();
    assert_int_equal(json_object_size(object), n);
    assert_true(tk_lesson_info_merge_json(again, object, TRUE, NULL));
    assert_true(tk_lesson_info_equal(info, again));

    g_autoptr(TkLessonInfo) copy = tk_lesson_info_copy(info);
    assert_true(tk_lesson_info_equal(info, copy));
    assert_true(tk_lesson_info_set(copy, "room", "301", NULL));
    assert_false(tk_lesson_info_equal(info, copy));
}

static void nothing_is_cleared_by_nothing(void **state)
{
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();

    assert_true(tk_lesson_info_set(info, "title", "函数的单调性", NULL));
    assert_true(tk_lesson_info_set(info, "title", tk_lesson_info_get(info, "title"), NULL));
    assert_string_equal(info->title, "函数的单调性");
    assert_true(tk_lesson_info_set(info, "title", "", NULL));
    assert_null(info->title);
    assert_true(tk_lesson_info_set(info, "title", NULL, NULL));
    g_autoptr(json_t) object = tk_lesson_info_to_json(info);
    assert_int_equal(json_object_size(object), 0);
}

static void hostile_values_are_refused(void **state)
{
    static const char *const wrong[] = {"a\nb", "a\x1b[31m", "a\x7f",
                                        "\xff", "\xc2\x85",  "\xe2\x80\xa8"};
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();
    g_autoptr(GError) error = NULL;
    g_autofree char *longest = g_strnfill(TK_LESSON_INFO_MAX, 'a');
    g_autofree char *longer = g_strnfill(TK_LESSON_INFO_MAX + 1, 'a');

    assert_true(tk_lesson_info_set(info, "title", "keep", NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        assert_false(tk_lesson_info_set(info, "title", wrong[i], &error));
        check_error(error, TK_ERROR_INVALID);
    }
    assert_false(tk_lesson_info_set(info, "title", longer, &error));
    check_error(error, TK_ERROR_TOO_LARGE);
    assert_string_equal(info->title, "keep");
    assert_true(tk_lesson_info_set(info, "title", longest, NULL));
    assert_false(tk_lesson_info_set(info, "titel", "x", &error));
    check_contains(error->message, "title");
    check_error(error, TK_ERROR_INVALID);
    assert_null(tk_lesson_info_get(info, "titel"));
}

static void merging_patches(void **state)
{
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();

    assert_true(merge(info, "{\"title\":\"a\",\"grade\":\"高一\"}", TRUE, NULL));
    assert_true(merge(info, "{\"title\":\"b\",\"grade\":null}", TRUE, NULL));
    assert_string_equal(info->title, "b");
    assert_null(info->grade);
    assert_true(merge(info, "{\"id\":\"x\",\"deep\":{\"a\":[1]},\"grade\":\"高二\"}", FALSE, NULL));
    assert_string_equal(info->title, "b");
    assert_string_equal(info->grade, "高二");
}

static void bad_merges_change_nothing(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "\"title\"",
        "{\"title\":\"new\",\"id\":\"x\"}",
        "{\"title\":\"new\",\"grade\":7}",
        "{\"title\":\"new\",\"grade\":\"a\\nb\"}",
        "{\"title\":[\"new\"]}",
    };
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();

    assert_true(tk_lesson_info_set(info, "title", "old", NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        if (merge(info, wrong[i], TRUE, &error))
            fail_msg("%s was taken", wrong[i]);
        check_error(error, TK_ERROR_INVALID);
        assert_string_equal(info->title, "old");
        assert_null(info->grade);
    }
}

static gboolean load_text(TkLessonInfo *info, const char *text, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("tongke-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "lesson.conf", NULL);

    assert_true(g_file_set_contents(path, text, -1, NULL));
    gboolean good = tk_lesson_info_load(info, path, error);
    g_remove(path);
    g_rmdir(folder);
    return good;
}

static void key_files_load(void **state)
{
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();

    assert_true(tk_lesson_info_set(info, "room", "301", NULL));
    assert_true(load_text(info, "[lesson]\ntitle = 函数的单调性\nsubject=数学\n", NULL));
    assert_string_equal(info->title, "函数的单调性");
    assert_string_equal(info->subject, "数学");
    assert_string_equal(info->room, "301");
}

static void key_files_are_held_to_their_form(void **state)
{
    static const char *const wrong[] = {"[lesson]\ntitel=a\n", "[lesson]\ntitle=a\ntitle=b\n",
                                        "[lession]\ntitle=a\n", "[lesson]\ntitle=a\\nb\n",
                                        "title=a\n"};
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        if (load_text(info, wrong[i], &error))
            fail_msg("%s was taken", wrong[i]);
        check_contains(error->message, "lesson.conf");
        check_error(error, TK_ERROR_CONFIG);
        assert_null(info->title);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_is_kept),
        cmocka_unit_test(nothing_is_cleared_by_nothing),
        cmocka_unit_test(hostile_values_are_refused),
        cmocka_unit_test(merging_patches),
        cmocka_unit_test(bad_merges_change_nothing),
        cmocka_unit_test(key_files_load),
        cmocka_unit_test(key_files_are_held_to_their_form),
    };

    return cmocka_run_group_tests_name("base-lesson-info", tests, NULL, NULL);
}
