// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/media/cmaf.h"
#include "common/media/rtcp.h"
#include "tests/bench/loop.h"
#include "tests/bench/receiver.h"
#include "tests/bench/tally.h"

#define SENT_NS G_GINT64_CONSTANT(1790000000000000000)
#define MS_NS G_GINT64_CONSTANT(1000000)

typedef struct {
    LoadTally tally;
    LoadCourse *course;
    LoadCount count;
    LoadLesson *lesson;
} Fixture;

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->tally.from_ns = SENT_NS;
    f->tally.to_ns = SENT_NS + 1000 * MS_NS;
    f->course = load_course_new(&f->tally);
    f->count.course = f->course;
    f->lesson = load_lesson_new(2000000, 30);
    load_count_begin(&f->count);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    load_lesson_free(f->lesson);
    g_free(f->course);
    g_free(f);
    return 0;
}

// The packets of one picture.
static const LoadPacket *picture(Fixture *f, gint64 sent_ns, guint *ret_count)
{
    LoadFrame *frame;
    do
        frame = load_lesson_next(f->lesson);
    while (frame->track != LOAD_VIDEO);
    load_lesson_stamp(frame, sent_ns);
    return load_lesson_packets(f->lesson, frame, ret_count);
}

static void take(Fixture *f, const LoadPacket *packet, gint64 at_ns)
{
    load_count_rtp(&f->count, packet->data, packet->bytes, at_ns);
}

static void whole_pictures_have_no_gap_and_their_delay(void **state)
{
    Fixture *f = *state;
    guint count;
    const LoadPacket *packets = picture(f, SENT_NS, &count);
    assert_true(count > 1);
    for (guint i = 0; i < count; i++)
        take(f, &packets[i], SENT_NS + 5 * MS_NS);
    assert_int_equal(f->count.missing, 0);
    assert_int_equal(f->count.judged, count);
    assert_int_equal(f->tally.times[0][LOAD_RTP].delay.total, count);
    gint64 delay_ns = load_histogram_at(&f->tally.times[0][LOAD_RTP].delay, 0.99);
    assert_in_range(delay_ns, 5 * MS_NS * 96 / 100, 5 * MS_NS);
}

static void a_lost_packet_is_missing_until_it_comes(void **state)
{
    Fixture *f = *state;
    guint count;
    const LoadPacket *packets = picture(f, SENT_NS, &count);
    take(f, &packets[0], SENT_NS);
    take(f, &packets[3], SENT_NS);
    assert_int_equal(f->count.missing, 2);
    take(f, &packets[1], SENT_NS);
    assert_int_equal(f->count.missing, 1);
    assert_int_equal(f->count.reordered, 1);
    take(f, &packets[1], SENT_NS);
    take(f, &packets[3], SENT_NS);
    assert_int_equal(f->count.doubles, 2);
    assert_int_equal(f->count.missing, 1);
    assert_int_equal(f->count.judged, 3);
}

static void what_was_sent_outside_the_window_is_not_judged(void **state)
{
    Fixture *f = *state;
    guint count;
    take(f, &picture(f, SENT_NS - 1, &count)[0], SENT_NS);
    take(f, &picture(f, SENT_NS + 1000 * MS_NS, &count)[0], SENT_NS);
    load_course_sent(f->course, LOAD_STAMP_FRAME, SENT_NS - 1);
    load_course_sent(f->course, LOAD_STAMP_FRAME, SENT_NS);
    assert_int_equal(f->count.judged, 0);
    assert_int_equal(f->count.packets, 2);
    assert_int_equal(f->course->sent[LOAD_STAMP_FRAME], 1);
}

static void chunk(Fixture *f, guint32 sequence, gint64 sent_ns, gint64 at_ns)
{
    LoadFrame *frame;
    do
        frame = load_lesson_next(f->lesson);
    while (frame->track != LOAD_VIDEO);
    load_lesson_stamp(frame, sent_ns);
    TkCmafSample sample = {.duration = 3000, .size = (guint32)frame->bytes, .key = TRUE};
    TkCmafRun run = {.track_id = 1,
                     .decode_time = sequence * 3000u,
                     .samples = &sample,
                     .samples_count = 1,
                     .data = frame->data,
                     .data_bytes = frame->bytes};
    gsize size = tk_cmaf_chunk_bytes(&run, 1, FALSE);
    g_autofree guint8 *buffer = g_malloc(size);
    tk_cmaf_chunk_write(buffer, sequence, 0, &run, 1);
    load_count_chunk(&f->count, buffer, size, at_ns);
}

static void chunks_are_counted_by_their_numbers(void **state)
{
    Fixture *f = *state;
    f->count.way = LOAD_WEB;
    chunk(f, 7, SENT_NS, SENT_NS + MS_NS);
    chunk(f, 8, SENT_NS, SENT_NS + MS_NS);
    chunk(f, 8, SENT_NS, SENT_NS + MS_NS);
    chunk(f, 11, SENT_NS, SENT_NS + MS_NS);
    assert_int_equal(f->count.doubles, 1);
    assert_int_equal(f->count.missing, 2);
    assert_int_equal(f->count.judged, 3);
    assert_int_equal(f->tally.times[0][LOAD_WEB].delay.total, 3);
}

static void a_later_viewer_is_late_by_the_first(void **state)
{
    Fixture *f = *state;
    f->count.way = LOAD_WEB;
    chunk(f, 1, SENT_NS, SENT_NS + MS_NS);
    f->count.last_chunk = 0; // somebody else
    chunk(f, 1, SENT_NS, SENT_NS + 9 * MS_NS);
    assert_int_equal(load_histogram_at(&f->tally.times[0][LOAD_WEB].late, 0.5), 0);
    gint64 late_ns = load_histogram_at(&f->tally.times[0][LOAD_WEB].late, 1);
    assert_in_range(late_ns, 8 * MS_NS * 96 / 100, 8 * MS_NS);
}

static void an_impaired_viewer_says_nothing_of_the_delay(void **state)
{
    Fixture *f = *state;
    guint count;
    f->count.impaired = TRUE;
    take(f, &picture(f, SENT_NS, &count)[0], SENT_NS + MS_NS);
    assert_int_equal(f->tally.times[0][LOAD_RTP].delay.total, 0);
    assert_int_equal(f->count.packets, 1);
}

static void a_report_tells_what_came(void **state)
{
    Fixture *f = *state;
    LoadReceiver receiver = {0};
    g_autoptr(GByteArray) sr = g_byte_array_new();
    tk_rtcp_put_sender_report(sr, 7, G_GUINT64_CONSTANT(0x1122334455667788), 0, 0, 0);
    assert_null(load_receiver_report(&receiver));
    load_receiver_take_rtcp(&receiver, sr->data, sr->len, load_now_ns()); // ahead of the media
    guint count, sent = 0;
    for (guint i = 0; i < 10; i++) {
        const LoadPacket *packets = picture(f, SENT_NS, &count);
        for (guint j = 0; j < count; j++, sent++)
            if (sent % 4 != 1)
                load_receiver_take(&receiver, packets[j].data, packets[j].bytes, 90000, SENT_NS);
    }
    g_autoptr(GByteArray) out = load_receiver_report(&receiver);
    TkRtcp rtcp;
    gsize offset = 0;
    assert_true(tk_rtcp_next(out->data, out->len, &offset, &rtcp));
    assert_int_equal(rtcp.type, TK_RTCP_RECEIVER_REPORT);
    assert_int_equal(rtcp.reports[0].last_sr, 0x33445566);
    assert_int_equal(rtcp.reports[0].highest_sequence, sent - 1);
    assert_int_equal(rtcp.reports[0].cumulative_lost, (sent + 2) / 4);
    assert_in_range(rtcp.reports[0].fraction_lost, 60, 66);
    g_autoptr(GByteArray) next = load_receiver_report(&receiver);
    offset = 0;
    assert_true(tk_rtcp_next(next->data, next->len, &offset, &rtcp));
    assert_int_equal(rtcp.reports[0].fraction_lost, 0);
}

static void a_histogram_keeps_three_percent(void **state)
{
    for (gint64 value = 1; value < G_GINT64_CONSTANT(1) << 50; value = value * 3 + 1) {
        g_autofree LoadHistogram *histogram = g_new0(LoadHistogram, 1);
        load_histogram_add(histogram, value);
        assert_in_range(load_histogram_at(histogram, 0.5), value - value / 32, value);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(whole_pictures_have_no_gap_and_their_delay),
        CASE(a_lost_packet_is_missing_until_it_comes),
        CASE(what_was_sent_outside_the_window_is_not_judged),
        CASE(chunks_are_counted_by_their_numbers),
        CASE(a_later_viewer_is_late_by_the_first),
        CASE(an_impaired_viewer_says_nothing_of_the_delay),
        CASE(a_report_tells_what_came),
        cmocka_unit_test(a_histogram_keeps_three_percent),
    };
    return cmocka_run_group_tests_name("load tally", tests, NULL, NULL);
}
