// SPDX-License-Identifier: MIT
// Lessons over seeded networks that lose, delay, shuffle and double packets: what comes out is held
// against what was sent.
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "tests/unit/relay/collect.h"
#include "tests/unit/relay/sender.h"

#define EPOCH_NS (G_GINT64_CONSTANT(1763776800) * TK_NS_PER_S)
#define LESSON_MS 20000
#define FRAME_MS 40
#define KEY_EVERY 25
#define SEEDS 25

typedef struct {
    double loss, doubled;
    guint delay_ms, jitter_ms;
    gboolean drops_out;  // the sender goes away in the middle, for 3 s, and comes back as another
    gint64 clock_off_ms; // sender's clock - ours
} Network;

typedef struct {
    gint64 at_ms;
    guint track;
    gboolean is_report;
    guint16 sequence;
    GBytes *bytes;
} InFlight;

typedef struct {
    gint64 captured_ms; // on the lesson's clock
    gsize bytes;
    gboolean key;
} SentFrame;

typedef struct {
    Collect *c;
    GRand *rand;
    const Network *network;
    Sender senders[2];
    GArray *in_flight;         // of InFlight
    GArray *sent[2];           // of SentFrame
    GHashTable *arrived[2];    // sequence numbers of this session
    gint first[2], highest[2]; // of this session, as distances from the first sent; -1
    guint16 origin[2];
    guint64 missing[2]; // what the input should call lost
    gint64 session_ms;
} Sim;

static gboolean chance(Sim *s, double probability)
{
    return g_rand_double(s->rand) < probability;
}

static void transmit(Sim *s, guint track, gboolean is_report, GBytes *bytes, guint16 sequence,
                     gint64 now_ms)
{
    const Network *n = s->network;
    guint copies = chance(s, n->loss) ? 0 : chance(s, n->doubled) ? 2 : 1;
    for (guint i = 0; i < copies; i++) {
        gint64 jitter_ms = n->jitter_ms ? g_rand_int_range(s->rand, 0, (gint)n->jitter_ms) : 0;
        InFlight f = {.at_ms = now_ms + n->delay_ms + jitter_ms,
                      .track = track,
                      .is_report = is_report,
                      .sequence = sequence,
                      .bytes = g_bytes_ref(bytes)};
        g_array_append_val(s->in_flight, f);
    }
    g_bytes_unref(bytes);
}

static void send_frame(Sim *s, guint track, gint64 ticks, gboolean key, gint64 now_ms)
{
    guint number = s->sent[track]->len; // told by the size
    gsize bytes = track ? 100 + number % 300 : key ? 10000 + number : 300 + number * 7 % 4001;
    SentFrame frame = {now_ms, bytes, key};
    g_array_append_val(s->sent[track], frame);
    guint16 sequence = s->senders[track].sequence;
    GPtrArray *packets = sender_frame(&s->senders[track], ticks, key, bytes);
    for (guint i = 0; i < packets->len; i++)
        transmit(s, track, FALSE, g_bytes_ref(packets->pdata[i]), (guint16)(sequence + i), now_ms);
    g_ptr_array_unref(packets);
}

// By RFC 3550 appendix A.3: what lies between the first that came and the highest.
static void note_arrival(Sim *s, const InFlight *f)
{
    guint t = f->track;
    gint place = (guint16)(f->sequence - s->origin[t]);
    if (s->first[t] < 0)
        s->first[t] = s->highest[t] = place;
    if (place < s->first[t])
        return;
    s->highest[t] = MAX(s->highest[t], place);
    g_hash_table_add(s->arrived[t], GINT_TO_POINTER(place));
}

static void arrive(Sim *s, gint64 now_ms)
{
    gint64 now_ns = now_ms * TK_NS_PER_MS;
    for (guint i = 0; i < s->in_flight->len;) {
        InFlight f = g_array_index(s->in_flight, InFlight, i);
        if (f.at_ms > now_ms) {
            i++;
            continue;
        }
        gsize size;
        const guint8 *data = g_bytes_get_data(f.bytes, &size);
        if (f.is_report) {
            relay_input_rtcp(s->c->input, f.track, data, size, now_ns, EPOCH_NS + now_ns);
        } else {
            note_arrival(s, &f);
            relay_input_rtp(s->c->input, f.track, data, size, now_ns, EPOCH_NS + now_ns);
        }
        g_bytes_unref(f.bytes);
        g_array_remove_index(s->in_flight, i);
    }
}

static void begin_session(Sim *s, gint64 now_ms)
{
    RelayTrackFormat formats[2];
    sender_formats(&formats[0], &formats[1]);
    for (guint t = 0; t < 2; t++) {
        s->senders[t] = (Sender){.kind = t ? TK_TRACK_AUDIO : TK_TRACK_VIDEO,
                                 .ssrc = g_rand_int(s->rand),
                                 .timestamp_base = g_rand_int(s->rand),
                                 .sequence = (guint16)g_rand_int(s->rand)};
        s->origin[t] = s->senders[t].sequence;
        s->first[t] = s->highest[t] = -1;
        g_hash_table_remove_all(s->arrived[t]);
    }
    s->session_ms = now_ms;
    gint64 now_ns = now_ms * TK_NS_PER_MS;
    assert_true(relay_input_begin(s->c->input, formats, 2, FALSE, now_ns, EPOCH_NS + now_ns));
}

static void end_session(Sim *s, gint64 now_ms)
{
    arrive(s, now_ms);
    for (guint t = 0; t < 2; t++) {
        gint expected = s->highest[t] - s->first[t] + 1;
        s->missing[t] += (guint64)expected - g_hash_table_size(s->arrived[t]);
    }
    for (guint i = 0; i < s->in_flight->len; i++)
        g_bytes_unref(g_array_index(s->in_flight, InFlight, i).bytes);
    g_array_set_size(s->in_flight, 0);
    relay_input_end(s->c->input, now_ms * TK_NS_PER_MS);
}

static void run_session(Sim *s, gint64 from_ms, gint64 until_ms)
{
    begin_session(s, from_ms);
    gint64 pictures = 0, sounds = 0;
    for (gint64 now_ms = from_ms; now_ms < until_ms; now_ms++) {
        gint64 ms = now_ms - from_ms;
        for (guint t = 0; ms % 500 == 0 && t < 2; t++) {
            gint64 wall_ns = EPOCH_NS + (now_ms + s->network->clock_off_ms) * TK_NS_PER_MS;
            GByteArray *sr = sender_report(&s->senders[t], ms * (t ? 48 : 90), wall_ns);
            transmit(s, t, TRUE, g_byte_array_free_to_bytes(sr), 0, now_ms);
        }
        if (ms >= pictures * FRAME_MS) {
            send_frame(s, 0, ms * 90, pictures % KEY_EVERY == 0, now_ms);
            pictures++;
        }
        if (ms * 48 >= sounds * 1024) {
            send_frame(s, 1, sounds * 1024, TRUE, now_ms);
            sounds++;
        }
        arrive(s, now_ms);
        if (ms % 20 == 0)
            relay_input_tick(s->c->input, now_ms * TK_NS_PER_MS, EPOCH_NS + now_ms * TK_NS_PER_MS);
    }
    // The last packets arrive, and nobody waits for those that do not.
    gint64 quiet_ms = until_ms + s->network->delay_ms + s->network->jitter_ms + 1;
    end_session(s, quiet_ms);
}

// The sent frame that a sample is, by its size and its time on the lesson's clock. A clock that is
// not trusted is known through reports, as late as the line makes them.
static gint find_sent(const Sim *s, guint track, const CollectSample *sample, guint from)
{
    guint32 rate = track ? 48 : 90;
    gint64 late_ms = 1 + (gint64)s->network->delay_ms + s->network->jitter_ms;
    for (guint i = from; i < s->sent[track]->len; i++) {
        const SentFrame *f = &g_array_index(s->sent[track], SentFrame, i);
        if (f->bytes == sample->size - (track ? 0u : 4u) && f->key == sample->key &&
            ABS(sample->presentation / rate - f->captured_ms) <= late_ms)
            return (gint)i;
    }
    return -1;
}

// Every sample is a frame that was sent, in order; a picture stands only behind the one that it
// refers to.
static guint check_track(const Sim *s, guint track)
{
    g_autoptr(GArray) samples = collect_samples(s->c, track + 1);
    gint last = -1;
    for (guint i = 0; i < samples->len; i++) {
        const CollectSample *sample = &g_array_index(samples, CollectSample, i);
        gint at = find_sent(s, track, sample, (guint)(last + 1));
        assert_true(at > last);
        assert_true(track == 1 || at == last + 1 || sample->key);
        last = at;
    }
    return samples->len;
}

// Picture and sound that were captured together stand together, within a tick's rounding.
static void check_step(const Sim *s)
{
    g_autoptr(GArray) pictures = collect_samples(s->c, 1);
    g_autoptr(GArray) sounds = collect_samples(s->c, 2);
    gint picture = find_sent(s, 0, &g_array_index(pictures, CollectSample, 0), 0);
    gint sound = find_sent(s, 1, &g_array_index(sounds, CollectSample, 0), 0);
    assert_true(picture >= 0 && sound >= 0);
    gint64 picture_us = g_array_index(pictures, CollectSample, 0).presentation * 1000 / 90;
    gint64 sound_us = g_array_index(sounds, CollectSample, 0).presentation * 1000 / 48;
    gint64 sent_us = picture * 40000 - (gint64)sound * 1024 * 1000 / 48;
    assert_in_range(picture_us - sound_us - sent_us + 100, 0, 200);
}

static void simulate(const Network *network, gboolean all_must_come)
{
    for (guint32 seed = 1; seed <= SEEDS; seed++) {
        Sim s = {.c = collect_new(EPOCH_NS, seed), .rand = g_rand_new_with_seed(seed)};
        s.network = network;
        s.in_flight = g_array_new(FALSE, FALSE, sizeof(InFlight));
        for (guint t = 0; t < 2; t++) {
            s.sent[t] = g_array_new(FALSE, FALSE, sizeof(SentFrame));
            s.arrived[t] = g_hash_table_new(NULL, NULL);
        }
        gint64 middle_ms = network->drops_out ? LESSON_MS / 2 + (gint64)seed * 17 : LESSON_MS;
        run_session(&s, 100, middle_ms);
        if (network->drops_out)
            run_session(&s, middle_ms + 3000, LESSON_MS);

        for (guint t = 0; t < 2; t++) {
            RelayInputStats stats;
            relay_input_stats(s.c->input, t, &stats);
            assert_int_equal(stats.lost, s.missing[t]);
            guint came = check_track(&s, t);
            assert_true(came > 0);
            if (all_must_come && t == 0)
                assert_int_equal(came, s.sent[0]->len);
            if (all_must_come)
                assert_int_equal(stats.lost + stats.frames_dropped, 0);
        }
        check_step(&s);
        for (guint t = 0; t < 2; t++) {
            g_array_unref(s.sent[t]);
            g_hash_table_unref(s.arrived[t]);
        }
        g_array_unref(s.in_flight);
        g_rand_free(s.rand);
        collect_free(s.c);
    }
}

static void a_clean_line(void **state)
{
    simulate(&(Network){.delay_ms = 5}, TRUE);
}

static void a_sender_that_comes_back(void **state)
{
    simulate(&(Network){.delay_ms = 5, .drops_out = TRUE}, TRUE);
}

static void a_clock_that_is_wrong(void **state)
{
    simulate(&(Network){.delay_ms = 5, .drops_out = TRUE, .clock_off_ms = -86400000}, TRUE);
    simulate(&(Network){.delay_ms = 5, .drops_out = TRUE, .clock_off_ms = 40000}, TRUE);
}

static void a_line_that_shuffles(void **state)
{
    simulate(&(Network){.delay_ms = 50, .jitter_ms = 60, .doubled = 0.05}, FALSE);
}

static void a_line_that_loses(void **state)
{
    simulate(&(Network){.delay_ms = 30, .loss = 0.01}, FALSE);
    simulate(&(Network){.delay_ms = 30, .loss = 0.001, .drops_out = TRUE}, FALSE);
}

static void the_worst_of_all(void **state)
{
    simulate(&(Network){.loss = 0.005,
                        .doubled = 0.02,
                        .delay_ms = 100,
                        .jitter_ms = 250,
                        .drops_out = TRUE,
                        .clock_off_ms = 7000},
             FALSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_line),          cmocka_unit_test(a_sender_that_comes_back),
        cmocka_unit_test(a_clock_that_is_wrong), cmocka_unit_test(a_line_that_shuffles),
        cmocka_unit_test(a_line_that_loses),     cmocka_unit_test(the_worst_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
