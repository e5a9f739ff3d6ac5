// SPDX-License-Identifier: MIT
#include "tests/bench/result.h"

#include <jansson.h>

// A hundredth may fail to arrive in the measured time without the viewer being short: the first and
// last packets of the window stand at its edges.
#define WHOLE_SHARE 0.99

typedef struct {
    guint count, joined, left, fell_short, with_gaps;
    guint64 bytes, packets, missing, doubles, reordered, dropped;
    LoadHistogram first; // asking to the first media
} Sum;

static guint64 expected(const LoadRun *run, const LoadViewer *viewer)
{
    const guint64 *sent = viewer->count.course->sent;
    if (run->options->send)
        return sent[LOAD_STAMP_FRAME] +
               (viewer->count.way != LOAD_WEB ? sent[LOAD_STAMP_PART] + sent[LOAD_STAMP_SOUND] : 0);
    guint64 best = 0;
    for (guint i = 0; i < run->viewers_count; i++) {
        const LoadViewer *other = run->viewers[i];
        if (other->count.course == viewer->count.course && other->count.way == viewer->count.way)
            best = MAX(best, other->count.judged);
    }
    return best;
}

gboolean load_result_whole(const LoadRun *run, const LoadViewer *viewer)
{
    guint64 whole = expected(run, viewer);
    return whole && (double)viewer->count.judged >= WHOLE_SHARE * (double)whole;
}

static void add(Sum *sum, const LoadRun *run, const LoadViewer *viewer)
{
    const LoadCount *count = &viewer->count;
    sum->count++;
    sum->joined += count->first_ns != 0;
    sum->left += viewer->left;
    sum->with_gaps += count->missing > 0;
    sum->bytes += count->bytes;
    sum->packets += count->packets;
    sum->missing += count->missing;
    sum->doubles += count->doubles;
    sum->reordered += count->reordered;
    sum->dropped += count->dropped;
    if (count->first_ns)
        load_histogram_add(&sum->first, count->first_ns - count->asked_ns);
    sum->fell_short += !count->impaired && !load_result_whole(run, viewer);
}

static json_t *histogram_json(const LoadHistogram *histogram)
{
    if (!histogram->total)
        return json_null();
    return json_pack("{sf sf sf}", "p50", (double)load_histogram_at(histogram, 0.5) / 1e6, "p99",
                     (double)load_histogram_at(histogram, 0.99) / 1e6, "max",
                     (double)load_histogram_at(histogram, 1) / 1e6);
}

static json_t *sum_json(const Sum *sum)
{
    const json_int_t bytes = (json_int_t)sum->bytes, packets = (json_int_t)sum->packets;
    const json_int_t missing = (json_int_t)sum->missing, doubles = (json_int_t)sum->doubles;
    const json_int_t reordered = (json_int_t)sum->reordered, dropped = (json_int_t)sum->dropped;
    return json_pack("{si si si si si sI sI sI sI sI sI}", "count", sum->count, "joined",
                     sum->joined, "left", sum->left, "short", sum->fell_short, "with_gaps",
                     sum->with_gaps, "bytes", bytes, "packets", packets, "missing", missing,
                     "doubles", doubles, "reordered", reordered, "dropped", dropped);
}

static void add_times(json_t *json, const LoadTimes *times)
{
    json_object_set_new(json, "delay_ms", histogram_json(&times->delay));
    json_object_set_new(json, "late_ms", histogram_json(&times->late));
}

static json_t *way_json(const LoadRun *run, LoadWay way, const Sum *sum)
{
    json_t *json = sum_json(sum);
    add_times(json, &run->tally->times[0][way]);
    json_object_set_new(json, "first_media_ms", histogram_json(&sum->first));
    if (run->tally->phase_ns) {
        json_t *disturbed = json_object();
        add_times(disturbed, &run->tally->times[1][way]);
        json_object_set_new(json, "disturbed", disturbed);
    }
    return json;
}

static json_t *watched_json(const LoadRun *run, const LoadWatched *watched)
{
    if (!watched->pid)
        return json_null();
    double cpu_s = (double)(watched->cpu_ns[1] - watched->cpu_ns[0]) / 1e9;
    double viewer_s = run->options->seconds * run->viewers_count;
    return json_pack("{sf sf sI sI}", "cpu_s", cpu_s, "cpu_us_per_viewer_s", cpu_s * 1e6 / viewer_s,
                     "rss_before", (json_int_t)watched->rss_bytes[0], "rss_after",
                     (json_int_t)watched->rss_bytes[1]);
}

static json_t *reasons_json(const LoadRun *run)
{
    json_t *reasons = json_array();
    if (run->failure)
        json_array_append_new(reasons, json_string(run->failure));
    for (guint i = 0; i < run->viewers_count && json_array_size(reasons) < 5; i++)
        if (run->viewers[i]->left)
            json_array_append_new(reasons, json_string(run->viewers[i]->why));
    return reasons;
}

int load_result_print(const LoadRun *run)
{
    Sum *ways = g_new0(Sum, LOAD_WAYS), *impaired = g_new0(Sum, 1);
    for (guint i = 0; i < run->viewers_count; i++) {
        const LoadViewer *viewer = run->viewers[i];
        add(viewer->count.impaired ? impaired : &ways[viewer->count.way], run, viewer);
    }
    json_t *result = json_pack(
        "{sf so so so so so so so}", "seconds", run->options->seconds, "rtp",
        way_json(run, LOAD_RTP, &ways[LOAD_RTP]), "tcp", way_json(run, LOAD_TCP, &ways[LOAD_TCP]),
        "web", way_json(run, LOAD_WEB, &ways[LOAD_WEB]), "impaired", sum_json(impaired), "process",
        watched_json(run, &run->watched), "generator", watched_json(run, &run->own), "reasons",
        reasons_json(run));
    json_dumpf(result, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    gboolean whole = TRUE;
    for (guint i = 0; i < LOAD_WAYS; i++)
        whole &= !ways[i].fell_short && !ways[i].left && ways[i].joined == ways[i].count;
    json_decref(result);
    g_free(impaired);
    g_free(ways);
    return run->failure ? 2 : !whole;
}
