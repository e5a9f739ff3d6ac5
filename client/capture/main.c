// SPDX-License-Identifier: MIT
#include <glib-unix.h>
#include <gst/gst.h>
#include <locale.h>
#include <stdlib.h>

#include "client/capture/devices.h"
#include "client/capture/encoder.h"
#include "client/capture/stream.h"
#include "common/base/clock.h"
#include "common/base/log.h"

#define READY_TIMEOUT_S 5
#define STATS_S 5
#define STREAMS_MAX 2

typedef struct {
    const CapOptions *options;
    GMainLoop *loop;
    GstClock *clock;
    CapStream *streams[STREAMS_MAX];
    guint streams_count, stopped_count;
    gboolean started, stopping;
    int status;
} Program;

static void stop(Program *program, int status)
{
    if (program->stopping)
        return;
    program->stopping = TRUE;
    program->status = status;
    for (guint i = 0; i < program->streams_count; i++)
        cap_stream_stop(program->streams[i]);
}

static gboolean on_duration(gpointer data)
{
    tk_info("the time is over");
    stop(data, EXIT_SUCCESS);
    return G_SOURCE_REMOVE;
}

static void start(Program *program)
{
    if (program->started || program->stopping)
        return;
    program->started = TRUE;
    GstClockTime at = gst_clock_get_time(program->clock);
    if (program->options->duration_ns)
        g_timeout_add((guint)(program->options->duration_ns / TK_NS_PER_MS), on_duration, program);
    for (guint i = 0; i < program->streams_count; i++)
        cap_stream_start(program->streams[i], at);
}

static void on_ready(void *user)
{
    Program *program = user;

    for (guint i = 0; i < program->streams_count; i++)
        if (!cap_stream_is_ready(program->streams[i]))
            return;
    start(program);
}

static gboolean on_ready_timeout(gpointer data)
{
    start(data);
    return G_SOURCE_REMOVE;
}

static void on_end(void *user)
{
    tk_info("the file is over");
    stop(user, EXIT_SUCCESS);
}

static void on_failed(void *user)
{
    stop(user, EXIT_FAILURE);
}

static void on_stopped(void *user)
{
    Program *program = user;

    if (++program->stopped_count == program->streams_count)
        g_main_loop_quit(program->loop);
}

static gboolean on_signal(gpointer data)
{
    tk_info("told to stop");
    stop(data, EXIT_SUCCESS);
    return G_SOURCE_CONTINUE;
}

static gboolean on_stats(gpointer data)
{
    Program *program = data;

    for (guint i = 0; i < program->streams_count; i++) {
        g_autofree char *text = cap_stream_stats(program->streams[i]);
        tk_info("%s", text);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean add_stream(Program *program, const char *name, GstClockTime base_time,
                           GError **error)
{
    const CapOptions *o = program->options;
    const CapStreamEvents events = {on_ready, on_end, on_failed, on_stopped};
    gboolean main_stream = g_str_equal(name, "main");
    g_autofree char *url =
        main_stream ? g_strdup(o->relay) : g_strdup_printf("%s/%s", o->relay, name);
    const CapStreamConfig config = {
        .name = name,
        .picture = main_stream ? o->source : o->slides,
        .sound = main_stream ? o->sound : (CapSourceSpec){0},
        .format = {.width = o->width,
                   .height = o->height,
                   .fps = main_stream ? o->fps : o->slides_fps,
                   .loop = o->loop,
                   .slides = !main_stream},
        .copy = o->copy,
        .bitrate_kbps = main_stream ? o->bitrate_kbps : o->slides_bitrate_kbps,
        .sound_bitrate_kbps = o->sound_bitrate_kbps,
        .encoder = o->encoder,
        .publisher = {url, o->token, o->lesson_id, o->info, o->transport},
    };
    CapStream *stream = cap_stream_new(&config, program->clock, base_time, &events, program, error);

    if (stream)
        program->streams[program->streams_count++] = stream;
    return stream != NULL;
}

static int capture(const CapOptions *options)
{
    Program program = {.options = options, .status = EXIT_SUCCESS};
    g_autoptr(GError) error = NULL;

    program.loop = g_main_loop_new(NULL, FALSE);
    program.clock = gst_system_clock_obtain();
    GstClockTime base_time = gst_clock_get_time(program.clock);
    g_unix_signal_add(SIGINT, on_signal, &program);
    g_unix_signal_add(SIGTERM, on_signal, &program);
    if (!add_stream(&program, "main", base_time, &error) ||
        (options->slides.kind != CAP_SOURCE_NONE &&
         !add_stream(&program, "slides", base_time, &error))) {
        tk_error("%s", error->message);
        program.status = EXIT_FAILURE;
    } else {
        for (guint i = 0; i < program.streams_count; i++)
            cap_stream_open(program.streams[i]);
        on_ready(&program);
        g_timeout_add_seconds(READY_TIMEOUT_S, on_ready_timeout, &program);
        if (options->stats)
            g_timeout_add_seconds(STATS_S, on_stats, &program);
        g_main_loop_run(program.loop);
    }
    for (guint i = 0; i < program.streams_count; i++)
        cap_stream_free(program.streams[i]);
    gst_object_unref(program.clock);
    g_main_loop_unref(program.loop);
    return program.status;
}

int main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;

    setlocale(LC_ALL, "");
    tk_log_init("tongke-capture");
    g_autoptr(CapOptions) options = cap_options_parse(argc, argv, &error);
    if (!options) {
        g_printerr("tongke-capture: %s\n", error->message);
        return 2;
    }
    switch (options->run) {
    case CAP_RUN_VERSION:
        g_print("tongke-capture %s\n", TONGKE_VERSION);
        return EXIT_SUCCESS;
    case CAP_RUN_LIST_DEVICES: {
        g_autofree char *text = cap_devices_list();
        g_print("%s", text);
        return EXIT_SUCCESS;
    }
    case CAP_RUN_LIST_ENCODERS: {
        g_auto(GStrv) names = cap_encoder_list();
        for (guint i = 0; names[i]; i++)
            g_print("%s\n", names[i]);
        return EXIT_SUCCESS;
    }
    case CAP_RUN_CAPTURE:
        break;
    }
    return capture(options);
}
