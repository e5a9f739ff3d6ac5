// SPDX-License-Identifier: MIT
#include "tests/bench/options.h"

#include "tests/bench/loop.h"

static void check(const LoadOptions *o)
{
    gint viewers = o->viewers_rtp + o->viewers_tcp + o->viewers_web;
    if (o->lessons < 1 || o->viewers_rtp < 0 || o->viewers_tcp < 0 || o->viewers_web < 0 ||
        viewers < 1 || o->seconds <= 0 || o->join_over_s < 0 || o->stay_s <= 0)
        load_die("nothing to do (see --help)");
    if (o->bits_per_second < 200000 || o->bits_per_second > 100000000 || o->fps < 5 || o->fps > 120)
        load_die("a lesson has 0.2 to 100 Mbit/s and 5 to 120 pictures a second");
    if ((o->viewers_rtp > 0 && !o->rtsp && !o->udp) || (o->viewers_tcp > 0 && !o->rtsp) ||
        (o->viewers_web > 0 && !o->web))
        load_die("viewers need --rtsp, --udp or --web");
    if (o->phases < 0 || o->phases > 1000 || o->every_s < 0.1)
        load_die("phases are 1 to 1000, samples at least 0.1 s apart");
    if (o->lose < 0 || o->lose > 50)
        load_die("a line loses 0 to 50 per cent");
    if (o->read_nothing < 0 || o->half_speed < 0 || o->churn < 0 ||
        o->read_nothing + o->half_speed + o->churn > viewers)
        load_die("more viewers with a habit than viewers");
}

void load_options_parse(LoadOptions *options, int argc, char **argv)
{
    LoadOptions *o = options;
    *o = (LoadOptions){.lessons = 1,
                       .seconds = 10,
                       .join_over_s = 1,
                       .stay_s = 5,
                       .every_s = 10,
                       .bits_per_second = 2000000,
                       .fps = 30};
    const GOptionEntry entries[] = {
        {"send", 0, 0, G_OPTION_ARG_STRING, &o->send,
         "Send a made-up lesson there: rtsp, rtsp+tcp, udp or rtmp", "URL"},
        {"lessons", 0, 0, G_OPTION_ARG_INT, &o->lessons,
         "So many lessons; {} in the URLs is their number", "N"},
        {"rate", 0, 0, G_OPTION_ARG_INT, &o->bits_per_second, "Of a lesson (2000000)", "BIT/S"},
        {"fps", 0, 0, G_OPTION_ARG_INT, &o->fps, "Pictures a second (30)", "N"},
        {"rtsp", 0, 0, G_OPTION_ARG_STRING, &o->rtsp, "What RTP viewers watch", "URL"},
        {"udp", 0, 0, G_OPTION_ARG_NONE, &o->udp,
         "RTP viewers are UDP sockets only; their ports are printed first", NULL},
        {"web", 0, 0, G_OPTION_ARG_STRING, &o->web,
         "What web viewers watch: ws, rtmp, or raw (WebSocket frames without handshake)", "URL"},
        {"ws", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &o->web, "The same", "URL"},
        {"viewers-rtp", 0, 0, G_OPTION_ARG_INT, &o->viewers_rtp, "So many", "N"},
        {"viewers-tcp", 0, 0, G_OPTION_ARG_INT, &o->viewers_tcp,
         "So many, with RTP in the RTSP connection", "N"},
        {"viewers-ws", 0, 0, G_OPTION_ARG_INT, &o->viewers_web, "So many", "N"},
        {"seconds", 0, 0, G_OPTION_ARG_DOUBLE, &o->seconds, "Measure so long (10)", "S"},
        {"join-over", 0, 0, G_OPTION_ARG_DOUBLE, &o->join_over_s,
         "Spread the joins over so long (1)", "S"},
        {"gro", 0, 0, G_OPTION_ARG_NONE, &o->gro, "RTP viewers accept trains (UDP_GRO)", NULL},
        {"lose", 0, 0, G_OPTION_ARG_DOUBLE, &o->lose,
         "Per cent of the packets are lost on the way to RTP viewers, which ask again", "%"},
        {"read-nothing", 0, 0, G_OPTION_ARG_INT, &o->read_nothing,
         "So many of the viewers read nothing", "N"},
        {"half-speed", 0, 0, G_OPTION_ARG_INT, &o->half_speed,
         "So many read half of what comes (over UDP: every second packet is lost)", "N"},
        {"phases", 0, 0, G_OPTION_ARG_INT, &o->phases,
         "Cut the measured time into so many; those who do not read are there in every second",
         "N"},
        {"churn", 0, 0, G_OPTION_ARG_INT, &o->churn, "So many leave and come again", "N"},
        {"stay", 0, 0, G_OPTION_ARG_DOUBLE, &o->stay_s, "after about so long (5)", "S"},
        {"samples", 0, 0, G_OPTION_ARG_FILENAME, &o->samples,
         "Write what can be seen of the watched process and of delays there, a line each time",
         "FILE"},
        {"every", 0, 0, G_OPTION_ARG_DOUBLE, &o->every_s, "Seconds between samples (10)", "S"},
        {"watch", 0, 0, G_OPTION_ARG_STRING, &o->watch,
         "Tell the CPU time and memory of this process; -: standard input will name it", "PID"},
        {NULL}};
    g_autoptr(GError) error = NULL;
    g_autoptr(GOptionContext) context = g_option_context_new("- thousands of viewers of a lesson");
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_description(
        context, "Prints what they saw as JSON. The status is 0 when nobody fell short or left,\n"
                 "1 when somebody did, 2 when the run could not be made.\n");
    if (!g_option_context_parse(context, &argc, &argv, &error))
        load_die("%s", error->message);
    check(o);
}

void load_options_clear(LoadOptions *options)
{
    g_free(options->send);
    g_free(options->rtsp);
    g_free(options->web);
    g_free(options->samples);
    g_free(options->watch);
}
