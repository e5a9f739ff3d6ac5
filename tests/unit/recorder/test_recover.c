// SPDX-License-Identifier: MIT
// Media and index are made to agree after whatever has cut them off or damaged them.
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

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

static char *index_text(const char *folder)
{
    g_autofree char *path = rec_stream_path(folder, "main", "index");
    char *text = NULL;
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return text;
}

static void media_truncate(const char *folder, gsize size)
{
    g_autofree char *path = rec_stream_path(folder, "main", "mp4");
    assert_int_equal(truncate(path, (off_t)size), 0);
}

// Wherever the last chunk is cut off, all before it is kept, and the index says so.
static void check_torn_tail(void **state)
{
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", pieces, TRUE, 0, 3);
    g_autofree char *index = rec_stream_path(folder, "main", "index");
    g_autofree char *media = rec_stream_path(folder, "main", "mp4");
    g_autofree char *whole_index = index_text(folder), *whole = NULL;
    gsize bytes = lesson_media_size(folder), last = g_bytes_get_size(pieces->chunks->pdata[2]);
    gsize size;
    assert_true(g_file_get_contents(media, &whole, &size, NULL));

    for (gsize cut = 1; cut <= last; cut++) {
        assert_true(g_file_set_contents(media, whole, (gssize)(bytes - cut), NULL));
        assert_true(g_file_set_contents(index, whole_index, -1, NULL));
        assert_int_equal(lesson_recover(folder), 3);
        assert_int_equal(lesson_media_size(folder), bytes - last);
        assert_int_equal(lesson_recover(folder), 3);
    }
    lesson_folder_free(folder);
}

// The index is made again from the media, line by line the same.
static void check_index_rebuilt(void **state)
{
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", pieces, TRUE, 0, pieces->chunks->len);
    g_autofree char *path = rec_stream_path(folder, "main", "index");
    g_autofree char *before = index_text(folder);

    g_unlink(path);
    assert_int_equal(lesson_recover(folder), pieces->chunks->len + 1);
    g_autofree char *after = index_text(folder);
    assert_string_equal(before, after);

    // Torn in the middle of any of its last lines.
    gsize length = strlen(before);
    for (gsize keep = length - 150; keep < length; keep++) {
        assert_true(g_file_set_contents(path, before, (gssize)keep, NULL));
        assert_int_equal(lesson_recover(folder), pieces->chunks->len + 1);
        g_autofree char *mended = index_text(folder);
        assert_string_equal(before, mended);
    }
    lesson_folder_free(folder);
}

// The machine was started anew since this was written.
#define OTHER_BOOT REC_INDEX_BOOT "00000000-0000-4000-8000-000000000000\n"

// A stream of a hundred chunks, and five more that no line speaks of.
typedef struct {
    char *folder, *media, *index, *bytes;
    GString *text; // of its index, which OTHER_BOOT begins
    gsize size, known;
} Cut;

static Cut cut_new(void)
{
    g_autoptr(LessonPieces) many = lesson_make(11, 0, 1, 128);
    Cut cut = {.folder = lesson_folder_new(), .text = g_string_new(NULL)};
    cut.media = rec_stream_path(cut.folder, "main", "mp4");
    cut.index = rec_stream_path(cut.folder, "main", "index");
    lesson_store(cut.folder, "main", many, TRUE, 0, 100);
    cut.known = lesson_media_size(cut.folder);
    g_autofree char *text = index_text(cut.folder);
    g_string_assign(cut.text, text);
    g_string_insert(cut.text, strlen(REC_INDEX_HEADER), OTHER_BOOT);
    lesson_store(cut.folder, "main", many, FALSE, 100, 5);
    assert_true(g_file_get_contents(cut.media, &cut.bytes, &cut.size, NULL));
    return cut;
}

static void cut_free(Cut *cut)
{
    lesson_folder_free(cut->folder);
    g_string_free(cut->text, TRUE);
    g_free(cut->media);
    g_free(cut->index);
    g_free(cut->bytes);
}

// What salvage makes of the media and that index.
static char *cut_recover(const Cut *cut, const char *text, gsize length)
{
    assert_true(g_file_set_contents(cut->media, cut->bytes, (gssize)cut->size, NULL));
    assert_true(g_file_set_contents(cut->index, text, (gssize)length, NULL));
    lesson_recover(cut->folder);
    return index_text(cut->folder);
}

// After a power cut: whatever digit of a line is broken, the others stand, and so does their media.
static void check_broken_line(void **state)
{
    Cut cut = cut_new();
    g_auto(GStrv) lines = g_strsplit(cut.text->str, "\n", -1);
    gsize at = (gsize)(strstr(cut.text->str, lines[42]) - cut.text->str);

    for (const gsize end = at + strlen(lines[42]); at < end; at++) {
        g_autofree char *broken = g_strdup(cut.text->str);
        if (!g_ascii_isxdigit(broken[at]))
            continue;
        broken[at] = broken[at] == '9' ? '8' : (char)(broken[at] + 1);
        g_autofree char *after = cut_recover(&cut, broken, cut.text->len);
        assert_int_equal(lesson_media_size(cut.folder), cut.known);
        for (guint i = 2; lines[i]; i++)
            if (i != 42 && !strstr(after, lines[i]))
                fail_msg("%s: lost with %s", lines[i], lines[42]);
    }
    cut_free(&cut);
}

// After a power cut: what stood in a torn end of the index was synced; behind it nothing was.
static void check_torn_index(void **state)
{
    Cut cut = cut_new();
    gsize length = cut.text->len;
    g_autofree char *whole =
        g_strconcat(REC_INDEX_HEADER, strstr(cut.text->str, OTHER_BOOT) + strlen(OTHER_BOOT), NULL);
    g_autofree char *torn = g_strdup(cut.text->str);
    g_autofree char *untorn = cut_recover(&cut, torn, length);
    assert_string_equal(untorn, cut.text->str);
    assert_int_equal(lesson_media_size(cut.folder), cut.known);

    g_autofree char *begun = cut_recover(&cut, torn, length - 10);
    assert_string_equal(begun, whole);
    memset(torn + length - 4096, 0, 4096);
    g_autofree char *block = cut_recover(&cut, torn, length);
    assert_string_equal(block, whole);
    assert_int_equal(lesson_media_size(cut.folder), cut.known);
    cut_free(&cut);
}

// A page of zeros where data should be: what follows is found again, nothing of it is cut off.
static void check_damage_in_middle(void **state)
{
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", pieces, TRUE, 0, 10);
    g_autofree char *index = rec_stream_path(folder, "main", "index");
    g_autofree char *media = rec_stream_path(folder, "main", "mp4");
    g_autofree char *data = NULL;
    gsize size, at = g_bytes_get_size(pieces->init);
    assert_true(g_file_get_contents(media, &data, &size, NULL));
    for (guint i = 0; i < 4; i++)
        at += g_bytes_get_size(pieces->chunks->pdata[i]);
    memset(data + at, 0, 200);
    assert_true(g_file_set_contents(media, data, (gssize)size, NULL));
    g_unlink(index);

    assert_int_equal(lesson_recover(folder), 10); // init and 9 of 10 chunks
    assert_int_equal(lesson_media_size(folder), size);
    g_auto(RecRecovered) again = {0};
    assert_true(rec_recover_stream(folder, "main", &again, NULL));
    assert_int_equal(again.found, 0);
    assert_int_equal(again.entries->len, 10);
    lesson_folder_free(folder);
}

static void check_foreign_tail(void **state)
{
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", pieces, TRUE, 0, 5);
    g_autofree char *media = rec_stream_path(folder, "main", "mp4");
    gsize bytes = lesson_media_size(folder);
    media_truncate(folder, bytes + 5000); // a power cut leaves zeros
    assert_int_equal(lesson_recover(folder), 6);
    assert_int_equal(lesson_media_size(folder), bytes);
    lesson_folder_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_torn_tail),        cmocka_unit_test(check_index_rebuilt),
        cmocka_unit_test(check_broken_line),      cmocka_unit_test(check_torn_index),
        cmocka_unit_test(check_damage_in_middle), cmocka_unit_test(check_foreign_tail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
