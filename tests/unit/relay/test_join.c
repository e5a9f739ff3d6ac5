// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "relay/core/join.h"
#include "tests/unit/relay/classroom.h"

#define PICTURE_MS 40
#define KEY_EVERY 50

// One way to the lesson: a relay that sends what was captured from its newest key frame on.
static Classroom way_new(Collect *c, guint32 ssrc, gint64 at_ms)
{
    Classroom r = classroom_new(c, ssrc);
    assert_true(classroom_begin(&r, at_ms));
    relay_input_is_relayed(c->input);
    r.begun_ms = 0;
    classroom_report(&r, 0);
    classroom_report(&r, 1);
    return r;
}

// Pictures and sound of that much of the lesson, each picture told by its size.
static void bring(Classroom *r, guint from, guint until, guint larger)
{
    for (guint n = from; n < until; n++) {
        gboolean key = n % KEY_EVERY == 0;
        r->now_ms = MAX(r->now_ms, n * PICTURE_MS);
        classroom_send(r, 0, sender_frame(&r->video, n * 3600, key, 900 + n + larger));
        for (; r->sound * 1024 < n * PICTURE_MS * 48; r->sound++)
            if (r->sound * 1024 >= from * PICTURE_MS * 48)
                classroom_send(r, 1, sender_frame(&r->audio, r->sound * 1024, TRUE, 200));
    }
}

static void check_pictures(const Collect *c, guint from, guint until)
{
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    for (guint i = 0, n = 0; n < until; n = n + 1 == 120 ? from : n + 1, i++) {
        assert_true(i < pictures->len);
        assert_int_equal(collect_sample(pictures, i)->decode, n * 3600);
        assert_int_equal(collect_sample(pictures, i)->size % 1000, (900 + n + 4) % 1000);
    }
    for (guint i = 0; i < sounds->len; i++)
        assert_int_equal(collect_sample(sounds, i)->decode % 1024, 0);
}

// 120 pictures by one way, then the rest by another.
static Collect *two_ways(guint from, gint64 at_ms, guint until, guint larger)
{
    Collect *c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom first = way_new(c, 5, 0);
    bring(&first, 0, 120, 0);
    classroom_end(&first);
    Classroom second = way_new(c, 900, at_ms);
    bring(&second, from, until, larger);
    classroom_end(&second);
    return c;
}

static void another_way_goes_on_behind_the_last_picture(void **state)
{
    g_autoptr(Collect) c = two_ways(100, 5900, 200, 0);
    check_pictures(c, 120, 200);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    for (guint i = 1; i < sounds->len; i++)
        assert_int_equal(collect_sample(sounds, i)->decode - collect_sample(sounds, i - 1)->decode,
                         1024);
}

static void a_later_one_begins_at_its_key_frame_where_that_was(void **state)
{
    g_autoptr(Collect) c = two_ways(150, 6000, 220, 0);
    check_pictures(c, 150, 220);
}

static void other_pictures_begin_at_the_next_key_frame(void **state)
{
    g_autoptr(Collect) c = two_ways(100, 5900, 220, 1000);
    check_pictures(c, 150, 220);
}

static void a_picture_is_the_last_one_only_near_it(void **state)
{
    const guint8 still[] = "the board", other[] = "his hands";
    G_STATIC_ASSERT(sizeof other == sizeof still);
    RelaySample sample = {.presentation = 90000, .data = still, .size = sizeof still};
    RelayJoin join = {0};
    relay_join_open(&join);
    assert_false(join.open); // there is nothing to go on from
    relay_join_note(&join, &sample);
    relay_join_open(&join);
    sample.presentation += 640 * 90;
    assert_int_equal(relay_join_look(&join, &sample, 90000), RELAY_JOIN_BEFORE);
    sample.presentation = 90000 + 90;
    sample.data = other;
    assert_int_equal(relay_join_look(&join, &sample, 90000), RELAY_JOIN_BEFORE);
    sample.data = still;
    assert_int_equal(relay_join_look(&join, &sample, 90000), RELAY_JOIN_LAST);
    assert_false(join.open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_way_goes_on_behind_the_last_picture),
        cmocka_unit_test(a_later_one_begins_at_its_key_frame_where_that_was),
        cmocka_unit_test(other_pictures_begin_at_the_next_key_frame),
        cmocka_unit_test(a_picture_is_the_last_one_only_near_it),
    };
    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
