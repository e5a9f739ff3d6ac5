// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <malloc.h>

#include "relay/net/fanout_part.h"

#define SECOND G_GINT64_CONSTANT(1000000000)
// What is freed is filled with this: no number of use, no pointer.
#define RUBBISH 0xaa

typedef struct {
    RelayWorker *worker; // never started: all is on this thread
    RelayUdp udp;
    RelayFanout *fanout;
    RelaySchools *schools;
    RelayStream *stream;
    RelayRtpViewer *viewer;
    const char *reason;
} Stage;

static void on_gone(gpointer user, const char *reason)
{
    Stage *stage = user;
    stage->reason = reason;
    relay_fanout_leave(stage->fanout, g_steal_pointer(&stage->viewer));
}

static int set_up(void **state)
{
    Stage *stage = g_new0(Stage, 1);
    stage->udp = RELAY_UDP_NONE;
    stage->worker = relay_worker_new("worker", NULL);
    stage->schools = relay_schools_new(0, 0);
    stage->stream = relay_stream_new("01JD0000000000000000000000", "math", "main");
    stage->fanout = relay_fanout_new(stage->worker, 0, &stage->udp, SECOND, 1 << 20, TRUE);
    relay_fanout_open(stage->fanout, stage->stream);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    Stage *stage = *state;
    relay_fanout_free(stage->fanout);
    relay_worker_free(stage->worker);
    relay_stream_unref(stage->stream);
    relay_schools_free(stage->schools);
    g_free(stage);
    return 0;
}

// It leaves while it is tended.
static void lets_a_silent_viewer_go(void **state)
{
    Stage *stage = *state;
    gboolean full;
    RelayFanoutStats stats;
    RelaySchool *school = relay_schools_find(stage->schools, NULL);
    RelayViewerSpec spec = {.on_gone = on_gone, .user = stage, .school = school};
    stage->viewer = relay_fanout_join(stage->fanout, stage->stream, &spec, &full);
    assert_non_null(stage->viewer);
    assert_int_equal(school->states[RELAY_OVER_RTP][RELAY_VIEWER_WAITING], 1);
    gint64 now_ns = relay_worker_now_ns(stage->worker);
    relay_rtp_viewer_tend(stage->viewer, now_ns + 74 * SECOND);
    assert_non_null(stage->viewer);
    relay_rtp_viewer_tend(stage->viewer, now_ns + 76 * SECOND);
    assert_null(stage->viewer);
    assert_string_equal(stage->reason, "timeout");
    relay_fanout_stats(stage->fanout, &stats);
    assert_int_equal(stats.viewers, 0);
    assert_int_equal(stats.viewers_gone, 1);
    assert_int_equal(school->states[RELAY_OVER_RTP][RELAY_VIEWER_WAITING], 0);
}

static void push(Stage *stage, RelayStream *stream, guint64 number, guint32 flags, gsize bytes)
{
    RelayUnit *unit = relay_unit_new(bytes);
    unit->number = number;
    unit->flags = flags;
    unit->arrived_ns = relay_worker_now_ns(stage->worker);
    relay_fanout_push(stage->fanout, stream, &unit, 1);
}

static void tell_clock(Stage *stage, RelayStream *stream)
{
    RelayTrackClock clock = {.known = TRUE,
                             .identity = {.payload_type = 96, .clock_rate = 90000, .ssrc = 1}};
    relay_fanout_set_clock(stage->fanout, stream, RELAY_PICTURE_TRACK, &clock);
}

// A viewer comes for whom there is room in `low` alone. FALSE: it was refused.
static gboolean comes_to_low(Stage *stage, RelayStream *low)
{
    gboolean full;
    RelaySchool *school = relay_schools_find(stage->schools, NULL);
    school->pool.max_bps = 20000;
    RelayViewerSpec spec = {.moves = TRUE,
                            .on_gone = on_gone,
                            .user = stage,
                            .share = relay_schools_share(stage->schools, school, FALSE)};
    RelayRtpViewer *viewer = relay_fanout_join(stage->fanout, stage->stream, &spec, &full);
    assert_int_equal(full, !viewer);
    if (!viewer)
        return FALSE;
    assert_ptr_equal(viewer->course.aim.feed, &low->feeds[0]->packets);
    assert_int_equal(low->guests, 1);
    relay_fanout_leave(stage->fanout, viewer);
    assert_int_equal(low->guests, 0);
    assert_int_equal(school->pool.taken_bps, 0);
    return TRUE;
}

// Its picture would wait for one for ever.
static void gives_nobody_pictures_that_cannot_be_read(void **state)
{
    Stage *stage = *state;
    g_autoptr(RelayStream) low = relay_stream_new("01JD0000000000000000000000", "math", "low");
    relay_fanout_open(stage->fanout, low);
    tell_clock(stage, stage->stream);
    tell_clock(stage, low);
    push(stage, stage->stream, 1, RELAY_UNIT_KEY | RELAY_UNIT_CONFIG, 5000); // 40 kbit in a second
    push(stage, low, 1, RELAY_UNIT_KEY, 1000);
    assert_false(comes_to_low(stage, low));
    push(stage, low, 2, RELAY_UNIT_KEY | RELAY_UNIT_CONFIG, 1000);
    assert_true(comes_to_low(stage, low));
}

#define HELD 40000 // more than half of what 16 bits can tell apart
#define FIRST 100000
#define KEYS 4000 // packets from one key to the next

static guint64 resumes_at(Stage *stage, guint64 wanted)
{
    gboolean full;
    guint16 sequence;
    guint32 timestamp;
    RelayViewerSpec spec = {.tracks = {{.enabled = TRUE}},
                            .resumes = TRUE,
                            .resume = {(guint16)wanted},
                            .school = relay_schools_find(stage->schools, NULL),
                            .on_gone = on_gone,
                            .user = stage};
    RelayRtpViewer *viewer = relay_fanout_join(stage->fanout, stage->stream, &spec, &full);
    assert_non_null(viewer);
    assert_true(relay_rtp_viewer_first(viewer, 0, &sequence, &timestamp));
    guint64 at = viewer->course.place.position;
    relay_fanout_leave(stage->fanout, viewer);
    const RelayUnit *unit = relay_history_at(stage->stream->feeds[0]->packets.history, at);
    assert_int_equal((guint16)unit->number, sequence);
    return unit->number;
}

static void resumes_where_it_was_however_much_is_held(void **state)
{
    Stage *stage = *state;
    tell_clock(stage, stage->stream);
    for (guint64 i = 0; i < HELD; i++)
        push(stage, stage->stream, FIRST + i, i % KEYS ? 0 : RELAY_UNIT_KEY, 10);
    guint64 newest_key = FIRST + HELD - KEYS;
    assert_int_equal(resumes_at(stage, newest_key), newest_key);
    assert_int_equal(resumes_at(stage, FIRST + HELD - 1), FIRST + HELD - 1);
    assert_int_equal(resumes_at(stage, FIRST + 1), FIRST + 1); // nearly all of it
    assert_int_equal(resumes_at(stage, FIRST - 5000), FIRST);  // it is too late for some
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lets_a_silent_viewer_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_nobody_pictures_that_cannot_be_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(resumes_where_it_was_however_much_is_held, set_up,
                                        tear_down),
    };
    mallopt(M_PERTURB, RUBBISH);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
