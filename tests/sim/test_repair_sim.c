// SPDX-License-Identifier: MIT
// Repair over seeded lines, from the sender to viewers: packets, questions and answers are all
// delayed and lost. Milliseconds; a packet every 10 ms.
#include "tests/unit/check.h"

#include <string.h>

#include "common/base/clock.h"
#include "relay/core/repair.h"
#include "relay/core/wanted.h"

#define MS(n) ((gint64)(n)*TK_NS_PER_MS)
#define LESSON 20000
#define STEP 10
#define PACKETS (LESSON / STEP)
#define FIRST (65536u + 65000u)
#define BYTES 1000
#define RATE_BPS (BYTES * 8 * 1000 / STEP)
#define VIEWERS 20
#define SEEDS 6
#define PLAYER_ASKS_EVERY 80
#define GIVEN_UP_AFTER 1500
#define STORM 150 // packets that are asked for all the time

typedef struct {
    double loss;
    guint burst, delay, jitter;
} Line;

typedef struct {
    gint64 at;
    guint number; // of a packet from FIRST on, or of a question
} Travelling;

typedef struct {
    const Line *line;
    GRand *rand;
    guint losing;
    GArray *travelling;
} Way;

static Way way_new(const Line *line, guint32 seed)
{
    return (Way){line, g_rand_new_with_seed(seed), 0,
                 g_array_new(FALSE, FALSE, sizeof(Travelling))};
}

static void way_clear(Way *w)
{
    g_array_unref(w->travelling);
    g_rand_free(w->rand);
}

static void way_put(Way *w, guint number, gint64 now)
{
    if (!w->losing && g_rand_double(w->rand) < w->line->loss / w->line->burst)
        w->losing = w->line->burst;
    if (w->losing) {
        w->losing--;
        return;
    }
    gint64 jitter = w->line->jitter ? g_rand_int_range(w->rand, 0, (gint)w->line->jitter) : 0;
    Travelling t = {now + w->line->delay + jitter, number};
    g_array_append_val(w->travelling, t);
}

static gboolean way_take(Way *w, gint64 now, guint *ret)
{
    for (guint i = 0; i < w->travelling->len; i++) {
        const Travelling *t = &g_array_index(w->travelling, Travelling, i);
        if (t->at > now)
            continue;
        *ret = t->number;
        g_array_remove_index(w->travelling, i);
        return TRUE;
    }
    return FALSE;
}

typedef struct {
    Way down, up;
    RelayRepair *repair;
    RelayRepairSpan span;
    RelayRepairLine line;
    guint64 next; // position in the history
    gint64 came[PACKETS], asked[PACKETS];
    gint highest, whole; // nothing is missing below `whole`, or it is too late for it
    gsize repair_bytes;
} Viewer;

typedef struct {
    Way in, back;
    RelayWanted wanted;
    gboolean here[PACKETS];
    RelayHistory *history;
    RelayRepairIndex *index;
    Viewer viewers[VIEWERS];
    guint storming; // so many of them ask for everything all the time
    gboolean repair;
} Sim;

static void enter(Sim *s, guint at, gint64 now)
{
    relay_wanted_arrived(&s->wanted, FIRST + at, MS(now));
    if (s->here[at])
        return;
    s->here[at] = TRUE;
    RelayUnit *unit = relay_unit_new(BYTES);
    unit->number = FIRST + at;
    unit->arrived_ns = MS(now);
    relay_repair_index_note(s->index, unit, relay_history_head(s->history));
    relay_history_push(s->history, unit);
}

static void ask_sender(Sim *s, gint64 now)
{
    guint16 sequences[RELAY_WANTED_MAX];
    guint count = s->repair ? relay_wanted_due(&s->wanted, MS(now), sequences) : 0;
    for (guint i = 0; i < count; i++)
        way_put(&s->back, (guint16)(sequences[i] - (guint16)FIRST), now);
}

static void ask_relay(Sim *s, Viewer *v, gint64 now, gboolean storming)
{
    while (v->whole < v->highest && (v->came[v->whole] || now - v->whole * STEP > GIVEN_UP_AFTER))
        v->whole++;
    for (gint at = MIN(v->whole, storming ? v->highest - STORM : PACKETS); at < v->highest; at++) {
        gboolean missing = at >= 0 && !v->came[at] && now - v->asked[at] >= PLAYER_ASKS_EVERY;
        if (at < 0 || (!missing && !storming))
            continue;
        v->asked[at] = now;
        way_put(&v->up, (guint)at, now);
    }
}

static void serve(Sim *s, Viewer *v, gint64 now)
{
    RelayUnit *unit;
    guint asked;
    while (way_take(&v->up, now, &asked)) {
        RelayQuestion q = {.reported = TRUE,
                           .rtt_ns = MS(2 * v->down.line->delay),
                           .count = 1,
                           .sequences = {(guint16)(FIRST + asked)}};
        relay_repair_line_note(&v->line, &q);
        relay_repair_ask(v->repair, s->index, s->history, 0, &v->span, &v->line, &q, RATE_BPS,
                         MS(now));
    }
    while (s->repair && (unit = relay_repair_next(v->repair, s->index, s->history, MS(now)))) {
        way_put(&v->down, (guint)(unit->number - FIRST), now);
        v->repair_bytes += BYTES;
        relay_repair_done(v->repair);
    }
    for (; (unit = relay_history_at(s->history, v->next)); v->next++) {
        relay_repair_span_add(&v->span, unit->number);
        way_put(&v->down, (guint)(unit->number - FIRST), now);
    }
    gsize share = (gsize)RATE_BPS / 8 / RELAY_REPAIR_SHARE;
    assert_true(v->repair_bytes <= RELAY_REPAIR_BURST_MIN + share * (gsize)now / 1000 + BYTES);
}

static void watch(Sim *s, Viewer *v, gint64 now)
{
    guint at;
    while (way_take(&v->down, now, &at)) {
        if (!v->came[at])
            v->came[at] = now;
        v->highest = MAX(v->highest, (gint)at);
    }
    ask_relay(s, v, now, v < s->viewers + s->storming);
}

static void run(Sim *s)
{
    guint at;
    for (gint64 now = 1; now < LESSON + 3000; now++) {
        if (now % STEP == 0 && now < LESSON)
            way_put(&s->in, (guint)(now / STEP), now);
        while (way_take(&s->back, now, &at))
            way_put(&s->in, at, now);
        while (way_take(&s->in, now, &at))
            enter(s, at, now);
        ask_sender(s, now);
        for (guint i = 0; i < VIEWERS; i++) {
            serve(s, &s->viewers[i], now);
            watch(s, &s->viewers[i], now);
        }
    }
}

static Sim *sim_new(const Line *in, const Line *out, guint32 seed)
{
    Sim *s = g_new0(Sim, 1);
    s->in = way_new(in, seed);
    s->back = way_new(in, seed + 1000);
    s->history = relay_history_new(MS(10000), 1 << 24, 8192);
    s->index = relay_repair_index_new();
    s->repair = TRUE;
    relay_wanted_start(&s->wanted, TRUE);
    for (guint i = 0; i < VIEWERS; i++) {
        s->viewers[i].down = way_new(out, seed + 2000 + i);
        s->viewers[i].up = way_new(out, seed + 3000 + i);
        s->viewers[i].repair = relay_repair_new(seed, 0);
    }
    return s;
}

static void sim_free(Sim *s)
{
    way_clear(&s->in);
    way_clear(&s->back);
    for (guint i = 0; i < VIEWERS; i++) {
        way_clear(&s->viewers[i].down);
        way_clear(&s->viewers[i].up);
        relay_repair_free(s->viewers[i].repair);
    }
    relay_repair_index_free(s->index);
    relay_history_free(s->history);
    g_free(s);
}

// Packets that a viewer does not have when its buffer of `buffer` plays them. The first 2 s settle;
// the last second cannot be told to be missing.
static guint missing(const Sim *s, guint viewer, gint64 buffer)
{
    guint count = 0;
    const Viewer *v = &s->viewers[viewer];
    for (gint at = 200; at < PACKETS - 100; at++)
        if (!v->came[at] ||
            v->came[at] > at * STEP + s->in.line->delay + v->down.line->delay + buffer)
            count++;
    return count;
}

static guint missing_in_all(const Sim *s, guint from, gint64 buffer)
{
    guint count = 0;
    for (guint i = from; i < VIEWERS; i++)
        count += missing(s, i, buffer);
    return count;
}

static const Line clean = {0, 1, 2, 0};

static void whole_at_a_second(const Line *in, const Line *out)
{
    for (guint32 seed = 1; seed <= SEEDS; seed++) {
        Sim *s = sim_new(in, out, seed);
        run(s);
        assert_int_equal(missing_in_all(s, 0, 1000), 0);
        sim_free(s);
    }
}

static void a_tenth_lost_on_the_way_to_viewers(void **state)
{
    whole_at_a_second(&clean, &(Line){0.1, 1, 100, 0});
}

static void bursts_of_five(void **state)
{
    whole_at_a_second(&clean, &(Line){0.1, 5, 100, 5});
}

static void a_line_that_shuffles_and_loses(void **state)
{
    whole_at_a_second(&clean, &(Line){0.05, 1, 60, 40});
}

// What the relay itself lacks comes to everybody when it comes, asked for or not.
static void lost_before_the_relay(void **state)
{
    whole_at_a_second(&(Line){0.03, 1, 20, 0}, &clean);
    whole_at_a_second(&(Line){0.02, 1, 20, 0}, &(Line){0.03, 1, 50, 0});
}

static void without_repair_the_damage_shows(void **state)
{
    Sim *s = sim_new(&clean, &(Line){0.1, 1, 100, 0}, 1);
    s->repair = FALSE;
    run(s);
    assert_true(missing_in_all(s, 0, 1000) > VIEWERS * (PACKETS - 300) / 20);
    sim_free(s);
}

// A quarter of the viewers ask for everything at each millisecond: they cost their budget, which
// serve() checks at every step, and the others lack nothing.
static void a_storm_of_questions(void **state)
{
    Sim *s = sim_new(&clean, &(Line){0.05, 1, 20, 0}, 7);
    s->storming = VIEWERS / 4;
    run(s);
    assert_int_equal(missing_in_all(s, s->storming, 1000), 0);
    for (guint i = 0; i < s->storming; i++)
        assert_true(relay_repair_stats(s->viewers[i].repair)->unanswered > 10000);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tenth_lost_on_the_way_to_viewers),
        cmocka_unit_test(bursts_of_five),
        cmocka_unit_test(a_line_that_shuffles_and_loses),
        cmocka_unit_test(lost_before_the_relay),
        cmocka_unit_test(without_repair_the_damage_shows),
        cmocka_unit_test(a_storm_of_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
