// SPDX-License-Identifier: MIT
// A gap filled from a copy: to the sample, whole or not at all.
#include "common/media/cmaf_mux.h"
#include "recorder/archive/heal.h"
#include "recorder/archive/patch.h"
#include "recorder/archive/recover.h"
#include "recorder/archive/state.h"
#include "recorder/library/hls.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <glib/gstdio.h>
#include <string.h>

#define ID "01KAN0000000000000000000AA"
#define NS_PER_S G_GINT64_CONSTANT(1000000000)

// Ten seconds, of which the recording lacks the fourth and the fifth.
static LessonPieces *pieces;

static int setup(void **state)
{
    pieces = lesson_make(10, 0, 1, 128);
    return 0;
}

static int teardown(void **state)
{
    lesson_free(pieces);
    return 0;
}

static void recording_close(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RecLesson) lesson = rec_lesson_new(ID, "math");
    lesson->started_ns = LESSON_WALL_NS;
    gboolean changed;
    assert_true(rec_lesson_save(lesson, folder, &error));
    g_autoptr(RecLesson) counted = rec_recover_lesson(folder, ID, TRUE, &changed, &error);
    assert_non_null(counted);
    rec_state_set(counted, REC_STATE_CLOSED, "for the test");
    assert_true(rec_lesson_save(counted, folder, &error));
}

static char *recording_new(guint from_s, guint gap_s, guint resume_s, guint end_s)
{
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", pieces, TRUE, from_s * LESSON_CHUNKS_PER_S,
                 (gap_s - from_s) * LESSON_CHUNKS_PER_S);
    if (end_s > resume_s)
        lesson_store(folder, "main", pieces, FALSE, resume_s * LESSON_CHUNKS_PER_S,
                     (end_s - resume_s) * LESSON_CHUNKS_PER_S);
    recording_close(folder);
    return folder;
}

// The lesson as its capture kept it: the same samples, other chunks, a clock `late_ns` behind.
static void on_chunk(void *user, GBytes *chunk, gboolean key)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(chunk, &size);
    g_byte_array_append(user, data, (guint)size);
}

static char *copy_write(const char *folder, guint from_s, guint to_s, gint64 late_ns,
                        gint64 sound_late_ticks)
{
    g_autoptr(GByteArray) all = g_byte_array_new(), out = g_byte_array_new();
    g_autoptr(GError) error = NULL;
    gsize size;
    const guint8 *data = g_bytes_get_data(pieces->init, &size);
    g_byte_array_append(all, data, (guint)size);
    g_byte_array_append(out, data, (guint)size);
    for (guint i = from_s * LESSON_CHUNKS_PER_S; i < to_s * LESSON_CHUNKS_PER_S; i++) {
        data = g_bytes_get_data(pieces->chunks->pdata[i], &size);
        g_byte_array_append(all, data, (guint)size);
    }
    g_autoptr(RecPatchMedia) media = rec_patch_read(all->data, all->len, &error);
    assert_non_null(media);
    const TkCmafInit *init = media->inits->pdata[0];
    g_autoptr(TkCmafMux) mux = tk_cmaf_mux_new(init->tracks, init->tracks_count, on_chunk, out);
    guint sound = 0;
    for (guint i = 0; i < media->samples[TK_TRACK_VIDEO]->len; i++) {
        for (guint kind = 0; kind < 2; kind++) {
            guint per_picture = kind == TK_TRACK_VIDEO ? 1 : 5;
            for (guint n = 0; n < per_picture; n++) {
                guint at = kind == TK_TRACK_VIDEO ? i : sound++;
                if (at >= media->samples[kind]->len)
                    continue;
                const RecSample *sample = &g_array_index(media->samples[kind], RecSample, at);
                const TkCmafMuxSample in = {.kind = (TkTrackKind)kind,
                                            .decode =
                                                sample->time + 12345 +
                                                (kind == TK_TRACK_AUDIO ? sound_late_ticks : 0),
                                            .cts_offset = sample->cts_offset,
                                            .key = sample->key,
                                            .wall_ns = sample->wall_ns - late_ns,
                                            .data = sample->data,
                                            .size = sample->size};
                assert_true(tk_cmaf_mux_push(mux, &in));
            }
        }
    }
    // Sound that outlasts the pictures has its capture time, too: copies are cut by it.
    tk_cmaf_mux_flush(mux, -1, -1);
    g_autoptr(RecPatchMedia) made = rec_patch_read(out->data, out->len, &error);
    assert_non_null(made);
    for (guint kind = 0; kind < 2; kind++)
        for (guint i = 0; i < made->samples[kind]->len; i++)
            assert_true(g_array_index(made->samples[kind], RecSample, i).wall_ns > 0);
    char *path = g_build_filename(folder, "main.patch.upload", NULL);
    assert_true(g_file_set_contents(path, (const char *)out->data, (gssize)out->len, NULL));
    return path;
}

static char *key_of_first_hole(const char *folder, gint64 to_ns)
{
    g_autofree char *index = rec_stream_path(folder, "main", "index");
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_autoptr(GError) error = NULL;
    guint64 at = 0;
    assert_true(rec_index_read(index, entries, &at, NULL, &error));
    g_autoptr(GArray) holes = rec_heal_holes(entries, 0, to_ns);
    assert_true(holes->len > 0);
    return g_strdup(g_array_index(holes, RecHole, 0).key);
}

static gboolean prepare(const char *folder, char *path, gint64 *ret_moved_ns, GError **error)
{
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, error);
    const RecHealRules rules = {lesson->started_ns, 0};
    g_autofree char *key = key_of_first_hole(folder, 10 * NS_PER_S);
    RecPatch patch = {"main", key, path, 0, 10 * NS_PER_S, NULL};
    gboolean ok = rec_heal_prepare(folder, lesson, &rules, &patch, 1, ret_moved_ns, error);
    g_free(patch.refused);
    return ok;
}

// Every coded sample of the recording, in order.
static GArray *samples_of(const char *folder, TkTrackKind kind, GMappedFile **ret_file,
                          RecPatchMedia **ret_media)
{
    g_autofree char *path = rec_stream_path(folder, "main", "mp4");
    g_autoptr(GError) error = NULL;
    *ret_file = g_mapped_file_new(path, FALSE, &error);
    *ret_media = rec_patch_read((const guint8 *)g_mapped_file_get_contents(*ret_file),
                                g_mapped_file_get_length(*ret_file), &error);
    assert_non_null(*ret_media);
    return (*ret_media)->samples[kind];
}

static void check_same_as_whole(const char *folder)
{
    g_autofree char *whole = recording_new(0, 10, 10, 10);
    for (guint kind = 0; kind < 2; kind++) {
        g_autoptr(GMappedFile) file_a = NULL, file_b = NULL;
        g_autoptr(RecPatchMedia) media_a = NULL, media_b = NULL;
        GArray *a = samples_of(folder, (TkTrackKind)kind, &file_a, &media_a);
        GArray *b = samples_of(whole, (TkTrackKind)kind, &file_b, &media_b);
        assert_int_equal(a->len, b->len);
        for (guint i = 0; i < a->len; i++) {
            const RecSample *x = &g_array_index(a, RecSample, i);
            const RecSample *y = &g_array_index(b, RecSample, i);
            assert_int_equal(x->size, y->size);
            assert_memory_equal(x->data, y->data, x->size);
            assert_in_range(x->time - y->time + 2, 0, 4); // ticks
        }
    }
    lesson_folder_free(g_steal_pointer(&whole));
}

// What stands there is what salvage would find.
static void check_rebuilt(const char *folder)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *index = rec_stream_path(folder, "main", "index");
    g_autofree char *before = NULL, *after = NULL;
    g_auto(RecRecovered) recovered = {0};
    assert_true(g_file_get_contents(index, &before, NULL, NULL));
    g_unlink(index);
    assert_true(rec_recover_stream(folder, "main", &recovered, &error));
    assert_true(g_file_get_contents(index, &after, NULL, NULL));
    assert_string_equal(before, after);
}

static void check_healed(const char *folder, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    assert_int_equal(rec_lesson_open_gaps(lesson), 0);
    assert_int_equal(lesson->gaps->len, 1);
    assert_string_equal(((RecGap *)lesson->gaps->pdata[0])->reason, reason);
    check_same_as_whole(folder);
    check_rebuilt(folder);
}

static void check_gap(void **state)
{
    char *folder = recording_new(0, 3, 5, 10);
    g_autofree char *path = copy_write(folder, 2, 6, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns = -1;
    assert_true(prepare(folder, path, &moved_ns, &error));
    assert_int_equal(moved_ns, 0);
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    assert_int_equal(rec_lesson_open_gaps(lesson), 1); // nothing has changed yet
    assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
    check_healed(folder, "missed");
    assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    lesson_folder_free(folder);
}

static guint discontinuities(const char *folder)
{
    g_autofree char *index = rec_stream_path(folder, "main", "index");
    g_autoptr(GArray) entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    g_autoptr(GError) error = NULL;
    ShelfPlaylist *playlist = shelf_playlist_new();
    guint64 at = 0;
    guint count = 0;
    assert_true(rec_index_read(index, entries, &at, NULL, &error));
    shelf_playlist_add(playlist, (const RecEntry *)(const void *)entries->data, entries->len);
    g_autofree char *text = shelf_playlist_text(playlist, LESSON_WALL_NS, TRUE, FALSE);
    for (const char *found = text; (found = strstr(found, "#EXT-X-DISCONTINUITY\n")); found++)
        count++;
    shelf_playlist_free(playlist);
    return count;
}

// The relay was started again within the gap, and once more at 8 s: behind what was put in media
// time goes on, in the file as in the index, and players are not told to begin anew.
static void check_restarted(void **state)
{
    g_autoptr(LessonPieces) second = lesson_restarted(pieces, 50, 80, 4, 0);
    g_autoptr(LessonPieces) third = lesson_restarted(pieces, 80, 100, 7, 30 * 1000 * 1000);
    char *folder = recording_new(0, 3, 3, 3);
    lesson_store(folder, "main", second, FALSE, 0, 30);
    lesson_store(folder, "main", third, FALSE, 0, 20);
    recording_close(folder);
    assert_int_equal(discontinuities(folder), 2);
    g_autofree char *path = copy_write(folder, 2, 6, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    assert_true(prepare(folder, path, &moved_ns, &error));
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
    assert_int_equal(discontinuities(folder), 1); // none tells whether samples are missing there
    check_healed(folder, "missed");
    lesson_folder_free(folder);
}

static char *blind_recording_new(guint from, guint to, gboolean together, guint deaf)
{
    g_autoptr(LessonPieces) blind = lesson_blind(pieces, from, to, together);
    char *folder = lesson_folder_new();
    if (deaf) { // some other sound than the copy has
        gsize size;
        guint8 *data = g_bytes_unref_to_data(blind->chunks->pdata[deaf], &size);
        data[size - 1] ^= 1;
        blind->chunks->pdata[deaf] = g_bytes_new_take(data, size);
    }
    lesson_store(folder, "main", blind, TRUE, 0, blind->chunks->len);
    recording_close(folder);
    return folder;
}

// Pictures alone are missing: they come back, and the sound that was there is there once.
static void check_pictures(void **state)
{
    for (guint together = 0; together < 2; together++) {
        char *folder = blind_recording_new(together ? 34 : 22, 40, together, 0);
        g_autofree char *path = copy_write(folder, 1, 6, 300 * 1000 * 1000, 0);
        g_autoptr(GError) error = NULL;
        gint64 moved_ns;
        assert_true(prepare(folder, path, &moved_ns, &error));
        g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
        assert_int_equal(rec_lesson_open_gaps(lesson), 1);
        assert_string_equal(((RecGap *)lesson->gaps->pdata[0])->reason, "no-picture");
        assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
        check_healed(folder, together ? "no-picture" : "missed");
        lesson_folder_free(folder);
    }
    // Nothing that was recorded is given up for pictures.
    char *folder = blind_recording_new(22, 40, FALSE, 30);
    g_autofree char *path = copy_write(folder, 1, 6, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    assert_false(prepare(folder, path, &moved_ns, &error));
    lesson_folder_free(folder);
}

// Sound went on alone from 2.2 s to 4.2 s, then nothing came: what is put in behind it begins with
// a keyframe there, and no picture from before that sound is put behind it.
static void check_behind_sound(void **state)
{
    g_autoptr(LessonPieces) blind = lesson_blind(pieces, 22, 42, FALSE);
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", blind, TRUE, 0, 42);
    recording_close(folder);
    g_autofree char *path = copy_write(folder, 1, 10, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    assert_true(prepare(folder, path, &moved_ns, &error));
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
    g_autoptr(GMappedFile) file = NULL, sound_file = NULL;
    g_autoptr(RecPatchMedia) media = NULL, sound_media = NULL;
    const GArray *seen = samples_of(folder, TK_TRACK_VIDEO, &file, &media);
    assert_int_equal(seen->len, 22 + 50); // the next keyframe is at 5 s
    const RecSample *back = &g_array_index(seen, RecSample, 22);
    assert_true(back->key);
    assert_in_range(back->time, 5 * 90000 - 2, 5 * 90000 + 2);
    GArray *heard = samples_of(folder, TK_TRACK_AUDIO, &sound_file, &sound_media);
    for (guint i = 1; i < heard->len; i++)
        assert_true(g_array_index(heard, RecSample, i).time >
                    g_array_index(heard, RecSample, i - 1).time);
    lesson_folder_free(folder);
}

// Pictures of another size that came when the sound was a second further: that is no damage.
static void check_late_pictures(void **state)
{
    g_autoptr(LessonPieces) blind = lesson_blind(pieces, 60, 80, FALSE);
    g_autoptr(LessonPieces) late = lesson_make(2, 7, 81, 64);
    char *folder = lesson_folder_new();
    lesson_store(folder, "main", blind, TRUE, 0, 30);
    lesson_store(folder, "main", blind, FALSE, 50, 30);
    lesson_store(folder, "main", late, TRUE, 0, late->chunks->len);
    recording_close(folder);
    g_autofree char *path = copy_write(folder, 2, 6, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    assert_true(prepare(folder, path, &moved_ns, &error));
    lesson_folder_free(folder);
}

// A recording that lacks pictures, and of whose first ones so many are others than the copy has.
static char *other_recording_new(guint others)
{
    g_autoptr(LessonPieces) blind = lesson_blind(pieces, 22, 30, FALSE);
    char *folder = lesson_folder_new();
    for (guint i = 0; i < others; i++) {
        gsize size;
        guint8 *data = g_bytes_unref_to_data(blind->chunks->pdata[i], &size);
        guint8 *media = memmem(data, size, "mdat", 4);
        assert_non_null(media);
        media[12] ^= 1;
        blind->chunks->pdata[i] = g_bytes_new_take(data, size);
    }
    lesson_store(folder, "main", blind, TRUE, 0, blind->chunks->len);
    recording_close(folder);
    return folder;
}

// Two pictures between one loss and the next are enough to tell the place by. Without any the copy
// could only begin with the keyframe behind the gap: its sound does not pass for the pictures.
static void check_few_pictures(void **state)
{
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    char *folder = other_recording_new(20);
    g_autofree char *path = copy_write(folder, 1, 6, 0, 0);
    assert_true(prepare(folder, path, &moved_ns, &error));
    lesson_folder_free(folder);

    folder = other_recording_new(22);
    g_autofree char *again = copy_write(folder, 1, 6, 0, 0);
    assert_false(prepare(folder, again, &moved_ns, &error));
    assert_non_null(strstr(error->message, "no picture in the copy belongs there"));
    lesson_folder_free(folder);
}

// Where there is silence many frames of sound are the same. Which is which is told by what stands
// beyond the silence, whatever the clocks say.
static void check_silence(void **state)
{
    for (gint frames = -6; frames <= 6; frames++) {
        char *folder = recording_new(0, 3, 5, 10);
        g_autofree char *path = copy_write(folder, 1, 7, 0, frames * 1024 + 600);
        g_autoptr(GError) error = NULL;
        gint64 moved_ns;
        assert_true(prepare(folder, path, &moved_ns, &error));
        g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
        assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
        check_healed(folder, "missed");
        lesson_folder_free(folder);
    }
}

// Cut off behind the order: each state that the renames can leave is made good.
static void check_crash(void **state)
{
    for (guint done = 0; done < 3; done++) {
        char *folder = recording_new(0, 3, 5, 10);
        g_autofree char *path = copy_write(folder, 2, 6, 900 * 1000 * 1000, 0);
        g_autofree char *order = g_build_filename(folder, REC_HEAL_FILE, NULL);
        static const char *const suffixes[] = {"mp4", "index"};
        g_autoptr(GError) error = NULL;
        gint64 moved_ns;
        assert_true(prepare(folder, path, &moved_ns, &error));
        g_autofree char *text = g_strdup_printf(
            "{\"streams\":[\"main\"],\"started_ns\":%" G_GINT64_FORMAT "}", LESSON_WALL_NS);
        assert_true(g_file_set_contents(order, text, -1, NULL));
        for (guint i = 0; i < done; i++) {
            g_autofree char *to = rec_stream_path(folder, "main", suffixes[i]);
            g_autofree char *from = g_strconcat(to, ".new", NULL);
            assert_int_equal(g_rename(from, to), 0);
        }
        assert_true(rec_heal_finish(folder, &error));
        assert_false(g_file_test(order, G_FILE_TEST_EXISTS));
        check_healed(folder, "missed");
        lesson_folder_free(folder);
    }
}

// Two streams, of which the second cannot be written: of neither a copy is left.
static void check_disk_refuses(void **state)
{
    char *folder = recording_new(0, 3, 5, 10);
    g_autofree char *path = copy_write(folder, 2, 6, 0, 0);
    g_autofree char *blocked = rec_stream_path(folder, "slides", "mp4.new");
    g_autoptr(GError) error = NULL;
    lesson_store(folder, "slides", pieces, TRUE, 0, 30);
    lesson_store(folder, "slides", pieces, FALSE, 50, 50);
    recording_close(folder);
    assert_int_equal(g_mkdir(blocked, 0755), 0);

    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    const RecHealRules rules = {lesson->started_ns, 0};
    RecPatch patches[] = {{"main", "3000", path, 0, 10 * NS_PER_S, NULL},
                          {"slides", "3000", path, 0, 10 * NS_PER_S, NULL}};
    gint64 moved_ns;
    assert_false(rec_heal_prepare(folder, lesson, &rules, patches, 2, &moved_ns, &error));
    check_error(error, TK_ERROR_IO);
    assert_int_equal(g_rmdir(blocked), 0);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    for (const char *name; (name = g_dir_read_name(dir));)
        assert_false(g_str_has_suffix(name, ".new"));
    assert_true(rec_heal_prepare(folder, lesson, &rules, patches, 2, &moved_ns, NULL));
    lesson_folder_free(folder);
}

// A copy of something else, or damaged, changes nothing.
static void check_foreign(void **state)
{
    char *folder = recording_new(0, 3, 5, 10);
    g_autofree char *path = copy_write(folder, 6, 9, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns;
    assert_false(prepare(folder, path, &moved_ns, &error));
    g_clear_error(&error);
    assert_true(g_file_set_contents(path, "nonsense", -1, NULL));
    assert_false(prepare(folder, path, &moved_ns, &error));
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, NULL);
    assert_int_equal(rec_lesson_open_gaps(lesson), 1);
    lesson_folder_free(folder);
}

// The relay was reached late: the lesson begins earlier now.
static void check_head(void **state)
{
    char *folder = recording_new(4, 10, 10, 10);
    g_autofree char *path = copy_write(folder, 0, 5, 0, 0);
    g_autoptr(GError) error = NULL;
    gint64 moved_ns = -1;
    assert_true(prepare(folder, path, &moved_ns, &error));
    g_autoptr(RecLesson) lesson = rec_lesson_load(folder, &error);
    assert_true(rec_heal_commit(folder, lesson, moved_ns, &error));
    check_same_as_whole(folder);
    lesson_folder_free(folder);
}

// One sample a letter, equal letters equal bytes, ten ticks each.
static GArray *samples_from(const char *letters, gint64 start)
{
    GArray *samples = g_array_new(FALSE, FALSE, sizeof(RecSample));
    for (guint i = 0; letters[i]; i++) {
        const RecSample sample = {
            .data = (const guint8 *)letters + i, .size = 1, .time = start + 10 * i};
        g_array_append_val(samples, sample);
    }
    return samples;
}

// Where the last letter of `archive`, at tick 1000, is found in `patch`, whose first is at `start`.
static gint place_of(const char *patch, gint64 start, const char *archive)
{
    g_autoptr(GArray) a = samples_from(patch, start);
    g_autoptr(GArray) b = samples_from(archive, 1000 - 10 * ((gint64)strlen(archive) - 1));
    RecPlace place;
    return rec_patch_find(a, b, TRUE, 0, 10000, &place) ? (gint)place.index : -1;
}

static void check_places(void **state)
{
    // Silence behind something: told by that, however far off the clock is.
    assert_int_equal(place_of("..abcdefgh........ij", 1000 - 140, "abcdefgh...."), 13);
    assert_int_equal(place_of("..abcdefgh........ij", 1000 - 110, "abcdefgh...."), 13);
    // Nothing but silence: the clock alone.
    assert_int_equal(place_of("....................", 1000 - 120, ".........."), 12);
    // A still picture goes round and round: where the copy begins there is less of it.
    assert_int_equal(place_of("abcdabcdabcdabcdabcd", 1000 - 70, "abcdabcdabcdabcdabcd"), 7);
    // A loss before the edge, which the copy does not have.
    assert_int_equal(place_of("abxxcdefghij......k", 1000 - 120, "abcdefghij..."), 14);
    // Too little.
    assert_int_equal(place_of("xxxxxxxxxbcd", 1000 - 110, "aaaaaaaaaabcd"), -1);
    assert_int_equal(place_of("bcd", 1000 - 20, "aaaaaaaaaabcd"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_places),       cmocka_unit_test(check_gap),
        cmocka_unit_test(check_restarted),    cmocka_unit_test(check_silence),
        cmocka_unit_test(check_crash),        cmocka_unit_test(check_foreign),
        cmocka_unit_test(check_disk_refuses), cmocka_unit_test(check_head),
        cmocka_unit_test(check_pictures),     cmocka_unit_test(check_few_pictures),
        cmocka_unit_test(check_behind_sound), cmocka_unit_test(check_late_pictures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
