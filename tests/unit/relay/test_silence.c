// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "tests/unit/relay/classroom.h"

#define MS TK_NS_PER_MS

static void sound_begins_with_the_first_key_picture(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 1000, FALSE, TRUE);
    r.picture = 25;
    r.key_every = 25;
    classroom_teach(&r, 4000, TRUE, TRUE);
    classroom_end(&r);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(collect_sample(pictures, 0)->decode, 1000 * 90);
    gint64 first_ms = collect_sample(sounds, 0)->decode / 48;
    assert_in_range(first_ms, 1000 - 22, 1000 + 22);
    assert_int_equal(collect_sample(pictures, 0)->chunk, 1);
}

static void sound_does_not_wait_for_ever_for_pictures(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 4900, FALSE, TRUE);
    assert_int_equal(c->chunks, 0);
    classroom_teach(&r, 6000, FALSE, TRUE);
    assert_true(c->chunks > 5);
    assert_string_equal(c->format.mime, "audio/mp4; codecs=\"mp4a.40.2\"");
    assert_int_equal(c->format.timescale[0], 0);
    assert_int_equal(c->format.timescale[1], 48000);
    assert_false(c->format.has_video);
    r.picture = 150;
    classroom_teach(&r, 8000, TRUE, TRUE);
    classroom_end(&r);
    assert_int_equal(c->inits, 2);
    assert_true(c->format.has_video);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    assert_int_equal(collect_sample(pictures, 0)->decode, 6000 * 90);
}

static void sound_goes_on_when_the_camera_is_gone(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 2000, TRUE, TRUE);
    guint before = c->chunks;
    classroom_teach(&r, 8000, FALSE, TRUE);
    assert_true(c->chunks - before > 40);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_true(collect_sample(sounds, sounds->len - 1)->decode > 7800 * 48);
    assert_int_equal(collect_chunk(c, c->chunks - 1)->flags, RELAY_UNIT_BLIND);
    classroom_end(&r);
}

// As where a relay above had only the sound for a weak line, and has smaller pictures then.
static void pictures_come_back_in_another_size(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 2000, TRUE, TRUE);
    classroom_teach(&r, 8000, FALSE, TRUE);
    guint before = c->chunks;
    r.picture = 200;
    classroom_send(&r, 0, sender_parameter_sets(&r.video, 8000 * 90, sender_other_sprop));
    classroom_teach(&r, 10000, TRUE, TRUE);
    classroom_end(&r);
    assert_int_equal(c->inits, 2);
    assert_int_equal(c->format.width, 640);
    g_autoptr(GArray) pictures = collect_samples(c, 1), sounds = collect_samples(c, 2);
    assert_int_equal(pictures->len, 50 + 50);
    assert_int_equal(collect_sample(pictures, 50)->decode, 8000 * 90);
    const RelayUnit *back = collect_chunk(c, (guint)collect_sample(pictures, 50)->chunk - 1);
    assert_in_range(back->number, before + 1, before + 2);
    assert_int_equal(back->flags, RELAY_UNIT_KEY);
    assert_int_equal(sounds->len, r.sound);
    assert_int_equal(collect_stats(c, 1).frames_dropped, 0);
}

// A line that is cut is no camera that is gone: its sound goes on with its pictures.
static void what_falls_silent_as_a_whole_goes_on_as_a_whole(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 2000, TRUE, TRUE);
    guint before = c->chunks;
    classroom_teach(&r, 6000, FALSE, FALSE);
    assert_in_range(c->chunks, before, before + 1);
    r.picture = 150;
    r.sound = 6000 * 48 / 1024;
    classroom_teach(&r, 8000, TRUE, TRUE);
    classroom_end(&r);
    for (guint i = 0; i < c->chunks; i++)
        assert_false(collect_chunk(c, i)->flags & RELAY_UNIT_BLIND);
}

static void a_picture_a_second_is_no_silence(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    r.step_ms = 1000;
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 8500, TRUE, TRUE);
    r.picture++; // one is lost
    classroom_teach(&r, 14500, TRUE, TRUE);
    for (guint i = 0; i < c->chunks; i++)
        assert_false(collect_chunk(c, i)->flags & RELAY_UNIT_BLIND);
    classroom_end(&r);
}

static void sound_alone_is_chunked(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(relay_input_begin(c->input, &r.formats[1], 1, TRUE, 0, CLASSROOM_EPOCH_NS));
    assert_int_equal(c->inits, 1);
    for (guint i = 0; i < 100; i++) {
        r.now_ms = i * 1024 / 48;
        g_autoptr(GPtrArray) packets = sender_frame(&r.audio, i * 1024, TRUE, 100);
        gsize size;
        const guint8 *data = g_bytes_get_data(packets->pdata[0], &size);
        relay_input_rtp(c->input, 0, data, size, r.now_ms * MS, CLASSROOM_EPOCH_NS + r.now_ms * MS);
    }
    classroom_end(&r);
    assert_int_equal(c->chunks, 20);
    for (guint i = 0; i < c->chunks; i++) {
        assert_int_equal(collect_parse(collect_chunk(c, i)).runs[0].samples_count, 5);
        assert_true(collect_chunk(c, i)->flags & RELAY_UNIT_KEY);
    }
    const RelayUnit *packet = c->packets[0]->pdata[5];
    assert_true(packet->flags & RELAY_UNIT_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_begins_with_the_first_key_picture),
        cmocka_unit_test(sound_does_not_wait_for_ever_for_pictures),
        cmocka_unit_test(sound_goes_on_when_the_camera_is_gone),
        cmocka_unit_test(pictures_come_back_in_another_size),
        cmocka_unit_test(what_falls_silent_as_a_whole_goes_on_as_a_whole),
        cmocka_unit_test(a_picture_a_second_is_no_silence),
        cmocka_unit_test(sound_alone_is_chunked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
