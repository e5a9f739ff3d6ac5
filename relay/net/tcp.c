// SPDX-License-Identifier: MIT
#include "relay/net/tcp.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

// Bytes not yet on their way above which the kernel takes no more: half a second of a 2 Mbit/s
// lesson, and a keyframe of it whole. SO_SNDBUF stays the kernel's own, which grows with what the
// line holds: a fixed one would be too small for a long line or too large for a thin one.
#define NOTSENT_LOWAT_BYTES (128 << 10)

gboolean relay_tcp_tune(int fd, gboolean bbr)
{
    static const char name[] = "bbr";
    int lowat = NOTSENT_LOWAT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    return bbr && setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1) == 0;
}

gsize relay_tcp_unsent(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (gsize)bytes : 0;
}
