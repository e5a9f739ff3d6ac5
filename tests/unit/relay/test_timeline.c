// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/core/ticks.h"
#include "relay/core/timeline.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define MS TK_NS_PER_MS
#define VIDEO_BASE 0xffffff00u // wraps soon
#define AUDIO_BASE 77u

static RelayTimeline begun(void)
{
    RelayTrackFormat formats[2] = {{.kind = TK_TRACK_VIDEO, .clock_rate = 90000},
                                   {.kind = TK_TRACK_AUDIO, .clock_rate = 48000}};
    RelayTimeline t;
    relay_timeline_start(&t, EPOCH_NS, formats, 2);
    return t;
}

static guint32 video_at(gint64 ms) { return VIDEO_BASE + (guint32)(ms * 90); }
static guint32 audio_at(gint64 ms) { return AUDIO_BASE + (guint32)(ms * 48); }

// Packets captured at `ms` after the epoch, that arrive `video_ms` and `audio_ms` later.
static void packets(RelayTimeline *t, gint64 ms, gint64 video_ms, gint64 audio_ms)
{
    relay_timeline_packet(t, 0, video_at(ms), EPOCH_NS + (ms + video_ms) * MS);
    relay_timeline_packet(t, 1, audio_at(ms), EPOCH_NS + (ms + audio_ms) * MS);
}

static void trusted_reports_give_the_absolute_time(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 3000, 200, 50);
    assert_false(relay_timeline_settled(&t));
    // The reports speak of one second before; the sender's clock is 600 ms behind.
    relay_timeline_report(&t, 0, video_at(2000), EPOCH_NS + 2000 * MS, EPOCH_NS + 2600 * MS);
    relay_timeline_report(&t, 1, audio_at(2500), EPOCH_NS + 2500 * MS, EPOCH_NS + 3100 * MS);
    assert_true(relay_timeline_settled(&t));
    assert_int_equal(relay_timeline_preview(&t, 0, video_at(3000)), 3000 * MS);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(3000), EPOCH_NS), 3000 * 90);
    assert_int_equal(relay_timeline_place(&t, 1, audio_at(3000), EPOCH_NS), 3000 * 48);
    assert_int_equal(relay_timeline_captured(&t, 0, video_at(3040)), EPOCH_NS + 3040 * MS);
}

static void other_clocks_are_moved_to_arrival_and_keep_the_relation(void **state)
{
    RelayTimeline t = begun();
    gint64 off_ns = -3600 * TK_NS_PER_S;
    packets(&t, 0, 20, 90);
    relay_timeline_report(&t, 0, video_at(0), EPOCH_NS + off_ns, EPOCH_NS + 10 * MS);
    relay_timeline_report(&t, 1, audio_at(0), EPOCH_NS + off_ns, EPOCH_NS + 60 * MS);
    gint64 video = relay_timeline_place(&t, 0, video_at(1000), EPOCH_NS + 1020 * MS);
    gint64 audio = relay_timeline_place(&t, 1, audio_at(1000), EPOCH_NS + 1090 * MS);
    assert_int_equal(video, 1010 * 90);
    assert_int_equal(audio, 1010 * 48);
    gint64 wall_ns;
    guint32 timestamp;
    assert_true(relay_timeline_point(&t, 1, &wall_ns, &timestamp));
    assert_int_equal(timestamp, audio_at(0));
    assert_int_equal(wall_ns, EPOCH_NS + 10 * MS);
}

static void without_reports_the_least_delayed_packet_counts(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 0, 80, 30);
    packets(&t, 40, 25, 90);
    packets(&t, 80, 60, 40);
    gint64 wall_ns;
    guint32 timestamp;
    assert_false(relay_timeline_point(&t, 0, &wall_ns, &timestamp));
    assert_int_equal(relay_timeline_place(&t, 0, video_at(0), EPOCH_NS + 80 * MS), 25 * 90);
    assert_int_equal(relay_timeline_place(&t, 1, audio_at(0), EPOCH_NS + 30 * MS), 30 * 48);
    assert_true(relay_timeline_point(&t, 0, &wall_ns, &timestamp));
    assert_int_equal(wall_ns - (gint64)(timestamp - video_at(0)) / 90 * MS, EPOCH_NS + 25 * MS);
}

static void late_reports_change_labels_only(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 0, 30, 30);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(0), EPOCH_NS + 30 * MS), 30 * 90);
    relay_timeline_report(&t, 0, video_at(100), EPOCH_NS + 100 * MS, EPOCH_NS + 130 * MS);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(200), EPOCH_NS + 230 * MS), 230 * 90);
    assert_int_equal(relay_timeline_captured(&t, 0, video_at(200)), EPOCH_NS + 200 * MS);
}

static void a_step_of_the_senders_clock_does_not_show(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 0, 5, 5);
    relay_timeline_report(&t, 0, video_at(0), EPOCH_NS, EPOCH_NS + 5 * MS);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(0), EPOCH_NS + 5 * MS), 0);
    relay_timeline_report(&t, 0, video_at(1000), EPOCH_NS + 3601 * TK_NS_PER_S,
                          EPOCH_NS + 1005 * MS);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(2000), EPOCH_NS + 2005 * MS), 2000 * 90);
    assert_int_equal(relay_timeline_captured(&t, 0, video_at(2000)), EPOCH_NS + 2005 * MS);
}

static void reports_before_the_first_packet_are_passed_over(void **state)
{
    RelayTimeline t = begun();
    relay_timeline_report(&t, 0, video_at(0), EPOCH_NS, EPOCH_NS);
    gint64 wall_ns;
    guint32 timestamp;
    assert_false(relay_timeline_point(&t, 0, &wall_ns, &timestamp));
}

static void media_time_has_the_senders_rhythm_for_hours(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 0, 5, 5);
    gint64 first = relay_timeline_place(&t, 0, video_at(0), EPOCH_NS + 5 * MS);
    for (gint64 ms = 40; ms < 30 * 3600 * 1000; ms += 40) { // over two wraps of the timestamp
        // 100 ppm of drift and up to 300 ms of jitter
        gint64 wall_ns = EPOCH_NS + ms * MS + ms * 100 + ms * 7919 % 300 * MS;
        if (ms >= 12 * 3600 * 1000)
            wall_ns = EPOCH_NS + ms * MS;
        relay_timeline_packet(&t, 0, video_at(ms), wall_ns);
        assert_int_equal(relay_timeline_place(&t, 0, video_at(ms), wall_ns) - first, ms * 90);
    }
}

static void wild_jumps_are_anchored_by_arrival(void **state)
{
    static const gint64 jumps_ms[] = {3600 * 1000, -3600 * 1000, 12000, -12000};
    for (guint i = 0; i < G_N_ELEMENTS(jumps_ms); i++) {
        RelayTimeline t = begun();
        packets(&t, 20000, 5, 5);
        assert_int_equal(
            relay_timeline_place(&t, 0, video_at(20000), EPOCH_NS + 20005 * MS), 20005 * 90);
        guint32 jumped = video_at(20000 + jumps_ms[i]);
        gint64 wall_ns = EPOCH_NS + 21005 * MS;
        relay_timeline_packet(&t, 0, jumped, wall_ns);
        assert_int_equal(relay_timeline_place(&t, 0, jumped, wall_ns), 21005 * 90);
        relay_timeline_packet(&t, 0, jumped + 3600, wall_ns + 40 * MS);
        assert_int_equal(relay_timeline_place(&t, 0, jumped + 3600, wall_ns + 40 * MS), 21045 * 90);
    }
}

static void a_moved_sender_stays_in_step(void **state)
{
    RelayTimeline t = begun();
    packets(&t, 0, 5, 5);
    relay_timeline_move(&t, 2 * TK_NS_PER_S);
    assert_int_equal(relay_timeline_place(&t, 0, video_at(0), EPOCH_NS + 5 * MS), 2005 * 90);
    assert_int_equal(relay_timeline_place(&t, 1, audio_at(0), EPOCH_NS + 5 * MS), 2005 * 48);
    assert_int_equal(relay_timeline_captured(&t, 1, audio_at(0)), EPOCH_NS + 5 * MS);
}

static void ticks_round_to_the_nearest(void **state)
{
    assert_int_equal(relay_ticks_from_ns(-1, 90000), 0);
    assert_int_equal(relay_ticks_from_ns(-TK_NS_PER_S, 90000), -90000);
    assert_int_equal(relay_ticks_to_ns(1, 3), 333333333);
    assert_int_equal(relay_ticks_to_ns(2, 3), 666666667);
    assert_int_equal(relay_ticks_to_ns(-1, 3), -333333333);
    gint64 century_ns = G_GINT64_CONSTANT(3155760000) * TK_NS_PER_S;
    assert_int_equal(relay_ticks_to_ns(relay_ticks_from_ns(century_ns, 90000), 90000), century_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusted_reports_give_the_absolute_time),
        cmocka_unit_test(other_clocks_are_moved_to_arrival_and_keep_the_relation),
        cmocka_unit_test(without_reports_the_least_delayed_packet_counts),
        cmocka_unit_test(late_reports_change_labels_only),
        cmocka_unit_test(a_step_of_the_senders_clock_does_not_show),
        cmocka_unit_test(reports_before_the_first_packet_are_passed_over),
        cmocka_unit_test(media_time_has_the_senders_rhythm_for_hours),
        cmocka_unit_test(wild_jumps_are_anchored_by_arrival),
        cmocka_unit_test(a_moved_sender_stays_in_step),
        cmocka_unit_test(ticks_round_to_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
