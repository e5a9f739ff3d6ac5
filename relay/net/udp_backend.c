// SPDX-License-Identifier: MIT
#include "relay/net/udp_backend.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include "common/base/error.h"

static int send_many(int fd, struct mmsghdr *messages, guint count)
{
    int sent = sendmmsg(fd, messages, count, 0);
    return sent < 0 ? -errno : sent;
}

// A sandbox may forbid the call.
static gboolean many_work(int fd)
{
    return sendmmsg(fd, NULL, 0, 0) == 0;
}

static gboolean trains_work(int fd)
{
    int none = 0;
    return many_work(fd) && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
}

static int send_each(int fd, struct mmsghdr *messages, guint count)
{
    for (guint i = 0; i < count; i++) {
        const struct msghdr *message = &messages[i].msg_hdr;
        if (sendmsg(fd, message, 0) < 0)
            return i ? (int)i : -errno;
    }
    return (int)count;
}

static gboolean each_works(int fd)
{
    return TRUE;
}

static const RelayUdpBackend backends[] = {
    {"gso", TRUE, trains_work, send_many},
    {"sendmmsg", FALSE, many_work, send_many},
    {"sendto", FALSE, each_works, send_each},
};

const RelayUdpBackend *relay_udp_backend_choose(const char *name, int fd, GError **error)
{
    gboolean any = g_str_equal(name, "auto");
    for (guint i = 0; i < G_N_ELEMENTS(backends); i++)
        if ((any || g_str_equal(name, backends[i].name)) && backends[i].works(fd))
            return &backends[i];
    g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                "udp.backend = %s does not work on this system; auto takes what does", name);
    return NULL;
}

const RelayUdpBackend *relay_udp_backend_next(const RelayUdpBackend *backend)
{
    return backend + 1 < backends + G_N_ELEMENTS(backends) ? backend + 1 : NULL;
}
