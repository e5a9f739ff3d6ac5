// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>

#include "tests/bench/rtsp.h"
#include "tests/bench/udp.h"
#include "tests/bench/viewer.h"

typedef enum { DESCRIBE, SETUP, PLAY, PLAYING } Step;

typedef struct {
    LoadViewer viewer;
    char *url; // NULL: only the sockets
    gboolean gro;
    Step step;
    LoadRtsp rtsp;
    char *base;
    char *controls[LOAD_TRACKS];
    guint tracks_count, next_track;
    LoadUdp udps[LOAD_TRACKS];
} RtpViewer;

static void on_packet(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    RtpViewer *rtp = user;
    load_count_rtp(&rtp->viewer.count, data, size, at_ns);
    if (rtp->viewer.reading == LOAD_READS_NOTHING)
        for (guint i = 0; i < LOAD_TRACKS; i++)
            load_udp_sleep(&rtp->udps[i]);
}

static void open_udp(RtpViewer *rtp, LoadUdp *udp)
{
    udp->loop = rtp->viewer.loop;
    udp->on_packet = on_packet;
    udp->user = rtp;
    load_udp_open(udp, rtp->gro);
}

static void hang_up(RtpViewer *rtp)
{
    load_rtsp_close(&rtp->rtsp);
    g_clear_pointer(&rtp->base, g_free);
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        load_udp_close(&rtp->udps[i]);
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
    gboolean in_media = FALSE;
    g_auto(GStrv) lines = g_strsplit_set(reply->body, "\r\n", -1);
    char *base = load_rtsp_header(reply, "Content-Base");
    rtp->base = base ? base : g_strdup(rtp->url);
    for (char **line = lines; *line; line++) {
        if (g_str_has_prefix(*line, "m="))
            in_media = TRUE;
        if (in_media && g_str_has_prefix(*line, "a=control:") && rtp->tracks_count < LOAD_TRACKS)
            rtp->controls[rtp->tracks_count++] = join_url(rtp->base, *line + strlen("a=control:"));
    }
}

static void set_up_next(RtpViewer *rtp)
{
    LoadUdp *udp = &rtp->udps[rtp->next_track];
    open_udp(rtp, udp);
    g_autofree char *transport = g_strdup_printf(
        "Transport: RTP/AVP;unicast;client_port=%u-%u\r\n", udp->port, udp->port + 1);
    load_rtsp_ask(&rtp->rtsp, "SETUP", rtp->controls[rtp->next_track++], transport, NULL);
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
    rtp->rtsp.on_closed = lost;
    rtp->rtsp.user = rtp;
    load_rtsp_open(&rtp->rtsp, viewer->loop, rtp->url);
    load_rtsp_ask(&rtp->rtsp, "DESCRIBE", rtp->url, "Accept: application/sdp\r\n", NULL);
}

static void keep_alive(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    if (rtp->url && viewer->playing)
        load_rtsp_ask(&rtp->rtsp, "GET_PARAMETER", rtp->base, "", NULL);
}

static void free_viewer(LoadViewer *viewer)
{
    RtpViewer *rtp = (RtpViewer *)viewer;
    hang_up(rtp);
    g_free(viewer->why);
    g_free(rtp->url);
    g_free(rtp);
}

static const LoadViewerKind kind = {
    .start = start, .stop = stop, .keep_alive = keep_alive, .free = free_viewer};

LoadViewer *load_rtp_viewer_new(const char *url, gboolean gro)
{
    RtpViewer *rtp = g_new0(RtpViewer, 1);
    rtp->viewer.kind = &kind;
    rtp->url = g_strdup(url);
    rtp->gro = gro;
    return &rtp->viewer;
}

LoadViewer *load_udp_viewer_new(LoadLoop *loop, gboolean gro, guint ret_ports[LOAD_TRACKS])
{
    RtpViewer *rtp = (RtpViewer *)load_rtp_viewer_new(NULL, gro);
    rtp->viewer.loop = loop;
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        open_udp(rtp, &rtp->udps[i]);
        ret_ports[i] = rtp->udps[i].port;
    }
    return &rtp->viewer;
}
