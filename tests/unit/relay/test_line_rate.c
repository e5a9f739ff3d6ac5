// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "relay/core/line_rate.h"
#include "relay/core/pacer.h"

#define MS TK_NS_PER_MS
#define PACKET 1200
#define FRAME_NS (40 * MS)
#define MBIT 1000000

// A viewer behind a line: packets wait in a buffer, leave it at the line's rate, and arrive a way
// later; what the buffer cannot take is lost. Sender reports stand in the same buffer.
typedef struct {
    gint64 line_bps, buffer_bytes, way_ns, report_every_ns;
    gint64 jitter_ns; // by which every second sender report comes late
    gboolean cut;     // nothing passes, nor comes back
    guint lossy;      // of 256, without regard to the buffer
    gint64 free_ns;   // when the line has carried all it was given
    gint64 lost, sent, now_ns, backlog;
    gint64 report_ns; // the next
    guint32 key;      // of sender reports
    struct {
        guint32 key;
        gint64 arrives_ns, rtt_ns;
    } marks[8]; // on their way, newest at key % 8
    guint32 heard;
    gint64 lost_before, sent_before;
    RelayPacer pacer;
    RelayLineRate rate;
    gint64 queue_max; // bytes
} Road;

static gboolean enter(Road *r, gint64 bytes)
{
    gint64 queued = MAX(r->free_ns - r->now_ns, 0) * (r->line_bps / 8) / TK_NS_PER_S;
    if (r->cut || queued + bytes > r->buffer_bytes)
        return FALSE;
    r->queue_max = MAX(r->queue_max, queued + bytes);
    r->free_ns = MAX(r->free_ns, r->now_ns) + bytes * 8 * TK_NS_PER_S / r->line_bps;
    return TRUE;
}

static void mark(Road *r)
{
    relay_line_rate_mark(&r->rate, ++r->key, r->now_ns);
    if (!enter(r, 100))
        return;
    r->marks[r->key % 8].key = r->key;
    gint64 late_ns = r->key % 2 ? r->jitter_ns : 0;
    r->marks[r->key % 8].arrives_ns = r->free_ns + r->way_ns + late_ns;
    r->marks[r->key % 8].rtt_ns = r->free_ns + 2 * r->way_ns + late_ns - r->now_ns;
}

static void report(Road *r)
{
    for (guint i = 0; i < 8; i++)
        if (r->marks[i].key > r->heard && r->marks[i].arrives_ns <= r->now_ns)
            r->heard = r->marks[i].key;
    if (!r->heard)
        return;
    gint64 sent = r->sent - r->sent_before, lost = r->lost - r->lost_before;
    RelayQuestion q = {.reported = TRUE,
                       .last_sr = r->heard,
                       .rtt_ns = r->marks[r->heard % 8].rtt_ns,
                       .ssrc = 1,
                       .highest = (guint32)r->sent,
                       .lost = (gint32)r->lost,
                       .fraction_lost = (guint8)(sent ? lost * 256 / sent : 0)};
    q.fraction_lost = (guint8)MAX(q.fraction_lost, r->lossy);
    r->sent_before = r->sent;
    r->lost_before = r->lost;
    relay_line_rate_report(&r->rate, &q, r->now_ns);
}

static void road_begin(Road *r, gint64 need_bps)
{
    r->report_ns = r->report_every_ns / 2;
    relay_line_rate_init(&r->rate, need_bps, 0);
    relay_pacer_init(&r->pacer, relay_line_rate_bps(&r->rate), RELAY_PACER_TRAIN_MIN_BYTES, 0);
    mark(r);
}

static void serve(Road *r)
{
    gsize bytes = 0;
    relay_pacer_set_rate(&r->pacer, relay_line_rate_bps(&r->rate));
    while (r->backlog > 0 && relay_pacer_ready(&r->pacer, r->now_ns)) {
        relay_pacer_spend(&r->pacer, PACKET);
        r->backlog -= PACKET;
        bytes += PACKET;
        r->sent++;
        r->lost += !enter(r, PACKET);
    }
    gint64 again = relay_line_rate_try(&r->rate, r->now_ns), tried = again;
    for (; again > 0; again -= PACKET, bytes += PACKET)
        r->lost += !enter(r, PACKET);
    if (relay_line_rate_sent(&r->rate, bytes, r->backlog > 0, r->now_ns) || tried ||
        (r->now_ns - r->rate.marked_ns >= 2 * TK_NS_PER_S &&
         !relay_line_rate_expects(&r->rate, r->now_ns)) ||
        relay_line_rate_curious(&r->rate, r->now_ns))
        mark(r);
}

// A lesson of 25 pictures a second, every 50th of `key` bytes, the others of `other`.
static void road_play(Road *r, gint64 key, gint64 other, gint64 until_ns)
{
    for (; r->now_ns < until_ns; r->now_ns += MS) {
        if (r->now_ns % FRAME_NS == 0)
            r->backlog += r->now_ns % (50 * FRAME_NS) == 0 ? key : other;
        serve(r);
        if (r->now_ns >= r->report_ns) {
            if (!r->cut)
                report(r);
            r->report_ns += r->report_every_ns;
        }
    }
}

static void begins_with_half_more_than_the_lesson_needs(void **state)
{
    RelayLineRate line;
    relay_line_rate_init(&line, 2 * MBIT, 0);
    assert_int_equal(relay_line_rate_bps(&line), 3 * MBIT);
    relay_line_rate_need(&line, 4 * MBIT);
    assert_int_equal(relay_line_rate_bps(&line), 6 * MBIT);
    relay_line_rate_init(&line, 100000, 0);
    assert_int_equal(relay_line_rate_bps(&line), RELAY_LINE_RATE_START_MIN_BPS);
}

// The line: 1.2 Mbit/s with keyframes of 100 kB over 2 Mbit/s and 64 kB of buffer.
static void loses_nothing_on_a_weak_line(void **state)
{
    static const gint64 every[] = {20 * MS, 200 * MS, 1000 * MS, 5000 * MS};
    static const gint64 ways[] = {0, 10 * MS, 50 * MS, 100 * MS};
    for (guint i = 0; i < G_N_ELEMENTS(every); i++) {
        for (guint j = 0; j < G_N_ELEMENTS(ways); j++) {
            Road road = {.line_bps = 2 * MBIT,
                         .buffer_bytes = 64000,
                         .way_ns = ways[j],
                         .report_every_ns = every[i],
                         .backlog = 250000};
            road_begin(&road, 1200000);
            road_play(&road, 100000, 4080, 120 * TK_NS_PER_S);
            assert_int_equal(road.lost, 0);
            assert_in_range(road.queue_max, 1, 40000);
            assert_in_range(road.rate.rate_bps, 1600000, 2400000);
        }
    }
}

static void a_lan_is_known_within_a_second(void **state)
{
    Road road = {.line_bps = 100 * MBIT,
                 .buffer_bytes = 1000000,
                 .way_ns = MS / 10,
                 .report_every_ns = 50 * MS,
                 .backlog = 400000};
    road_begin(&road, 2 * MBIT);
    road_play(&road, 60000, 8000, TK_NS_PER_S);
    assert_in_range(road.rate.rate_bps, 24 * MBIT, 100 * MBIT);
}

static void a_stock_player_takes_a_few_reports(void **state)
{
    Road road = {.line_bps = 100 * MBIT,
                 .buffer_bytes = 1000000,
                 .way_ns = MS,
                 .report_every_ns = 5000 * MS,
                 .backlog = 400000};
    road_begin(&road, 2 * MBIT);
    road_play(&road, 100000, 8000, 35 * TK_NS_PER_S);
    assert_in_range(road.rate.rate_bps, 20 * MBIT, 100 * MBIT);
}

// A lesson that the line cannot carry waits here, where it is dropped at keyframes.
static void follows_a_line_down_and_up(void **state)
{
    static const gint64 every[] = {50 * MS, 5000 * MS};
    for (guint i = 0; i < G_N_ELEMENTS(every); i++) {
        Road road = {.line_bps = 4 * MBIT,
                     .buffer_bytes = 64000,
                     .way_ns = 20 * MS,
                     .report_every_ns = every[i]};
        road_begin(&road, 1200000);
        road_play(&road, 50000, 5000, 30 * TK_NS_PER_S);
        assert_int_equal(road.lost, 0);
        road.line_bps = 800000;
        road_play(&road, 50000, 5000, 60 * TK_NS_PER_S);
        assert_in_range(road.rate.rate_bps, 400000, 800000);
        gint64 lost = road.lost;
        road_play(&road, 50000, 5000, 90 * TK_NS_PER_S);
        assert_in_range(road.rate.rate_bps, 400000, 800000);
        assert_in_range(road.backlog, 100000, 10 * MBIT);
        road.line_bps = 4 * MBIT;
        road_play(&road, 50000, 5000, 120 * TK_NS_PER_S);
        assert_in_range(road.rate.rate_bps, 1800000, 5 * MBIT);
        assert_int_equal(road.lost, lost);
    }
}

// A line that loses as it pleases keeps what the lesson and its repairs need.
static void loss_alone_starves_nobody(void **state)
{
    Road road = {.line_bps = 10 * MBIT,
                 .buffer_bytes = 64000,
                 .way_ns = 100 * MS,
                 .report_every_ns = 50 * MS,
                 .lossy = 26};
    road_begin(&road, 1200000);
    road_play(&road, 50000, 5000, 60 * TK_NS_PER_S);
    assert_int_equal(road.rate.rate_bps, 1800000);
}

// A way that grows longer looks like a queue, but only for a while.
static void a_longer_way_is_learnt(void **state)
{
    Road road = {
        .line_bps = 100 * MBIT, .buffer_bytes = 1000000, .way_ns = MS, .report_every_ns = 50 * MS};
    road_begin(&road, 2 * MBIT);
    road_play(&road, 100000, 8000, 20 * TK_NS_PER_S);
    road.way_ns = 60 * MS;
    road_play(&road, 100000, 8000, 24 * TK_NS_PER_S);
    assert_in_range(road.rate.rate_bps, 3 * MBIT, 12 * MBIT);
    road_play(&road, 100000, 8000, 90 * TK_NS_PER_S);
    assert_in_range(road.rate.rate_bps, 20 * MBIT, 100 * MBIT);
}

static void answer(RelayLineRate *line, guint32 key, gint64 rtt_ns, gint64 now_ns)
{
    RelayQuestion q = {
        .reported = TRUE, .ssrc = 1, .last_sr = key, .rtt_ns = rtt_ns, .highest = key};
    relay_line_rate_mark(line, key, now_ns);
    relay_line_rate_report(line, &q, now_ns + q.rtt_ns);
}

// Four seconds of a flood leave a narrow line while sound is all that comes after it: taken for the
// empty line, they would hide every queue from then on.
static void what_waits_of_a_flood_is_no_longer_way(void **state)
{
    RelayLineRate line;
    relay_line_rate_init(&line, 57000, 0);
    guint32 second = 1;
    for (; second < 10; second++)
        answer(&line, second, 50 * MS, second * TK_NS_PER_S);
    for (gint64 waits_ns = 4000 * MS; waits_ns > 0; waits_ns -= 200 * MS, second++) {
        answer(&line, second, 50 * MS + waits_ns, second * TK_NS_PER_S);
        assert_int_equal(line.rtt_ns, 50 * MS);
    }
}

static void a_longer_way_is_learnt_where_it_varies(void **state)
{
    Road road = {.line_bps = 20 * MBIT,
                 .buffer_bytes = 256000,
                 .way_ns = 20 * MS,
                 .report_every_ns = 200 * MS};
    road_begin(&road, 1200000);
    road_play(&road, 40000, 5000, 20 * TK_NS_PER_S);
    assert_in_range(road.rate.rtt_ns, 40 * MS, 60 * MS);
    road.way_ns = 125 * MS;
    road.jitter_ns = 250 * MS;
    road_play(&road, 40000, 5000, 60 * TK_NS_PER_S);
    assert_in_range(road.rate.rtt_ns, 240 * MS, 300 * MS);
}

// Frames of a few packets are no bursts: nobody is asked about them.
static void small_frames_ask_nothing(void **state)
{
    Road road = {
        .line_bps = 4 * MBIT, .buffer_bytes = 64000, .way_ns = 10 * MS, .report_every_ns = 50 * MS};
    road_begin(&road, 1200000);
    road_play(&road, 6000, 6000, 20 * TK_NS_PER_S);
    assert_in_range(road.key, 10, 12);
    assert_int_equal(road.rate.rate_bps, 1800000);
}

// What is sent tells nothing of what would pass: a little goes again for that.
static void what_would_pass_is_tried(void **state)
{
    static const gint64 every[] = {50 * MS, 5000 * MS};
    for (guint i = 0; i < G_N_ELEMENTS(every); i++) {
        Road road = {.line_bps = MBIT,
                     .buffer_bytes = 64000,
                     .way_ns = 20 * MS,
                     .report_every_ns = every[i]};
        road_begin(&road, 200000);
        relay_line_rate_aim(&road.rate, 25 * MBIT / 10);
        road_play(&road, 1000, 1000, 60 * TK_NS_PER_S);
        assert_in_range(road.rate.proven_bps, 500000, 1100000);
        road.line_bps = 300000;
        road_play(&road, 1000, 1000, 80 * TK_NS_PER_S);
        assert_in_range(road.rate.proven_bps, 150000, 330000);
        road.line_bps = 4 * MBIT;
        road_play(&road, 1000, 1000, 80 * TK_NS_PER_S + 4 * every[i] + 8 * TK_NS_PER_S);
        assert_int_equal(road.rate.proven_bps, 25 * MBIT / 10);
        assert_int_equal(road.lost, 0);
        assert_in_range(road.queue_max, 1, 30000);
    }
}

// Nothing waits here, all of it waits and is lost there.
static void a_flooded_line_is_known_soon(void **state)
{
    Road road = {
        .line_bps = 4 * MBIT, .buffer_bytes = 64000, .way_ns = 20 * MS, .report_every_ns = 50 * MS};
    road_begin(&road, 1600000);
    road_play(&road, 8000, 8000, 20 * TK_NS_PER_S);
    assert_int_equal(road.lost, 0);
    road.line_bps = MBIT;
    road_play(&road, 8000, 8000, 23 * TK_NS_PER_S);
    assert_in_range(road.rate.rate_bps, 500000, 1100000);
}

// What it lost then says nothing of what passes now.
static void a_line_that_stood_still_is_no_thinner(void **state)
{
    static const gint64 every[] = {20 * MS, 200 * MS, 1000 * MS, 5000 * MS};
    for (guint i = 0; i < G_N_ELEMENTS(every); i++) {
        for (gint64 seconds = 1; seconds <= 16; seconds *= 2) {
            Road road = {.line_bps = 100 * MBIT,
                         .buffer_bytes = 256000,
                         .way_ns = 20 * MS,
                         .report_every_ns = every[i]};
            road_begin(&road, 1600000);
            road_play(&road, 40000, 8000, 20 * TK_NS_PER_S);
            road.cut = TRUE;
            road_play(&road, 40000, 8000, (20 + seconds) * TK_NS_PER_S);
            road.cut = FALSE;
            gint64 until_ns = road.now_ns + 12 * TK_NS_PER_S;
            while (road.now_ns < until_ns) {
                road_play(&road, 40000, 8000, road.now_ns + 10 * MS);
                assert_true(road.rate.rate_bps >= 1600000);
                assert_true(!road.rate.ceiling_bps || road.rate.ceiling_bps >= 1600000);
            }
        }
    }
}

// Half a minute of the sound would fit in its buffer.
static void a_line_that_only_grows_late_is_known_soon(void **state)
{
    Road road = {.line_bps = 4 * MBIT,
                 .buffer_bytes = 256000,
                 .way_ns = 20 * MS,
                 .report_every_ns = 1000 * MS};
    road_begin(&road, 240000);
    road_play(&road, 2400, 1200, 20 * TK_NS_PER_S);
    road.line_bps = 100000;
    road_play(&road, 2400, 1200, 27 * TK_NS_PER_S);
    assert_int_equal(road.lost, 0);
    assert_in_range(road.rate.proven_bps, 90000, 120000);
    assert_in_range(road.rate.rate_bps, 70000, 100000);
}

// As behind somebody else's download: what is sent passes, if late.
static void a_line_that_is_late_and_carries_all_is_not_taken_for_less(void **state)
{
    Road road = {.line_bps = 4 * MBIT,
                 .buffer_bytes = 10 * MBIT,
                 .way_ns = 20 * MS,
                 .report_every_ns = 1000 * MS};
    road_begin(&road, 240000);
    road_play(&road, 2400, 1200, 20 * TK_NS_PER_S);
    for (gint64 until_ns = 40 * TK_NS_PER_S; road.now_ns < until_ns;) {
        road.free_ns = MAX(road.free_ns, road.now_ns + 1500 * MS);
        road_play(&road, 2400, 1200, road.now_ns + 100 * MS);
    }
    assert_true(road.rate.rate_bps > 240000);
}

static void a_report_of_something_else_changes_nothing(void **state)
{
    RelayLineRate line, before;
    RelayQuestion q = {.reported = TRUE, .last_sr = 6, .rtt_ns = RELAY_REPAIR_RTT_MAX_NS};
    relay_line_rate_init(&line, 2 * MBIT, 0);
    relay_line_rate_mark(&line, 7, 0);
    before = line;
    relay_line_rate_report(&line, &q, MS);
    before.flood = line.flood; // but that it was heard
    assert_memory_equal(&line, &before, sizeof line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_with_half_more_than_the_lesson_needs),
        cmocka_unit_test(loses_nothing_on_a_weak_line),
        cmocka_unit_test(a_lan_is_known_within_a_second),
        cmocka_unit_test(a_stock_player_takes_a_few_reports),
        cmocka_unit_test(follows_a_line_down_and_up),
        cmocka_unit_test(loss_alone_starves_nobody),
        cmocka_unit_test(a_longer_way_is_learnt),
        cmocka_unit_test(a_longer_way_is_learnt_where_it_varies),
        cmocka_unit_test(what_waits_of_a_flood_is_no_longer_way),
        cmocka_unit_test(small_frames_ask_nothing),
        cmocka_unit_test(what_would_pass_is_tried),
        cmocka_unit_test(a_flooded_line_is_known_soon),
        cmocka_unit_test(a_line_that_stood_still_is_no_thinner),
        cmocka_unit_test(a_line_that_only_grows_late_is_known_soon),
        cmocka_unit_test(a_line_that_is_late_and_carries_all_is_not_taken_for_less),
        cmocka_unit_test(a_report_of_something_else_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
