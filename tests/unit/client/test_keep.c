// SPDX-License-Identifier: MIT
// The local copy: everything that passes the taps stands in it, and the ring of all copies stays
// within its bounds.
#include "client/capture/copies.h"
#include "client/capture/keep.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/ulid.h"
#include "common/media/cmaf_read.h"
#include "tests/unit/check.h"
#include "tests/unit/media/gst_capture.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define RELAY "rtsp://relay.example.org/math"
#define LESSON_S 70
#define FPS 5
#define SOUND_HZ 48000
#define SEGMENT_S 30

typedef struct {
    char *root;
    GstCapture picture, sound;
} Test;

static int setup(void **state)
{
    Test *test = g_new0(Test, 1);
    gst_init(NULL, NULL);
    test->root = g_dir_make_tmp("tongke-keep-XXXXXX", NULL);
    gst_capture_run(&test->picture,
                    "videotestsrc num-buffers=10 ! video/x-raw,width=64,height=64,framerate=5/1 ! "
                    "x264enc bframes=0 key-int-max=10 ! h264parse ! "
                    "video/x-h264,stream-format=avc,alignment=au ! " CAPTURE_SINK("frames"));
    gst_capture_run(&test->sound,
                    "audiotestsrc num-buffers=10 samplesperbuffer=1024 ! "
                    "audio/x-raw,rate=48000,channels=1 ! audioconvert ! avenc_aac ! aacparse ! "
                    "audio/mpeg,stream-format=raw ! " CAPTURE_SINK("frames"));
    *state = test;
    return 0;
}

static void folder_remove(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *one = g_build_filename(path, name, NULL);
        if (g_file_test(one, G_FILE_TEST_IS_DIR))
            folder_remove(one);
        else
            g_unlink(one);
    }
    g_rmdir(path);
}

static int teardown(void **state)
{
    Test *test = *state;
    folder_remove(test->root);
    gst_capture_clear(&test->picture);
    gst_capture_clear(&test->sound);
    g_free(test->root);
    g_free(test);
    return 0;
}

// The n-th frame of a lesson, of those that were encoded again and again.
static void tap(const GstCapture *frames, guint n, GstClockTime pts, gboolean sound,
                CapKeepStream *stream)
{
    GstSample *sample = frames->frames->pdata[n % frames->frames->len];
    g_autoptr(GstBuffer) buffer = gst_buffer_copy(gst_sample_get_buffer(sample));

    GST_BUFFER_PTS(buffer) = pts;
    if (sound)
        cap_keep_sound(stream, buffer, gst_sample_get_caps(sample));
    else
        cap_keep_picture(stream, buffer, gst_sample_get_caps(sample));
}

static CapKeep *keep_new(const Test *test, const char *relay)
{
    const CapKeepRules rules = {test->root, 1 << 30, 3600 * TK_NS_PER_S};
    g_autoptr(TkLessonInfo) info = tk_lesson_info_new();
    g_autoptr(GError) error = NULL;
    CapKeep *keep = cap_keep_new(&rules, relay, NULL, info, &error);
    assert_non_null(keep);
    return keep;
}

// Sends a lesson past the taps; returns its folder.
static char *lesson_keep(const Test *test, gboolean over)
{
    CapKeep *keep = keep_new(test, RELAY);
    g_autoptr(GstClock) clock = gst_system_clock_obtain();
    CapKeepStream *stream = cap_keep_stream(keep, "main", TRUE, clock, gst_clock_get_time(clock));
    char *folder = g_build_filename(test->root, cap_keep_lesson_id(keep), NULL);
    guint sounds = 0;

    cap_keep_begin(keep);
    for (guint n = 0; n < LESSON_S * FPS; n++) {
        GstClockTime pts = n * GST_SECOND / FPS;
        tap(&test->picture, n, pts, FALSE, stream);
        for (; gst_util_uint64_scale(sounds, 1024 * GST_SECOND, SOUND_HZ) < pts + GST_SECOND / FPS;
             sounds++)
            tap(&test->sound, sounds, gst_util_uint64_scale(sounds, 1024 * GST_SECOND, SOUND_HZ),
                TRUE, stream);
    }
    cap_keep_free(keep, over);
    return folder;
}

// Counts samples by kind; a file begins with a keyframe and is whole.
static void segment_count(const CapSegment *segment, guint *counts)
{
    g_autoptr(GMappedFile) file = g_mapped_file_new(segment->path, FALSE, NULL);
    const guint8 *data = (const guint8 *)g_mapped_file_get_contents(file);
    gsize size = g_mapped_file_get_length(file), bytes = 0;
    TkCmafInit init = {0};
    gboolean begun = FALSE;

    for (gsize at = 0; at < size; at += bytes) {
        TkCmafChunk chunk;
        TkCmafPiece piece = tk_cmaf_piece(data + at, size - at, &chunk, &bytes);
        assert_int_equal(piece, at == 0 ? TK_CMAF_INIT : TK_CMAF_CHUNK);
        if (piece == TK_CMAF_INIT) {
            assert_true(tk_cmaf_init_parse(data, bytes, &init));
            assert_int_equal(init.tracks_count, 2);
            continue;
        }
        assert_true(begun || chunk.runs[0].starts_key);
        assert_true(chunk.ntp != 0);
        begun = TRUE;
        for (guint r = 0; r < chunk.runs_count; r++)
            counts[chunk.runs[r].track_id - 1] += chunk.runs[r].samples_count;
    }
    tk_cmaf_init_clear(&init);
}

static void all_that_passes_is_kept(void **state)
{
    const Test *test = *state;
    g_autofree char *folder = lesson_keep(test, TRUE);
    g_autoptr(GArray) segments = cap_segments_list(folder, "main");
    g_autoptr(json_t) lesson = cap_copy_load(folder);
    guint counts[2] = {0};
    gint64 from_ns, to_ns;

    assert_int_equal(segments->len, (LESSON_S + SEGMENT_S - 1) / SEGMENT_S);
    for (guint i = 0; i < segments->len; i++)
        segment_count(&g_array_index(segments, CapSegment, i), counts);
    assert_int_equal(counts[0], LESSON_S * FPS);
    assert_in_range(counts[1], LESSON_S * SOUND_HZ / 1024 - 1, LESSON_S * SOUND_HZ / 1024 + 1);
    assert_true(cap_copy_extent(folder, "main", &from_ns, &to_ns));
    assert_in_range((to_ns - from_ns) / TK_NS_PER_S, LESSON_S - 1, LESSON_S + 1);
    assert_string_equal(tk_json_string(lesson, "state", ""), "over");

    // A stretch begins with a keyframe before it, in one file or over several.
    g_autoptr(GArray) slices =
        cap_copy_cut(folder, "main", from_ns + 28 * TK_NS_PER_S, from_ns + 33 * TK_NS_PER_S);
    assert_int_equal(slices->len, 4);
}

static void a_lesson_that_was_cut_off_goes_on(void **state)
{
    const Test *test = *state;
    g_autofree char *over = lesson_keep(test, TRUE);
    CapKeep *first = keep_new(test, RELAY);
    g_autofree char *id = g_strdup(cap_keep_lesson_id(first));
    assert_false(g_str_has_suffix(over, id));
    // Somebody writes it: it is not taken from him.
    CapKeep *other = keep_new(test, RELAY);
    assert_string_not_equal(cap_keep_lesson_id(other), id);
    cap_keep_free(other, TRUE);
    cap_keep_free(first, FALSE);
    CapKeep *elsewhere = keep_new(test, "rtsp://relay.example.org/physics");
    assert_string_not_equal(cap_keep_lesson_id(elsewhere), id);
    cap_keep_free(elsewhere, TRUE);
    CapKeep *again = keep_new(test, RELAY);
    assert_string_equal(cap_keep_lesson_id(again), id);
    cap_keep_free(again, TRUE);
}

// A lesson's folder with files of 1,000 bytes each, one a minute, the first `ago_min` ago.
static char *copy_make(const Test *test, guint ago_min, guint files, const char *state)
{
    gint64 wall_ns = tk_clock_wall_ns() - ago_min * 60 * TK_NS_PER_S;
    g_autofree char *id = tk_ulid_new(wall_ns);
    char *folder = g_build_filename(test->root, id, NULL);
    g_autoptr(json_t) lesson = json_object();
    static const char bytes[1000];

    assert_int_equal(g_mkdir(folder, 0700), 0);
    tk_json_set_string(lesson, "id", id);
    tk_json_set_string(lesson, "state", state);
    assert_true(cap_copy_save(folder, lesson, NULL));
    for (guint i = 0; i < files; i++) {
        g_autofree char *name =
            g_strdup_printf("main-%0*" G_GINT64_FORMAT ".mp4", CAP_KEEP_SEGMENT_DIGITS,
                            wall_ns / TK_NS_PER_MS + i * 60000);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        assert_true(g_file_set_contents(path, bytes, sizeof bytes, NULL));
    }
    return folder;
}

static guint files_in(const char *folder)
{
    g_autoptr(GArray) segments = cap_segments_list(folder, NULL);
    return segments->len;
}

static gboolean is_there(const char *folder)
{
    return g_file_test(folder, G_FILE_TEST_IS_DIR);
}

static void the_ring_loses_what_is_delivered_first(void **state)
{
    const Test *test = *state;
    g_autofree char *old = copy_make(test, 300, 5, "over");
    g_autofree char *delivered = copy_make(test, 200, 5, "delivered");
    g_autofree char *running = copy_make(test, 10, 11, "running"); // the last is of now
    g_autofree char *foreign = g_build_filename(delivered, "main-123.mp4", NULL);
    assert_true(g_file_set_contents(foreign, "somebody's", -1, NULL));

    cap_copies_trim(test->root, 21000, 0);
    assert_int_equal(files_in(old) + files_in(delivered) + files_in(running), 21);
    cap_copies_trim(test->root, 18500, 0);
    assert_int_equal(files_in(delivered), 2);
    assert_int_equal(files_in(old), 5);
    cap_copies_trim(test->root, 13500, 0);
    assert_int_equal(files_in(delivered), 0);
    assert_true(g_file_test(foreign, G_FILE_TEST_EXISTS)); // what is not ours stays
    assert_int_equal(files_in(old), 2);
    assert_true(is_there(old));
    // A lesson longer than the ring loses its own beginning, never what has just begun.
    cap_copies_trim(test->root, 0, 0);
    assert_false(is_there(old));
    assert_int_equal(files_in(running), 1);
    assert_true(is_there(running));
}

static void another_captures_folder_stays(void **state)
{
    const Test *test = *state;
    g_autofree char *begun = copy_make(test, 20, 0, "running"); // before its first keyframe
    g_autofree char *over = copy_make(test, 10, 0, "over");
    g_autofree char *made = g_build_filename(test->root, "01KAN0000000000000000000AA", NULL);
    assert_int_equal(g_mkdir(made, 0700), 0); // and nothing is in it yet
    int lock = cap_copy_lock(begun);
    assert_true(lock >= 0);
    assert_int_equal(cap_copy_lock(begun), -1);
    cap_copies_trim(test->root, 0, 0);
    assert_true(is_there(begun));
    assert_true(is_there(made));
    assert_false(is_there(over));
    close(lock);
}

static void what_is_too_old_goes(void **state)
{
    const Test *test = *state;
    g_autofree char *copy = copy_make(test, 300, 5, "over");
    gint64 wall_ns = tk_ulid_wall_ns(strrchr(copy, '/') + 1);
    cap_copies_trim(test->root, 1 << 30, wall_ns + 150 * TK_NS_PER_S);
    assert_int_equal(files_in(copy), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_passes_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lesson_that_was_cut_off_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ring_loses_what_is_delivered_first, setup, teardown),
        cmocka_unit_test_setup_teardown(another_captures_folder_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_too_old_goes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
