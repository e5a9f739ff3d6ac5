// SPDX-License-Identifier: MIT
#include "relay/net/group_sender.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/media/rtcp.h"

#define REPORT_BYTES_MAX 1500
// Datagrams per round: others on the worker's loop get their turn in between.
#define REPORTS_PER_ROUND 16
#define LOSSY_OF_256 13 // 5 %

// Where a track's receivers report.
typedef struct {
    RelayWatch watch;
    RelayGroupReports *reports;
} Ear;

struct _RelayGroupSender {
    RelayGroupSenderSpec spec; // with a reference of the stream
    RelayRtpViewer *viewer;
    Ear ears[RELAY_INPUT_TRACKS_MAX]; // fd -1: deaf
};

static void note_report(RelayGroupReports *reports, const guint8 *data, gsize size)
{
    TkRtcp rtcp;
    for (gsize offset = 0; tk_rtcp_next(data, size, &offset, &rtcp);) {
        if (rtcp.type != TK_RTCP_RECEIVER_REPORT || rtcp.reports_count == 0)
            continue;
        relay_stat_add(reports->reports, 1);
        if (rtcp.reports[0].fraction_lost >= LOSSY_OF_256)
            relay_stat_add(reports->lossy, 1);
        return;
    }
}

static void listen_to(RelayWatch *watch, guint32 epoll_events)
{
    Ear *ear = (Ear *)watch;
    guint8 data[REPORT_BYTES_MAX];
    for (guint i = 0; i < REPORTS_PER_ROUND; i++) {
        gssize size = recv(watch->fd, data, sizeof data, MSG_DONTWAIT);
        if (size < 0)
            return;
        note_report(ear->reports, data, (gsize)size);
    }
}

// Bound to the group's address: what is sent to this host alone does not come in here.
static int open_ear(const RelayAddress *group, const RelayAddress *interface)
{
    const struct sockaddr_in *to = (const struct sockaddr_in *)&group->to;
    const struct sockaddr_in *here = (const struct sockaddr_in *)&interface->to;
    struct ip_mreqn membership = {.imr_multiaddr = to->sin_addr, .imr_address = here->sin_addr};
    int on = 1, off = 0, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &off, sizeof off) == 0 &&
        bind(fd, (const struct sockaddr *)&group->to, group->bytes) == 0 &&
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) == 0)
        return fd;
    tk_warning("cannot hear what the receivers of a group report: %s (their reports are not "
               "counted)",
               g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static void leave(RelayGroupSender *s)
{
    if (s->viewer)
        relay_fanout_leave(s->spec.fanout, g_steal_pointer(&s->viewer));
}

static void on_viewer_gone(gpointer user, const char *reason)
{
    RelayGroupSender *s = user;
    leave(s);
    s->spec.on_gone(s->spec.user, s->spec.id, reason);
}

static void start(gpointer owner, gpointer data)
{
    RelayGroupSender *s = data;
    RelayViewerSpec viewer = {.group = TRUE, .on_gone = on_viewer_gone, .user = s};
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        viewer.tracks[track] = (RelayViewerTrack){
            .enabled = TRUE, .rtp = s->spec.rtp[track], .rtcp = s->spec.rtcp[track]};
        Ear *ear = &s->ears[track];
        if (ear->watch.fd < 0 || relay_worker_watch(s->spec.worker, &ear->watch, EPOLLIN, NULL))
            continue;
        close(ear->watch.fd);
        ear->watch.fd = -1;
    }
    gboolean full; // never: what stays in a LAN is not limited
    s->viewer = relay_fanout_join(s->spec.fanout, s->spec.stream, &viewer, &full);
    if (!s->viewer)
        s->spec.on_gone(s->spec.user, s->spec.id, "ended");
}

RelayGroupSender *relay_group_sender_start(const RelayGroupSenderSpec *spec)
{
    RelayGroupSender *s = g_new0(RelayGroupSender, 1);
    s->spec = *spec;
    relay_stream_ref(s->spec.stream);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        int fd = open_ear(&spec->rtcp[track], &spec->interface);
        s->ears[track] = (Ear){{.fd = fd, .ready = listen_to}, spec->reports};
    }
    relay_worker_post(spec->worker, start, s);
    return s;
}

static void greet(gpointer owner, gpointer data)
{
    RelayGroupSender *s = data;
    if (s->viewer)
        relay_rtp_viewer_report(s->viewer);
}

void relay_group_sender_greet(RelayGroupSender *sender)
{
    relay_worker_post(sender->spec.worker, greet, sender);
}

static void stop(gpointer owner, gpointer data)
{
    RelayGroupSender *s = data;
    leave(s);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        Ear *ear = &s->ears[track];
        if (ear->watch.fd < 0)
            continue;
        relay_worker_unwatch(s->spec.worker, &ear->watch);
        close(ear->watch.fd);
    }
    relay_stream_unref(s->spec.stream);
    g_free(s);
}

void relay_group_sender_stop(RelayGroupSender *sender)
{
    if (sender)
        relay_worker_post(sender->spec.worker, stop, sender);
}
