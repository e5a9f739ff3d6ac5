// SPDX-License-Identifier: MIT
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/check.h"

#include "common/base/file.h"

static int make_folder(void **state)
{
    *state = g_dir_make_tmp("tongke-test-XXXXXX", NULL);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);

    g_remove(path);
    g_rmdir(*state);
    g_free(*state);
    return 0;
}

static void reads_whole_files(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    gsize length = 0;

    assert_true(g_file_set_contents(path, "a\0b", 3, NULL));
    g_autofree char *data = tk_file_read(path, 3, &length, NULL);
    assert_int_equal(length, 3);
    assert_memory_equal(data, "a\0b", 4);
    g_autofree char *again = tk_file_read(path, 3, NULL, NULL);
    assert_memory_equal(again, "a\0b", 4);
}

static void reads_empty_files(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    gsize length = 7;

    assert_true(g_file_set_contents(path, "", 0, NULL));
    g_autofree char *data = tk_file_read(path, 100, &length, NULL);
    assert_int_equal(length, 0);
    assert_string_equal(data, "");
}

static void refuses_long_files(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    g_autoptr(GError) error = NULL;
    gsize length = 7;

    assert_true(g_file_set_contents(path, "abcd", 4, NULL));
    assert_null(tk_file_read(path, 3, &length, &error));
    check_error(error, TK_ERROR_TOO_LARGE);
    assert_int_equal(length, 7);
}

static void names_a_missing_file(void **state)
{
    g_autofree char *path = g_build_filename(*state, "missing", NULL);
    g_autoptr(GError) error = NULL;
    gsize length;

    assert_null(tk_file_read(path, 3, &length, &error));
    check_contains(error->message, path);
    check_error(error, TK_ERROR_NOT_FOUND);
}

static void refuses_pipes_devices_and_folders(void **state)
{
    g_autofree char *path = g_build_filename(*state, "f", NULL);
    const char *const others[] = {path, "/dev/zero", *state};
    gsize length;

    assert_int_equal(mkfifo(path, 0600), 0);
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(tk_file_read(others[i], 3, &length, &error));
        check_error(error, TK_ERROR_IO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_whole_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(reads_empty_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_long_files, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(names_a_missing_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(refuses_pipes_devices_and_folders, make_folder,
                                        remove_folder),
    };

    return cmocka_run_group_tests_name("base-file", tests, NULL, NULL);
}
