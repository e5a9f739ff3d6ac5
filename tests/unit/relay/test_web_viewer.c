// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "relay/core/web_viewer.h"

#define MS G_GINT64_CONSTANT(1000000)
#define SECOND (1000 * MS)
#define CHUNK (100 * MS)

// A lesson in three renditions, chunk by chunk: keyframes of `main` every 2 s, of `low` every
// second, 20 ms apart where `skewed`; sound in chunks of 200 ms.
typedef struct {
    RelayWebFeed *feeds[RELAY_RENDITIONS];
    RelayWebViewer viewer;
    gint64 now_ns; // of media and of the clock
    gint64 skew_ns;
    gboolean blind; // only the sound of `main` comes; there is no `low`
    gint64 late_ns; // pictures behind the sound
    guint64 numbers[RELAY_RENDITIONS];
    gint64 first_ns;     // of the media that came
    gint64 got_until_ns; // media that came
    gint64 twice_ns, missing_ns;
    RelayRendition told; // by text
    guint inits, gaps;
} Stage;

static void push(Stage *s, RelayRendition r, gint64 media_ns, gboolean key)
{
    static const RelayStreamFormat format = {.mime = "video/mp4", .has_video = TRUE};
    g_autoptr(RelayUnit) unit = relay_unit_new(16);
    unit->number = ++s->numbers[r];
    unit->media_ns = media_ns;
    unit->arrived_ns = s->now_ns;
    if (unit->number == 1) {
        memset(unit->data, 0xff, 16);
        unit->flags = RELAY_UNIT_INIT;
        relay_web_feed_push(s->feeds[r], unit, &format);
        unit->flags = 0;
    }
    gint64 words[2] = {media_ns, r == RELAY_RENDITION_AUDIO ? 2 * CHUNK : CHUNK};
    memcpy(unit->data, words, sizeof words);
    unit->flags = key ? RELAY_UNIT_KEY : 0;
    if (s->blind && r == RELAY_RENDITION_MAIN)
        unit->flags = RELAY_UNIT_BLIND;
    relay_web_feed_push(s->feeds[r], unit, NULL);
}

static void lesson(Stage *s, gint64 ns)
{
    for (gint64 end_ns = s->now_ns + ns; s->now_ns < end_ns;) {
        gint64 media_ns = s->now_ns;
        s->now_ns += CHUNK;
        gint64 picture_ns = media_ns - s->late_ns;
        push(s, RELAY_RENDITION_MAIN, picture_ns, picture_ns % (2 * SECOND) == 0);
        if (!s->blind)
            push(s, RELAY_RENDITION_LOW, media_ns + s->skew_ns, media_ns % SECOND == 0);
        if (media_ns % (2 * CHUNK) == CHUNK)
            push(s, RELAY_RENDITION_AUDIO, media_ns - CHUNK, TRUE);
    }
}

static void take_text(Stage *s, const char *text, gsize bytes)
{
    g_autoptr(json_t) object = tk_json_parse(text, bytes, 4096, NULL);
    const char *type = tk_json_string(object, "type", "");
    s->gaps += g_str_equal(type, "gap");
    if (g_str_equal(type, "rendition"))
        assert_true(relay_rendition_from_word(tk_json_string(object, "rendition", NULL), &s->told));
}

static void take_chunk(Stage *s, const guint8 *data)
{
    gint64 words[2];
    memcpy(words, data, sizeof words);
    if (words[0] == -1) {
        s->inits++;
        return;
    }
    assert_int_equal(s->told, s->viewer.choice.at); // never media of what was not named
    if (s->got_until_ns) {
        s->twice_ns += MAX(s->got_until_ns - words[0], 0);
        s->missing_ns += MAX(words[0] - s->got_until_ns, 0);
    }
    if (!s->got_until_ns)
        s->first_ns = words[0];
    s->got_until_ns = words[0] + words[1];
}

static void read_all(Stage *s)
{
    for (;;) {
        g_autoptr(RelayUnit) message = NULL;
        RelayWebNext next = relay_web_viewer_next(&s->viewer, &message);
        if (next != RELAY_WEB_TEXT && next != RELAY_WEB_BINARY)
            return;
        const guint8 *data = message->data + RELAY_WEB_HEADROOM;
        if (next == RELAY_WEB_TEXT)
            take_text(s, (const char *)data, message->bytes - RELAY_WEB_HEADROOM);
        else
            take_chunk(s, data);
    }
}

// As the lesson goes on, until it works.
static void move(Stage *s, RelayRendition to)
{
    for (guint i = 0; !relay_web_viewer_move(&s->viewer, to, s->now_ns); i++) {
        assert_int_not_equal(i, 50);
        lesson(s, CHUNK);
        read_all(s);
    }
    read_all(s);
}

static int set_up(void **state)
{
    Stage *s = g_new0(Stage, 1);
    s->now_ns = 10 * SECOND;
    for (guint i = 0; i < RELAY_RENDITIONS; i++) {
        s->feeds[i] = relay_web_feed_new(relay_rendition_word(i), NULL, 60 * SECOND, 1 << 20);
        relay_web_feed_set_state(s->feeds[i], "live", "{}");
        relay_web_feed_set_rendition(s->feeds[0], i, s->feeds[i]);
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    Stage *s = *state;
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        relay_web_feed_free(s->feeds[i]);
    g_free(s);
    return 0;
}

static void begin(Stage *s)
{
    lesson(s, 3700 * MS);
    relay_web_viewer_init(&s->viewer, s->feeds[0], 0);
    relay_rendition_begin(&s->viewer.choice, RELAY_RENDITION_MAIN, s->now_ns);
    read_all(s);
}

static void media_goes_on_at_every_move(void **state)
{
    Stage *s = *state;
    static const RelayRendition way[] = {1, 2, 1, 0, 2, 0, 1, 0};
    begin(s);
    for (guint i = 0; i < G_N_ELEMENTS(way); i++) {
        gboolean down = way[i] > s->viewer.choice.at;
        s->twice_ns = 0;
        move(s, way[i]);
        lesson(s, 1300 * MS);
        read_all(s);
        assert_int_equal(s->viewer.choice.at, way[i]);
        assert_int_equal(s->missing_ns, 0);
        assert_true(s->twice_ns <= (down ? SECOND : 250 * MS));
        assert_int_equal(s->inits, i + 2);
        assert_int_equal(s->gaps, 0);
    }
}

static void sound_of_chunks_with_pictures_may_lag(void **state)
{
    Stage *s = *state;
    begin(s);
    gint64 until_ns = s->got_until_ns;
    s->got_until_ns = 0;
    move(s, RELAY_RENDITION_AUDIO);
    assert_true(s->first_ns <= until_ns - 300 * MS);
    assert_true(s->first_ns > until_ns - 600 * MS);
}

static void keyframes_need_not_be_aligned(void **state)
{
    Stage *s = *state;
    s->skew_ns = 70 * MS;
    begin(s);
    for (guint i = 0; i < 6; i++) {
        move(s, i % 2 ? RELAY_RENDITION_MAIN : RELAY_RENDITION_LOW);
        lesson(s, 1500 * MS);
        read_all(s);
    }
    assert_true(s->missing_ns <= 6 * 30 * MS);
}

static void who_is_far_behind_goes_on_where_it_is(void **state)
{
    Stage *s = *state;
    begin(s);
    lesson(s, 2700 * MS); // nothing of it could be sent
    move(s, RELAY_RENDITION_LOW);
    assert_int_equal(s->missing_ns, 0);
    assert_true(s->twice_ns < SECOND);
}

// It is behind by more than the limit, of which nothing was sent.
static void set_forward(Stage *s)
{
    RelayViewerLimits limits = RELAY_VIEWER_LIMITS_DEFAULT;
    begin(s);
    lesson(s, 4400 * MS);
    assert_true(relay_web_viewer_judge(&s->viewer, &limits, s->now_ns) > 0);
}

static void who_was_set_forward_loses_no_sound_by_losing_the_picture(void **state)
{
    Stage *s = *state;
    set_forward(s);
    move(s, RELAY_RENDITION_AUDIO);
    assert_int_equal(s->missing_ns, 0);
    assert_int_equal(s->gaps, 0);
}

static void what_was_left_out_before_a_move_is_told(void **state)
{
    Stage *s = *state;
    set_forward(s);
    move(s, RELAY_RENDITION_LOW);
    assert_true(s->missing_ns > SECOND);
    assert_int_equal(s->gaps, 1);
}

static void bytes_of_before_the_move_are_not_counted_twice(void **state)
{
    Stage *s = *state;
    begin(s);
    assert_true(relay_web_viewer_behind_ns(&s->viewer, 1 << 20, s->now_ns) > SECOND);
    move(s, RELAY_RENDITION_AUDIO);
    assert_true(relay_web_viewer_behind_ns(&s->viewer, 1 << 20, s->now_ns) < SECOND);
}

static RelayRendition judge(Stage *s)
{
    RelayLadder ladder;
    RelayLineSeen seen = {0};
    relay_web_feed_ladder(s->feeds[0], s->now_ns, &ladder);
    return relay_rendition_judge(&s->viewer.choice, &ladder, &seen, s->now_ns);
}

// The line of this relay itself carries no pictures for a while, and then late ones.
static void sound_goes_on_where_pictures_do_not_come(void **state)
{
    Stage *s = *state;
    relay_web_feed_set_rendition(s->feeds[0], RELAY_RENDITION_LOW, NULL);
    begin(s);
    assert_int_equal(judge(s), RELAY_RENDITION_MAIN);
    s->blind = TRUE;
    lesson(s, CHUNK);
    assert_int_equal(judge(s), RELAY_RENDITION_AUDIO);
    move(s, RELAY_RENDITION_AUDIO);
    lesson(s, 10 * SECOND - s->now_ns % (2 * SECOND));
    read_all(s);
    assert_int_equal(judge(s), RELAY_RENDITION_AUDIO);
    lesson(s, 500 * MS);
    read_all(s);
    s->blind = FALSE;
    s->late_ns = 500 * MS;
    lesson(s, CHUNK); // a key frame of half a second ago
    assert_int_equal(judge(s), RELAY_RENDITION_MAIN);
    s->twice_ns = 0;
    move(s, RELAY_RENDITION_MAIN);
    assert_in_range(s->twice_ns, 500 * MS, 900 * MS);
    lesson(s, SECOND);
    read_all(s);
    assert_int_equal(s->missing_ns, 0);
    assert_int_equal(judge(s), RELAY_RENDITION_MAIN);
}

// What went ahead of the pictures is in neither's next chunk.
static void sound_that_went_ahead_is_not_left_out(void **state)
{
    Stage *s = *state;
    relay_web_feed_set_rendition(s->feeds[0], RELAY_RENDITION_LOW, NULL);
    begin(s);
    s->blind = TRUE;
    lesson(s, CHUNK);
    assert_int_equal(judge(s), RELAY_RENDITION_AUDIO);
    move(s, RELAY_RENDITION_AUDIO);
    lesson(s, 20 * SECOND - s->now_ns);
    read_all(s);
    s->blind = FALSE;
    s->late_ns = 2 * CHUNK;
    lesson(s, 3 * CHUNK); // the key frame, and no sound since
    assert_int_equal(judge(s), RELAY_RENDITION_MAIN);
    assert_false(relay_web_viewer_move(&s->viewer, RELAY_RENDITION_MAIN, s->now_ns));
    lesson(s, CHUNK);
    read_all(s);
    assert_true(relay_web_viewer_move(&s->viewer, RELAY_RENDITION_MAIN, s->now_ns));
}

static void who_comes_where_there_is_no_picture_hears_what_is_now(void **state)
{
    Stage *s = *state;
    lesson(s, 4 * SECOND);
    s->blind = TRUE;
    lesson(s, 30 * SECOND);
    relay_web_feed_set_rendition(s->feeds[0], RELAY_RENDITION_LOW, NULL);
    relay_web_viewer_init(&s->viewer, s->feeds[0], 0);
    relay_rendition_begin(&s->viewer.choice, RELAY_RENDITION_MAIN, s->now_ns);
    assert_int_equal(judge(s), RELAY_RENDITION_AUDIO);
    move(s, RELAY_RENDITION_AUDIO);
    assert_in_range(s->first_ns, s->now_ns - SECOND, s->now_ns);
}

// Nothing came for long, and what came last is known by its sound, which ends before its pictures.
static void who_has_all_but_some_sound_is_not_behind(void **state)
{
    Stage *s = *state;
    RelayViewerLimits limits = RELAY_VIEWER_LIMITS_DEFAULT;
    begin(s);
    RelayReport report = {.here_ns = s->got_until_ns - CHUNK - 10 * MS};
    s->now_ns += 7 * SECOND;
    s->now_ns += 2 * SECOND - s->now_ns % (2 * SECOND);
    lesson(s, 3 * CHUNK);
    read_all(s);
    assert_int_equal(relay_web_viewer_take_report(&s->viewer, &limits, &report, s->now_ns), 0);
    assert_false(s->viewer.place.held);
    assert_true(s->viewer.report_behind_ns <= 3 * CHUNK);
    report.here_ns -= 2 * CHUNK;
    relay_web_viewer_take_report(&s->viewer, &limits, &report, s->now_ns);
    assert_true(s->viewer.report_behind_ns > 5 * SECOND);
}

static void what_is_not_there_cannot_be_moved_to(void **state)
{
    Stage *s = *state;
    begin(s);
    relay_web_feed_set_rendition(s->feeds[0], RELAY_RENDITION_LOW, NULL);
    assert_false(relay_web_viewer_move(&s->viewer, RELAY_RENDITION_LOW, s->now_ns));
    RelayLadder ladder;
    relay_web_feed_ladder(s->feeds[0], s->now_ns, &ladder);
    assert_true(ladder.need_bps[RELAY_RENDITION_MAIN] > 0);
    assert_int_equal(ladder.need_bps[RELAY_RENDITION_LOW], 0);
    relay_web_feed_ladder(s->feeds[0], s->now_ns + 5 * SECOND, &ladder);
    assert_int_equal(ladder.need_bps[RELAY_RENDITION_AUDIO], 0);
}

static void the_end_is_told_wherever_the_viewer_is(void **state)
{
    Stage *s = *state;
    g_autoptr(RelayUnit) message = NULL;
    begin(s);
    move(s, RELAY_RENDITION_LOW);
    relay_web_feed_set_state(s->feeds[0], "ended", "{}");
    assert_int_equal(relay_web_viewer_next(&s->viewer, &message), RELAY_WEB_TEXT);
    g_autoptr(RelayUnit) none = NULL;
    assert_int_equal(relay_web_viewer_next(&s->viewer, &none), RELAY_WEB_OVER);
}

static void who_was_held_back_gets_the_rest_at_the_end(void **state)
{
    Stage *s = *state;
    begin(s);
    s->viewer.place.held = TRUE;
    lesson(s, 500 * MS);
    gint64 until_ns = s->got_until_ns;
    read_all(s);
    assert_int_equal(s->got_until_ns, until_ns);
    relay_web_feed_set_state(s->feeds[0], "ended", "{}");
    read_all(s);
    assert_int_equal(s->got_until_ns, until_ns + 500 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(media_goes_on_at_every_move, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sound_of_chunks_with_pictures_may_lag, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keyframes_need_not_be_aligned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_far_behind_goes_on_where_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_set_forward_loses_no_sound_by_losing_the_picture,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_left_out_before_a_move_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_of_before_the_move_are_not_counted_twice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sound_goes_on_where_pictures_do_not_come, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(sound_that_went_ahead_is_not_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_comes_where_there_is_no_picture_hears_what_is_now,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_all_but_some_sound_is_not_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_cannot_be_moved_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_is_told_wherever_the_viewer_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_held_back_gets_the_rest_at_the_end, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
