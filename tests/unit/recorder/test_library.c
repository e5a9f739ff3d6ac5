// SPDX-License-Identifier: MIT
// Playlists, downloads and ranges over a stored lesson, read by strangers (ffprobe, ffmpeg).
#include "common/base/clock.h"
#include "recorder/library/check.h"
#include "recorder/library/download.h"
#include "recorder/library/hls.h"
#include "recorder/library/reply.h"
#include "tests/unit/check.h"
#include "tests/unit/recorder/lesson_make.h"

#include <math.h>
#include <string.h>

typedef struct {
    char *folder;
    RecRecovered recovered;
    const RecEntry *entries;
    guint count;
} Stored;

// Ten seconds, five of nothing, then five seconds of another picture size.
static void store(Stored *stored)
{
    g_autoptr(LessonPieces) first = lesson_make(10, 0, 1, 128),
                            second = lesson_make(5, 15, 101, 160);
    stored->folder = lesson_folder_new();
    lesson_store(stored->folder, "main", first, TRUE, 0, 100);
    lesson_store(stored->folder, "main", second, TRUE, 0, 50);
    assert_true(rec_recover_stream(stored->folder, "main", &stored->recovered, NULL));
    stored->entries = (const RecEntry *)stored->recovered.entries->data;
    stored->count = stored->recovered.entries->len;
}

static void stored_clear(Stored *stored)
{
    rec_recovered_clear(&stored->recovered);
    lesson_folder_free(stored->folder);
}

static guint occurrences(const char *text, const char *part)
{
    guint count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

static double extinf_sum(const char *playlist)
{
    double sum = 0;
    for (const char *at = playlist; (at = strstr(at, "#EXTINF:")); at++)
        sum += g_ascii_strtod(at + strlen("#EXTINF:"), NULL);
    return sum;
}

static char *playlist_of(const RecEntry *entries, guint count, gint64 started_ns, gboolean closed,
                         const char *query)
{
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    shelf_playlist_add(playlist, entries, count);
    return shelf_playlist_text(playlist, started_ns, closed, query);
}

static void check_playlist(void **state)
{
    Stored stored;
    store(&stored);
    g_autofree char *vod =
        playlist_of(stored.entries, stored.count, LESSON_WALL_NS, TRUE, "?token=a%2Fb");
    check_contains(vod, "#EXT-X-VERSION:7\n");
    check_contains(vod, "#EXT-X-TARGETDURATION:6\n");
    check_contains(vod, "#EXT-X-PLAYLIST-TYPE:VOD\n");
    assert_true(g_str_has_suffix(vod, "#EXT-X-ENDLIST\n"));
    assert_int_equal(occurrences(vod, "#EXT-X-DISCONTINUITY\n"), 1);
    assert_int_equal(occurrences(vod, "#EXT-X-MAP:URI=\"media.mp4?token=a%2Fb\""), 2);
    assert_int_equal(occurrences(vod, "\nmedia.mp4?token=a%2Fb\n"), 5); // 4+4+2, 4+1
    assert_int_equal(occurrences(vod, "#EXTINF:4.000000,"), 3);
    assert_true(fabs(extinf_sum(vod) - 15) < 1e-6);
    // The second part begins 15 s into the lesson on the wall clock too.
    g_autofree char *date = tk_clock_format_rfc3339(LESSON_WALL_NS + 15 * TK_NS_PER_S);
    check_contains(vod, date);

    // While the lesson runs only whole segments stand in it, and what stood once stays.
    g_autofree char *early = playlist_of(stored.entries, 90, LESSON_WALL_NS, FALSE, "?token=a%2Fb");
    check_contains(early, "#EXT-X-PLAYLIST-TYPE:EVENT\n");
    assert_int_equal(occurrences(early, "#EXTINF:4.000000,"), 2);
    assert_null(strstr(early, "ENDLIST"));
    const char *segments = strstr(early, "#EXT-X-MAP");
    assert_non_null(segments);
    check_contains(vod, segments);
    stored_clear(&stored);
}

static void check_playlist_empty(void **state)
{
    g_autofree char *text = playlist_of(NULL, 0, 0, FALSE, "");
    assert_null(strstr(text, "EXTINF"));
    check_contains(text, "#EXTM3U\n");
}

// A keyframe never opens a segment in the middle of nothing: what comes before one is left out.
static void check_playlist_without_key(void **state)
{
    RecEntry entries[] = {
        {.bytes = 10, .flags = REC_ENTRY_INIT, .sequence = 1},
        {.offset = 10, .bytes = 10, .sequence = 1, .duration_ns = 100},
        {.offset = 20,
         .bytes = 10,
         .sequence = 2,
         .media_ns = 100,
         .duration_ns = 100,
         .flags = REC_ENTRY_KEY},
    };
    g_autofree char *text = playlist_of(entries, 3, 0, TRUE, "");
    check_contains(text, "#EXT-X-BYTERANGE:10@20\n");
    assert_int_equal(occurrences(text, "#EXTINF"), 1);
}

static char *download_write(const Stored *stored)
{
    g_autofree char *media_path = rec_stream_path(stored->folder, "main", "mp4");
    g_autofree char *media = NULL;
    gsize media_bytes, head_bytes;
    assert_true(g_file_get_contents(media_path, &media, &media_bytes, NULL));
    g_autoptr(GBytes) head = shelf_download_head(stored->entries, stored->count,
                                                 (const guint8 *)media, media_bytes, NULL);
    assert_non_null(head);
    const guint8 *bytes = g_bytes_get_data(head, &head_bytes);
    assert_true(shelf_download_head_fits(bytes, head_bytes, media_bytes));
    assert_false(shelf_download_head_fits(bytes, head_bytes, media_bytes + 1));
    assert_true(shelf_head_check(head, stored->entries, stored->count, (const guint8 *)media,
                                 media_bytes, NULL));
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_byte_array_append(file, bytes, (guint)head_bytes);
    g_byte_array_append(file, (const guint8 *)media, (guint)media_bytes);
    char *path = g_build_filename(stored->folder, "download.mp4", NULL);
    assert_true(g_file_set_contents(path, (const char *)file->data, (gssize)file->len, NULL));
    return path;
}

static gboolean head_good(const guint8 *bytes, gsize size, const Stored *stored,
                          const guint8 *media, gsize media_bytes)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) head = g_bytes_new(bytes, size);
    gboolean good =
        shelf_head_check(head, stored->entries, stored->count, media, media_bytes, &error);
    assert_true(good == (error == NULL));
    return good;
}

// A head that puts any one chunk or size wrong is not taken, nor one that is cut off.
static void check_head_read_back(void **state)
{
    Stored stored;
    store(&stored);
    g_autofree char *path = rec_stream_path(stored.folder, "main", "mp4");
    g_autofree char *text = NULL;
    gsize media_bytes, size;
    assert_true(g_file_get_contents(path, &text, &media_bytes, NULL));
    const guint8 *media = (const guint8 *)text;
    g_autoptr(GBytes) head =
        shelf_download_head(stored.entries, stored.count, media, media_bytes, NULL);
    const guint8 *bytes = g_bytes_get_data(head, &size);
    g_autofree guint8 *copy = g_memdup2(bytes, size);
    assert_true(head_good(copy, size, &stored, media, media_bytes));
    static const struct {
        const char *type;
        guint at; // of the last byte of the number that is made wrong
    } wrong[] = {{"stsz", 19}, {"co64", 19}, {"stsc", 19}, {"tkhd", 27}};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        guint8 *box = memmem(copy, size, wrong[i].type, 4);
        assert_non_null(box);
        box[wrong[i].at] ^= 2;
        gboolean taken = head_good(copy, size, &stored, media, media_bytes);
        box[wrong[i].at] ^= 2;
        if (taken)
            fail_msg("a wrong %s is taken", wrong[i].type);
    }
    assert_false(head_good(copy, size / 2, &stored, media, media_bytes));
    assert_false(head_good(copy, 0, &stored, media, media_bytes));
    stored_clear(&stored);
}

static double probe_number(const char *path, const char *stream, const char *entry)
{
    const char *const argv[] = {
        "ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entry, "-of",
        "csv=p=0", path, NULL};
    g_autofree char *text = lesson_run(argv);
    return g_ascii_strtod(text, NULL);
}

static void check_download(void **state)
{
    Stored stored;
    store(&stored);
    g_autofree char *path = download_write(&stored);

    assert_true(fabs(probe_number(path, "v", "format=duration") - 20) < 0.1);
    assert_true(fabs(probe_number(path, "v", "stream=duration") - 20) < 0.1);
    assert_true(fabs(probe_number(path, "a", "stream=duration") - 20) < 0.1);
    assert_int_equal((int)probe_number(path, "v", "stream=nb_frames"), 150);

    const char *const decode[] = {"ffmpeg", "-v", "error", "-i", path, "-f", "null", "-", NULL};
    g_free(lesson_run(decode));
    // Behind the gap too, and from there only what is behind it.
    const char *const seek[] = {"ffmpeg", "-v",  "error", "-ss",      "16", "-i",
                                path,     "-an", "-f",    "framecrc", "-",  NULL};
    g_autofree char *frames = lesson_run(seek);
    assert_int_equal(occurrences(frames, "\n0, "), 40);
    stored_clear(&stored);
}

// A track that begins later than the other one is shown later by as much.
static void check_download_delay(void **state)
{
    Stored stored = {.folder = lesson_folder_new()};
    g_autoptr(LessonPieces) pieces = lesson_make(4, 3, 1, 128);
    lesson_store(stored.folder, "main", pieces, TRUE, 0, 40);
    assert_true(rec_recover_stream(stored.folder, "main", &stored.recovered, NULL));
    stored.entries = (const RecEntry *)stored.recovered.entries->data;
    stored.count = stored.recovered.entries->len;
    g_autofree char *path = download_write(&stored);
    // Media time begins at 3 s; a player's clock at 0.
    assert_true(fabs(probe_number(path, "v", "stream=start_time")) < 0.001);
    assert_true(fabs(probe_number(path, "a", "stream=start_time")) < 0.001);
    assert_true(fabs(probe_number(path, "v", "format=duration") - 4) < 0.05);
    stored_clear(&stored);
}

static void check_download_nothing(void **state)
{
    g_autoptr(GError) error = NULL;
    assert_null(shelf_download_head(NULL, 0, NULL, 0, &error));
    check_error(error, TK_ERROR_NOT_FOUND);
}

static void check_ranges(void **state)
{
    const struct {
        const char *header;
        ShelfRange kind;
        guint64 from, bytes;
    } cases[] = {
        {NULL, SHELF_RANGE_NONE, 0, 0},
        {"bytes=0-0", SHELF_RANGE_PART, 0, 1},
        {"bytes=0-", SHELF_RANGE_PART, 0, 1000},
        {"bytes=999-", SHELF_RANGE_PART, 999, 1},
        {"bytes=10-19", SHELF_RANGE_PART, 10, 10},
        {"bytes=990-5000", SHELF_RANGE_PART, 990, 10},
        {"bytes=-10", SHELF_RANGE_PART, 990, 10},
        {"bytes=-5000", SHELF_RANGE_PART, 0, 1000},
        {"bytes=1000-", SHELF_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", SHELF_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-4", SHELF_RANGE_NONE, 0, 0},
        {"bytes=a-b", SHELF_RANGE_NONE, 0, 0},
        {"bytes=-", SHELF_RANGE_NONE, 0, 0},
        {"bytes=0-1,5-6", SHELF_RANGE_NONE, 0, 0},
        {"items=0-1", SHELF_RANGE_NONE, 0, 0},
        {"bytes=0-99999999999999999999999", SHELF_RANGE_NONE, 0, 0},
    };
    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        guint64 from = 0, bytes = 0;
        assert_int_equal(shelf_range_parse(cases[i].header, 1000, &from, &bytes), cases[i].kind);
        if (cases[i].kind == SHELF_RANGE_PART) {
            assert_int_equal(from, cases[i].from);
            assert_int_equal(bytes, cases[i].bytes);
        }
    }
    guint64 from, bytes;
    assert_int_equal(shelf_range_parse("bytes=0-", 0, &from, &bytes), SHELF_RANGE_UNSATISFIABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_playlist),
        cmocka_unit_test(check_playlist_empty),
        cmocka_unit_test(check_playlist_without_key),
        cmocka_unit_test(check_download),
        cmocka_unit_test(check_head_read_back),
        cmocka_unit_test(check_download_delay),
        cmocka_unit_test(check_download_nothing),
        cmocka_unit_test(check_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
