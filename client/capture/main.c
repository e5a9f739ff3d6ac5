// SPDX-License-Identifier: MIT
#include <glib-unix.h>
#include <gst/gst.h>
#include <locale.h>
#include <stdlib.h>

#include "client/capture/deliver.h"
#include "client/capture/devices.h"
#include "client/capture/encoder.h"
#include "client/capture/stream.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/name.h"

#define READY_TIMEOUT_S 5
#define STATS_S 5
#define STREAMS_MAX 3

typedef struct {
    const CapOptions *options;
    GMainLoop *loop;
    GstClock *clock;
    CapStream *streams[STREAMS_MAX];
    guint streams_count, stopped_count;
    gboolean started, stopping;
    int status;
    gboolean told;             // to stop, by a signal
    CapKeep *keep;             // NULL: no local copy
    GCancellable *cancellable; // of delivering
    gboolean delivering;
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
    Program *program = data;
    tk_info("told to stop");
    if (program->told || program->delivering)
        g_cancellable_cancel(program->cancellable);
    program->told = TRUE;
    stop(program, EXIT_SUCCESS);
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

// `config` has what the streams differ in.
static gboolean add_stream(Program *program, CapStreamConfig config, GstClockTime base_time,
                           GError **error)
{
    const CapOptions *o = program->options;
    const CapStreamEvents events = {on_ready, on_end, on_failed, on_stopped};
    gboolean main_stream = g_str_equal(config.name, TK_STREAM_MAIN);
    g_autofree char *url =
        main_stream ? g_strdup(o->relay) : g_strdup_printf("%s/%s", o->relay, config.name);

    config.format.loop = o->loop;
    config.copy = o->copy;
    config.sound_bitrate_kbps = o->sound_bitrate_kbps;
    config.encoder = o->encoder;
    config.publisher = (CapPublisherConfig){
        url, o->token, program->keep ? cap_keep_lesson_id(program->keep) : o->lesson_id, o->info,
        o->transport};
    CapStream *stream = cap_stream_new(&config, program->clock, base_time, &events, program, error);
    if (stream)
        program->streams[program->streams_count++] = stream;
    return stream != NULL;
}

static gboolean add_main(Program *program, GstClockTime base_time, GError **error)
{
    const CapOptions *o = program->options;
    const CapStreamConfig config = {
        .name = TK_STREAM_MAIN,
        .picture = o->source,
        .sound = o->sound,
        .format = {.width = o->width, .height = o->height, .fps = o->fps},
        .bitrate_kbps = o->bitrate_kbps,
        .keep = program->keep,
    };
    return add_stream(program, config, base_time, error);
}

static gboolean add_slides(Program *program, GstClockTime base_time, GError **error)
{
    const CapOptions *o = program->options;
    const CapStreamConfig config = {
        .name = "slides",
        .picture = o->slides,
        .format = {.width = o->width, .height = o->height, .fps = o->slides_fps, .slides = TRUE},
        .bitrate_kbps = o->slides_bitrate_kbps,
        .keep = program->keep,
    };
    return o->slides.kind == CAP_SOURCE_NONE || add_stream(program, config, base_time, error);
}

// Without a copy: the library has the main one. Without it the lesson goes out all the same.
static void add_low(Program *program, GstClockTime base_time)
{
    const CapOptions *o = program->options;
    const CapStreamConfig config = {
        .name = TK_STREAM_LOW,
        .leader = program->streams[0],
        .picture = o->low_source,
        .format = {.width = o->low_width, .height = o->low_height, .fps = o->fps},
        .bitrate_kbps = o->low_bitrate_kbps,
    };
    g_autoptr(GError) error = NULL;

    if (o->low && !add_stream(program, config, base_time, &error))
        tk_error("%s: it is not sent: %s", config.name, error->message);
}

static void deliver_run(GTask *task, void *source, void *data, GCancellable *cancellable)
{
    const Program *program = data;
    const CapOptions *o = program->options;
    const CapDelivery delivery = {
        .folder = o->keep,
        .library = o->library,
        .web = o->web,
        .token = o->token,
        .for_ns = o->deliver_for_ns,
        .at_once = program->told,
    };
    g_task_return_boolean(task, cap_deliver(&delivery, program->cancellable));
}

static void deliver_done(GObject *source, GAsyncResult *result, void *data)
{
    const Program *program = data;
    g_main_loop_quit(program->loop);
}

// A signal more ends it.
static gboolean deliver(Program *program)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, deliver_done, program);

    program->delivering = TRUE;
    g_task_set_task_data(task, program, NULL);
    g_task_run_in_thread(task, deliver_run);
    g_main_loop_run(program->loop);
    return g_task_propagate_boolean(task, NULL);
}

// Without it the lesson goes out all the same.
static void keep_begin(Program *program)
{
    const CapOptions *o = program->options;
    const CapKeepRules rules = {o->keep, o->keep_bytes, o->keep_ns};
    g_autoptr(GError) error = NULL;

    if (!o->keep)
        return;
    program->keep = cap_keep_new(&rules, o->relay, o->lesson_id, o->info, &error);
    if (!program->keep)
        tk_error("%s", error->message);
}

static gboolean streams_begin(Program *program, GError **error)
{
    GstClockTime base_time = gst_clock_get_time(program->clock);

    if (!add_main(program, base_time, error) || !add_slides(program, base_time, error))
        return FALSE;
    add_low(program, base_time);
    if (program->keep)
        cap_keep_begin(program->keep);
    return TRUE;
}

static void capture(Program *program)
{
    const CapOptions *options = program->options;
    g_autoptr(GError) error = NULL;

    keep_begin(program);
    if (!streams_begin(program, &error)) {
        tk_error("%s", error->message);
        program->status = EXIT_FAILURE;
    } else {
        for (guint i = 0; i < program->streams_count; i++)
            cap_stream_open(program->streams[i]);
        on_ready(program);
        g_timeout_add_seconds(READY_TIMEOUT_S, on_ready_timeout, program);
        if (options->stats)
            g_timeout_add_seconds(STATS_S, on_stats, program);
        g_main_loop_run(program->loop);
    }
    guint count = program->streams_count;
    program->streams_count = 0;
    while (count > 0)
        cap_stream_free(program->streams[--count]);
    gboolean kept = program->keep != NULL;
    cap_keep_free(program->keep, program->status == EXIT_SUCCESS);
    if (kept && program->status == EXIT_SUCCESS && options->deliver_for_ns > 0)
        (void)deliver(program);
}

static int run(const CapOptions *options)
{
    Program program = {.options = options, .status = EXIT_SUCCESS};

    program.loop = g_main_loop_new(NULL, FALSE);
    program.clock = gst_system_clock_obtain();
    program.cancellable = g_cancellable_new();
    g_unix_signal_add(SIGINT, on_signal, &program);
    g_unix_signal_add(SIGTERM, on_signal, &program);
    if (options->run == CAP_RUN_CAPTURE)
        capture(&program);
    else if (options->keep && !deliver(&program))
        program.status = EXIT_FAILURE;
    gst_object_unref(program.clock);
    g_object_unref(program.cancellable);
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
    case CAP_RUN_DELIVER:
        break;
    }
    return run(options);
}
