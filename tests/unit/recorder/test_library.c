// SPDX-License-Identifier: MIT
// Playlists, downloads and ranges over a stored lesson, read by strangers (ffprobe, ffmpeg).
#include "common/base/clock.h"
#include "recorder/library/check.h"
#include "recorder/library/download.h"
#include "recorder/library/grant.h"
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
                         gboolean delta)
{
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    shelf_playlist_add(playlist, entries, count);
    return shelf_playlist_text(playlist, started_ns, closed, delta);
}

// The lines of a playlist that are no tags.
static GStrv names_of(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    for (guint i = 0; lines[i]; i++)
        if (*lines[i] && *lines[i] != '#')
            g_strv_builder_add(names, lines[i]);
    return g_strv_builder_end(names);
}

static void check_playlist(void **state)
{
    Stored stored;
    store(&stored);
    g_autofree char *whole = playlist_of(stored.entries, stored.count, LESSON_WALL_NS, TRUE, FALSE);
    check_contains(whole, "#EXT-X-VERSION:7\n");
    check_contains(whole, "#EXT-X-TARGETDURATION:4\n");
    check_contains(whole, "#EXT-X-PLAYLIST-TYPE:EVENT\n");
    check_contains(whole, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    assert_true(g_str_has_suffix(whole, "#EXT-X-ENDLIST\n"));
    assert_int_equal(occurrences(whole, "#EXT-X-DISCONTINUITY\n"), 1);
    assert_int_equal(occurrences(whole, "#EXT-X-MAP:URI=\"init-"), 2);
    assert_int_equal(occurrences(whole, "#EXTINF:2.000000,"), 7); // 5 * 2, then 2+2+1
    assert_int_equal(occurrences(whole, "#EXTINF:"), 8);
    assert_true(fabs(extinf_sum(whole) - 15) < 1e-6);
    // The second part begins 15 s into the lesson on the wall clock too.
    g_autofree char *date = tk_clock_format_rfc3339(LESSON_WALL_NS + 15 * TK_NS_PER_S);
    check_contains(whole, date);
    assert_int_equal(occurrences(whole, "PROGRAM-DATE-TIME"), 2);

    // While the lesson runs only whole segments stand in it, and what stood once stays.
    g_autofree char *early = playlist_of(stored.entries, 90, LESSON_WALL_NS, FALSE, FALSE);
    assert_int_equal(occurrences(early, "#EXTINF:2.000000,"), 4);
    assert_null(strstr(early, "ENDLIST"));
    const char *segments = strstr(early, "#EXT-X-MAP");
    assert_non_null(segments);
    check_contains(whole, segments);
    stored_clear(&stored);
}

// Every name leads to one stretch of the file, which begins with a keyframe; together they are all
// of it.
static void check_segments_found(void **state)
{
    Stored stored;
    store(&stored);
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    shelf_playlist_add(playlist, stored.entries, stored.count);
    g_autofree char *text = shelf_playlist_text(playlist, 0, TRUE, FALSE);
    g_auto(GStrv) names = names_of(text);
    guint64 at = stored.entries[0].bytes, offset, bytes;
    for (guint i = 0; names[i]; i++) {
        assert_true(shelf_playlist_find(playlist, TRUE, names[i], &offset, &bytes));
        if (i == 5) // the second initialisation segment
            at += stored.entries[101].bytes;
        assert_int_equal(offset, at);
        at += bytes;
    }
    const RecEntry *last = &stored.entries[stored.count - 1];
    assert_int_equal(at, last->offset + last->bytes);
    char *init = strstr(text, "init-");
    init[strlen("init-0123456789abcdef.mp4")] = '\0';
    assert_true(shelf_playlist_find(playlist, TRUE, init, &offset, &bytes));
    assert_int_equal(offset, 0);
    assert_int_equal(bytes, stored.entries[0].bytes);
    assert_false(shelf_playlist_find(playlist, TRUE, "0-0123456789abcdef.m4s", &offset, &bytes));
    // The last one is not whole while the lesson runs.
    guint count = g_strv_length(names);
    assert_false(shelf_playlist_find(playlist, FALSE, names[count - 1], &offset, &bytes));
    assert_true(shelf_playlist_find(playlist, FALSE, names[count - 2], &offset, &bytes));
    stored_clear(&stored);
}

// Another byte in a segment is another name, and only for that segment.
static void check_names_mean_content(void **state)
{
    Stored stored;
    store(&stored);
    g_autofree char *text = playlist_of(stored.entries, stored.count, 0, TRUE, FALSE);
    g_autofree RecEntry *entries = g_memdup2(stored.entries, stored.count * sizeof *entries);
    entries[30].crc ^= 1;
    g_autofree char *other = playlist_of(entries, stored.count, 0, TRUE, FALSE);
    g_auto(GStrv) before = names_of(text);
    g_auto(GStrv) after = names_of(other);
    assert_int_equal(g_strv_length(before), g_strv_length(after));
    for (guint i = 0; before[i]; i++)
        assert_int_equal(strcmp(before[i], after[i]) != 0, i == 1); // 2 s to 4 s
    stored_clear(&stored);
}

static void check_playlist_empty(void **state)
{
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    assert_false(shelf_playlist_filled(playlist, TRUE));
    g_autofree char *text = playlist_of(NULL, 0, 0, FALSE, FALSE);
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
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    guint64 offset, bytes;
    shelf_playlist_add(playlist, entries, 3);
    g_autofree char *text = shelf_playlist_text(playlist, 0, TRUE, FALSE);
    g_auto(GStrv) names = names_of(text);
    assert_int_equal(g_strv_length(names), 1);
    assert_true(shelf_playlist_find(playlist, TRUE, names[0], &offset, &bytes));
    assert_int_equal(offset, 20);
    assert_int_equal(bytes, 10);
}

// `seconds` of chunks of a tenth, with a keyframe every `key_s`.
static GArray *entries_make(guint seconds, guint key_s)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(RecEntry));
    RecEntry entry = {.bytes = 1000, .flags = REC_ENTRY_INIT, .sequence = 1};
    g_array_append_val(entries, entry);
    for (guint i = 0; i < seconds * 10; i++) {
        entry = (RecEntry){.offset = 1000 * (i + 1),
                           .bytes = 1000,
                           .sequence = i + 1,
                           .crc = i,
                           .media_ns = i * TK_NS_PER_S / 10,
                           .duration_ns = TK_NS_PER_S / 10,
                           .flags = i % (key_s * 10) == 0 ? REC_ENTRY_KEY : 0};
        g_array_append_val(entries, entry);
    }
    return entries;
}

// However far a sender's keyframes are apart, no segment is longer than the target duration says,
// and nothing is lost; keyframes that are near enough are where segments begin.
static void check_target_holds(void **state)
{
    static const guint distances[] = {1, 2, 3, 4, 5, 10, 60};
    for (guint i = 0; i < G_N_ELEMENTS(distances); i++) {
        g_autoptr(GArray) entries = entries_make(60, distances[i]);
        g_autofree char *text =
            playlist_of((const RecEntry *)entries->data, entries->len, 0, TRUE, FALSE);
        check_contains(text, "#EXT-X-TARGETDURATION:4\n");
        assert_true(fabs(extinf_sum(text) - 60) < 1e-6);
        for (const char *at = text; (at = strstr(at, "#EXTINF:")); at++)
            assert_true(g_ascii_strtod(at + strlen("#EXTINF:"), NULL) < 4.5);
        assert_int_equal(strstr(text, "INDEPENDENT") != NULL, distances[i] <= 4);
    }
}

// A delta leaves out only what the one before it had, and counts it.
static void check_delta(void **state)
{
    g_autoptr(GArray) entries = entries_make(60, 2);
    const RecEntry *first = (const RecEntry *)entries->data;
    g_autofree char *whole = playlist_of(first, entries->len, LESSON_WALL_NS, FALSE, FALSE);
    g_autofree char *delta = playlist_of(first, entries->len, LESSON_WALL_NS, FALSE, TRUE);
    check_contains(whole, "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24.0\n");
    check_contains(delta, "#EXT-X-VERSION:9\n");
    check_contains(delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=17\n"); // 29 of 2 s are whole
    assert_int_equal(occurrences(delta, "#EXTINF"), 12);
    const char *same = strstr(delta, "#EXTINF");
    assert_true(g_str_has_suffix(whole, same));
    // Where nothing is old, nothing is left out.
    g_autofree char *early = playlist_of(first, 200, LESSON_WALL_NS, FALSE, TRUE);
    assert_null(strstr(early, "SKIP:"));
    g_autofree char *end = playlist_of(first, entries->len, LESSON_WALL_NS, TRUE, TRUE);
    assert_true(g_str_has_suffix(end, "#EXT-X-ENDLIST\n"));
    check_contains(end, "SKIPPED-SEGMENTS=18\n");
}

static void check_multivariant(void **state)
{
    g_autoptr(ShelfPlaylist) playlist = shelf_playlist_new();
    g_autoptr(GArray) entries = entries_make(20, 2);
    g_array_index(entries, RecEntry, 25).bytes = 3000;
    for (guint i = 26; i < entries->len; i++)
        g_array_index(entries, RecEntry, i).offset += 2000;
    shelf_playlist_add(playlist, (const RecEntry *)entries->data, entries->len);
    // Of 10 segments of 20 chunks of 1,000 bytes one has 2,000 bytes more.
    g_autofree char *text = shelf_multivariant_text(
        playlist, TRUE, "main", "video/mp4; codecs=\"avc1.64001F,mp4a.40.2\"", 1280, 720);
    assert_string_equal(text, "#EXTM3U\n#EXT-X-VERSION:7\n"
                              "#EXT-X-STREAM-INF:BANDWIDTH=88000,AVERAGE-BANDWIDTH=80800,"
                              "CODECS=\"avc1.64001F,mp4a.40.2\",RESOLUTION=1280x720\n"
                              "main/playlist.m3u8\n");
    g_autofree char *sound =
        shelf_multivariant_text(playlist, TRUE, "class-7", "audio/mp4; codecs=\"mp4a.40.2\"", 0, 0);
    check_contains(sound, "80800,CODECS=\"mp4a.40.2\"\nclass-7/playlist.m3u8\n");
    g_autofree char *untold = shelf_multivariant_text(playlist, TRUE, "main", NULL, 0, 0);
    check_contains(untold, "80800\nmain/playlist.m3u8\n");
    g_autoptr(ShelfPlaylist) nothing = shelf_playlist_new();
    g_autofree char *none = shelf_multivariant_text(nothing, TRUE, "main", "video/mp4", 0, 0);
    check_contains(none, "BANDWIDTH=0,AVERAGE-BANDWIDTH=0\n");
}

#define LESSON_A "01KAN0000000000000000000AA"
#define LESSON_B "01KAN0000000000000000000AB"

// An address is good for its lesson, for a time, with its key, and as it is.
static void check_grants(void **state)
{
    g_autofree char *folder = lesson_folder_new();
    const gint64 window_s = SHELF_GRANT_WINDOW_S, now_s = 40000 * window_s + 5;
    g_autoptr(ShelfGrants) grants = shelf_grants_open(folder, NULL);
    assert_non_null(grants);
    g_autofree char *grant = shelf_grant_make(grants, LESSON_A, now_s);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_A, now_s), 2 * window_s - 5);
    g_autofree char *same = shelf_grant_make(grants, LESSON_A, now_s + window_s - 6);
    assert_string_equal(grant, same);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_A, now_s + 2 * window_s - 6), 1);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_A, now_s + 2 * window_s - 5), 0);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_A, now_s + 2 * window_s), 0);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_A, now_s - window_s), 0);
    assert_int_equal(shelf_grant_left(grants, grant, LESSON_B, now_s), 0);
    for (gsize i = 0; grant[i]; i++) {
        g_autofree char *bent = g_strdup(grant);
        bent[i] = bent[i] == '1' ? '2' : '1';
        assert_int_equal(shelf_grant_left(grants, bent, LESSON_A, now_s), 0);
        bent[i] = '\0';
        assert_int_equal(shelf_grant_left(grants, bent, LESSON_A, now_s), 0);
    }
    // A start later it is the same; with another key not.
    g_autoptr(ShelfGrants) again = shelf_grants_open(folder, NULL);
    assert_int_equal(shelf_grant_left(again, grant, LESSON_A, now_s), 2 * window_s - 5);
    g_autofree char *other_folder = lesson_folder_new();
    g_autoptr(ShelfGrants) other = shelf_grants_open(other_folder, NULL);
    assert_int_equal(shelf_grant_left(other, grant, LESSON_A, now_s), 0);
    // A key that is cut off is no key.
    g_autofree char *path = g_build_filename(folder, "hls.key", NULL);
    assert_true(g_file_set_contents(path, "short", 5, NULL));
    g_autoptr(GError) error = NULL;
    assert_null(shelf_grants_open(folder, &error));
    check_error(error, TK_ERROR_IO);
    lesson_folder_free(g_steal_pointer(&folder));
    lesson_folder_free(g_steal_pointer(&other_folder));
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
        cmocka_unit_test(check_segments_found),
        cmocka_unit_test(check_names_mean_content),
        cmocka_unit_test(check_playlist_empty),
        cmocka_unit_test(check_playlist_without_key),
        cmocka_unit_test(check_target_holds),
        cmocka_unit_test(check_delta),
        cmocka_unit_test(check_multivariant),
        cmocka_unit_test(check_grants),
        cmocka_unit_test(check_download),
        cmocka_unit_test(check_head_read_back),
        cmocka_unit_test(check_download_delay),
        cmocka_unit_test(check_download_nothing),
        cmocka_unit_test(check_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
