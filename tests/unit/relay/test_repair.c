// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"
#include "relay/core/repair.h"

#define SSRC 0x01020304u
#define FIRST 65500u // the numbers wrap on the way
#define RATE_BPS 1000000

typedef struct {
    RelayHistory *history;
    RelayRepairIndex *index;
    RelayRepair *repair;
    RelayRepairSpan span;
    guint64 next, position; // of the viewer
    RelayRepairLine line;
} Fixture;

static void push(Fixture *f, guint64 number)
{
    guint8 packet[TK_RTP_HEADER_BYTES + 100] = {0x80, 0x80};
    tk_rtp_rewrite(packet, 96, (guint16)number, 1000, SSRC);
    memset(packet + TK_RTP_HEADER_BYTES, (int)(number & 0xff), 100);
    RelayUnit *unit = relay_unit_new(sizeof packet);
    memcpy(unit->data, packet, sizeof packet);
    unit->number = number;
    relay_repair_index_note(f->index, unit, relay_history_head(f->history));
    relay_history_push(f->history, unit);
}

static int set_up(void **state)
{
    Fixture *f = g_new0(Fixture, 1);
    f->history = relay_history_new(10 * TK_NS_PER_S, 1 << 24, 8192);
    f->index = relay_repair_index_new();
    f->repair = relay_repair_new(0);
    for (f->next = 65536 + FIRST; f->next < 65536 + FIRST + 200; f->next++) {
        push(f, f->next);
        relay_repair_span_add(&f->span, f->next);
    }
    f->position = relay_history_head(f->history);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    Fixture *f = *state;
    relay_repair_free(f->repair);
    relay_repair_index_free(f->index);
    relay_history_free(f->history);
    g_free(f);
    return 0;
}

static void ask(Fixture *f, guint from, guint count, gint64 rtt_ms, gint64 now_ms)
{
    RelayQuestion q = {
        .ssrc = SSRC, .reported = rtt_ms > 0, .rtt_ns = rtt_ms * TK_NS_PER_MS, .count = count};
    relay_repair_line_note(&f->line, &q);
    for (guint i = 0; i < count; i++)
        q.sequences[i] = (guint16)(from + i);
    relay_repair_ask(f->repair, f->index, f->history, 0, &f->span, f->position, &f->line, &q,
                     RATE_BPS, now_ms * TK_NS_PER_MS);
}

// How many packets leave at `now_ms`; *ret_last: the number of the last one.
static guint send(Fixture *f, gint64 now_ms, guint16 *ret_last)
{
    RelayUnit *unit;
    guint count = 0;
    while ((unit = relay_repair_next(f->repair, f->index, f->history, now_ms * TK_NS_PER_MS))) {
        *ret_last = (guint16)unit->number;
        relay_repair_done(f->repair);
        count++;
    }
    return count;
}

static void sends_again_what_was_lost(void **state)
{
    Fixture *f = *state;
    guint16 last;
    ask(f, FIRST + 40, 1, 0, 0); // beyond the wrap
    assert_int_equal(send(f, 0, &last), 1);
    assert_int_equal(last, (guint16)(FIRST + 40));
    assert_false(relay_repair_waiting(f->repair));
    assert_int_equal(relay_repair_stats(f->repair)->asked, 1);
    assert_int_equal(relay_repair_stats(f->repair)->resent, 1);
    assert_int_equal(relay_repair_stats(f->repair)->unanswered, 0);
}

static void a_retransmission_is_what_rfc_4588_says(void **state)
{
    Fixture *f = *state;
    ask(f, FIRST, 2, 0, 0);
    for (guint i = 0; i < 2; i++) {
        RelayUnit *unit = relay_repair_next(f->repair, f->index, f->history, 0);
        g_autoptr(RelayUnit) rtx = relay_repair_rtx(unit, NULL, (guint16)(5 + i));
        TkRtp rtp;
        assert_true(tk_rtp_parse(rtx->data, rtx->bytes, &rtp));
        assert_int_equal(rtp.payload_type, 96 + RELAY_REPAIR_PT_STEP);
        assert_int_equal(rtp.ssrc, relay_repair_ssrc(SSRC));
        assert_int_not_equal(rtp.ssrc, SSRC);
        assert_int_equal(rtp.sequence, 5 + i); // its own
        assert_int_equal(rtp.timestamp, 1000);
        assert_true(rtp.marker);
        assert_int_equal(rtp.payload_bytes, 102);
        assert_int_equal(rtp.payload[0] << 8 | rtp.payload[1], FIRST + i);
        assert_memory_equal(rtp.payload + 2, unit->data + TK_RTP_HEADER_BYTES, 100);
        relay_repair_done(f->repair);
    }
}

static void an_impatient_player_gets_one_answer_a_round_trip(void **state)
{
    Fixture *f = *state;
    guint16 last;
    guint sent = 0;
    for (gint64 now_ms = 1000; now_ms < 1200; now_ms += 25) {
        ask(f, FIRST + 3, 1, 200, now_ms);
        sent += send(f, now_ms, &last);
    }
    assert_int_equal(sent, 1);
    // The answer was lost: the next one goes twice, apart from each other.
    ask(f, FIRST + 3, 1, 0, 1200);
    assert_int_equal(send(f, 1200, &last), 1);
    assert_true(relay_repair_waiting(f->repair));
    assert_int_equal(send(f, 1209, &last), 0);
    assert_int_equal(send(f, 1210, &last), 1);
}

static void nobody_can_miss_what_is_still_on_its_way(void **state)
{
    Fixture *f = *state;
    guint16 last;
    ask(f, FIRST + 3, 1, 200, 170);
    assert_int_equal(send(f, 170, &last), 0);
    assert_int_equal(relay_repair_stats(f->repair)->unanswered, 0);
    ask(f, FIRST + 3, 1, 200, 200);
    assert_int_equal(send(f, 200, &last), 1);
}

// Answers to a question about a packet that is `age_ms` old, on a line with so much loss.
static guint answers(Fixture *f, guint at, guint8 lost, gint64 rtt_ms, gint64 age_ms)
{
    guint16 last;
    RelayQuestion q = {.reported = TRUE,
                       .rtt_ns = rtt_ms * TK_NS_PER_MS,
                       .fraction_lost = lost,
                       .count = 1,
                       .sequences = {(guint16)(FIRST + at)}};
    f->line = (RelayRepairLine){0};
    relay_repair_line_note(&f->line, &q);
    relay_repair_ask(f->repair, f->index, f->history, 0, &f->span, f->position, &f->line, &q,
                     RATE_BPS, age_ms * TK_NS_PER_MS);
    return send(f, age_ms + 100, &last);
}

static void what_comes_in_its_turn_is_not_sent_twice(void **state)
{
    Fixture *f = *state;
    guint16 last;
    f->position = 100;
    ask(f, FIRST + 99, 2, 0, 1000);
    assert_int_equal(send(f, 1000, &last), 1);
    assert_int_equal(last, (guint16)(FIRST + 99));
}

static void on_a_bad_line_the_last_chance_is_taken_twice(void **state)
{
    Fixture *f = *state;
    // Far away a second answer would be too late for a player's buffer.
    assert_int_equal(answers(f, 10, RELAY_REPAIR_LOSSY - 1, 200, 200), 1);
    assert_int_equal(answers(f, 11, RELAY_REPAIR_LOSSY, 200, 200), 2);
    // Near by it is not, but for a packet that was asked for in vain before.
    assert_int_equal(answers(f, 12, RELAY_REPAIR_LOSSY, 100, 100), 1);
    assert_int_equal(answers(f, 13, RELAY_REPAIR_LOSSY, 100, 300), 2);
}

static void learns_how_long_a_viewer_waits(void **state)
{
    Fixture *f = *state;
    for (gint64 now_ms = 200; now_ms <= 800; now_ms += 100)
        answers(f, 10, RELAY_REPAIR_LOSSY, 200, now_ms);
    assert_int_equal(answers(f, 11, RELAY_REPAIR_LOSSY, 200, 200), 1);
}

static void first_answers_go_before_second_copies(void **state)
{
    Fixture *f = *state;
    guint16 last;
    f->line = (RelayRepairLine){TRUE, 200 * TK_NS_PER_MS, 256 * RELAY_REPAIR_SMOOTH};
    ask(f, FIRST, RELAY_REPAIR_QUEUE, 0, 1000);
    assert_int_equal(send(f, 1100, &last), RELAY_REPAIR_QUEUE);
    assert_int_equal(relay_repair_stats(f->repair)->unanswered, RELAY_REPAIR_QUEUE / 4);
}

static void gives_a_packet_up_at_last(void **state)
{
    Fixture *f = *state;
    guint16 last;
    guint sent = 0;
    for (gint64 now_ms = 0; now_ms < 20000; now_ms += 100) {
        ask(f, FIRST + 3, 1, 0, now_ms);
        sent += send(f, now_ms + 50, &last);
    }
    assert_int_equal(sent, 2 * RELAY_REPAIR_TRIES_MAX - 1);
}

static void nothing_outside_the_viewers_stretch(void **state)
{
    Fixture *f = *state;
    guint16 last;
    f->span = (RelayRepairSpan){0}; // nothing was sent to it
    ask(f, FIRST, 5, 0, 0);
    relay_repair_span_add(&f->span, 65536 + FIRST + 100);
    ask(f, FIRST + 99, 3, 0, 0); // before, itself, not sent yet
    assert_int_equal(send(f, 0, &last), 1);
    assert_int_equal(last, (guint16)(FIRST + 100));
    assert_int_equal(relay_repair_stats(f->repair)->unanswered, 7);
}

static void what_has_left_the_history_is_no_more(void **state)
{
    Fixture *f = *state;
    guint16 last;
    ask(f, FIRST, 1, 0, 0);
    for (guint i = 0; i < RELAY_REPAIR_INDEX; i++)
        push(f, f->next++);
    assert_int_equal(send(f, 0, &last), 0);
    assert_false(relay_repair_waiting(f->repair));
    f->span.last = f->next - 1;
    ask(f, FIRST, 1, 0, 100);
    assert_int_equal(send(f, 100, &last), 0);
}

static void a_storm_costs_its_budget_and_no_more(void **state)
{
    Fixture *f = *state;
    guint16 last;
    gsize bytes = 0;
    for (gint64 now_ms = 0; now_ms < 10000; now_ms++) {
        for (guint i = 0; i < 10; i++)
            ask(f, FIRST + (guint)(now_ms * 7 + i * 19) % 180, 17, 1, now_ms);
        bytes += send(f, now_ms, &last) * 112;
    }
    assert_true(bytes <= RELAY_REPAIR_BURST_MIN + 10 * RATE_BPS / 8 / RELAY_REPAIR_SHARE + 112);
    assert_true(bytes > RATE_BPS / 8); // and the honest one is not starved
}

static void reads_nacks_and_the_round_trip(void **state)
{
    gint64 wall_ns = G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S;
    g_autoptr(GByteArray) rtcp = g_byte_array_new();
    TkRtcpReport report = {
        .ssrc = SSRC,
        .fraction_lost = 20,
        .last_sr = (guint32)(tk_clock_ntp_from_wall(wall_ns - 300 * TK_NS_PER_MS) >> 16),
        .delay_since_sr = 65536 / 10};
    guint16 lost[] = {10, 12, 40}, other[] = {7};
    tk_rtcp_put_receiver_report(rtcp, 9, &report, 1);
    tk_rtcp_put_sdes(rtcp, 9, "viewer");
    RelayQuestion q;
    assert_true(relay_repair_read(rtcp->data, rtcp->len, wall_ns, &q));
    assert_int_equal(q.count, 0);
    assert_int_equal(q.fraction_lost, 20);
    tk_rtcp_put_nack(rtcp, 9, SSRC, lost, G_N_ELEMENTS(lost));
    tk_rtcp_put_nack(rtcp, 9, SSRC + 1, other, 1);
    assert_true(relay_repair_read(rtcp->data, rtcp->len, wall_ns, &q));
    assert_int_equal(q.ssrc, SSRC);
    assert_int_equal(q.count, 3);
    assert_memory_equal(q.sequences, lost, sizeof lost);
    assert_in_range(q.rtt_ns / TK_NS_PER_MS, 199, 201);
    // A lie has its bounds.
    assert_true(relay_repair_read(rtcp->data, rtcp->len, wall_ns + 60 * TK_NS_PER_S, &q));
    assert_int_equal(q.rtt_ns, RELAY_QUESTION_RTT_MAX_NS);
    assert_true(relay_repair_read(rtcp->data, rtcp->len, wall_ns - 60 * TK_NS_PER_S, &q));
    assert_int_equal(q.rtt_ns, 0);
}

static void takes_no_more_than_its_share_of_one_datagram(void **state)
{
    guint16 all[2000];
    for (guint i = 0; i < G_N_ELEMENTS(all); i++)
        all[i] = (guint16)i;
    g_autoptr(GByteArray) rtcp = g_byte_array_new();
    tk_rtcp_put_receiver_report(rtcp, 9, NULL, 0);
    tk_rtcp_put_nack(rtcp, 9, SSRC, all, G_N_ELEMENTS(all));
    RelayQuestion q;
    assert_true(relay_repair_read(rtcp->data, rtcp->len, 0, &q));
    assert_int_equal(q.count, RELAY_REPAIR_ASKED_MAX);
    for (gsize size = 0; size < 24; size++)
        assert_false(relay_repair_read(rtcp->data, size, 0, &q));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH(sends_again_what_was_lost),
        WITH(a_retransmission_is_what_rfc_4588_says),
        WITH(an_impatient_player_gets_one_answer_a_round_trip),
        WITH(nobody_can_miss_what_is_still_on_its_way),
        WITH(what_comes_in_its_turn_is_not_sent_twice),
        WITH(on_a_bad_line_the_last_chance_is_taken_twice),
        WITH(learns_how_long_a_viewer_waits),
        WITH(first_answers_go_before_second_copies),
        WITH(gives_a_packet_up_at_last),
        WITH(nothing_outside_the_viewers_stretch),
        WITH(what_has_left_the_history_is_no_more),
        WITH(a_storm_costs_its_budget_and_no_more),
        cmocka_unit_test(reads_nacks_and_the_round_trip),
        cmocka_unit_test(takes_no_more_than_its_share_of_one_datagram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
