// SPDX-License-Identifier: MIT
// A copy is delivered and healed with: while the disk has room, and leaving nothing behind.
#include "common/base/clock.h"
#include "recorder/archive/heal.h"
#include "recorder/archive/state.h"
#include "recorder/library/upload.h"
#include "recorder/scan.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <string.h>

#define FIRST "01KAN0000000000000000000AA"
#define SECOND "01KAN0000000000000000000BB"
#define ROOM (G_GUINT64_CONSTANT(1) << 40)

// Ten seconds, of which recordings lack the fourth and the fifth.
static LessonPieces *pieces;

typedef struct {
    ShelfApi api;
    char *data;
    gboolean running;
    guint64 spare;
    guint changed;
} Library;

static gboolean running(void *user, const char *id)
{
    return ((Library *)user)->running;
}

static guint64 spare(void *user)
{
    return ((Library *)user)->spare;
}

static void changed(void *user, const RecLesson *lesson)
{
    ((Library *)user)->changed++;
}

static int library_new(void **state)
{
    Library *library = *state = g_new0(Library, 1);
    pieces = lesson_make(10, 0, 1, 128);
    library->data = lesson_folder_new();
    library->spare = ROOM;
    library->api = (ShelfApi){.data = library->data,
                              .index = shelf_index_open_memory(NULL),
                              .running = running,
                              .spare = spare,
                              .changed = changed,
                              .uploads = shelf_uploads_new(),
                              .user = library};
    return 0;
}

static int library_free(void **state)
{
    Library *library = *state;
    shelf_uploads_free(library->api.uploads);
    shelf_index_free(library->api.index);
    lesson_folder_free(library->data);
    lesson_free(pieces);
    g_free(library);
    return 0;
}

// A recording that lacks two seconds. Its folder.
static char *recording_new(const Library *library, const char *id)
{
    char *folder = rec_folder_path(library->data, id);
    g_autoptr(RecLesson) lesson = rec_lesson_new(id, "math");
    gboolean any;
    assert_true(rec_folder_make(folder, NULL));
    lesson->started_ns = LESSON_WALL_NS;
    assert_true(rec_lesson_save(lesson, folder, NULL));
    lesson_store(folder, "main", pieces, TRUE, 0, 30);
    lesson_store(folder, "main", pieces, FALSE, 50, 50);
    g_autoptr(RecLesson) counted = rec_recover_lesson(folder, id, TRUE, &any, NULL);
    assert_non_null(counted);
    rec_state_set(counted, REC_STATE_CLOSED, "for the test");
    assert_true(rec_lesson_save(counted, folder, NULL));
    return folder;
}

static json_t *answer(const ShelfReply *reply)
{
    gsize size;
    const char *text = g_bytes_get_data(reply->head, &size);
    return json_loadb(text, size, 0, NULL);
}

typedef ShelfReply *(*Ask)(const ShelfApi *api, const ShelfRequest *request,
                           const RecLesson *lesson);

static ShelfReply *missing(const ShelfApi *api, const ShelfRequest *request,
                           const RecLesson *lesson)
{
    return shelf_upload_missing(api, request, lesson->id, lesson);
}

static ShelfReply *append(const ShelfApi *api, const ShelfRequest *request, const RecLesson *lesson)
{
    return shelf_upload_append(api, request, lesson, "main", "3000");
}

static ShelfReply *ask(const Library *library, const char *folder, Ask function, GBytes *body)
{
    g_autoptr(GHashTable) query = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, NULL);
    const ShelfRequest request = {.query = query, .body = body};
    g_hash_table_insert(query, (void *)"offset", (void *)"0");
    assert_non_null(lesson);
    ShelfReply *reply = function(&library->api, &request, lesson);
    g_bytes_unref(body);
    return reply;
}

static GBytes *text_take(char *text)
{
    return g_bytes_new_take(text, strlen(text));
}

// How many stretches are missing.
static gsize missing_ask(const Library *library, const char *folder)
{
    g_autofree char *from = tk_clock_format_rfc3339(LESSON_WALL_NS);
    g_autofree char *to = tk_clock_format_rfc3339(LESSON_WALL_NS + 10 * TK_NS_PER_S);
    g_autofree char *now = tk_clock_format_rfc3339(tk_clock_wall_ns());
    g_autoptr(ShelfReply) reply =
        ask(library, folder, missing,
            text_take(g_strdup_printf("{\"now\":\"%s\",\"streams\":[{\"name\":\"main\","
                                      "\"from\":\"%s\",\"to\":\"%s\"}]}",
                                      now, from, to)));
    assert_int_equal(reply->status, 200);
    g_autoptr(json_t) object = answer(reply);
    return json_array_size(json_object_get(object, "stretches"));
}

// The relay's own chunks around the gap serve as the copy.
static GBytes *copy_make(void)
{
    GByteArray *copy = g_byte_array_new();
    gsize size;
    const guint8 *data = g_bytes_get_data(pieces->init, &size);
    g_byte_array_append(copy, data, (guint)size);
    for (guint i = 20; i < 60; i++) {
        data = g_bytes_get_data(pieces->chunks->pdata[i], &size);
        g_byte_array_append(copy, data, (guint)size);
    }
    return g_byte_array_free_to_bytes(copy);
}

static guint deliver(const Library *library, const char *folder)
{
    assert_int_equal(missing_ask(library, folder), 1);
    g_autoptr(ShelfReply) reply = ask(library, folder, append, copy_make());
    return reply->status;
}

static ShelfReply *heal(const Library *library, const char *folder)
{
    g_autoptr(GBytes) copy = copy_make();
    g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, copy);
    return ask(library, folder, shelf_upload_heal,
               text_take(g_strdup_printf("{\"parts\":[{\"stream\":\"main\",\"key\":\"3000\","
                                         "\"sha256\":\"%s\"}]}",
                                         sum)));
}

// As the server does. The status.
static guint end(ShelfReply *reply)
{
    if (reply->work) {
        reply->work(reply);
        reply->finish(reply);
    }
    guint status = reply->status;
    shelf_reply_free(reply);
    return status;
}

static guint files_ending(const char *folder, const char *suffix)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    guint count = 0;
    while ((name = g_dir_read_name(dir)))
        count += g_str_has_suffix(name, suffix);
    return count;
}

static guint64 bytes_of(const char *folder, const char *suffix)
{
    g_autofree char *path = rec_stream_path(folder, "main", suffix);
    GStatBuf info;
    return g_stat(path, &info) == 0 ? (guint64)info.st_size : 0;
}

// Without room it is said so, and what was delivered is healed with when there is.
static void check_room(void **state)
{
    Library *library = *state;
    g_autofree char *folder = recording_new(library, FIRST);

    library->spare = 0;
    assert_int_equal(deliver(library, folder), 503);
    library->spare = ROOM;
    assert_int_equal(deliver(library, folder), 200);
    library->spare = bytes_of(folder, "mp4") + bytes_of(folder, "index");
    ShelfReply *refused = heal(library, folder);
    g_autoptr(json_t) problem = answer(refused);
    assert_non_null(strstr(json_string_value(json_object_get(problem, "detail")), "no room"));
    assert_int_equal(end(refused), 503);
    assert_int_equal(files_ending(folder, ".new"), 0);
    assert_int_equal(files_ending(folder, ".upload"), 1);
    library->spare = ROOM;
    assert_int_equal(missing_ask(library, folder), 1);
    assert_int_equal(end(heal(library, folder)), 200);
    assert_int_equal(missing_ask(library, folder), 0);
    assert_int_equal(library->changed, 1);
}

// Lessons that end at one bell: each alone would have room.
static void check_together(void **state)
{
    Library *library = *state;
    g_autofree char *one = recording_new(library, FIRST), *other = recording_new(library, SECOND);

    assert_int_equal(deliver(library, one), 200);
    assert_int_equal(deliver(library, other), 200);
    library->spare = 3 * bytes_of(one, "mp4");
    ShelfReply *first = heal(library, one);
    assert_int_equal(first->status, 200);
    assert_int_equal(end(heal(library, other)), 503);
    assert_int_equal(end(first), 200);
    assert_int_equal(end(heal(library, other)), 200);
}

// The lesson goes on just then: what was prepared is not left beside it.
static void check_goes_on(void **state)
{
    Library *library = *state;
    g_autofree char *folder = recording_new(library, FIRST);

    assert_int_equal(deliver(library, folder), 200);
    ShelfReply *reply = heal(library, folder);
    reply->work(reply);
    assert_int_equal(files_ending(folder, ".new"), 2);
    library->running = TRUE;
    reply->finish(reply);
    assert_int_equal(reply->status, 409);
    shelf_reply_free(reply);
    assert_int_equal(files_ending(folder, ".new"), 0);
    assert_int_equal(library->changed, 0);
}

static void cut_off(const Library *library, const char *folder)
{
    assert_int_equal(deliver(library, folder), 200);
    ShelfReply *reply = heal(library, folder);
    reply->work(reply);
    shelf_reply_free(reply);
    assert_int_equal(files_ending(folder, ".new"), 2);
}

static guint scan(const Library *library)
{
    RecScanCounts counts;
    assert_true(rec_scan(library->data, library->api.index, FALSE, NULL, NULL, &counts, NULL));
    return counts.put;
}

// The recorder was killed before all was there: the next start removes it, and looks into no folder
// that nothing has happened to.
static void check_start(void **state)
{
    Library *library = *state;
    g_autofree char *folder = recording_new(library, FIRST);

    assert_int_equal(scan(library), 1);
    assert_int_equal(scan(library), 0);
    cut_off(library, folder);
    assert_int_equal(scan(library), 1);
    assert_int_equal(files_ending(folder, ".new"), 0);
    assert_int_equal(scan(library), 0);
}

// The disk refused when all was there and to be put in place: that is done before anything else.
static void check_ordered(void **state)
{
    Library *library = *state;
    g_autofree char *folder = recording_new(library, FIRST);
    g_autofree char *order = g_build_filename(folder, REC_HEAL_FILE, NULL);
    g_autofree char *text = g_strdup_printf(
        "{\"streams\":[\"main\"],\"started_ns\":%" G_GINT64_FORMAT "}", LESSON_WALL_NS);

    cut_off(library, folder);
    assert_true(g_file_set_contents(order, text, -1, NULL));
    ShelfReply *again = heal(library, folder);
    assert_int_equal(end(again), 409);
    assert_int_equal(files_ending(folder, ".new"), 2);
    assert_int_equal(missing_ask(library, folder), 0);
    assert_int_equal(library->changed, 1);
    assert_false(g_file_test(order, G_FILE_TEST_EXISTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_room, library_new, library_free),
        cmocka_unit_test_setup_teardown(check_together, library_new, library_free),
        cmocka_unit_test_setup_teardown(check_goes_on, library_new, library_free),
        cmocka_unit_test_setup_teardown(check_start, library_new, library_free),
        cmocka_unit_test_setup_teardown(check_ordered, library_new, library_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
