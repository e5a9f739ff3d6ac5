// SPDX-License-Identifier: MIT
#include "relay/net/tcp.h"

#include <linux/sockios.h>
#include <linux/tcp.h> // glibc's knows less of struct tcp_info
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

// Bytes not yet on their way above which the kernel says that it has no room: an eighth of a second
// of a 2 Mbit/s lesson, and half a second of a line that carries the smaller one. SO_SNDBUF stays
// the kernel's own, which grows with what the line holds: a fixed one would be too small for a long
// line or too large for a thin one.
#define NOTSENT_LOWAT_BYTES (32 << 10)

// A line that stood still is asked at ever longer intervals whether it is well again, 2 s after 3
// and 4 s after 7, while a class waits. Linux 6.15 and later can ask once a second at least; it
// would then also give up after 15 tries, and a minute, as for whoever is silent, is what we mean;
// that is also how long one may read nothing at all.
#ifndef TCP_RTO_MAX_MS
#define TCP_RTO_MAX_MS 44
#endif
#define RTO_MAX_MS 1000
#define GIVE_UP_MS 60000

static gboolean set_congestion(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

void relay_tcp_insist(int fd)
{
    int rto_max_ms = RTO_MAX_MS, give_up_ms = GIVE_UP_MS;
    if (setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS, &rto_max_ms, sizeof rto_max_ms) == 0)
        setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &give_up_ms, sizeof give_up_ms);
}

gboolean relay_tcp_tune(int fd, gboolean bbr)
{
    int lowat = NOTSENT_LOWAT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    relay_tcp_insist(fd);
    return bbr && set_congestion(fd, "bbr");
}

void relay_tcp_look(int fd, RelayTcpLine *ret)
{
    struct tcp_info info = {0}; // what an older kernel does not tell stays 0
    socklen_t size = sizeof info;
    *ret = (RelayTcpLine){0};
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return;
    ret->passes_bps = (gint64)MIN(info.tcpi_delivery_rate, G_MAXINT64 / 8) * 8;
    ret->round_ns = (gint64)info.tcpi_rtt * 1000;
    if (info.tcpi_data_segs_out)
        ret->loss_ppm = (gint64)info.tcpi_total_retrans * 1000000 / info.tcpi_data_segs_out;
}

void relay_tcp_hurry(int fd)
{
    char name[16] = "";
    socklen_t size = sizeof name;
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) == 0 &&
        strncmp(name, "bbr", sizeof name) == 0 && set_congestion(fd, "reno"))
        set_congestion(fd, "bbr");
}

gsize relay_tcp_unsent(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (gsize)bytes : 0;
}
