// SPDX-License-Identifier: MIT
// Deletions: what is noted is gone, and what is not noted stays.
#include "recorder/library/remove.h"
#include "recorder/retain.h"
#include "recorder/scan.h"
#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *data, *folder, *leaving, *notes;
    ShelfIndex *index;
    RecLesson *lesson;
} Shelf;

static void *shelf_new(void)
{
    Shelf *shelf = g_new0(Shelf, 1);
    g_autofree char *id = tk_ulid_new(LESSON_WALL_NS);
    gboolean fresh;

    shelf->data = lesson_folder_new();
    shelf->notes = g_build_filename(shelf->data, "deletions.jsonl", NULL);
    shelf->index = shelf_index_open(shelf->data, &fresh, NULL);
    shelf->lesson = rec_lesson_new(id, "math");
    shelf->lesson->state = REC_STATE_CLOSED;
    shelf->lesson->started_ns = LESSON_WALL_NS;
    shelf->folder = rec_folder_path(shelf->data, id);
    shelf->leaving = g_strconcat(shelf->folder, SHELF_DELETED_SUFFIX, NULL);
    assert_true(rec_folder_make(shelf->folder, NULL));
    assert_true(rec_lesson_save(shelf->lesson, shelf->folder, NULL));
    assert_true(shelf_index_put(shelf->index, shelf->lesson, NULL, NULL));
    return shelf;
}

static void shelf_clear(Shelf *shelf)
{
    shelf_index_free(shelf->index);
    rec_lesson_free(shelf->lesson);
    lesson_folder_free(shelf->data);
    g_free(shelf->folder);
    g_free(shelf->leaving);
    g_free(shelf->notes);
    g_free(shelf);
}

static gboolean there(const char *path)
{
    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static gboolean listed(const Shelf *shelf)
{
    g_autoptr(RecLesson) found = shelf_index_get(shelf->index, shelf->lesson->id, NULL);
    return found != NULL;
}

static gboolean removed(const Shelf *shelf, GError **error)
{
    return shelf_remove(shelf->data, shelf->index, shelf->lesson, "county", "a test", error);
}

static void scan(const Shelf *shelf)
{
    RecScanCounts counts;
    assert_true(rec_scan(shelf->data, shelf->index, FALSE, NULL, NULL, &counts, NULL));
}

// The recording is as it was, and nobody says that it was deleted.
static void stands(const Shelf *shelf)
{
    g_autofree char *file = g_build_filename(shelf->folder, REC_LESSON_FILE, NULL);
    assert_true(there(file));
    assert_true(listed(shelf));
    assert_false(shelf_was_deleted(shelf->data, shelf->lesson->id));
}

static void gone(const Shelf *shelf)
{
    assert_false(there(shelf->folder));
    assert_false(there(shelf->leaving));
    assert_false(listed(shelf));
    assert_true(shelf_was_deleted(shelf->data, shelf->lesson->id));
}

static void check_removed(void **state)
{
    Shelf *shelf = shelf_new();
    g_autofree char *text = NULL;

    stands(shelf);
    assert_true(removed(shelf, NULL));
    gone(shelf);
    assert_true(g_file_get_contents(shelf->notes, &text, NULL, NULL));
    check_contains(text, "\"reason\":\"a test\",\"by\":\"county\"");
    // Again, by who has not heard of it: there is nothing left to take away.
    assert_true(removed(shelf, NULL));
    shelf_clear(shelf);
}

static void check_a_failure_changes_nothing(void **state)
{
    Shelf *shelf = shelf_new();
    g_autofree char *foreign = g_build_filename(shelf->leaving, "notes.txt", NULL);
    g_autoptr(GError) error = NULL;

    // The name that it would leave by is taken.
    assert_int_equal(g_mkdir(shelf->leaving, 0755), 0);
    assert_true(g_file_set_contents(foreign, "mine", -1, NULL));
    assert_false(removed(shelf, &error));
    check_error(error, TK_ERROR_IO);
    assert_false(there(shelf->notes));
    scan(shelf);
    stands(shelf);
    assert_true(there(foreign));
    g_unlink(foreign);
    g_rmdir(shelf->leaving);

    // The note cannot be written.
    assert_int_equal(g_mkdir(shelf->notes, 0755), 0);
    assert_false(removed(shelf, &error));
    check_error(error, TK_ERROR_IO);
    stands(shelf);
    g_rmdir(shelf->notes);
    assert_true(removed(shelf, NULL));
    gone(shelf);
    shelf_clear(shelf);
}

// Killed between its two steps, or while the note was being written: nobody was told that it is
// gone, so it is not.
static void check_cut_off_before_the_note(void **state)
{
    Shelf *shelf = shelf_new();
    g_autofree char *torn =
        g_strdup_printf("{\"time\":\"2026-11-22T12:00:00Z\",\"id\":\"%s\"}", shelf->lesson->id);
    g_autofree char *other = g_strdup_printf(
        "{\"id\":\"01KAN0000000000000000000AA\",\"reason\":\"twice: %s\"}\n", shelf->lesson->id);
    g_autofree char *text = NULL;

    const char *const notes[] = {NULL, torn, other};
    for (gsize i = 0; i < G_N_ELEMENTS(notes); i++) {
        g_unlink(shelf->notes);
        assert_true(!notes[i] || g_file_set_contents(shelf->notes, notes[i], -1, NULL));
        assert_int_equal(g_rename(shelf->folder, shelf->leaving), 0);
        scan(shelf);
        stands(shelf);
    }
    // The next note does not hang on what was torn.
    assert_true(g_file_set_contents(shelf->notes, torn, -1, NULL));
    assert_true(removed(shelf, NULL));
    gone(shelf);
    assert_true(g_file_get_contents(shelf->notes, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    assert_int_equal(g_strv_length(lines), 3); // the last one is empty
    assert_string_equal(lines[0], torn);
    shelf_clear(shelf);
}

static void check_cut_off_behind_the_note(void **state)
{
    Shelf *shelf = shelf_new();
    g_autofree char *note = g_strdup_printf(
        "{\"id\":\"01KAN0000000000000000000AA\"}\n{\"id\":\"%s\"}\n", shelf->lesson->id);
    g_autofree char *stranger = g_strconcat(shelf->data, "/lessons/2026/11/old.deleted", NULL);

    assert_true(g_file_set_contents(shelf->notes, note, -1, NULL));
    assert_int_equal(g_rename(shelf->folder, shelf->leaving), 0);
    g_mkdir_with_parents(stranger, 0755);
    scan(shelf);
    gone(shelf);
    assert_true(there(stranger));
    shelf_clear(shelf);
}

#define DAY_NS (86400 * TK_NS_PER_S)

static RecLesson *old_lesson(const Shelf *shelf)
{
    g_autofree char *id = tk_ulid_new(LESSON_WALL_NS);
    g_autofree char *folder = rec_folder_path(shelf->data, id);
    RecLesson *lesson = rec_lesson_new(id, "old");

    lesson->state = REC_STATE_CLOSED;
    lesson->started_ns = tk_clock_wall_ns() - 40 * DAY_NS;
    assert_true(rec_folder_make(folder, NULL));
    assert_true(rec_lesson_save(lesson, folder, NULL));
    assert_true(shelf_index_put(shelf->index, lesson, NULL, NULL));
    return lesson;
}

static void check_one_stuck_stops_no_other(void **state)
{
    Shelf *shelf = shelf_new();
    g_autoptr(RecLesson) stuck = old_lesson(shelf), free = old_lesson(shelf);
    g_autofree char *folder = rec_folder_path(shelf->data, stuck->id);
    g_autofree char *taken = g_strdup_printf("%s%s/x", folder, SHELF_DELETED_SUFFIX);
    const RecRetention rules = {.days = 30};
    RecRetainCounts counts;

    assert_int_equal(g_mkdir_with_parents(taken, 0755), 0);
    for (guint round = 0; round < 2; round++) {
        assert_true(
            rec_retain_run(shelf->data, shelf->index, &rules, FALSE, NULL, NULL, &counts, NULL));
        assert_int_equal(counts.due, round == 0 ? 2 : 1);
        assert_int_equal(counts.failed, 1);
        assert_false(shelf_was_deleted(shelf->data, stuck->id));
        assert_true(shelf_was_deleted(shelf->data, free->id));
        assert_true(there(folder));
    }
    shelf_clear(shelf);
}

static guint scanned(const Shelf *shelf)
{
    RecScanCounts counts;
    assert_true(rec_scan(shelf->data, shelf->index, FALSE, NULL, NULL, &counts, NULL));
    return counts.put;
}

// What somebody decided stands in the folder, and the index has not heard of it.
static void check_an_older_index_decides_nothing(void **state)
{
    Shelf *shelf = shelf_new();
    g_autoptr(RecLesson) lesson = old_lesson(shelf), found = NULL;
    g_autofree char *folder = rec_folder_path(shelf->data, lesson->id);
    g_autofree char *file = g_build_filename(folder, REC_LESSON_FILE, NULL);
    const RecRetention rules = {.days = 30};
    RecRetainCounts counts;

    assert_int_equal(scanned(shelf), 2);
    assert_int_equal(scanned(shelf), 0); // as it was
    lesson->verdict.keep = TRUE;
    assert_true(rec_lesson_save(lesson, folder, NULL));
    assert_true(
        rec_retain_run(shelf->data, shelf->index, &rules, FALSE, NULL, NULL, &counts, NULL));
    assert_int_equal(counts.due, 0);
    assert_int_equal(scanned(shelf), 1);
    found = shelf_index_get(shelf->index, lesson->id, NULL);
    assert_true(found->verdict.keep);

    // Nobody can tell: it stays.
    lesson->verdict.keep = FALSE;
    assert_true(shelf_index_put(shelf->index, lesson, NULL, NULL));
    assert_true(g_file_set_contents(file, "{", -1, NULL));
    assert_true(
        rec_retain_run(shelf->data, shelf->index, &rules, FALSE, NULL, NULL, &counts, NULL));
    assert_int_equal(counts.due, 0);
    assert_true(there(folder));
    shelf_clear(shelf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_removed),
        cmocka_unit_test(check_a_failure_changes_nothing),
        cmocka_unit_test(check_cut_off_before_the_note),
        cmocka_unit_test(check_cut_off_behind_the_note),
        cmocka_unit_test(check_one_stuck_stops_no_other),
        cmocka_unit_test(check_an_older_index_decides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
