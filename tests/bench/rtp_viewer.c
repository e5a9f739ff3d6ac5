// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/receiver.h"
#include "tests/bench/repair.h"
#include "tests/bench/rtsp.h"
#include "tests/bench/udp.h"
#include "tests/bench/viewer.h"

typedef enum { DESCRIBE, SETUP, PLAY, PLAYING } Step;

typedef struct RtpViewer RtpViewer;

typedef struct {
    RtpViewer *viewer;
    LoadUdp udp;
    LoadRepair repair;
    LoadReceiver receiver;
} Line;

struct RtpViewer {
    LoadViewer viewer;
    char *url; // NULL: only the sockets
    gboolean gro, tcp;
    double lose;
    Step step;
    LoadRtsp rtsp;
    char *base;
    char *controls[LOAD_TRACKS];
    guint tracks_count, next_track;
    Line lines[LOAD_TRACKS];
};

static LoadTrack track_of(const Line *line)
{
    return line->repair.media_type == LOAD_SOUND_TYPE ? LOAD_SOUND : LOAD_VIDEO;
}

static guint clock_rate(const Line *line)
{
    return track_of(line) == LOAD_SOUND ? LOAD_SOUND_RATE : 90000;
}

static void on_packet(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    Line *line = user;
    RtpViewer *rtp = line->viewer;
    gsize came = size;
    const guint8 *packet = load_repair_take(&line->repair, data, &size);
    if (packet)
        load_count_rtp(&rtp->viewer.count, packet, size, at_ns);
    else
        rtp->viewer.count.dropped++;
    if (packet == data)
        load_receiver_take(&line->receiver, data, came, clock_rate(line), at_ns);
    if (rtp->viewer.reading == LOAD_READS_NOTHING)
        for (guint i = 0; i < LOAD_TRACKS; i++)
            load_udp_sleep(&rtp->lines[i].udp);
}

static void on_rtcp(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    Line *line = user;
    load_receiver_take_rtcp(&line->receiver, data, size, at_ns);
}

static void on_frame(void *user, guint8 channel, const guint8 *data, gsize size, gint64 at_ns)
{
    RtpViewer *rtp = user;
    if (channel >= rtp->tracks_count * 2)
        return;
    if (channel & 1)
        on_rtcp(&rtp->lines[channel / 2], data, size, at_ns);
    else
        on_packet(&rtp->lines[channel / 2], data, size, at_ns);
}

static void open_line(RtpViewer *rtp, Line *line)
{
    LoadUdp *udp = &line->udp;
    line->viewer = rtp;
    udp->loop = rtp->viewer.loop;
    udp->on_packet = on_packet;
    udp->on_rtcp = rtp->url && rtp->viewer.reading != LOAD_READS_NOTHING ? on_rtcp : NULL;
    udp->user = line;
    load_udp_open(udp, rtp->gro);
}

static void hang_up(RtpViewer *rtp)
{
    load_rtsp_close(&rtp->rtsp);
    g_clear_pointer(&rtp->base, g_free);
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        load_udp_close(&rtp->lines[i].udp);
        rtp->lines[i].repair = (LoadRepair){0};
        rtp->lines[i].receiver = (LoadReceiver){0};
        g_clear_pointer(&rtp->controls[i], g_free);
    }
    rtp->tracks_count = rtp->next_track = 0;
}

static void stop(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    if (!rtp->url)
        return;
    if (viewer->playing)
        load_rtsp_ask(&rtp->rtsp, "TEARDOWN", rtp->base, "", NULL);
    hang_up(rtp);
    viewer->started = viewer->playing = FALSE;
}

static void lost(void *user, const char *why)
{
    RtpViewer *rtp = user;
    hang_up(rtp);
    load_viewer_lost(&rtp->viewer, why);
}

static char *join_url(const char *base, const char *control)
{
    if (g_str_has_prefix(control, "rtsp://"))
        return g_strdup(control);
    return g_strconcat(base, g_str_has_suffix(base, "/") ? "" : "/", control, NULL);
}

// The control attributes of the media lines (RFC 2326 appendix C.1.1).
static void read_sdp(RtpViewer *rtp, const LoadReply *reply)
{
    char *base = load_rtsp_header(reply, "Content-Base");
    rtp->base = base ? base : g_strdup(rtp->url);
    const char *media = strstr(reply->body, "\nm=");
    while (media && rtp->tracks_count < LOAD_TRACKS) {
        const char *next = strstr(media + 1, "\nm=");
        const char *control = strstr(media, "a=control:");
        if (control && (!next || control < next)) {
            g_autofree char *word = g_strndup(control + 10, strcspn(control + 10, "\r\n"));
            load_repair_read_sdp(&rtp->lines[rtp->tracks_count].repair, media);
            rtp->controls[rtp->tracks_count++] = join_url(rtp->base, word);
        }
        media = next;
    }
}

static void set_up_next(RtpViewer *rtp)
{
    Line *line = &rtp->lines[rtp->next_track];
    g_autofree char *transport = NULL;
    guint channel = rtp->next_track * 2;
    if (rtp->tcp) {
        line->viewer = rtp;
        transport = g_strdup_printf("Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u\r\n", channel,
                                    channel + 1);
    } else {
        open_line(rtp, line);
        transport = g_strdup_printf("Transport: RTP/AVP;unicast;client_port=%u-%u\r\n",
                                    line->udp.port, line->udp.port + 1);
    }
    line->repair.lose = rtp->viewer.reading == LOAD_READS_HALF && !rtp->tcp ? 0.5 : rtp->lose;
    load_rtsp_ask(&rtp->rtsp, "SETUP", rtp->controls[rtp->next_track++], transport, NULL);
}

// Where NACKs go.
static void read_transport(RtpViewer *rtp, LoadRepair *repair, const LoadReply *reply)
{
    g_autofree char *transport = load_rtsp_header(reply, "Transport"), *host = NULL;
    const char *ports = transport ? strstr(transport, "server_port=") : NULL;
    const char *second = ports ? strchr(ports, '-') : NULL;
    guint unused;
    if (!second)
        return;
    load_url_split(rtp->url, &host, &unused, NULL);
    repair->to.sin_family = AF_INET;
    repair->to.sin_port = htons((guint16)strtoul(second + 1, NULL, 10));
    inet_pton(AF_INET, host, &repair->to.sin_addr);
}

static void on_reply(void *user, const LoadReply *reply)
{
    RtpViewer *rtp = user;
    if (reply->status != 200) {
        g_autofree char *why = g_strdup_printf("RTSP %u at step %d", reply->status, rtp->step);
        lost(rtp, why);
        return;
    }
    switch (rtp->step) {
    case DESCRIBE:
        read_sdp(rtp, reply);
        if (!rtp->tracks_count) {
            lost(rtp, "no tracks in the SDP");
            break;
        }
        rtp->step = SETUP;
        set_up_next(rtp);
        break;
    case SETUP:
        read_transport(rtp, &rtp->lines[rtp->next_track - 1].repair, reply);
        if (rtp->next_track < rtp->tracks_count) {
            set_up_next(rtp);
            break;
        }
        rtp->step = PLAY;
        load_rtsp_ask(&rtp->rtsp, "PLAY", rtp->base, "Range: npt=0.000-\r\n", NULL);
        break;
    case PLAY:
        rtp->step = PLAYING;
        rtp->viewer.playing = TRUE;
        if (rtp->tcp && rtp->viewer.reading != LOAD_READS_ALL)
            load_link_pause(&rtp->rtsp.link);
        break;
    case PLAYING:
        break;
    }
}

static void start(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    viewer->started = TRUE;
    load_count_begin(&viewer->count);
    if (!rtp->url) {
        viewer->playing = TRUE;
        return;
    }
    rtp->step = DESCRIBE;
    rtp->rtsp.on_reply = on_reply;
    rtp->rtsp.on_frame = on_frame;
    rtp->rtsp.on_closed = lost;
    rtp->rtsp.user = rtp;
    rtp->rtsp.link.receive_bytes =
        rtp->tcp && viewer->reading != LOAD_READS_ALL ? LOAD_SLOW_BYTES : 0;
    load_rtsp_open(&rtp->rtsp, viewer->loop, rtp->url);
    load_rtsp_ask(&rtp->rtsp, "DESCRIBE", rtp->url, "Accept: application/sdp\r\n", NULL);
}

static void keep_alive(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    if (rtp->url && viewer->playing)
        load_rtsp_ask(&rtp->rtsp, "GET_PARAMETER", rtp->base, "", NULL);
}

static void repair(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        Line *line = &rtp->lines[i];
        if (line->udp.port)
            load_repair_ask(&line->repair, line->udp.rtcp.fd, &viewer->count.flows[track_of(line)]);
    }
}

static void report(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    for (guint i = 0; i < rtp->tracks_count; i++) {
        Line *line = &rtp->lines[i];
        g_autoptr(GByteArray) out = load_receiver_report(&line->receiver);
        if (!out)
            continue;
        if (rtp->tcp)
            load_rtsp_put_frame(&rtp->rtsp, (guint8)(i * 2 + 1), out->data, out->len);
        else if (line->repair.to.sin_port)
            load_repair_send(&line->repair, line->udp.rtcp.fd, out);
    }
}

static void read_some(LoadViewer *viewer, gsize bytes)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    if (rtp->tcp && viewer->playing && viewer->reading == LOAD_READS_HALF)
        load_link_read(&rtp->rtsp.link, bytes);
}

static void free_viewer(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    hang_up(rtp);
    g_free(viewer->why);
    g_free(rtp->url);
    g_free(rtp);
}

static const LoadViewerKind kind = {.start = start,
                                    .stop = stop,
                                    .read = read_some,
                                    .keep_alive = keep_alive,
                                    .repair = repair,
                                    .report = report,
                                    .free = free_viewer};

LoadViewer *load_rtp_viewer_new(const char *url, gboolean gro, double lose)
{
    RtpViewer *rtp = g_new0(RtpViewer, 1);
    rtp->viewer.kind = &kind;
    rtp->url = g_strdup(url);
    rtp->gro = gro;
    rtp->lose = lose;
    return &rtp->viewer;
}

LoadViewer *load_tcp_viewer_new(const char *url)
{
    RtpViewer *rtp = (RtpViewer *)load_rtp_viewer_new(url, FALSE, 0);
    rtp->viewer.count.way = LOAD_TCP;
    rtp->tcp = TRUE;
    return &rtp->viewer;
}

LoadViewer *load_udp_viewer_new(LoadLoop *loop, gboolean gro, guint ret_ports[LOAD_TRACKS])
{
    RtpViewer *rtp = (RtpViewer *)load_rtp_viewer_new(NULL, gro, 0);
    rtp->viewer.loop = loop;
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        open_line(rtp, &rtp->lines[i]);
        ret_ports[i] = rtp->lines[i].udp.port;
    }
    return &rtp->viewer;
}
