// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/ulid.h"
#include "relay/core/lesson.h"

#define SECOND G_GINT64_CONSTANT(1000000000)
#define NOON G_GINT64_CONSTANT(1795300000000000000)

static void keeps_its_id_while_the_sender_is_away(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    assert_true(tk_ulid_valid(lesson->id));
    RelayLessonStream *main_stream = relay_lesson_stream(lesson, "main", TRUE);
    assert_false(relay_lesson_sender_came(lesson, main_stream)); // it began live
    assert_true(relay_lesson_sender_left(lesson, main_stream, 100 * SECOND, 60 * SECOND));
    assert_string_equal(relay_lesson_state_word(lesson->state), "away");
    assert_false(relay_lesson_tick(lesson, 159 * SECOND, NOON));
    assert_true(relay_lesson_sender_came(lesson, main_stream));
    assert_false(relay_lesson_tick(lesson, 1000 * SECOND, NOON));
    assert_string_equal(relay_lesson_state_word(lesson->state), "live");
}

static void ends_when_its_patience_is_over(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    RelayLessonStream *stream = relay_lesson_stream(lesson, "main", TRUE);
    relay_lesson_sender_came(lesson, stream);
    relay_lesson_sender_left(lesson, stream, 100 * SECOND, 60 * SECOND);
    assert_true(relay_lesson_tick(lesson, 160 * SECOND, NOON + 60 * SECOND));
    assert_int_equal(lesson->ended_wall_ns, NOON + 60 * SECOND);
    assert_false(relay_lesson_sender_came(lesson, stream)); // for good
    assert_int_equal(lesson->state, RELAY_LESSON_ENDED);
    assert_false(relay_lesson_end(lesson, NOON + 99 * SECOND));
    assert_int_equal(lesson->ended_wall_ns, NOON + 60 * SECOND);
}

static void lives_while_any_stream_has_a_sender(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    RelayLessonStream *main_stream = relay_lesson_stream(lesson, "main", TRUE);
    RelayLessonStream *slides = relay_lesson_stream(lesson, "slides", TRUE);
    relay_lesson_sender_came(lesson, main_stream);
    relay_lesson_sender_came(lesson, slides);
    assert_false(relay_lesson_sender_left(lesson, main_stream, 0, SECOND));
    assert_int_equal(lesson->state, RELAY_LESSON_LIVE);
    assert_true(relay_lesson_sender_left(lesson, slides, 0, SECOND));
}

static void the_longest_patience_counts(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    RelayLessonStream *main_stream = relay_lesson_stream(lesson, "main", TRUE);
    relay_lesson_sender_came(lesson, main_stream);
    relay_lesson_sender_left(lesson, main_stream, 0, 300 * SECOND);
    relay_lesson_sender_left(lesson, main_stream, SECOND, 15 * SECOND);
    assert_false(relay_lesson_tick(lesson, 299 * SECOND, NOON));
    assert_true(relay_lesson_tick(lesson, 300 * SECOND, NOON));
}

static void has_a_bounded_number_of_streams(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    for (guint i = 0; i < RELAY_LESSON_STREAMS_MAX; i++) {
        g_autofree char *name = g_strdup_printf("class-%u", i);
        assert_non_null(relay_lesson_stream(lesson, name, TRUE));
    }
    assert_null(relay_lesson_stream(lesson, "one-more", TRUE));
    assert_non_null(relay_lesson_stream(lesson, "class-3", FALSE));
    assert_null(relay_lesson_stream(lesson, "none", FALSE));
}

static void shows_itself_as_the_protocol_says(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", "01JD0000000000000000000000", NOON);
    RelayLessonStream *stream = relay_lesson_stream(lesson, "main", TRUE);
    relay_lesson_sender_came(lesson, stream);
    assert_true(tk_lesson_info_set(lesson->info, "title", "函数的单调性", NULL));
    stream->has_format = TRUE;
    g_strlcpy(stream->format.mime, "video/mp4; codecs=\"avc1.64001F\"", sizeof stream->format.mime);
    stream->format.has_video = TRUE;
    stream->format.width = 1280;
    stream->viewers_rtp = 3;
    stream->viewers_ws = 4;
    stream->oldest_chunk = 5;
    stream->newest_chunk = 9;
    g_autoptr(json_t) object = relay_lesson_to_json(lesson);
    assert_string_equal(tk_json_string(object, "id", ""), lesson->id);
    assert_string_equal(tk_json_string(object, "state", ""), "live");
    assert_true(json_is_null(json_object_get(object, "ended")));
    assert_string_equal(tk_json_string(json_object_get(object, "info"), "title", ""),
                        "函数的单调性");
    assert_int_equal(tk_json_int(json_object_get(object, "viewers"), "rtp", 0), 3);
    assert_int_equal(tk_json_int(json_object_get(object, "viewers"), "ws", 0), 4);
    const json_t *shown = json_array_get(json_object_get(object, "streams"), 0);
    assert_int_equal(tk_json_int(shown, "width", 0), 1280);
    assert_int_equal(tk_json_int(json_object_get(shown, "chunk"), "oldest", 0), 5);
    assert_int_equal(tk_json_int(json_object_get(shown, "chunk"), "newest", 0), 9);
}

static void tells_what_comes_of_main(void **state)
{
    g_autoptr(RelayLesson) lesson = relay_lesson_new("math", NULL, NOON);
    RelayLessonStream *stream = relay_lesson_stream(lesson, "main", TRUE);
    RelayStreamFormat above = {.has_video = TRUE, .width = 1280, .height = 720};
    stream->packets_in = 1;
    assert_null(relay_lesson_stream_rendition(stream)); // it has a sender of its own
    assert_true(relay_lesson_stream_is_told(stream, &above));
    assert_string_equal(relay_lesson_stream_rendition(stream), "main");
    stream->format.width = 640;
    stream->format.height = 360;
    assert_string_equal(relay_lesson_stream_rendition(stream), "low");
    assert_false(relay_lesson_stream_is_told(stream, &above));
    assert_int_equal(stream->format.width, 640);
    stream->blind = TRUE;
    g_autoptr(json_t) object = relay_lesson_to_json(lesson);
    const json_t *in = json_object_get(json_array_get(json_object_get(object, "streams"), 0), "in");
    assert_string_equal(tk_json_string(in, "rendition", ""), "audio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_id_while_the_sender_is_away),
        cmocka_unit_test(ends_when_its_patience_is_over),
        cmocka_unit_test(lives_while_any_stream_has_a_sender),
        cmocka_unit_test(the_longest_patience_counts),
        cmocka_unit_test(has_a_bounded_number_of_streams),
        cmocka_unit_test(shows_itself_as_the_protocol_says),
        cmocka_unit_test(tells_what_comes_of_main),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
