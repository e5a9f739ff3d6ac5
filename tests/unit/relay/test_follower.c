// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"
#include "relay/core/follower.h"

#define MS TK_NS_PER_MS
#define SOUND_STEP 1024
#define FRAME_MS 40
#define KEY_EVERY 25

// A stream as the input gives it out: pictures of three packets, 25 a second, with a key frame each
// second, and sound.
typedef struct {
    RelayPacketFeed feed;
    guint64 numbers[2];
    guint32 bases[2];
    guint pictures, sounds;
} Stream;

typedef struct {
    Stream main, low;
    gint64 now_ms;
    RelayFollower viewer;
    // what came to it
    guint32 sequence[2], timestamp[2];
    gboolean began[2];
    guint sounds, keys;
    gboolean no_key_yet; // the next picture is a key frame
    gboolean whole;      // all of the newest picture came
} World;

static void push(World *w, Stream *s, guint track, guint32 flags, guint32 ticks, guint8 what)
{
    RelayUnit *unit = relay_unit_new(100);
    guint64 number = s->numbers[track]++;
    memset(unit->data, what, unit->bytes);
    unit->data[0] = 0x80;
    unit->data[1] = 0;
    guint32 timestamp = s->bases[track] + ticks;
    tk_rtp_rewrite(unit->data, 96 + (guint8)track, (guint16)number, timestamp,
                   s->feed.clocks[track].identity.ssrc);
    unit->number = number;
    unit->track = track;
    unit->flags = flags | (track ? RELAY_UNIT_SOUND : 0);
    unit->rtp_timestamp = timestamp;
    unit->arrived_ns = w->now_ms * MS;
    relay_packet_feed_push(&s->feed, unit);
}

static void stream_init(Stream *s, guint32 seed, gint64 clock_off_ns)
{
    *s = (Stream){0};
    relay_packet_feed_init(&s->feed, 60 * TK_NS_PER_S, 1 << 24, 65536);
    for (guint t = 0; t < 2; t++) {
        s->numbers[t] = 65536 + seed * 7 % 65536 + 65000 * t; // one of them wraps soon
        s->bases[t] = seed * 1000003u + t;
        s->feed.clocks[t] = (RelayTrackClock){
            TRUE, {96 + (guint8)t, seed + t, t ? 48000 : 90000, 0}, clock_off_ns, s->bases[t]};
    }
}

static void stream_step(World *w, Stream *s, gint64 ms)
{
    if (ms >= 0 && ms == (gint64)s->pictures * FRAME_MS) {
        guint32 key = s->pictures % KEY_EVERY ? 0 : RELAY_UNIT_KEY | RELAY_UNIT_CONFIG;
        for (guint i = 0; i < 3; i++)
            push(w, s, 0, i == 2 ? RELAY_UNIT_FRAME_END : i ? 0 : key, (guint32)ms * 90, 1);
        s->pictures++;
    }
    while (ms * 48 >= (gint64)s->sounds * SOUND_STEP) {
        push(w, s, 1, 0, s->sounds * SOUND_STEP, (guint8)(s->sounds * 37));
        s->sounds++;
    }
}

// What a player sees: numbers without a hole, sound without a gap, pictures forward only.
static void arrive(World *w, const RelayUnit *unit)
{
    guint8 buffer[TK_RTP_HEADER_BYTES];
    guint t = unit->track;
    const guint8 *own = relay_outgoing_header(&w->viewer.tracks[t], w->viewer.feed, unit, buffer);
    guint8 packet[100];
    memcpy(packet, unit->data, unit->bytes);
    if (own)
        memcpy(packet, own, TK_RTP_HEADER_BYTES);
    TkRtp rtp;
    assert_true(tk_rtp_parse(packet, unit->bytes, &rtp));
    assert_int_equal(rtp.ssrc, w->main.feed.clocks[t].identity.ssrc);
    assert_int_equal(rtp.payload_type, 96 + t);
    if (w->began[t]) {
        assert_int_equal(rtp.sequence, (guint16)(w->sequence[t] + 1));
        gint32 step = (gint32)(rtp.timestamp - w->timestamp[t]);
        if (t)
            assert_int_equal(step, SOUND_STEP);
        else
            assert_true(step >= 0);
    }
    if (!t && w->no_key_yet)
        assert_true(unit->flags & RELAY_UNIT_KEY);
    if (!t) {
        // No picture is left in pieces.
        assert_true(w->whole || !(unit->flags & RELAY_UNIT_KEY));
        w->whole = (unit->flags & RELAY_UNIT_FRAME_END) != 0;
        w->no_key_yet = FALSE;
    }
    w->keys += (unit->flags & RELAY_UNIT_KEY) != 0;
    w->sounds += t;
    w->began[t] = TRUE;
    w->sequence[t] = rtp.sequence;
    w->timestamp[t] = rtp.timestamp;
}

// A millisecond: `room` packets may leave; sound may always.
static gboolean step(World *w, guint room, gint64 low_late_ms)
{
    RelayUnit *unit;
    w->now_ms++;
    stream_step(w, &w->main, w->now_ms);
    stream_step(w, &w->low, w->now_ms - low_late_ms);
    gboolean turned = relay_follower_turn(&w->viewer, w->now_ms * MS);
    w->no_key_yet |= turned;
    while ((unit = relay_follower_next(&w->viewer, w->now_ms * MS))) {
        if (!room && !relay_follower_is_ahead(&w->viewer, unit)) {
            if (!relay_follower_part(&w->viewer))
                break;
            continue;
        }
        room -= room > 0;
        arrive(w, unit);
        relay_follower_sent(&w->viewer, unit);
    }
    return turned;
}

static int setup(void **state)
{
    World *w = g_new0(World, 1);
    *state = w;
    stream_init(&w->main, 1, 0);
    stream_init(&w->low, 9300, 3 * MS); // its clock is off
    w->now_ms = -1;
    w->whole = TRUE;
    relay_follower_init(&w->viewer, &w->main.feed, TRUE);
    return 0;
}

static int teardown(void **state)
{
    World *w = *state;
    relay_packet_feed_clear(&w->main.feed);
    relay_packet_feed_clear(&w->low.feed);
    g_free(w);
    return 0;
}

static void to(World *w, Stream *s, gboolean picture)
{
    RelayCrossing crossing = {0};
    assert_true(relay_crossing_find(&crossing, &s->feed, &w->main.feed));
    relay_follower_aim(&w->viewer, &s->feed, s == &w->main ? NULL : &crossing, picture,
                       w->now_ms * MS);
}

static void play(World *w, gint64 until_ms, guint room, gint64 low_late_ms)
{
    while (w->now_ms < until_ms)
        step(w, room, low_late_ms);
}

// Until it has moved.
static void move(World *w, gint64 within_ms, guint room, gint64 low_late_ms)
{
    for (gint64 until_ms = w->now_ms + within_ms; w->now_ms < until_ms;)
        if (step(w, room, low_late_ms))
            return;
    fail();
}

static void all_sound_came(const World *w)
{
    assert_in_range(w->sounds, w->main.sounds - 2, w->main.sounds);
}

static void who_never_moves_gets_packets_as_they_are(void **state)
{
    World *w = *state;
    play(w, 3000, 1000, 0);
    assert_false(w->viewer.tracks[0].own || w->viewer.tracks[1].own);
    all_sound_came(w);
    assert_int_equal(w->keys, 4);
}

static void down_and_up_nothing_of_the_sound_is_missing(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    for (guint i = 0; i < 20; i++) {
        to(w, &w->low, TRUE);
        move(w, 1100, 1000, 0);
        play(w, w->now_ms + 130, 1000, 0);
        to(w, &w->main, TRUE);
        move(w, 1100, 1000, 0);
        play(w, w->now_ms + 70, 1000, 0);
    }
    all_sound_came(w);
    assert_int_equal(w->timestamp[1], w->main.bases[1] + (w->main.sounds - 1) * SOUND_STEP);
    assert_int_equal(w->timestamp[0], w->main.bases[0] + (w->main.pictures - 1) * FRAME_MS * 90);
}

// The smaller of two that were made together may come sooner, or later.
static void one_stream_may_be_later_than_the_other(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 90);
    for (guint i = 0; i < 4; i++) {
        to(w, &w->low, TRUE);
        move(w, 1300, 1000, 90);
        to(w, &w->main, TRUE);
        move(w, 1300, 1000, 90);
    }
    play(w, w->now_ms + 100, 1000, 90);
    all_sound_came(w);
}

static void sound_goes_ahead_where_pictures_wait(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    play(w, 2300, 0, 0);
    all_sound_came(w);
    assert_int_equal(relay_follower_behind_ns(&w->viewer, w->now_ms * MS), 2300 * MS - 1520 * MS);
    to(w, &w->low, TRUE);
    assert_true(step(w, 1000, 0)); // the key frame at 2000 ms is ahead of it
    play(w, 4000, 1000, 0);
    all_sound_came(w);
}

// As of a relay whose own line carries the sound alone.
static void a_newcomer_hears_where_there_are_no_pictures(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    for (; w->now_ms < 4000; w->now_ms++)
        while (w->now_ms * 48 >= (gint64)w->main.sounds * SOUND_STEP)
            push(w, &w->main, 1, 0, w->main.sounds++ * SOUND_STEP, 1);
    assert_true(relay_packet_feed_is_blind(&w->main.feed));
    relay_follower_init(&w->viewer, &w->main.feed, TRUE);
    w->began[0] = w->began[1] = FALSE;
    w->sounds = w->keys = 0;
    w->no_key_yet = TRUE;
    guint before = w->main.sounds;
    // They come back within a group.
    w->main.pictures = 4500 / FRAME_MS / KEY_EVERY * KEY_EVERY + KEY_EVERY - 5;
    play(w, 4900, 1000, 0);
    assert_int_equal(w->sounds, w->main.sounds - before);
    assert_int_equal(w->keys, 0);
    play(w, 5900, 1000, 0);
    assert_int_equal(w->keys, 1);
    assert_int_equal(w->sounds, w->main.sounds - before);
    assert_false(relay_packet_feed_is_blind(&w->main.feed));
}

// A packet at a time.
static void no_picture_is_left_in_pieces(void **state)
{
    World *w = *state;
    while (w->now_ms < 1500)
        step(w, 1, 0);
    for (guint i = 0; i < 10; i++) {
        to(w, i % 2 ? &w->main : &w->low, TRUE);
        for (gboolean moved = FALSE; !moved;)
            moved = step(w, w->now_ms % 3 == 0, 0);
    }
    all_sound_came(w);
}

static void sound_alone_and_back(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    to(w, &w->main, FALSE);
    assert_true(step(w, 1000, 0));
    guint16 sequence = (guint16)w->sequence[0];
    play(w, 4500, 1000, 0);
    assert_int_equal((guint16)w->sequence[0], sequence);
    all_sound_came(w);
    to(w, &w->low, TRUE);
    move(w, 600, 1000, 0);
    assert_true(w->viewer.tracks[0].own);
    play(w, 6000, 1000, 0);
    all_sound_came(w);
}

// A limit on how far behind a viewer may be takes pictures and leaves the sound.
static void a_newcomer_elsewhere_gets_nothing_of_long_ago(void **state)
{
    World *w = *state;
    while (++w->now_ms < 5500) {
        stream_step(w, &w->main, w->now_ms);
        stream_step(w, &w->low, w->now_ms);
    }
    relay_follower_init(&w->viewer, &w->main.feed, TRUE);
    to(w, &w->low, TRUE);
    guint before = w->low.sounds;
    assert_true(step(w, 1000, 0));
    // Both begin with the newest key frame, half a second old.
    assert_int_equal(w->keys, 1);
    assert_in_range(w->sounds, 20, 26);
    guint first = w->sounds - (w->low.sounds - before);
    play(w, 8000, 1000, 0);
    assert_int_equal(w->sounds, first + w->low.sounds - before);
}

static void being_set_forward_costs_no_sound(void **state)
{
    World *w = *state;
    RelayViewerLimits limits = {
        .lag_max_ns = 500 * MS, .settle_ns = 10 * TK_NS_PER_S, .drops_max = 100};
    play(w, 1500, 1000, 0);
    for (gint64 until_ms = 4000; w->now_ms < until_ms;) {
        step(w, 0, 0);
        relay_follower_judge(&w->viewer, &limits, w->now_ms * MS);
    }
    assert_true(w->viewer.place.units_dropped > 0);
    w->began[0] = FALSE; // its numbers have a hole where pictures were left out
    w->no_key_yet = TRUE;
    play(w, 5000, 1000, 0);
    all_sound_came(w);
}

static void what_it_calls_a_packet_is_found(void **state)
{
    World *w = *state;
    const RelayPacketFeed *feed;
    guint64 number;
    play(w, 1500, 1000, 0);
    to(w, &w->low, TRUE);
    move(w, 1100, 1000, 0);
    guint16 first = (guint16)(w->sequence[1] + 1);
    play(w, w->now_ms + 200, 1000, 0);
    const RelayOutgoing *o = &w->viewer.tracks[1];
    assert_true(relay_outgoing_find(o, (guint16)(first - 3), &feed, &number));
    assert_ptr_equal(feed, &w->main.feed);
    assert_int_equal((guint16)number, (guint16)(first - 3));
    assert_true(relay_outgoing_find(o, (guint16)(first + 3), &feed, &number));
    assert_ptr_equal(feed, &w->low.feed);
    const RelayUnit *unit =
        relay_repair_index_find(w->low.feed.index, w->low.feed.history, 1, number);
    guint8 header[TK_RTP_HEADER_BYTES];
    assert_non_null(unit);
    assert_non_null(relay_outgoing_header(&w->viewer.tracks[1], feed, unit, header));
    assert_int_equal(header[2] << 8 | header[3], (guint16)(first + 3));
}

// Packets of before the move that come late would have the numbers of others.
// Under its own number it would be taken for another.
static void what_it_calls_a_packet_of_two_turns_ago_is_not_known(void **state)
{
    World *w = *state;
    RelayOutgoing o;
    RelayUnit unit = {.number = 70000};
    RelayTrackIdentity identity = {.payload_type = 96};
    const RelayPacketFeed *main = &w->main.feed, *low = &w->low.feed;
    relay_outgoing_init(&o, main);
    assert_true(relay_outgoing_knows(&o, main, &unit));
    relay_outgoing_sent(&o, &unit);
    relay_outgoing_turn(&o, &identity, low, 0, 80000);
    assert_true(relay_outgoing_knows(&o, main, &unit));
    relay_outgoing_turn(&o, &identity, low, 0, 81000); // after a while of sound alone
    assert_false(relay_outgoing_knows(&o, main, &unit));
    unit.number = 80001;
    assert_true(relay_outgoing_knows(&o, low, &unit));
    relay_outgoing_turn(&o, &identity, low, 0, 82000);
    assert_false(relay_outgoing_knows(&o, low, &unit));
}

static void what_comes_late_from_before_is_left_out(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    to(w, &w->low, TRUE);
    move(w, 1100, 1000, 0);
    guint64 next = w->low.numbers[0];
    w->low.numbers[0] = w->viewer.tracks[0].now.from - 1;
    push(w, &w->low, 0, 0, 0, 1);
    w->low.numbers[0] = next;
    play(w, w->now_ms + 500, 1000, 0);
}

static void key_frames_without_parameter_sets_are_no_place_to_go(void **state)
{
    World *w = *state;
    play(w, 1500, 1000, 0);
    for (guint64 at = 0; at < relay_history_head(w->low.feed.history); at++)
        relay_history_at(w->low.feed.history, at)->flags &= ~(guint32)RELAY_UNIT_CONFIG;
    to(w, &w->low, TRUE);
    play(w, 1990, 0, 0);
    assert_ptr_equal(w->viewer.feed, &w->main.feed);
}

static void clocks_that_shake_change_nothing(void **state)
{
    World *w = *state;
    RelayCrossing crossing = {0};
    play(w, 1500, 1000, 0);
    assert_true(relay_crossing_find(&crossing, &w->low.feed, &w->main.feed));
    for (guint t = 0; t < 2; t++) // exact, though its clock is off
        assert_int_equal(crossing.add[t], w->main.bases[t] - w->low.bases[t]);
    w->low.feed.clocks[0].wall_ns += 7 * MS;
    w->low.feed.clocks[1].wall_ns -= 7 * MS;
    RelayCrossing before = crossing;
    assert_true(relay_crossing_find(&crossing, &w->low.feed, &w->main.feed));
    assert_memory_equal(&before, &crossing, sizeof crossing);
    w->low.feed.clocks[1].identity.sound = 1;
    assert_false(relay_crossing_find(&crossing, &w->low.feed, &w->main.feed));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_never_moves_gets_packets_as_they_are),
        TEST(down_and_up_nothing_of_the_sound_is_missing),
        TEST(one_stream_may_be_later_than_the_other),
        TEST(sound_goes_ahead_where_pictures_wait),
        TEST(a_newcomer_hears_where_there_are_no_pictures),
        TEST(no_picture_is_left_in_pieces),
        TEST(sound_alone_and_back),
        TEST(a_newcomer_elsewhere_gets_nothing_of_long_ago),
        TEST(being_set_forward_costs_no_sound),
        TEST(what_it_calls_a_packet_is_found),
        TEST(what_it_calls_a_packet_of_two_turns_ago_is_not_known),
        TEST(what_comes_late_from_before_is_left_out),
        TEST(key_frames_without_parameter_sets_are_no_place_to_go),
        TEST(clocks_that_shake_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
