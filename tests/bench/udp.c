// SPDX-License-Identifier: MIT
#include "tests/bench/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 32
#define SLOT_BYTES 65536        // a train is at most that long
#define RECEIVE_BYTES (1 << 20) // a late join's burst fits
#define RTCP_BYTES (8 << 10)    // some sender reports
#define TRIES 200               // to find a pair of free ports

static guint8 slots[BATCH][SLOT_BYTES]; // one thread

static int bound(guint port, guint *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((guint16)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        load_die("socket: %s", g_strerror(errno));
    if (bind(fd, (struct sockaddr *)&at, size) < 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, (struct sockaddr *)&at, &size);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static void bind_pair(LoadUdp *udp)
{
    for (guint i = 0; i < TRIES; i++) {
        guint port, next;
        int fd = bound(0, &port);
        if (fd < 0)
            break;
        int other = bound(port ^ 1, &next);
        if (other < 0) {
            close(fd);
            continue;
        }
        udp->watch.fd = port & 1 ? other : fd;
        udp->rtcp.fd = port & 1 ? fd : other;
        udp->port = port & ~1u;
        return;
    }
    load_die("no free pair of UDP ports");
}

static void read_control(struct msghdr *message, gint64 *ret_at_ns, gsize *ret_segment)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            *ret_at_ns = (gint64)at.tv_sec * 1000000000 + at.tv_nsec;
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int segment;
            memcpy(&segment, CMSG_DATA(c), sizeof segment);
            *ret_segment = (gsize)segment;
        }
    }
}

static void give(LoadUdp *udp, const guint8 *data, gsize size, struct msghdr *message)
{
    gint64 at_ns = 0;
    gsize segment = size;
    read_control(message, &at_ns, &segment);
    if (!at_ns)
        at_ns = load_now_ns();
    for (gsize done = 0; done < size && segment; done += segment)
        udp->on_packet(udp->user, data + done, MIN(segment, size - done), at_ns);
}

static void on_ready(void *user, guint32 events)
{
    LoadUdp *udp = user;
    static char controls[BATCH][128];
    static struct iovec places[BATCH];
    static struct mmsghdr messages[BATCH];
    for (guint i = 0; i < BATCH; i++) {
        places[i] = (struct iovec){slots[i], SLOT_BYTES};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &places[i],
                                              .msg_iovlen = 1,
                                              .msg_control = controls[i],
                                              .msg_controllen = sizeof controls[i]};
    }
    int count = recvmmsg(udp->watch.fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < count; i++)
        give(udp, slots[i], messages[i].msg_len, &messages[i].msg_hdr);
}

static void on_rtcp_ready(void *user, guint32 events)
{
    LoadUdp *udp = user;
    char controls[128];
    struct iovec place = {slots[0], SLOT_BYTES};
    struct msghdr message = {.msg_iov = &place,
                             .msg_iovlen = 1,
                             .msg_control = controls,
                             .msg_controllen = sizeof controls};
    gint64 at_ns = 0;
    gsize segment;
    ssize_t got = recvmsg(udp->rtcp.fd, &message, MSG_DONTWAIT);
    if (got <= 0)
        return;
    read_control(&message, &at_ns, &segment);
    udp->on_rtcp(udp->user, slots[0], (gsize)got, at_ns ? at_ns : load_now_ns());
}

void load_udp_open(LoadUdp *udp, gboolean gro)
{
    int on = 1, bytes = RECEIVE_BYTES, few = RTCP_BYTES;
    bind_pair(udp);
    int fd = udp->watch.fd;
    setsockopt(udp->rtcp.fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(udp->rtcp.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (gro && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
        load_die("UDP_GRO: %s", g_strerror(errno));
    udp->watch.on_ready = on_ready;
    udp->watch.user = udp;
    udp->rtcp.on_ready = on_rtcp_ready;
    udp->rtcp.user = udp;
    udp->asleep = FALSE;
    load_loop_add(udp->loop, &udp->watch, EPOLLIN);
    if (udp->on_rtcp)
        load_loop_add(udp->loop, &udp->rtcp, EPOLLIN);
}

void load_udp_close(LoadUdp *udp)
{
    if (!udp->port)
        return;
    load_loop_close(udp->loop, &udp->watch);
    load_loop_close(udp->loop, &udp->rtcp);
    udp->port = 0;
}

void load_udp_sleep(LoadUdp *udp)
{
    if (udp->port && !udp->asleep)
        load_loop_change(udp->loop, &udp->watch, 0);
    udp->asleep = TRUE;
}
