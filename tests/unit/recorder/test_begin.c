// SPDX-License-Identifier: MIT
// Lessons that no relay told of: what an offer may make, and what it may not.
#include "recorder/library/begin.h"
#include "recorder/library/upload.h"
#include "common/base/clock.h"
#include "common/base/ulid.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <string.h>

#define DAY_NS (86400 * TK_NS_PER_S)
#define YEAR_NS (365 * DAY_NS)

static gboolean no(void *user, const char *id)
{
    return FALSE;
}

static gboolean yes(void *user, const char *name)
{
    return TRUE;
}

static void changed(void *user, const RecLesson *lesson)
{
    assert_int_equal(lesson->state, REC_STATE_CLOSED);
    (*(guint *)user)++;
}

typedef struct {
    ShelfApi api;
    guint begun;
} Library;

static Library *library_new(void)
{
    Library *library = g_new0(Library, 1);
    library->api = (ShelfApi){.data = lesson_folder_new(),
                              .running = no,
                              .wanted = yes,
                              .changed = changed,
                              .uploads = shelf_uploads_new(),
                              .user = &library->begun};
    return library;
}

static void library_free(Library *library)
{
    shelf_uploads_free(library->api.uploads);
    lesson_folder_free((char *)library->api.data);
    g_free(library);
}

// Whether anything stands in the library's folder.
static gboolean touched(const Library *library)
{
    g_autoptr(GDir) dir = g_dir_open(library->api.data, 0, NULL);
    return g_dir_read_name(dir) != NULL;
}

static json_t *stream(const char *name, gint64 from_ns, gint64 to_ns)
{
    json_t *object = json_object();
    tk_json_set_string(object, "name", name);
    tk_json_set_time(object, "from", from_ns);
    tk_json_set_time(object, "to", to_ns);
    return object;
}

// Posts an offer, whose streams are taken, of a lesson whose id is of `id_ns`; gives the status.
static guint offer(Library *library, gint64 id_ns, const TkClaims *claims, json_t *streams)
{
    g_autofree char *id = tk_ulid_new(id_ns);
    g_autoptr(json_t) body = json_object();
    tk_json_set_string(body, "name", "math");
    tk_json_set_time(body, "now", tk_clock_wall_ns());
    json_object_set_new(body, "streams", streams);
    g_autofree char *text = tk_json_dump(body);
    g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
    ShelfRequest request = {.body = bytes, .claims = claims, .door = claims != NULL};
    ShelfReply *reply = shelf_upload_missing(&library->api, &request, id, NULL);
    guint status = reply->status;
    shelf_reply_free(reply);
    return status;
}

static json_t *one(const char *name, gint64 from_ns, gint64 to_ns)
{
    json_t *streams = json_array();
    json_array_append_new(streams, stream(name, from_ns, to_ns));
    return streams;
}

static void check_what_is_refused_leaves_nothing(void **state)
{
    Library *library = library_new();
    gint64 now_ns = tk_clock_wall_ns(), hour_ns = 3600 * TK_NS_PER_S;

    for (guint i = 0; i < 1000; i++) {
        json_t *streams = one("main", now_ns - hour_ns, now_ns);
        // The first is good, the second is not.
        json_array_append_new(streams, i % 2 ? stream("../x", now_ns - hour_ns, now_ns)
                                             : stream("slides", now_ns - 2 * DAY_NS, now_ns));
        assert_int_equal(offer(library, now_ns, NULL, streams), 400);
    }
    assert_int_equal(offer(library, now_ns, NULL, json_array()), 400);
    assert_int_equal(offer(library, now_ns, NULL, one("main", now_ns, now_ns - hour_ns)), 400);
    const gint64 far[] = {now_ns - 2 * YEAR_NS, now_ns + 2 * DAY_NS, 0, G_MAXINT64 / 2};
    for (gsize i = 0; i < G_N_ELEMENTS(far); i++) {
        assert_int_equal(offer(library, now_ns, NULL, one("main", far[i], far[i] + hour_ns)), 400);
        assert_int_equal(
            offer(library, MAX(far[i], 1), NULL, one("main", now_ns - hour_ns, now_ns)), 400);
    }
    assert_false(touched(library));
    assert_int_equal(library->begun, 0);
    assert_int_equal(
        offer(library, now_ns - YEAR_NS / 2, NULL, one("main", now_ns - hour_ns, now_ns)), 200);
    assert_true(touched(library));
    assert_int_equal(library->begun, 1);
    library_free(library);
}

static void check_one_sender_cannot_fill_the_library(void **state)
{
    Library *library = library_new();
    gint64 now_ns = tk_clock_wall_ns(), from_ns = now_ns - 3600 * TK_NS_PER_S;
    TkClaims city = {.role = TK_ROLE_SENDER, .lesson = (char *)"*", .school = (char *)"city"},
             other = {.role = TK_ROLE_SENDER, .lesson = (char *)"*", .school = (char *)"other"};
    guint status = 200, made = 0;

    while (made < 1000 &&
           (status = offer(library, now_ns, &city, one("main", from_ns, now_ns))) == 200)
        made++;
    assert_int_equal(status, 429);
    assert_in_range(made, 100, 200);
    assert_int_equal(library->begun, made);
    assert_int_equal(offer(library, now_ns, &other, one("main", from_ns, now_ns)), 200);
    library_free(library);
}

// The index has not heard of it, but it is there: it is not written over.
static void check_what_is_there_stays(void **state)
{
    char *data = lesson_folder_new();
    guint begun = 0;
    ShelfApi api = {.data = data, .changed = changed, .user = &begun};
    ShelfBegun *counts = shelf_begun_new();
    g_autofree char *id = tk_ulid_new(LESSON_WALL_NS);
    g_autofree char *folder = rec_folder_path(data, id);
    g_autoptr(RecLesson) there = rec_lesson_new(id, "math"), fresh = rec_lesson_new(id, "math");
    g_autoptr(GError) error = NULL;

    there->verdict.keep = TRUE;
    assert_true(rec_folder_make(folder, NULL));
    assert_true(rec_lesson_save(there, folder, NULL));
    assert_false(shelf_begin_make(&api, counts, NULL, fresh, &error));
    check_error(error, TK_ERROR_CONFLICT);
    g_autoptr(RecLesson) after = rec_lesson_load(folder, NULL);
    assert_true(after->verdict.keep);
    shelf_begun_free(counts);
    lesson_folder_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_what_is_refused_leaves_nothing),
        cmocka_unit_test(check_one_sender_cannot_fill_the_library),
        cmocka_unit_test(check_what_is_there_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
