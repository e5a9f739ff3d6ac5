// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "tests/unit/relay/collect.h"
#include "tests/unit/relay/sender.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define MS TK_NS_PER_MS

// A sender whose camera and microphone run from `begun_ms` on the lesson's clock; the monotonic
// clock has the same zero. Packets arrive when they are captured.
typedef struct {
    Collect *c;
    Sender video, audio;
    RelayTrackFormat formats[2];
    gint64 now_ms, begun_ms;
    gint64 picture, sound; // numbers of the next ones
    guint step_ms, key_every;
    gboolean no_reports;
} Classroom;

static Classroom classroom(Collect *c, guint32 ssrc)
{
    Classroom r = {.c = c,
                   .video = {TK_TRACK_VIDEO, ssrc, ssrc * 7919, (guint16)(65000 + ssrc)},
                   .audio = {TK_TRACK_AUDIO, ssrc + 1, ssrc * 104729, (guint16)ssrc},
                   .step_ms = 40,
                   .key_every = 50};
    sender_formats(&r.formats[0], &r.formats[1]);
    return r;
}

static gboolean begin(Classroom *r, gint64 at_ms)
{
    r->now_ms = r->begun_ms = at_ms;
    r->picture = r->sound = 0;
    return relay_input_begin(r->c->input, r->formats, 2, FALSE, at_ms * MS, EPOCH_NS + at_ms * MS);
}

static void send(Classroom *r, guint track, GPtrArray *packets)
{
    for (guint i = 0; i < packets->len; i++) {
        gsize size;
        const guint8 *data = g_bytes_get_data(packets->pdata[i], &size);
        relay_input_rtp(r->c->input, track, data, size, r->now_ms * MS, EPOCH_NS + r->now_ms * MS);
    }
    g_ptr_array_unref(packets);
}

static void report(Classroom *r, guint track)
{
    const Sender *s = track ? &r->audio : &r->video;
    gint64 ms = r->now_ms - r->begun_ms;
    g_autoptr(GByteArray) sr = sender_report(s, ms * (track ? 48 : 90), EPOCH_NS + r->now_ms * MS);
    relay_input_rtcp(r->c->input, track, sr->data, sr->len, r->now_ms * MS,
                     EPOCH_NS + r->now_ms * MS);
}

static void send_picture(Classroom *r)
{
    gboolean key = r->picture % r->key_every == 0;
    send(r, 0, sender_frame(&r->video, r->picture * r->step_ms * 90, key, key ? 5000 : 900));
    r->picture++;
}

static void send_sound(Classroom *r)
{
    send(r, 1, sender_frame(&r->audio, r->sound * 1024, TRUE, 200));
    r->sound++;
}

static void teach(Classroom *r, gint64 until_ms, gboolean pictures, gboolean sounds)
{
    for (; r->now_ms < until_ms; r->now_ms++) {
        gint64 ms = r->now_ms - r->begun_ms;
        if (ms % 1000 == 0 && !r->no_reports) {
            report(r, 0);
            report(r, 1);
        }
        if (pictures && ms >= r->picture * r->step_ms)
            send_picture(r);
        if (sounds && ms * 48 >= r->sound * 1024)
            send_sound(r);
        if (ms % 20 == 0)
            relay_input_tick(r->c->input, r->now_ms * MS, EPOCH_NS + r->now_ms * MS);
    }
}

static void end(Classroom *r)
{
    relay_input_end(r->c->input, r->now_ms * MS);
}

static const CollectSample *sample_at(const GArray *samples, guint index)
{
    return &g_array_index(samples, CollectSample, index);
}

static RelayInputStats stats_of(const Collect *c, guint track)
{
    RelayInputStats stats;
    relay_input_stats(c->input, track, &stats);
    return stats;
}

static void a_lesson_comes_out_whole(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_null(relay_input_format(c->input));
    assert_true(begin(&r, 1000));
    teach(&r, 11000, TRUE, TRUE);
    end(&r);

    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(pictures->len, 250);
    for (guint i = 0; i < pictures->len; i++) {
        assert_int_equal(sample_at(pictures, i)->decode, (1000 + i * 40) * 90);
        assert_int_equal(sample_at(pictures, i)->presentation, sample_at(pictures, i)->decode);
        assert_int_equal(sample_at(pictures, i)->duration, 3600);
        assert_int_equal(sample_at(pictures, i)->key, i % 50 == 0);
    }
    assert_int_equal(sounds->len, r.sound);
    for (guint i = 0; i < sounds->len; i++)
        assert_int_equal(sample_at(sounds, i)->decode, 1000 * 48 + i * 1024);
    assert_int_equal(c->inits, 1);
    assert_string_equal(c->format.mime, "video/mp4; codecs=\"avc1.42C015,mp4a.40.2\"");
    assert_int_equal(c->format.width, 320);
    assert_int_equal(c->format.height, 180);
    assert_float_equal(c->format.fps, 25, 0.001);
    assert_int_equal(stats_of(c, 0).packets, c->packets[0]->len);
    assert_int_equal(stats_of(c, 0).frames_dropped + stats_of(c, 1).frames_dropped, 0);
    assert_int_equal(stats_of(c, 0).chunks, c->chunks);
}

static void chunks_hold_a_tenth_of_a_second_and_begin_at_keys(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    r.step_ms = 33;
    assert_true(begin(&r, 0));
    teach(&r, 10000, TRUE, TRUE);
    for (guint i = 0; i < c->chunks; i++) {
        const RelayUnit *unit = collect_chunk(c, i);
        TkCmafChunk chunk = collect_parse(unit);
        assert_in_range(chunk.runs[0].samples_count, 1, 3);
        assert_true(chunk.runs[0].samples_count == 3 || i % 17 == 16); // 50 = 16 × 3 + 2
        assert_int_equal(!!(unit->flags & RELAY_UNIT_KEY), i % 17 == 0);
        assert_int_equal(chunk.runs[0].starts_key, i % 17 == 0);
        assert_int_equal(unit->media_ns / 1000, chunk.runs[0].decode_time * 1000000 / 90 / 1000);
        gint64 captured_ns = tk_clock_wall_from_ntp(chunk.ntp) - EPOCH_NS;
        assert_in_range(captured_ns - unit->media_ns + 2000, 0, 4000);
    }
    end(&r);
}

static void slow_pictures_go_out_at_once(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    r.step_ms = 200;
    assert_true(begin(&r, 0));
    for (; r.now_ms < 6000; r.now_ms++) {
        guint before = c->chunks;
        gboolean due = r.now_ms % 200 == 0;
        teach(&r, r.now_ms, FALSE, FALSE);
        if (r.now_ms == 0)
            report(&r, 0);
        if (due)
            send_picture(&r);
        if (r.now_ms == 0) {
            send_sound(&r);
            report(&r, 1);
        }
        if (r.now_ms >= 600)
            assert_int_equal(c->chunks - before, due);
    }
    end(&r);
}

static void a_pending_chunk_does_not_wait_for_ever(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 1041, TRUE, TRUE); // 27 pictures: one is left over
    guint before = c->chunks;
    teach(&r, 1220, FALSE, FALSE);
    assert_int_equal(c->chunks, before);
    teach(&r, 1270, FALSE, FALSE);
    assert_int_equal(c->chunks, before + 1);
    end(&r);
}

static void a_returning_sender_goes_on(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5), again = classroom(c, 900);
    assert_true(begin(&r, 0));
    teach(&r, 4000, TRUE, TRUE);
    end(&r);
    guint chunks = c->chunks, packets = c->packets[0]->len;
    assert_true(begin(&again, 9000));
    teach(&again, 12000, TRUE, TRUE);
    end(&again);

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
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5), again = classroom(c, 900);
    assert_true(begin(&r, 900)); // its reports will say 900 ms more than passed
    r.begun_ms = 0;
    r.picture = 23;
    r.sound = 43;
    r.key_every = 23;
    teach(&r, 4000, TRUE, TRUE);
    end(&r);
    guint chunks = c->chunks;
    gint64 end_ns = collect_chunk(c, chunks - 1)->media_ns;
    assert_true(begin(&again, 3000)); // the wall clock may have stepped back
    teach(&again, 6000, TRUE, TRUE);
    end(&again);
    assert_in_range(collect_chunk(c, chunks)->media_ns - end_ns, 40 * MS, 120 * MS);
}

// A sender that waited for its connection brings what it kept. Streams stay in step only if none is
// moved for that; a clock that is far off must not keep a lesson waiting.
static void what_was_before_the_lesson_is_left_out(void **state)
{
    static const gint64 cases[][2] = {{-2510, 1490}, {-400, 1600}, {-11000, 0}}; // begun, first, ms
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
        Classroom r = classroom(c, 5);
        assert_true(begin(&r, 0));
        r.begun_ms = cases[i][0];
        teach(&r, 3000, TRUE, TRUE);
        end(&r);
        g_autoptr(GArray) pictures = collect_samples(c, 1);
        g_autoptr(GArray) sounds = collect_samples(c, 2);
        assert_int_equal(sample_at(pictures, 0)->decode, cases[i][1] * 90);
        gint64 moved = cases[i][1] ? 0 : -cases[i][0] * 48;
        assert_int_equal((sample_at(sounds, 0)->decode - cases[i][0] * 48 - moved) % 1024, 0);
    }
}

static void another_ssrc_goes_on_in_the_same_session(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 2000, TRUE, TRUE);
    r.video.ssrc = 4242;
    r.video.sequence = 17;
    r.video.timestamp_base += 1000000;
    guint packets = c->packets[0]->len;
    teach(&r, 4000, TRUE, TRUE);
    end(&r);
    for (guint i = 1; i < c->packets[0]->len; i++) {
        const RelayUnit *a = c->packets[0]->pdata[i - 1], *b = c->packets[0]->pdata[i];
        assert_int_equal(b->number, a->number + 1);
        assert_in_range(b->rtp_timestamp - a->rtp_timestamp, 0, 2 * 3600);
    }
    assert_true(c->packets[0]->len > packets);
    assert_int_equal(stats_of(c, 0).foreign, 1); // its first packet only announces it
}

static void losses_cost_pictures_up_to_the_next_key(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 3000, TRUE, TRUE);
    r.video.sequence++; // one packet of 25 pictures' GOP is lost
    teach(&r, 6000, TRUE, TRUE);
    end(&r);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(stats_of(c, 0).lost, 1);
    assert_int_equal(stats_of(c, 0).frames_dropped, 25);
    assert_int_equal(pictures->len, 125);
    assert_int_equal(sample_at(pictures, 75)->decode, 4000 * 90);
    assert_true(sample_at(pictures, 75)->key);
    assert_int_equal(sounds->len, r.sound);
}

static void other_parameter_sets_give_another_init(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5), again = classroom(c, 900);
    assert_true(begin(&r, 0));
    teach(&r, 1000, TRUE, TRUE);
    end(&r);
    gsize before_bytes, after_bytes;
    g_autofree guint8 *before = NULL;
    const guint8 *config = relay_input_config(c->input, 0, &before_bytes);
    before = g_memdup2(config, before_bytes);
    g_strlcpy(again.formats[0].sprop, sender_other_sprop, sizeof again.formats[0].sprop);
    assert_true(begin(&again, 2000));
    teach(&again, 3000, TRUE, TRUE);
    end(&again);
    assert_int_equal(c->inits, 2);
    assert_int_equal(c->format.width, 640);
    assert_int_equal(relay_input_format(c->input)->height, 360);
    config = relay_input_config(c->input, 0, &after_bytes);
    assert_true(before_bytes != after_bytes || memcmp(before, config, after_bytes) != 0);
}

static void sound_begins_with_the_first_key_picture(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 1000, FALSE, TRUE);
    r.picture = 25;
    r.key_every = 25;
    teach(&r, 4000, TRUE, TRUE);
    end(&r);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_int_equal(sample_at(pictures, 0)->decode, 1000 * 90);
    gint64 first_ms = sample_at(sounds, 0)->decode / 48;
    assert_in_range(first_ms, 1000 - 22, 1000 + 22);
    assert_int_equal(sample_at(pictures, 0)->chunk, 1);
}

static void sound_does_not_wait_for_ever_for_pictures(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 4900, FALSE, TRUE);
    assert_int_equal(c->chunks, 0);
    teach(&r, 6000, FALSE, TRUE);
    assert_true(c->chunks > 5);
    assert_string_equal(c->format.mime, "audio/mp4; codecs=\"mp4a.40.2\"");
    assert_int_equal(c->format.timescale[0], 0);
    assert_int_equal(c->format.timescale[1], 48000);
    assert_false(c->format.has_video);
    r.picture = 150;
    teach(&r, 8000, TRUE, TRUE);
    end(&r);
    assert_int_equal(c->inits, 2);
    assert_true(c->format.has_video);
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    assert_int_equal(sample_at(pictures, 0)->decode, 6000 * 90);
}

static void sound_goes_on_when_the_camera_is_gone(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 2000, TRUE, TRUE);
    guint before = c->chunks;
    teach(&r, 8000, FALSE, TRUE);
    assert_true(c->chunks - before > 40);
    g_autoptr(GArray) sounds = collect_samples(c, 2);
    assert_true(sample_at(sounds, sounds->len - 1)->decode > 7800 * 48);
    assert_int_equal(collect_chunk(c, c->chunks - 1)->flags, RELAY_UNIT_BLIND);
    end(&r);
}

// As where a relay above had only the sound for a weak line, and has smaller pictures then.
static void pictures_come_back_in_another_size(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 2000, TRUE, TRUE);
    teach(&r, 8000, FALSE, TRUE);
    guint before = c->chunks;
    r.picture = 200;
    send(&r, 0, sender_parameter_sets(&r.video, 8000 * 90, sender_other_sprop));
    teach(&r, 10000, TRUE, TRUE);
    end(&r);
    assert_int_equal(c->inits, 2);
    assert_int_equal(c->format.width, 640);
    g_autoptr(GArray) pictures = collect_samples(c, 1), sounds = collect_samples(c, 2);
    assert_int_equal(pictures->len, 50 + 50);
    assert_int_equal(sample_at(pictures, 50)->decode, 8000 * 90);
    const RelayUnit *back = collect_chunk(c, (guint)sample_at(pictures, 50)->chunk - 1);
    assert_in_range(back->number, before + 1, before + 2);
    assert_int_equal(back->flags, RELAY_UNIT_KEY);
    assert_int_equal(sounds->len, r.sound);
    assert_int_equal(stats_of(c, 1).frames_dropped, 0);
}

// A line that is cut is no camera that is gone: its sound goes on with its pictures.
static void what_falls_silent_as_a_whole_goes_on_as_a_whole(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 0));
    teach(&r, 2000, TRUE, TRUE);
    guint before = c->chunks;
    teach(&r, 6000, FALSE, FALSE);
    assert_in_range(c->chunks, before, before + 1);
    r.picture = 150;
    r.sound = 6000 * 48 / 1024;
    teach(&r, 8000, TRUE, TRUE);
    end(&r);
    for (guint i = 0; i < c->chunks - 1; i++)
        assert_false(collect_chunk(c, i)->flags & RELAY_UNIT_BLIND);
}

static void sound_alone_is_chunked(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(relay_input_begin(c->input, &r.formats[1], 1, TRUE, 0, EPOCH_NS));
    assert_int_equal(c->inits, 1);
    for (guint i = 0; i < 100; i++) {
        r.now_ms = i * 1024 / 48;
        g_autoptr(GPtrArray) packets = sender_frame(&r.audio, i * 1024, TRUE, 100);
        gsize size;
        const guint8 *data = g_bytes_get_data(packets->pdata[0], &size);
        relay_input_rtp(c->input, 0, data, size, r.now_ms * MS, EPOCH_NS + r.now_ms * MS);
    }
    end(&r);
    assert_int_equal(c->chunks, 20);
    for (guint i = 0; i < c->chunks; i++) {
        assert_int_equal(collect_parse(collect_chunk(c, i)).runs[0].samples_count, 5);
        assert_true(collect_chunk(c, i)->flags & RELAY_UNIT_KEY);
    }
    const RelayUnit *packet = c->packets[0]->pdata[5];
    assert_true(packet->flags & RELAY_UNIT_KEY);
}

static void without_reports_it_begins_after_a_while(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    r.no_reports = TRUE;
    assert_true(begin(&r, 0));
    teach(&r, 3290, TRUE, TRUE);
    assert_int_equal(c->chunks, 0);
    assert_true(c->packets[0]->len > 0); // packets are not held
    gint64 wall_ns;
    guint32 timestamp;
    assert_false(relay_input_clock(c->input, 0, &wall_ns, &timestamp));
    teach(&r, 4000, TRUE, TRUE);
    end(&r);
    assert_true(relay_input_clock(c->input, 0, &wall_ns, &timestamp));
    g_autoptr(GArray) pictures = collect_samples(c, 1);
    assert_int_equal(pictures->len, 100);
    assert_int_equal(sample_at(pictures, 99)->decode, 99 * 3600);
}

static void the_clock_is_told_in_outgoing_time(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    assert_true(begin(&r, 500));
    teach(&r, 4100, TRUE, TRUE);
    gint64 wall_ns;
    guint32 timestamp;
    for (guint i = 0; i < 2; i++) {
        assert_true(relay_input_clock(c->input, i, &wall_ns, &timestamp));
        RelayTrackIdentity identity = relay_input_identity(c->input, i);
        const RelayUnit *first = c->packets[i]->pdata[0];
        gint64 passed = (gint32)(timestamp - first->rtp_timestamp);
        gint64 captured_ns = EPOCH_NS + 500 * MS + passed * TK_NS_PER_S / identity.clock_rate;
        assert_in_range(wall_ns - captured_ns + 100, 0, 200);
        assert_int_equal(identity.payload_type, 96 + i);
        assert_int_equal(passed, 3000 * (i ? 48 : 90));
    }
    end(&r);
}

static void receivers_reports_speak_of_the_sender(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    g_autoptr(GByteArray) out = g_byte_array_new();
    assert_true(begin(&r, 0));
    relay_input_receiver_report(c->input, 0, 0, out);
    assert_int_equal(out->len, 0);
    teach(&r, 1500, TRUE, TRUE);
    relay_input_receiver_report(c->input, 0, r.now_ms * MS, out);
    gsize offset = 0;
    TkRtcp rtcp;
    assert_true(tk_rtcp_next(out->data, out->len, &offset, &rtcp));
    assert_int_equal(rtcp.type, TK_RTCP_RECEIVER_REPORT);
    assert_int_equal(rtcp.reports[0].ssrc, r.video.ssrc);
    assert_int_equal((guint16)rtcp.reports[0].highest_sequence, (guint16)(r.video.sequence - 1));
    assert_int_equal(rtcp.reports[0].delay_since_sr, 65536 / 2);
    assert_int_equal(rtcp.reports[0].last_sr,
                     (guint32)(tk_clock_ntp_from_wall(EPOCH_NS + 1000 * MS) >> 16));
    assert_true(tk_rtcp_next(out->data, out->len, &offset, &rtcp));
    assert_int_equal(rtcp.type, TK_RTCP_SDES);
    assert_int_equal(offset, out->len);
    end(&r);
}

static void only_the_same_tracks_may_return(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    RelayTrackFormat swapped[2] = {r.formats[1], r.formats[0]};
    RelayTrackFormat doubled[2] = {r.formats[0], r.formats[0]};
    RelayTrackFormat odd = r.formats[0], slow = r.formats[1];
    odd.clock_rate = 8000;
    slow.clock_rate = 1;
    assert_false(relay_input_begin(c->input, r.formats, 0, FALSE, 0, EPOCH_NS));
    assert_false(relay_input_begin(c->input, doubled, 2, FALSE, 0, EPOCH_NS));
    assert_false(relay_input_begin(c->input, &odd, 1, FALSE, 0, EPOCH_NS));
    assert_false(relay_input_begin(c->input, &slow, 1, FALSE, 0, EPOCH_NS));
    assert_true(begin(&r, 0));
    assert_false(relay_input_begin(c->input, swapped, 2, FALSE, 0, EPOCH_NS));
    assert_false(relay_input_begin(c->input, r.formats, 1, FALSE, 0, EPOCH_NS));
    assert_true(begin(&r, 0));
    end(&r);
}

static void what_is_not_the_senders_is_counted(void **state)
{
    g_autoptr(Collect) c = collect_new(EPOCH_NS, 3);
    Classroom r = classroom(c, 5);
    static const guint8 nonsense[] = {1, 2, 3};
    relay_input_rtp(c->input, 0, nonsense, sizeof nonsense, 0, EPOCH_NS); // nobody is there
    assert_true(begin(&r, 0));
    relay_input_rtp(c->input, 0, nonsense, sizeof nonsense, 0, EPOCH_NS);
    relay_input_rtp(c->input, 7, nonsense, sizeof nonsense, 0, EPOCH_NS);
    relay_input_rtcp(c->input, 0, nonsense, sizeof nonsense, 0, EPOCH_NS);
    send(&r, 0, sender_frame(&r.audio, 0, TRUE, 10)); // the other track's payload type
    GPtrArray *twice = sender_frame(&r.video, 0, TRUE, 10);
    send(&r, 0, g_ptr_array_ref(twice));
    send(&r, 0, twice);
    RelayInputStats stats = stats_of(c, 0);
    assert_int_equal(stats.malformed, 2);
    assert_int_equal(stats.foreign, 1);
    assert_int_equal(stats.duplicate, 1);
    assert_int_equal(stats.packets, 1);
    end(&r);
}

static void identities_come_from_the_seed(void **state)
{
    g_autoptr(Collect) a = collect_new(EPOCH_NS, 3);
    g_autoptr(Collect) b = collect_new(EPOCH_NS, 3);
    g_autoptr(Collect) other = collect_new(EPOCH_NS, 4);
    Collect *all[] = {a, b, other};
    for (guint i = 0; i < 3; i++) {
        Classroom r = classroom(all[i], 5);
        assert_true(begin(&r, 0));
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
        cmocka_unit_test(sound_begins_with_the_first_key_picture),
        cmocka_unit_test(sound_does_not_wait_for_ever_for_pictures),
        cmocka_unit_test(sound_goes_on_when_the_camera_is_gone),
        cmocka_unit_test(pictures_come_back_in_another_size),
        cmocka_unit_test(what_falls_silent_as_a_whole_goes_on_as_a_whole),
        cmocka_unit_test(sound_alone_is_chunked),
        cmocka_unit_test(without_reports_it_begins_after_a_while),
        cmocka_unit_test(the_clock_is_told_in_outgoing_time),
        cmocka_unit_test(receivers_reports_speak_of_the_sender),
        cmocka_unit_test(only_the_same_tracks_may_return),
        cmocka_unit_test(what_is_not_the_senders_is_counted),
        cmocka_unit_test(identities_come_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
