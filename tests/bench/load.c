// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/bench/process.h"
#include "tests/bench/result.h"
#include "tests/bench/samples.h"
#include "tests/bench/sender.h"

#define TICK_NS (10 * TK_NS_PER_MS)
#define WARM_NS (1500 * TK_NS_PER_MS) // from the sender's first packet to the first viewer
// From the last viewer's first packet to the measuring: until nobody is busy any more with what was
// there before it came, which leaves at the rate of its line.
#define SETTLE_NS (500 * TK_NS_PER_MS)
#define SETTLE_MAX_NS (6 * TK_NS_PER_S)
#define BEHIND_NS (250 * TK_NS_PER_MS)
#define JOIN_MAX_NS (20 * TK_NS_PER_S) // for the last viewer to come
// For what was sent in the measured time: until everybody has it. Who has fallen behind for good
// will not have caught up by then either.
#define DRAIN_NS (800 * TK_NS_PER_MS)
#define DRAIN_MAX_NS (5 * TK_NS_PER_S)
#define KEEP_ALIVE_TICKS 1000
#define REPAIR_TICKS 3
#define REPORT_TICKS 100

typedef enum { WAITS_FOR_SENDERS, JOINING, SETTLING, MEASURING, DRAINING } Phase;

typedef struct {
    LoadOptions options;
    LoadLoop *loop;
    LoadWatch timer;
    LoadTally tally;
    LoadSender **senders;
    LoadRun run;
    LoadSamples *samples; // NULL: none
    Phase phase;
    gint64 phase_ns; // CLOCK_MONOTONIC at which it began
    guint64 ticks;
} Load;

static void go_on(Load *load, Phase phase)
{
    load->phase = phase;
    load->phase_ns = load_monotonic_ns();
}

static void sample(Load *load, guint end)
{
    LoadWatched *all[] = {&load->run.watched, &load->run.own};
    for (guint i = 0; i < G_N_ELEMENTS(all); i++) {
        if (!all[i]->pid)
            continue;
        all[i]->cpu_ns[end] = load_process_cpu_ns(all[i]->pid);
        gint64 rss_bytes = load_process_rss_bytes(all[i]->pid);
        if (all[i]->cpu_ns[end] < 0 || rss_bytes < 0)
            load->run.failure = "the watched process is gone";
        all[i]->rss_bytes[end] = rss_bytes;
    }
}

static void finish(Load *load, const char *failure)
{
    if (failure)
        load->run.failure = failure;
    load_loop_quit(load->loop);
}

static gboolean senders_run(Load *load)
{
    gboolean all = TRUE;
    for (gint i = 0; load->senders && i < load->options.lessons; i++) {
        const char *why = NULL;
        all &= load_sender_running(load->senders[i], &why);
        if (why)
            finish(load, why);
    }
    return all;
}

// Starts whose time has come; TRUE: all that are waited for have media.
static gboolean join(Load *load, gint64 now_ns)
{
    gboolean all = TRUE;
    for (guint i = 0; i < load->run.viewers_count; i++) {
        LoadViewer *viewer = load->run.viewers[i];
        gboolean due = now_ns >= load->phase_ns + viewer->comes_ns;
        if (viewer->count.impaired && load->options.phases)
            continue;
        if (!viewer->started && due)
            viewer->kind->start(viewer);
        gboolean here = viewer->count.impaired ? due : viewer->count.first_ns || viewer->left;
        all &= here;
    }
    return all;
}

static gboolean all_follow(const Load *load)
{
    for (guint i = 0; i < load->run.viewers_count; i++) {
        const LoadCount *count = &load->run.viewers[i]->count;
        if (!count->impaired && count->behind_ns > BEHIND_NS)
            return FALSE;
    }
    return TRUE;
}

static gboolean all_have_it(const Load *load)
{
    for (guint i = 0; i < load->run.viewers_count; i++) {
        const LoadViewer *viewer = load->run.viewers[i];
        if (!viewer->count.impaired && !viewer->left && !load_result_whole(&load->run, viewer))
            return FALSE;
    }
    return TRUE;
}

static void begin_measuring(Load *load)
{
    load->tally.from_ns = load_now_ns();
    load->tally.to_ns = load->tally.from_ns + (gint64)(load->options.seconds * 1e9);
    if (load->options.phases)
        load->tally.phase_ns = (load->tally.to_ns - load->tally.from_ns) / load->options.phases;
    sample(load, 0);
    go_on(load, MEASURING);
}

static void step(Load *load, gint64 now_ns)
{
    gint64 passed_ns = now_ns - load->phase_ns;
    gboolean running = senders_run(load);
    switch (load->phase) {
    case WAITS_FOR_SENDERS:
        if (!running)
            load->phase_ns = now_ns;
        else if (passed_ns >= WARM_NS)
            go_on(load, JOINING);
        break;
    case JOINING:
        if (join(load, now_ns) ||
            passed_ns > JOIN_MAX_NS + (gint64)(load->options.join_over_s * 1e9))
            go_on(load, SETTLING);
        break;
    case SETTLING:
        if (passed_ns >= SETTLE_MAX_NS || (passed_ns >= SETTLE_NS && all_follow(load)))
            begin_measuring(load);
        break;
    case MEASURING:
        if (load->samples)
            load_samples_step(load->samples, &load->run, &load->tally, passed_ns);
        if (load_now_ns() >= load->tally.to_ns) {
            sample(load, 1);
            go_on(load, DRAINING);
        }
        break;
    case DRAINING:
        if (passed_ns >= DRAIN_MAX_NS || (passed_ns >= DRAIN_NS && all_have_it(load)))
            finish(load, NULL);
        break;
    }
}

static gint64 about(double seconds)
{
    return (gint64)(seconds * 1e9 * (0.5 + g_random_double()));
}

// Whoever comes and goes.
static void churn(Load *load, LoadViewer *viewer, gint64 now_ns)
{
    if (load->phase <= JOINING || (viewer->left && viewer->goes_ns > now_ns))
        return;
    if (!viewer->started && now_ns >= viewer->comes_ns) {
        viewer->kind->start(viewer);
        viewer->goes_ns = now_ns + about(load->options.stay_s);
    } else if (viewer->started && now_ns >= viewer->goes_ns) {
        viewer->kind->stop(viewer);
        viewer->comes_ns = now_ns + about(0.5);
    }
}

// Those who disturb are there in every second phase.
static void take_turns(const LoadTally *tally, LoadViewer *viewer, gint64 wall_ns)
{
    gboolean disturbed = load_tally_disturbed(tally, wall_ns - viewer->comes_ns);
    if (disturbed && !viewer->started) {
        viewer->kind->start(viewer);
    } else if (!disturbed && viewer->started) {
        viewer->kind->stop(viewer);
        viewer->started = FALSE;
    }
}

static void drive(Load *load, LoadViewer *viewer, guint i, gsize half)
{
    const LoadViewerKind *kind = viewer->kind;
    gboolean reads = viewer->reading != LOAD_READS_NOTHING;
    gboolean loses = load->options.lose > 0 || viewer->reading == LOAD_READS_HALF;
    if (viewer->started && viewer->reading != LOAD_READS_ALL && kind->read)
        kind->read(viewer, half);
    if (!viewer->playing || !reads)
        return;
    if (kind->repair && loses && load->ticks % REPAIR_TICKS == i % REPAIR_TICKS)
        kind->repair(viewer);
    if (viewer->playing && kind->report && load->ticks % REPORT_TICKS == i % REPORT_TICKS)
        kind->report(viewer);
    if (viewer->playing && kind->keep_alive &&
        load->ticks % KEEP_ALIVE_TICKS == i % KEEP_ALIVE_TICKS)
        kind->keep_alive(viewer);
}

static void on_tick(void *user, guint32 events)
{
    Load *load = user;
    gint64 now_ns = load_monotonic_ns();
    gsize half = (gsize)(load->options.bits_per_second / 16 / (TK_NS_PER_S / TICK_NS));
    load_timer_read(&load->timer);
    step(load, now_ns);
    load->ticks++;
    gint64 wall_ns = load_now_ns();
    for (guint i = 0; i < load->run.viewers_count; i++) {
        LoadViewer *viewer = load->run.viewers[i];
        if (viewer->goes_ns)
            churn(load, viewer, now_ns);
        if (viewer->count.impaired && load->options.phases)
            take_turns(&load->tally, viewer, wall_ns);
        drive(load, viewer, i, half);
    }
}

static char *numbered(const char *url, guint number)
{
    g_autofree char *digits = g_strdup_printf("%u", number);
    GString *text = g_string_new(url);
    g_string_replace(text, "{}", digits, 0);
    return g_string_free(text, FALSE);
}

static LoadViewer *new_viewer(Load *load, LoadWay way, guint lesson)
{
    const LoadOptions *o = &load->options;
    gboolean over_rtp = way != LOAD_WEB;
    guint ports[LOAD_TRACKS];
    if (way == LOAD_RTP && o->udp) {
        LoadViewer *viewer = load_udp_viewer_new(load->loop, o->gro, ports);
        printf(" %u,%u", ports[LOAD_VIDEO], ports[LOAD_SOUND]);
        return viewer;
    }
    g_autofree char *url = numbered(over_rtp ? o->rtsp : o->web, lesson);
    if (way == LOAD_TCP)
        return load_tcp_viewer_new(url);
    if (over_rtp)
        return load_rtp_viewer_new(url, o->gro, o->lose / 100);
    return g_str_has_prefix(url, "rtmp:") ? load_rtmp_viewer_new(url) : load_web_viewer_new(url);
}

static void make_viewers(Load *load)
{
    const LoadOptions *o = &load->options;
    LoadRun *run = &load->run;
    guint rtp = (guint)o->viewers_rtp, tcp = rtp + (guint)o->viewers_tcp;
    run->viewers_count = tcp + (guint)o->viewers_web;
    run->viewers = g_new0(LoadViewer *, run->viewers_count);
    if (o->udp)
        printf("ports");
    for (guint i = 0; i < run->viewers_count; i++) {
        guint lesson = i % (guint)o->lessons;
        LoadWay way = i < rtp ? LOAD_RTP : i < tcp ? LOAD_TCP : LOAD_WEB;
        LoadViewer *viewer = new_viewer(load, way, lesson + 1);
        viewer->loop = load->loop;
        viewer->count.course = run->courses[lesson];
        run->viewers[i] = viewer;
    }
    if (o->udp)
        putchar('\n');
    fflush(stdout);
}

// Shuffled, so that habits and joining times are spread over all; the same in every run.
static void give_habits(Load *load)
{
    const LoadOptions *o = &load->options;
    LoadRun *run = &load->run;
    g_autoptr(GRand) dice = g_rand_new_with_seed(1);
    for (guint i = run->viewers_count - 1; i > 0; i--) {
        guint j = (guint)g_rand_int_range(dice, 0, (gint32)i + 1);
        LoadViewer *other = run->viewers[j];
        run->viewers[j] = run->viewers[i];
        run->viewers[i] = other;
    }
    for (guint i = 0; i < run->viewers_count; i++) {
        LoadViewer *viewer = run->viewers[i];
        gint place = (gint)i;
        viewer->comes_ns = (gint64)(o->join_over_s * 1e9 * i / run->viewers_count);
        viewer->count.impaired = place < o->read_nothing + o->half_speed + o->churn;
        if (place < o->read_nothing)
            viewer->reading = LOAD_READS_NOTHING;
        else if (place < o->read_nothing + o->half_speed)
            viewer->reading = LOAD_READS_HALF;
        if (viewer->count.impaired && o->churn)
            viewer->goes_ns = load_monotonic_ns() + about(o->stay_s);
    }
}

static void make_senders(Load *load)
{
    const LoadOptions *o = &load->options;
    load->senders = o->send ? g_new0(LoadSender *, o->lessons) : NULL;
    for (gint i = 0; load->senders && i < o->lessons; i++) {
        g_autofree char *url = numbered(o->send, (guint)i + 1);
        load->senders[i] = load_sender_new(load->loop, url, (guint)o->bits_per_second,
                                           (guint)o->fps, load->run.courses[i]);
    }
}

static guint watched_pid(const char *word)
{
    char line[32];
    if (!word)
        return 0;
    if (g_str_equal(word, "-"))
        word = fgets(line, sizeof line, stdin) ? line : "";
    guint pid = (guint)strtoul(word, NULL, 10);
    if (!pid)
        load_die("no process to watch");
    return pid;
}

static void free_all(Load *load)
{
    for (gint i = 0; i < load->options.lessons; i++) {
        if (load->senders)
            load_sender_free(load->senders[i]);
        g_free(load->run.courses[i]);
    }
    for (guint i = 0; i < load->run.viewers_count; i++)
        load->run.viewers[i]->kind->free(load->run.viewers[i]);
    g_free(load->senders);
    g_free(load->run.courses);
    g_free(load->run.viewers);
    load_samples_free(load->samples);
    load_loop_close(load->loop, &load->timer);
    load_loop_free(load->loop);
    load_options_clear(&load->options);
    g_free(load);
}

int main(int argc, char **argv)
{
    Load *load = g_new0(Load, 1);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    load_options_parse(&load->options, argc, argv);
    load->loop = load_loop_new();
    load->tally.from_ns = load->tally.to_ns = G_MAXINT64;
    load->run.options = &load->options;
    load->run.tally = &load->tally;
    load->run.courses = g_new0(LoadCourse *, load->options.lessons);
    for (gint i = 0; i < load->options.lessons; i++)
        load->run.courses[i] = load_course_new(&load->tally);
    if (load->options.samples)
        load->samples = load_samples_new(load->options.samples, load->options.every_s);
    make_viewers(load);
    give_habits(load);
    load->run.watched.pid = watched_pid(load->options.watch);
    load->run.own.pid = (guint)getpid();
    make_senders(load);
    go_on(load, WAITS_FOR_SENDERS);
    load->timer = (LoadWatch){.on_ready = on_tick, .user = load};
    load_timer_start(load->loop, &load->timer, TICK_NS);
    load_loop_run(load->loop);
    int status = load_result_print(&load->run);
    free_all(load);
    return status;
}
