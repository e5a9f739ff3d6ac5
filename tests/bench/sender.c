// SPDX-License-Identifier: MIT
#include "tests/bench/sender.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/media/rtcp.h"
#include "tests/bench/rtmp.h"
#include "tests/bench/rtsp.h"

#define REPORT_NS (G_GINT64_CONSTANT(2) * 1000000000)
#define SEND_BYTES (4 << 20)

typedef enum { ANNOUNCE, SETUP_VIDEO, SETUP_SOUND, RECORD, RUNNING } Step;
typedef enum { OVER_RTSP, OVER_UDP, OVER_RTMP } Way;

struct _LoadSender {
    LoadLoop *loop;
    LoadCourse *course;
    LoadLesson *lesson;
    LoadFrame *frame; // the next
    LoadWatch timer;
    gint64 begin_ns; // CLOCK_MONOTONIC
    gint64 report_ns; // media time of the next sender reports
    Way way;
    gboolean interleaved;
    Step step;
    char *url, *why;
    LoadRtsp rtsp;
    LoadRtmp rtmp;
    int fds[LOAD_TRACKS * 2]; // RTP and RTCP of each track
    struct sockaddr_in to[LOAD_TRACKS * 2];
    guint32 packets[LOAD_TRACKS], octets[LOAD_TRACKS];
};

static void send_out(LoadSender *sender, guint channel, const guint8 *data, gsize size)
{
    if (sender->interleaved)
        load_rtsp_put_frame(&sender->rtsp, (guint8)channel, data, size);
    else if (sendto(sender->fds[channel], data, size, 0, (struct sockaddr *)&sender->to[channel],
                    sizeof sender->to[channel]) < 0 && errno != ECONNREFUSED)
        load_die("the sender: %s", g_strerror(errno));
}

static void send_reports(LoadSender *sender, gint64 media_ns)
{
    const guint64 rates[LOAD_TRACKS] = {90000, LOAD_SOUND_RATE};
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        guint32 ssrc = 0x544b0000u + i;
        guint32 timestamp = (guint32)((guint64)media_ns / 1000 * rates[i] / 1000000);
        tk_rtcp_put_sender_report(out, ssrc, tk_clock_ntp_from_wall(load_now_ns()), timestamp,
                                  sender->packets[i], sender->octets[i]);
        tk_rtcp_put_sdes(out, ssrc, "load");
        send_out(sender, i * 2 + 1, out->data, out->len);
    }
    sender->report_ns = media_ns + REPORT_NS;
}

static void send_packets(LoadSender *sender, const LoadFrame *frame, gint64 now_ns)
{
    guint count;
    const LoadPacket *packets = load_lesson_packets(sender->lesson, frame, &count);
    for (guint i = 0; i < count; i++) {
        send_out(sender, frame->track * 2, packets[i].data, packets[i].bytes);
        load_course_sent(sender->course,
                         frame->track == LOAD_SOUND ? LOAD_STAMP_SOUND
                         : i == 0                   ? LOAD_STAMP_FRAME
                                                    : LOAD_STAMP_PART,
                         now_ns);
        sender->packets[frame->track]++;
        sender->octets[frame->track] += (guint32)packets[i].bytes - 12;
    }
}

static void send_frame(LoadSender *sender, LoadFrame *frame)
{
    gint64 now_ns = load_now_ns();
    load_lesson_stamp(frame, now_ns);
    if (sender->way == OVER_RTMP) {
        load_rtmp_put_frame(&sender->rtmp, frame);
        load_course_sent(sender->course,
                         frame->track == LOAD_VIDEO ? LOAD_STAMP_FRAME : LOAD_STAMP_SOUND, now_ns);
        return;
    }
    if (sender->way == OVER_RTSP && frame->at_ns >= sender->report_ns)
        send_reports(sender, frame->at_ns);
    send_packets(sender, frame, now_ns);
}

static void on_timer(void *user, guint32 events)
{
    LoadSender *sender = user;
    load_timer_read(&sender->timer);
    gint64 now_ns = load_monotonic_ns() - sender->begin_ns;
    while (sender->frame->at_ns <= now_ns && !sender->why) {
        send_frame(sender, sender->frame);
        sender->frame = load_lesson_next(sender->lesson);
    }
    if (!sender->why)
        load_timer_set(&sender->timer, sender->begin_ns + sender->frame->at_ns);
}

static void run(LoadSender *sender)
{
    sender->step = RUNNING;
    sender->begin_ns = load_monotonic_ns();
    sender->frame = load_lesson_next(sender->lesson);
    sender->timer.on_ready = on_timer;
    sender->timer.user = sender;
    load_timer_start(sender->loop, &sender->timer, 1000000);
}

static void on_closed(void *user, const char *why)
{
    LoadSender *sender = user;
    if (!sender->why)
        sender->why = g_strdup_printf("%s: %s", sender->url, why);
}

static void open_udp(LoadSender *sender, guint channel, const char *host, guint port)
{
    int bytes = SEND_BYTES;
    struct sockaddr_in *to = &sender->to[channel];
    if (sender->fds[channel] < 0) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        sender->fds[channel] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        setsockopt(sender->fds[channel], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
        if (bind(sender->fds[channel], (struct sockaddr *)&any, sizeof any) < 0)
            load_die("bind: %s", g_strerror(errno));
    }
    to->sin_family = AF_INET;
    to->sin_port = htons((guint16)port);
    inet_pton(AF_INET, host, &to->sin_addr);
}

static guint own_port(const LoadSender *sender, guint channel)
{
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    getsockname(sender->fds[channel], (struct sockaddr *)&at, &size);
    return ntohs(at.sin_port);
}

static void set_up(LoadSender *sender, guint track)
{
    g_autofree char *url = g_strdup_printf("%s/streamid=%u", sender->rtsp.url, track);
    g_autofree char *transport = NULL;
    guint channel = track * 2;
    if (sender->interleaved) {
        transport = g_strdup_printf(
            "Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u;mode=record\r\n", channel,
            channel + 1);
    } else {
        open_udp(sender, channel, "127.0.0.1", 0);
        open_udp(sender, channel + 1, "127.0.0.1", 0);
        transport = g_strdup_printf(
            "Transport: RTP/AVP;unicast;client_port=%u-%u;mode=record\r\n",
            own_port(sender, channel), own_port(sender, channel + 1));
    }
    load_rtsp_ask(&sender->rtsp, "SETUP", url, transport, NULL);
}

static void take_ports(LoadSender *sender, guint track, const LoadReply *reply)
{
    g_autofree char *host = NULL;
    guint unused;
    g_autofree char *transport = load_rtsp_header(reply, "Transport");
    const char *ports = transport ? strstr(transport, "server_port=") : NULL;
    if (sender->interleaved)
        return;
    guint port = ports ? (guint)strtoul(ports + strlen("server_port="), NULL, 10) : 0;
    load_url_split(sender->rtsp.url, &host, &unused, NULL);
    open_udp(sender, track * 2, host, port);
    open_udp(sender, track * 2 + 1, host, port + 1);
}

static void on_reply(void *user, const LoadReply *reply)
{
    LoadSender *sender = user;
    if (reply->status != 200) {
        g_autofree char *why = g_strdup_printf("RTSP %u", reply->status);
        on_closed(sender, why);
        return;
    }
    switch (sender->step) {
    case ANNOUNCE:
        sender->step = SETUP_VIDEO;
        set_up(sender, LOAD_VIDEO);
        break;
    case SETUP_VIDEO:
        take_ports(sender, LOAD_VIDEO, reply);
        sender->step = SETUP_SOUND;
        set_up(sender, LOAD_SOUND);
        break;
    case SETUP_SOUND:
        take_ports(sender, LOAD_SOUND, reply);
        sender->step = RECORD;
        load_rtsp_ask(&sender->rtsp, "RECORD", sender->rtsp.url, "Range: npt=0.000-\r\n", NULL);
        break;
    case RECORD:
        run(sender);
        break;
    case RUNNING:
        break;
    }
}

static void begin_rtsp(LoadSender *sender, const char *url)
{
    g_autofree char *sdp = load_lesson_sdp();
    g_autofree char *plain = g_strconcat("rtsp", strstr(url, "://"), NULL);
    sender->interleaved = g_str_has_prefix(url, "rtsp+tcp:");
    sender->rtsp.on_reply = on_reply;
    sender->rtsp.on_closed = on_closed;
    sender->rtsp.user = sender;
    load_rtsp_open(&sender->rtsp, sender->loop, plain);
    load_rtsp_ask(&sender->rtsp, "ANNOUNCE", plain, "", sdp);
}

static void begin_udp(LoadSender *sender, const char *url)
{
    g_autofree char *host = NULL;
    guint port;
    load_url_split(url, &host, &port, NULL);
    for (guint i = 0; i < LOAD_TRACKS; i++)
        open_udp(sender, i * 2, host, port + i * 2);
    sender->way = OVER_UDP;
    run(sender);
}

static void on_rtmp_ready(void *user)
{
    LoadSender *sender = user;
    load_rtmp_put_headers(&sender->rtmp);
    run(sender);
}

static void begin_rtmp(LoadSender *sender, const char *url)
{
    sender->way = OVER_RTMP;
    sender->rtmp.publishes = TRUE;
    sender->rtmp.on_ready = on_rtmp_ready;
    sender->rtmp.on_closed = on_closed;
    sender->rtmp.user = sender;
    load_rtmp_open(&sender->rtmp, sender->loop, url);
}

LoadSender *load_sender_new(LoadLoop *loop, const char *url, guint bits_per_second, guint fps,
                            LoadCourse *course)
{
    LoadSender *sender = g_new0(LoadSender, 1);
    sender->loop = loop;
    sender->course = course;
    sender->url = g_strdup(url);
    sender->lesson = load_lesson_new(bits_per_second, fps);
    sender->timer.fd = -1;
    for (guint i = 0; i < G_N_ELEMENTS(sender->fds); i++)
        sender->fds[i] = -1;
    if (g_str_has_prefix(url, "rtsp"))
        begin_rtsp(sender, url);
    else if (g_str_has_prefix(url, "udp:"))
        begin_udp(sender, url);
    else if (g_str_has_prefix(url, "rtmp:"))
        begin_rtmp(sender, url);
    else
        load_die("%s: rtsp, rtsp+tcp, udp or rtmp is needed", url);
    return sender;
}

void load_sender_free(LoadSender *sender)
{
    if (!sender)
        return;
    load_loop_close(sender->loop, &sender->timer);
    load_rtsp_close(&sender->rtsp);
    load_rtmp_close(&sender->rtmp);
    for (guint i = 0; i < G_N_ELEMENTS(sender->fds); i++)
        if (sender->fds[i] >= 0)
            close(sender->fds[i]);
    load_lesson_free(sender->lesson);
    g_free(sender->url);
    g_free(sender->why);
    g_free(sender);
}

gboolean load_sender_running(const LoadSender *sender, const char **ret_why)
{
    *ret_why = sender->why;
    return sender->step == RUNNING && !sender->why;
}
