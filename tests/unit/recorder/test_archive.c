// SPDX-License-Identifier: MIT
// What stands on the disk after anything that can happen to it.
#include "common/base/clock.h"
#include "recorder/archive/state.h"
#include "recorder/archive/writer.h"
#include "recorder/disk.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define ID "01KAN0000000000000000000AA"

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

static void check_crc(void **state)
{
    assert_int_equal(rec_crc32((const guint8 *)"123456789", 9), 0xCBF43926);
}

static void check_line(void **state)
{
    RecEntry entry = {.offset = 812,
                      .media_ns = 1,
                      .duration_ns = 2,
                      .wall_ns = 3,
                      .sequence = 7,
                      .bytes = 9,
                      .flags = REC_ENTRY_KEY,
                      .crc = 0xab};
    RecEntry back;
    g_autoptr(GString) line = g_string_new(NULL);
    rec_entry_format(&entry, line);
    assert_string_equal(line->str, "7 812 9 k 1 2 3 000000ab\n");
    assert_true(rec_entry_parse(line->str, line->len - 1, &back));
    assert_memory_equal(&back, &entry, sizeof entry);

    static const char *const bad[] = {
        "",
        "7 812 9 k 1 2 3",
        "7 812 9 k 1 2 3 000000ab x",
        "7 812 9 x 1 2 3 000000ab",
        "-7 812 9 k 1 2 3 000000ab",
        "7 812 9 k 1 2 3 ab",
        "7 812 0 k 1 2 3 000000ab",
        "7 812 99999999999 k 1 2 3 000000ab",
        "99999999999 812 9 k 1 2 3 000000ab",
        "7  812 9 k 1 2 3 000000ab",
    };
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++)
        if (rec_entry_parse(bad[i], strlen(bad[i]), &back))
            fail_msg("taken: %s", bad[i]);
}

static void check_gaps(void **state)
{
    g_autoptr(LessonPieces) later = lesson_make(1, 7, 21, 128), missed = lesson_make(1, 8, 50, 128);
    char *folder = lesson_folder_new();
    gboolean changed;
    lesson_store(folder, "main", pieces, TRUE, 0, 20);
    lesson_store(folder, "main", later, FALSE, 0, 10);
    lesson_store(folder, "main", missed, FALSE, 0, 10);
    g_autoptr(RecLesson) lesson = rec_recover_lesson(folder, ID, TRUE, &changed, NULL);
    assert_non_null(lesson);
    assert_int_equal(lesson->gaps->len, 2);
    const RecGap *away = lesson->gaps->pdata[0], *lost = lesson->gaps->pdata[1];
    assert_string_equal(away->reason, "sender-away");
    assert_int_equal(away->from_ns, 2 * TK_NS_PER_S);
    assert_int_equal(away->to_ns, 7 * TK_NS_PER_S);
    assert_int_equal(away->start_wall_ns, LESSON_WALL_NS + 2 * TK_NS_PER_S);
    assert_int_equal(away->end_wall_ns, LESSON_WALL_NS + 7 * TK_NS_PER_S);
    assert_string_equal(lost->reason, "missed");
    assert_int_equal(rec_lesson_duration_ns(lesson), 9 * TK_NS_PER_S);
    lesson_folder_free(folder);
}

// Pictures that were lost while sound went on: a gap with a name of its own, however the relay has
// packaged the sound, also when the index is made anew. It ends with a keyframe.
static void check_picture_gaps(void **state)
{
    static const struct {
        guint from, to;
        gboolean together;
        guint gaps;
    } cases[] = {{4, 10, TRUE, 1},  {2, 10, FALSE, 1}, {6, 10, FALSE, 0}, {6, 10, TRUE, 0},
                 {4, 15, FALSE, 0}, {4, 12, TRUE, 0},  {4, 20, FALSE, 0}};
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(LessonPieces) blind =
            lesson_blind(pieces, cases[i].from, cases[i].to, cases[i].together);
        char *folder = lesson_folder_new();
        g_autofree char *index = rec_stream_path(folder, "main", "index");
        g_autofree char *written = NULL, *anew = NULL;
        gboolean changed;
        lesson_store(folder, "main", blind, TRUE, 0, blind->chunks->len);
        g_autoptr(RecLesson) lesson = rec_recover_lesson(folder, ID, TRUE, &changed, NULL);
        assert_non_null(lesson);
        assert_int_equal(lesson->gaps->len, cases[i].gaps);
        if (cases[i].gaps) {
            const RecGap *gap = lesson->gaps->pdata[0];
            assert_string_equal(gap->reason, "no-picture");
            assert_int_equal(gap->from_ns, cases[i].from * TK_NS_PER_S / LESSON_FPS);
            assert_int_equal(gap->to_ns, cases[i].to * TK_NS_PER_S / LESSON_FPS);
            assert_int_equal(gap->start_wall_ns, LESSON_WALL_NS + gap->from_ns);
            assert_int_equal(gap->end_wall_ns, LESSON_WALL_NS + gap->to_ns);
            assert_string_equal(rec_gap_reason("no-picture"), gap->reason);
        }
        assert_true(g_file_get_contents(index, &written, NULL, NULL));
        g_unlink(index);
        lesson_recover(folder);
        assert_true(g_file_get_contents(index, &anew, NULL, NULL));
        assert_string_equal(written, anew);
        lesson_folder_free(folder);
    }
}

// Sound that is missing, too, while pictures are.
static void check_gaps_overlap(void **state)
{
    g_autoptr(LessonPieces) blind = lesson_blind(pieces, 2, 10, FALSE);
    static const guint lost[][2] = {{2, 4}, {5, 7}, {8, 10}};
    for (guint i = 0; i < G_N_ELEMENTS(lost); i++) {
        char *folder = lesson_folder_new();
        gboolean changed;
        lesson_store(folder, "main", blind, TRUE, 0, lost[i][0]);
        lesson_store(folder, "main", blind, FALSE, lost[i][1], 20 - lost[i][1]);
        g_autoptr(RecLesson) lesson = rec_recover_lesson(folder, ID, TRUE, &changed, NULL);
        gboolean joined = lost[i][1] == 10;
        assert_int_equal(lesson->gaps->len, joined ? 1 : 2);
        const RecGap *first = lesson->gaps->pdata[0];
        assert_int_equal(first->from_ns, TK_NS_PER_S / 5);
        assert_string_equal(first->reason, i == 1 ? "no-picture" : "missed");
        const RecGap *last = lesson->gaps->pdata[lesson->gaps->len - 1];
        assert_string_equal(last->reason, i == 0 ? "no-picture" : "missed");
        lesson_folder_free(folder);
    }
}

static void check_lesson_json(void **state)
{
    char *folder = lesson_folder_new();
    gboolean changed;
    g_autoptr(GError) error = NULL;
    g_autoptr(RecLesson) lesson = rec_lesson_new(ID, "math");
    g_autoptr(json_t) edits = json_pack("{s:s}", "title", "函数的单调性");
    lesson->started_ns = LESSON_WALL_NS;
    lesson->state = REC_STATE_RECORDING;
    assert_true(rec_lesson_edit(lesson, edits, NULL));
    lesson_store(folder, "main", pieces, TRUE, 0, 20);
    assert_true(rec_lesson_save(lesson, folder, NULL));

    // Left open by a crash: what the media has is counted.
    g_autoptr(RecLesson) open = rec_recover_lesson(folder, ID, FALSE, &changed, NULL);
    assert_true(changed);
    assert_int_equal(open->state, REC_STATE_SALVAGED);
    assert_int_equal(rec_lesson_duration_ns(open), 2 * TK_NS_PER_S);
    assert_string_equal(open->info->title, "函数的单调性");

    // What was set by hand stays when the relay says something else.
    g_autoptr(json_t) info = json_pack("{s:s,s:s}", "title", "x", "teacher", "王");
    assert_true(rec_lesson_set_info(open, info, NULL));
    assert_string_equal(open->info->title, "函数的单调性");
    assert_string_equal(open->info->teacher, "王");

    open->state = REC_STATE_CLOSED;
    g_autofree char *text = rec_lesson_dump(open);
    g_autoptr(RecLesson) back = rec_lesson_parse(text, strlen(text), NULL);
    g_autofree char *again = rec_lesson_dump(back);
    assert_string_equal(text, again);

    // Not readable: put aside, made anew from the media.
    g_autofree char *path = g_build_filename(folder, "lesson.json", NULL);
    g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
    assert_true(g_file_set_contents(path, "{\"format\":1,\"id\":\"../..\"}", -1, NULL));
    g_autoptr(RecLesson) anew = rec_recover_lesson(folder, ID, FALSE, &changed, NULL);
    assert_int_equal(rec_lesson_duration_ns(anew), 2 * TK_NS_PER_S);
    assert_true(g_file_test(aside, G_FILE_TEST_EXISTS));

    // Somebody else's folder is not a recording.
    char *foreign = lesson_folder_new();
    assert_null(rec_recover_lesson(foreign, ID, FALSE, &changed, &error));
    lesson_folder_free(foreign);
    lesson_folder_free(folder);
}

// Every state has a word that is read back, every recording can be closed, and none is reopened by
// accident.
static void check_states(void **state)
{
    for (guint i = 0; i < REC_STATES; i++) {
        RecState back;
        assert_true(rec_state_parse(rec_state_word((RecState)i), &back));
        assert_int_equal(back, i);
        assert_false(rec_state_allowed((RecState)i, (RecState)i));
        if (i != REC_STATE_CLOSED && i != REC_STATE_CLOSING)
            assert_true(rec_state_allowed((RecState)i, REC_STATE_CLOSING));
    }
    RecState none;
    assert_false(rec_state_parse("paused", &none));
    assert_false(rec_state_allowed(REC_STATE_RECORDING, REC_STATE_CLOSED));
    assert_false(rec_state_allowed(REC_STATE_CLOSED, REC_STATE_RECORDING));

    g_autoptr(RecLesson) lesson = rec_lesson_new(ID, "math");
    assert_int_equal(lesson->state, REC_STATE_ARMED);
    assert_true(rec_state_set(lesson, REC_STATE_RECORDING, "test"));
    assert_false(rec_state_set(lesson, REC_STATE_RECORDING, "test"));
    assert_false(rec_state_set(lesson, REC_STATE_CLOSED, "test"));
    assert_int_equal(lesson->state, REC_STATE_RECORDING);
}

// Names that deleting a recording may remove, and those that it must leave.
static void check_own_files(void **state)
{
    static const char *const ours[] = {"lesson.json", "main.mp4",       "main.index",
                                       "main.head",   "main.index.new", "events.jsonl"};
    static const char *const others[] = {"notes.txt", "../main.mp4", ".mp4", "lesson.json~", "new"};
    for (gsize i = 0; i < G_N_ELEMENTS(ours); i++)
        if (!rec_file_is_ours(ours[i]))
            fail_msg("not known: %s", ours[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(others); i++)
        if (rec_file_is_ours(others[i]))
            fail_msg("taken for ours: %s", others[i]);
}

#define DAYS(n) ((n)*86400 * TK_NS_PER_S)

static const char *due(const RecRetention *rules, const char *verdict, guint days)
{
    RecVerdict taken = {0};
    g_autoptr(json_t) object = json_loads(verdict, 0, NULL);
    assert_true(rec_verdict_take(&taken, object, NULL));
    assert_int_equal(json_object_size(object), 0);
    const char *reason = rec_retention_due(rules, &taken, DAYS((gint64)days));
    return reason ? reason : "";
}

// What is deleted when, and what is kept whatever its age.
static void check_retention(void **state)
{
    const RecRetention none = {0}, all = {400, 100, 30, 7}, consent = {.no_consent_days = 7};
    static const struct {
        const char *verdict;
        guint days;
        const char *reason;
    } cases[] = {
        {"{}", 6, ""},
        {"{}", 7, "no-consent"},
        {"{\"consent\":\"given\"}", 99, ""},
        {"{\"consent\":\"given\"}", 100, "unreviewed"},
        {"{\"consent\":\"given\",\"review\":\"pending\"}", 100, "unreviewed"},
        {"{\"consent\":\"given\",\"review\":\"rejected\"}", 30, "rejected"},
        {"{\"consent\":\"given\",\"review\":\"approved\"}", 399, ""},
        {"{\"consent\":\"given\",\"review\":\"approved\"}", 400, "age"},
        {"{\"consent\":\"given\",\"review\":\"rejected\",\"keep\":true}", 9000, ""},
        {"{\"keep\":true}", 9000, ""},
        {"{\"consent\":\"withdrawn\",\"keep\":true}", 7, "no-consent"},
        {"{\"consent\":null,\"review\":null,\"keep\":null}", 6, ""},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        assert_string_equal(due(&all, cases[i].verdict, cases[i].days), cases[i].reason);
        assert_string_equal(due(&none, cases[i].verdict, cases[i].days), "");
    }
    assert_string_equal(due(&consent, "{\"consent\":\"given\"}", 9000), "");

    static const char *const bad[] = {"{\"keep\":1}", "{\"review\":\"good\"}",
                                      "{\"consent\":true}"};
    for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
        RecVerdict verdict = {.keep = TRUE};
        g_autoptr(GError) error = NULL;
        g_autoptr(json_t) object = json_loads(bad[i], 0, NULL);
        assert_false(rec_verdict_take(&verdict, object, &error));
        check_error(error, TK_ERROR_INVALID);
        assert_true(verdict.keep);
    }
}

// The verdict stands in lesson.json; one of a later version keeps the recording.
static void check_verdict_stored(void **state)
{
    g_autoptr(RecLesson) lesson = rec_lesson_new(ID, "math");
    g_autoptr(json_t) edits = json_loads("{\"review\":\"approved\",\"title\":\"x\"}", 0, NULL);
    assert_true(rec_lesson_edit(lesson, edits, NULL));
    assert_int_equal(json_object_size(lesson->edits), 1);
    g_autofree char *text = rec_lesson_dump(lesson);
    g_autoptr(RecLesson) back = rec_lesson_parse(text, strlen(text), NULL);
    assert_string_equal(back->verdict.review, "approved");
    assert_string_equal(back->info->title, "x");
    char *word = strstr(text, "approved");
    assert_non_null(word);
    memcpy(word, "APPROVED", 8);
    g_autoptr(RecLesson) unknown = rec_lesson_parse(text, strlen(text), NULL);
    assert_non_null(unknown);
    assert_true(unknown->verdict.keep);
}

static void check_disk(void **state)
{
    const RecDiskRules rules = {.reserve_bytes = 1000, .lesson_bytes = 500};
    assert_int_equal(rec_disk_judge(&rules, 999, 0), REC_DISK_FULL);
    assert_int_equal(rec_disk_judge(&rules, 1000, 0), REC_DISK_LOW);
    assert_int_equal(rec_disk_judge(&rules, 1499, 0), REC_DISK_LOW);
    assert_int_equal(rec_disk_judge(&rules, 1500, 0), REC_DISK_ROOM);
    // Those that are being recorded are still to take their share.
    assert_int_equal(rec_disk_judge(&rules, 1500, 1), REC_DISK_LOW);
    assert_int_equal(rec_disk_judge(&rules, 2000, rec_disk_expected(&rules, 0)), REC_DISK_ROOM);
    assert_int_equal(rec_disk_judge(&rules, 1500, rec_disk_expected(&rules, 600)), REC_DISK_ROOM);
    assert_int_equal(rec_disk_judge(&rules, G_MAXUINT64, G_MAXUINT32), REC_DISK_ROOM);
}

static void done_note(void *user)
{
    g_main_loop_quit(user);
}

static void fail_note(void *user)
{
    g_main_loop_quit(user);
}

static RecEntry entry_of(guint i, guint64 offset)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(pieces->chunks->pdata[i], &size);
    return (RecEntry){
        .sequence = i + 1, .offset = offset, .bytes = (guint32)size, .crc = rec_crc32(data, size)};
}

// What the writer says is durable is there, media and index, before the file is closed.
static void check_writer(void **state)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    char *folder = lesson_folder_new();
    guint64 offset = g_bytes_get_size(pieces->init);
    RecWriter *writer = rec_writer_new(1000);
    RecWriterStats stats;
    lesson_store(folder, "main", pieces, TRUE, 0, 0);
    RecFile *file = rec_writer_open(writer, folder, "main", offset, fail_note, loop, NULL);
    assert_non_null(file);
    for (guint i = 0; i < 10; i++) {
        RecEntry entry = entry_of(i, offset);
        assert_true(rec_file_append(file, pieces->chunks->pdata[i], &entry));
        offset += entry.bytes;
    }
    rec_writer_after(writer, done_note, loop);
    g_main_loop_run(loop);
    assert_int_equal(lesson_recover(folder), 11);
    assert_int_equal(lesson_media_size(folder), offset);
    rec_writer_stats(writer, &stats);
    assert_int_equal(stats.pieces, 10);
    assert_int_equal(stats.unsynced_ns, 0);

    g_autoptr(GError) error = NULL;
    assert_null(rec_writer_open(writer, folder, "main", offset + 1, fail_note, loop, &error));
    check_error(error, TK_ERROR_CONFLICT);
    rec_file_close(file);
    rec_writer_free(writer);
    lesson_folder_free(folder);
}

// A queue that is full refuses, and takes again when it has been written.
static void check_writer_bound(void **state)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    char *folder = lesson_folder_new();
    RecWriter *writer = rec_writer_new(1000);
    g_autoptr(GBytes) large = g_bytes_new_take(g_malloc0(REC_PIECE_BYTES_MAX), REC_PIECE_BYTES_MAX);
    RecEntry entry = {.sequence = 1, .bytes = REC_PIECE_BYTES_MAX};
    RecFile *file = rec_writer_open(writer, folder, "main", 0, fail_note, loop, NULL);
    guint taken = 0;
    while (taken < 10000 && rec_file_append(file, large, &entry))
        taken++;
    assert_in_range(taken, REC_WRITER_QUEUE_BYTES_MAX / REC_PIECE_BYTES_MAX, 9999);
    rec_writer_after(writer, done_note, loop);
    g_main_loop_run(loop);
    assert_int_equal(lesson_media_size(folder), (gsize)taken * REC_PIECE_BYTES_MAX);
    assert_true(rec_file_append(file, large, &entry));
    rec_file_close(file);
    rec_writer_free(writer);
    lesson_folder_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_crc),
        cmocka_unit_test(check_line),
        cmocka_unit_test(check_gaps),
        cmocka_unit_test(check_picture_gaps),
        cmocka_unit_test(check_gaps_overlap),
        cmocka_unit_test(check_lesson_json),
        cmocka_unit_test(check_states),
        cmocka_unit_test(check_retention),
        cmocka_unit_test(check_verdict_stored),
        cmocka_unit_test(check_disk),
        cmocka_unit_test(check_own_files),
        cmocka_unit_test(check_writer),
        cmocka_unit_test(check_writer_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
