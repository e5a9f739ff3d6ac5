// SPDX-License-Identifier: MIT
#include "tests/bench/samples.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "tests/bench/process.h"

struct _LoadSamples {
    FILE *file;
    gint64 every_ns, next_ns;
};

LoadSamples *load_samples_new(const char *path, double every_s)
{
    LoadSamples *samples = g_new0(LoadSamples, 1);
    samples->every_ns = samples->next_ns = (gint64)(every_s * 1e9);
    samples->file = fopen(path, "we");
    if (!samples->file)
        load_die("%s: %s", path, g_strerror(errno));
    return samples;
}

void load_samples_free(LoadSamples *samples)
{
    if (!samples)
        return;
    fclose(samples->file);
    g_free(samples);
}

static json_t *delays(LoadTally *tally)
{
    static const char *const names[LOAD_WAYS] = {"rtp", "tcp", "web"};
    json_t *json = json_object();
    for (guint i = 0; i < LOAD_WAYS; i++) {
        LoadHistogram *recent = &tally->recent[i];
        if (recent->total)
            json_object_set_new(json, names[i],
                                json_pack("[ff]", (double)load_histogram_at(recent, 0.5) / 1e6,
                                          (double)load_histogram_at(recent, 0.99) / 1e6));
        *recent = (LoadHistogram){0};
    }
    return json;
}

void load_samples_step(LoadSamples *samples, const LoadRun *run, LoadTally *tally, gint64 at_ns)
{
    if (at_ns < samples->next_ns)
        return;
    samples->next_ns += samples->every_ns;
    guint pid = run->watched.pid, playing = 0, left = 0;
    guint64 missing = 0;
    for (guint i = 0; i < run->viewers_count; i++) {
        const LoadViewer *viewer = run->viewers[i];
        playing += viewer->playing;
        left += viewer->left && !viewer->count.impaired;
        missing += viewer->count.impaired ? 0 : viewer->count.missing;
    }
    json_t *line = json_pack("{sf si si sI sI sf si so}", "at_s", (double)at_ns / 1e9, "playing",
                             playing, "left", left, "missing", (json_int_t)missing, "rss",
                             (json_int_t)load_process_rss_bytes(pid), "cpu_s",
                             (double)load_process_cpu_ns(pid) / 1e9, "descriptors",
                             load_process_descriptors(pid), "delay_ms", delays(tally));
    json_dumpf(line, samples->file, JSON_REAL_PRECISION(6) | JSON_COMPACT);
    fputc('\n', samples->file);
    fflush(samples->file);
    json_decref(line);
}
