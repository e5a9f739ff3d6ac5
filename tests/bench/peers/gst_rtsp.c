// SPDX-License-Identifier: MIT
// GStreamer's RTSP server with one shared lesson at /lesson, which comes as RTP to PORT (picture)
// and PORT + 2 (sound).
#include <gst/rtsp-server/rtsp-server.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/lesson.h"

static char *launch_line(guint port)
{
    g_autofree char *sps = g_base64_encode(load_sps, sizeof load_sps);
    g_autofree char *pps = g_base64_encode(load_pps, sizeof load_pps);
    return g_strdup_printf(
        "( udpsrc port=%u buffer-size=4000000 caps=\"application/x-rtp,media=video,"
        "clock-rate=90000,encoding-name=H264,payload=%d,packetization-mode=(string)1,"
        "sprop-parameter-sets=(string)\\\"%s,%s\\\"\" ! rtph264depay ! "
        "rtph264pay name=pay0 pt=%d mtu=%d config-interval=0 "
        "udpsrc port=%u caps=\"application/x-rtp,media=audio,clock-rate=%d,"
        "encoding-name=MPEG4-GENERIC,encoding-params=(string)1,payload=%d,streamtype=(string)5,"
        "mode=(string)AAC-hbr,sizelength=(string)13,indexlength=(string)3,"
        "indexdeltalength=(string)3,config=(string)%02x%02x\" ! rtpmp4gdepay ! "
        "rtpmp4gpay name=pay1 pt=%d )",
        port, LOAD_VIDEO_TYPE, sps, pps, LOAD_VIDEO_TYPE, LOAD_PACKET_BYTES, port + 2,
        LOAD_SOUND_RATE, LOAD_SOUND_TYPE, load_aac_config[0], load_aac_config[1],
        LOAD_SOUND_TYPE);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    if (argc != 2) {
        fputs("usage: tongke-gst-rtsp PORT\n", stderr);
        return 2;
    }
    g_autofree char *line = launch_line((guint)strtoul(argv[1], NULL, 10));
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    GstRTSPServer *server = gst_rtsp_server_new();
    GstRTSPMountPoints *mounts = gst_rtsp_server_get_mount_points(server);
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    gst_rtsp_media_factory_set_launch(factory, line);
    gst_rtsp_media_factory_set_shared(factory, TRUE);
    gst_rtsp_mount_points_add_factory(mounts, "/lesson", factory);
    g_object_unref(mounts);
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, "0");
    gst_rtsp_server_set_backlog(server, 1024);
    if (!gst_rtsp_server_attach(server, NULL))
        return EXIT_FAILURE;
    printf("listening %d\n", gst_rtsp_server_get_bound_port(server));
    fflush(stdout);
    g_main_loop_run(loop);
    return EXIT_SUCCESS;
}
