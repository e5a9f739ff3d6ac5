// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "tests/unit/relay/classroom.h"

#define MS TK_NS_PER_MS

static void a_lesson_comes_out_whole(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_null(relay_input_format(c->input));
    assert_true(classroom_begin(&r, 1000));
    classroom_teach(&r, 11000, TRUE, TRUE);
    classroom_end(&r);

    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(pictures->len, 250);
    for (guint i = 0; i < pictures->len; i++) {
        assert_int_equal(collect_sample(pictures, i)->decode, (1000 + i * 40) * 90);
        assert_int_equal(collect_sample(pictures, i)->presentation,
                         collect_sample(pictures, i)->decode);
        assert_int_equal(collect_sample(pictures, i)->duration, 3600);
        assert_int_equal(collect_sample(pictures, i)->key, i % 50 == 0);
    }
    assert_int_equal(sounds->len, r.sound);
    for (guint i = 0; i < sounds->len; i++)
        assert_int_equal(collect_sample(sounds, i)->decode, 1000 * 48 + i * 1024);
    assert_int_equal(c->inits, 1);
    assert_string_equal(c->format.mime, "video/mp4; codecs=\"avc1.42C015,mp4a.40.2\"");
    assert_int_equal(c->format.width, 320);
    assert_int_equal(c->format.height, 180);
    assert_float_equal(c->format.fps, 25, 0.001);
    assert_int_equal(collect_stats(c, 0).packets, c->packets[0]->len);
    assert_int_equal(collect_stats(c, 0).frames_dropped + collect_stats(c, 1).frames_dropped, 0);
    assert_int_equal(collect_stats(c, 0).chunks, c->chunks);
}

static void chunks_hold_a_tenth_of_a_second_and_begin_at_keys(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    r.step_ms = 33;
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 10000, TRUE, TRUE);
    for (guint i = 0; i < c->chunks; i++) {
        const RelayUnit *unit = collect_chunk(c, i);
        TkCmafChunk chunk = collect_parse(unit);
        assert_in_range(chunk.runs[0].samples_count, 1, 3);
        assert_true(chunk.runs[0].samples_count == 3 || i % 17 == 16); // 50 = 16 × 3 + 2
        assert_int_equal(!!(unit->flags & RELAY_UNIT_KEY), i % 17 == 0);
        assert_int_equal(chunk.runs[0].starts_key, i % 17 == 0);
        assert_int_equal(unit->media_ns / 1000, chunk.runs[0].decode_time * 1000000 / 90 / 1000);
        gint64 captured_ns = tk_clock_wall_from_ntp(chunk.ntp) - CLASSROOM_EPOCH_NS;
        assert_in_range(captured_ns - unit->media_ns + 2000, 0, 4000);
    }
    classroom_end(&r);
}

static void slow_pictures_go_out_at_once(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    r.step_ms = 200;
    assert_true(classroom_begin(&r, 0));
    for (; r.now_ms < 6000; r.now_ms++) {
        guint before = c->chunks;
        gboolean due = r.now_ms % 200 == 0;
        classroom_teach(&r, r.now_ms, FALSE, FALSE);
        if (r.now_ms == 0)
            classroom_report(&r, 0);
        if (due)
            classroom_send_picture(&r);
        if (r.now_ms == 0) {
            classroom_send_sound(&r);
            classroom_report(&r, 1);
        }
        if (r.now_ms >= 600)
            assert_int_equal(c->chunks - before, due);
    }
    classroom_end(&r);
}

static void a_pending_chunk_does_not_wait_for_ever(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 1041, TRUE, TRUE); // 27 pictures: one is left over
    guint before = c->chunks;
    classroom_teach(&r, 1220, FALSE, FALSE);
    assert_int_equal(c->chunks, before);
    classroom_teach(&r, 1270, FALSE, FALSE);
    assert_int_equal(c->chunks, before + 1);
    classroom_end(&r);
}

static void a_returning_sender_goes_on(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5), again = classroom_new(c, 900);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 4000, TRUE, TRUE);
    classroom_end(&r);
    guint chunks = c->chunks, packets = c->packets[0]->len;
    assert_true(classroom_begin(&again, 9000));
    classroom_teach(&again, 12000, TRUE, TRUE);
    classroom_end(&again);

    const RelayUnit *last = c->packets[0]->pdata[packets - 1];
    const RelayUnit *next = c->packets[0]->pdata[packets];
    assert_int_equal(next->number, last->number + 1);
    assert_int_equal(next->rtp_timestamp - last->rtp_timestamp, (9000 - 3960) * 90);
    assert_true(next->flags & RELAY_UNIT_KEY);
    const RelayUnit *chunk = collect_chunk(c, chunks);
    assert_int_equal(chunk->media_ns, 9000 * MS);
    assert_true(chunk->flags & RELAY_UNIT_KEY);
    assert_int_equal(c->inits, 1); // nothing about the decoders has changed
}

// Without reports and with a clock behind, nothing may lie before what viewers have.
static void media_time_never_goes_back(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5), again = classroom_new(c, 900);
    assert_true(classroom_begin(&r, 900)); // its reports will say 900 ms more than passed
    r.begun_ms = 0;
    r.picture = 23;
    r.sound = 43;
    r.key_every = 23;
    classroom_teach(&r, 4000, TRUE, TRUE);
    classroom_end(&r);
    guint chunks = c->chunks;
    gint64 end_ns = collect_chunk(c, chunks - 1)->media_ns;
    assert_true(classroom_begin(&again, 3000)); // the wall clock may have stepped back
    classroom_teach(&again, 6000, TRUE, TRUE);
    classroom_end(&again);
    assert_in_range(collect_chunk(c, chunks)->media_ns - end_ns, 40 * MS, 120 * MS);
}

// A sender that waited for its connection brings what it kept. Streams stay in step only if none is
// moved for that; a clock that is far off must not keep a lesson waiting.
static void what_was_before_the_lesson_is_left_out(void **state)
{
    static const gint64 cases[][2] = {{-2510, 1490}, {-400, 1600}, {-11000, 0}}; // begun, first, ms
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
        Classroom r = classroom_new(c, 5);
        assert_true(classroom_begin(&r, 0));
        r.begun_ms = cases[i][0];
        classroom_teach(&r, 3000, TRUE, TRUE);
        classroom_end(&r);
        g_autoptr(GArray) pictures = collect_samples(c, 1);
        g_autoptr(GArray) sounds = collect_samples(c, 2);
        assert_int_equal(collect_sample(pictures, 0)->decode, cases[i][1] * 90);
        gint64 moved = cases[i][1] ? 0 : -cases[i][0] * 48;
        assert_int_equal((collect_sample(sounds, 0)->decode - cases[i][0] * 48 - moved) % 1024, 0);
    }
}

static void another_ssrc_goes_on_in_the_same_session(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 2000, TRUE, TRUE);
    r.video.ssrc = 4242;
    r.video.sequence = 17;
    r.video.timestamp_base += 1000000;
    guint packets = c->packets[0]->len;
    classroom_teach(&r, 4000, TRUE, TRUE);
    classroom_end(&r);
    for (guint i = 1; i < c->packets[0]->len; i++) {
        const RelayUnit *a = c->packets[0]->pdata[i - 1], *b = c->packets[0]->pdata[i];
        assert_int_equal(b->number, a->number + 1);
        assert_in_range(b->rtp_timestamp - a->rtp_timestamp, 0, 2 * 3600);
    }
    assert_true(c->packets[0]->len > packets);
    assert_int_equal(collect_stats(c, 0).foreign, 1); // its first packet only announces it
}

static void losses_cost_pictures_up_to_the_next_key(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 3000, TRUE, TRUE);
    r.video.sequence++; // one packet of 25 pictures' GOP is lost
    classroom_teach(&r, 6000, TRUE, TRUE);
    classroom_end(&r);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(collect_stats(c, 0).lost, 1);
    assert_int_equal(collect_stats(c, 0).frames_dropped, 25);
    assert_int_equal(pictures->len, 125);
    assert_int_equal(collect_sample(pictures, 75)->decode, 4000 * 90);
    assert_true(collect_sample(pictures, 75)->key);
    assert_int_equal(sounds->len, r.sound);
}

static void other_parameter_sets_give_another_init(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5), again = classroom_new(c, 900);
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 1000, TRUE, TRUE);
    classroom_end(&r);
    gsize before_bytes, after_bytes;
    g_autofree guint8 *before = NULL;
    const guint8 *config = relay_input_config(c->input, 0, &before_bytes);
    before = g_memdup2(config, before_bytes);
    g_strlcpy(again.formats[0].sprop, sender_other_sprop, sizeof again.formats[0].sprop);
    assert_true(classroom_begin(&again, 2000));
    classroom_teach(&again, 3000, TRUE, TRUE);
    classroom_end(&again);
    assert_int_equal(c->inits, 2);
    assert_int_equal(c->format.width, 640);
    assert_int_equal(relay_input_format(c->input)->height, 360);
    config = relay_input_config(c->input, 0, &after_bytes);
    assert_true(before_bytes != after_bytes || memcmp(before, config, after_bytes) != 0);
}

static void without_reports_it_begins_after_a_while(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    r.no_reports = TRUE;
    assert_true(classroom_begin(&r, 0));
    classroom_teach(&r, 3290, TRUE, TRUE);
    assert_int_equal(c->chunks, 0);
    assert_true(c->packets[0]->len > 0); // packets are not held
    gint64 wall_ns;
    guint32 timestamp;
    assert_false(relay_input_clock(c->input, 0, &wall_ns, &timestamp));
    classroom_teach(&r, 4000, TRUE, TRUE);
    classroom_end(&r);
    assert_true(relay_input_clock(c->input, 0, &wall_ns, &timestamp));
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    assert_int_equal(pictures->len, 100);
    assert_int_equal(collect_sample(pictures, 99)->decode, 99 * 3600);
}

static void the_clock_is_told_in_outgoing_time(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 500));
    classroom_teach(&r, 4100, TRUE, TRUE);
    gint64 wall_ns;
    guint32 timestamp;
    for (guint i = 0; i < 2; i++) {
        assert_true(relay_input_clock(c->input, i, &wall_ns, &timestamp));
        RelayTrackIdentity identity = relay_input_identity(c->input, i);
        const RelayUnit *first = c->packets[i]->pdata[0];
        gint64 passed = (gint32)(timestamp - first->rtp_timestamp);
        gint64 captured_ns =
            CLASSROOM_EPOCH_NS + 500 * MS + passed * TK_NS_PER_S / identity.clock_rate;
        assert_in_range(wall_ns - captured_ns + 100, 0, 200);
        assert_int_equal(identity.payload_type, 96 + i);
        assert_int_equal(passed, 3000 * (i ? 48 : 90));
    }
    classroom_end(&r);
}

static void receivers_reports_speak_of_the_sender(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    g_autoptr(GByteArray) out = g_byte_array_new();
    assert_true(classroom_begin(&r, 0));
    relay_input_receiver_report(c->input, 0, 0, out);
    assert_int_equal(out->len, 0);
    classroom_teach(&r, 1500, TRUE, TRUE);
    relay_input_receiver_report(c->input, 0, r.now_ms * MS, out);
    gsize offset = 0;
    TkRtcp rtcp;
    assert_true(tk_rtcp_next(out->data, out->len, &offset, &rtcp));
    assert_int_equal(rtcp.type, TK_RTCP_RECEIVER_REPORT);
    assert_int_equal(rtcp.reports[0].ssrc, r.video.ssrc);
    assert_int_equal((guint16)rtcp.reports[0].highest_sequence, (guint16)(r.video.sequence - 1));
    assert_int_equal(rtcp.reports[0].delay_since_sr, 65536 / 2);
    assert_int_equal(rtcp.reports[0].last_sr,
                     (guint32)(tk_clock_ntp_from_wall(CLASSROOM_EPOCH_NS + 1000 * MS) >> 16));
    assert_true(tk_rtcp_next(out->data, out->len, &offset, &rtcp));
    assert_int_equal(rtcp.type, TK_RTCP_SDES);
    assert_int_equal(offset, out->len);
    classroom_end(&r);
}

static void only_the_same_tracks_may_return(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    RelayTrackFormat swapped[2] = {r.formats[1], r.formats[0]};
    RelayTrackFormat doubled[2] = {r.formats[0], r.formats[0]};
    RelayTrackFormat odd = r.formats[0], slow = r.formats[1];
    odd.clock_rate = 8000;
    slow.clock_rate = 1;
    assert_false(relay_input_begin(c->input, r.formats, 0, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_false(relay_input_begin(c->input, doubled, 2, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_false(relay_input_begin(c->input, &odd, 1, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_false(relay_input_begin(c->input, &slow, 1, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_true(classroom_begin(&r, 0));
    assert_false(relay_input_begin(c->input, swapped, 2, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_false(relay_input_begin(c->input, r.formats, 1, FALSE, 0, CLASSROOM_EPOCH_NS));
    assert_true(classroom_begin(&r, 0));
    classroom_end(&r);
}

static void what_is_not_the_senders_is_counted(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    static const guint8 nonsense[] = {1, 2, 3};
    relay_input_rtp(c->input, 0, nonsense, sizeof nonsense, 0,
                    CLASSROOM_EPOCH_NS); // nobody is there
    assert_true(classroom_begin(&r, 0));
    assert_false(relay_input_rtp(c->input, 0, nonsense, sizeof nonsense, 0, CLASSROOM_EPOCH_NS));
    assert_false(relay_input_rtp(c->input, 7, nonsense, sizeof nonsense, 0, CLASSROOM_EPOCH_NS));
    relay_input_rtcp(c->input, 0, nonsense, sizeof nonsense, 0, CLASSROOM_EPOCH_NS);
    classroom_send(&r, 0, sender_frame(&r.audio, 0, TRUE, 10)); // the other track's payload type
    GPtrArray *twice = sender_frame(&r.video, 0, TRUE, 10);
    classroom_send(&r, 0, g_ptr_array_ref(twice));
    classroom_send(&r, 0, twice);
    RelayInputStats stats = collect_stats(c, 0);
    assert_int_equal(stats.malformed, 2);
    assert_int_equal(stats.foreign, 1);
    assert_int_equal(stats.duplicate, 1);
    assert_int_equal(stats.packets, 1);
    classroom_end(&r);
}

static guint tracks_of(const Collect *c, gboolean rtcp, const guint8 *data, gsize size)
{
    return relay_input_tracks_of(c->input, rtcp, data, size);
}

static guint tracks_of_frame(const Collect *c, Sender *sender)
{
    g_autoptr(GPtrArray) packets = sender_frame(sender, 0, TRUE, 10);
    gsize size;
    const guint8 *data = g_bytes_get_data(packets->pdata[0], &size);
    return tracks_of(c, FALSE, data, size);
}

static guint tracks_of_report(const Collect *c, const Sender *sender)
{
    g_autoptr(GByteArray) report = sender_report(sender, 0, CLASSROOM_EPOCH_NS);
    return tracks_of(c, TRUE, report->data, report->len);
}

static void a_packet_tells_whose_track_it_is(void **state)
{
    g_autoptr(Collect) c = collect_new(CLASSROOM_EPOCH_NS, 3);
    Classroom r = classroom_new(c, 5);
    assert_true(classroom_begin(&r, 0));
    assert_int_equal(tracks_of_frame(c, &r.audio), 2);
    assert_int_equal(tracks_of_frame(c, &r.video), 1);
    assert_int_equal(tracks_of_report(c, &r.audio), 0); // its source is not known yet
    classroom_send_sound(&r);
    assert_int_equal(tracks_of_report(c, &r.audio), 2);
    assert_int_equal(tracks_of_report(c, &r.video), 0);
    assert_int_equal(tracks_of(c, FALSE, (const guint8 *)"x", 1), 0);
    assert_int_equal(tracks_of(c, TRUE, (const guint8 *)"x", 1), 0);
    classroom_end(&r);
}

static void identities_come_from_the_seed(void **state)
{
    g_autoptr(Collect) a = collect_new(CLASSROOM_EPOCH_NS, 3);
    g_autoptr(Collect) b = collect_new(CLASSROOM_EPOCH_NS, 3);
    g_autoptr(Collect) other = collect_new(CLASSROOM_EPOCH_NS, 4);
    Collect *all[] = {a, b, other};
    for (guint i = 0; i < 3; i++) {
        Classroom r = classroom_new(all[i], 5);
        assert_true(classroom_begin(&r, 0));
    }
    guint32 ssrc = relay_input_identity(a->input, 0).ssrc;
    assert_int_equal(ssrc, relay_input_identity(b->input, 0).ssrc);
    assert_int_not_equal(ssrc, relay_input_identity(other->input, 0).ssrc);
    assert_int_not_equal(ssrc, relay_input_identity(a->input, 1).ssrc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lesson_comes_out_whole),
        cmocka_unit_test(chunks_hold_a_tenth_of_a_second_and_begin_at_keys),
        cmocka_unit_test(slow_pictures_go_out_at_once),
        cmocka_unit_test(a_pending_chunk_does_not_wait_for_ever),
        cmocka_unit_test(a_returning_sender_goes_on),
        cmocka_unit_test(media_time_never_goes_back),
        cmocka_unit_test(what_was_before_the_lesson_is_left_out),
        cmocka_unit_test(another_ssrc_goes_on_in_the_same_session),
        cmocka_unit_test(losses_cost_pictures_up_to_the_next_key),
        cmocka_unit_test(other_parameter_sets_give_another_init),
        cmocka_unit_test(without_reports_it_begins_after_a_while),
        cmocka_unit_test(the_clock_is_told_in_outgoing_time),
        cmocka_unit_test(receivers_reports_speak_of_the_sender),
        cmocka_unit_test(only_the_same_tracks_may_return),
        cmocka_unit_test(what_is_not_the_senders_is_counted),
        cmocka_unit_test(a_packet_tells_whose_track_it_is),
        cmocka_unit_test(identities_come_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
