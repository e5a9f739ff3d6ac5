// SPDX-License-Identifier: MIT
#include "relay/net/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "relay/net/stream.h"

// Kernel buffers: bursts of 1,000 viewers out, keyframes of 40 senders in. The kernel cuts them to
// net.core.{r,w}mem_max without complaint.
#define SOCKET_BUFFER_BYTES (8 << 20)
// How often a free pair is looked for: the kernel gives odd ports as well, and the next one up may
// be taken.
#define PAIR_ATTEMPTS 100

static void set_option(int fd, int level, int option, int value)
{
    // All of these only make things cheaper.
    (void)!setsockopt(fd, level, option, &value, sizeof value);
}

static int open_socket(const char *host, guint16 port, gboolean shared, GError **error)
{
    RelayAddress address;
    if (!relay_address_parse(host, port, &address, error))
        return -1;
    int fd = socket(address.to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && shared)
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, TRUE);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address.to, address.bytes) == 0) {
        set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_BYTES);
        set_option(fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_BYTES);
        set_option(fd, IPPROTO_UDP, UDP_GRO, TRUE);
        return fd;
    }
    g_set_error(error, TK_ERROR, TK_ERROR_IO,
                "cannot open UDP port %u on %s: %s (another even rtsp.rtp_port, or 0, may help)",
                port, host, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static gboolean open_pair(RelayUdp *udp, const char *host, guint16 port, gboolean shared,
                          GError **error)
{
    *udp = (RelayUdp){.rtp_fd = open_socket(host, port, shared, error), .rtcp_fd = -1};
    if (udp->rtp_fd < 0)
        return FALSE;
    udp->port = relay_address_bound_port(udp->rtp_fd);
    if (udp->port % 2 != 0)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "rtsp.rtp_port must be even, not %u",
                    udp->port);
    else
        udp->rtcp_fd = open_socket(host, udp->port + 1, shared, error);
    if (udp->rtcp_fd >= 0) {
        set_option(udp->rtcp_fd, SOL_SOCKET, SO_TIMESTAMPNS, TRUE); // for round trips
        return TRUE;
    }
    relay_udp_close(udp);
    return FALSE;
}

static gboolean open_first(RelayUdp *udp, const char *host, guint16 port, GError **error)
{
    g_autoptr(GError) last = NULL;
    guint attempts = port ? 1 : PAIR_ATTEMPTS;
    while (attempts-- > 0) {
        g_clear_error(&last);
        if (open_pair(udp, host, port, FALSE, &last))
            return TRUE;
    }
    g_propagate_error(error, g_steal_pointer(&last));
    return FALSE;
}

// Of all sockets bound to a port the one that was bound first gets what comes in.
static gboolean steer_to_first(int fd, GError **error)
{
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    struct sock_fprog program = {.len = G_N_ELEMENTS(code), .filter = code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0)
        return TRUE;
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "SO_ATTACH_REUSEPORT_CBPF: %s", g_strerror(errno));
    return FALSE;
}

static gboolean open_beside(RelayUdp *pairs, guint count, const char *host, GError **error)
{
    // Only now: a port that another program has would have been shared with it unnoticed.
    set_option(pairs->rtp_fd, SOL_SOCKET, SO_REUSEPORT, TRUE);
    set_option(pairs->rtcp_fd, SOL_SOCKET, SO_REUSEPORT, TRUE);
    for (guint i = 1; i < count; i++)
        if (!open_pair(&pairs[i], host, pairs->port, TRUE, error))
            return FALSE;
    return steer_to_first(pairs->rtp_fd, error) && steer_to_first(pairs->rtcp_fd, error);
}

static void share_first(RelayUdp *pairs, guint count)
{
    for (guint i = 1; i < count; i++) {
        relay_udp_close(&pairs[i]);
        pairs[i] = *pairs;
        pairs[i].rtp_fd = fcntl(pairs->rtp_fd, F_DUPFD_CLOEXEC, 0);
        pairs[i].rtcp_fd = fcntl(pairs->rtcp_fd, F_DUPFD_CLOEXEC, 0);
    }
}

gboolean relay_udp_open(RelayUdp *pairs, guint count, const char *host, guint16 port,
                        const char *backend, GError **error)
{
    for (guint i = 0; i < count; i++)
        pairs[i] = RELAY_UDP_NONE;
    if (!open_first(pairs, host, port, error))
        return FALSE;
    const RelayUdpBackend *chosen = relay_udp_backend_choose(backend, pairs->rtp_fd, error);
    if (!chosen) {
        relay_udp_close(pairs);
        return FALSE;
    }
    g_autoptr(GError) alone = NULL;
    if (count > 1 && !open_beside(pairs, count, host, &alone)) {
        tk_warning("packet workers cannot have UDP sockets of their own (%s): they share one pair",
                   alone->message);
        share_first(pairs, count);
    }
    for (guint i = 0; i < count; i++)
        pairs[i].backend = chosen;
    tk_info("RTP leaves by %s", chosen->name);
    return TRUE;
}

void relay_udp_close(RelayUdp *udp)
{
    if (udp->rtp_fd >= 0)
        close(udp->rtp_fd);
    if (udp->rtcp_fd >= 0)
        close(udp->rtcp_fd);
    udp->rtp_fd = udp->rtcp_fd = -1;
}

const RelayUdpBackend *relay_udp_backend(const RelayUdp *udp)
{
    return relay_stat_get(udp->backend);
}

void relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet)
{
    // A lost report is made up for by the next one.
    (void)!sendto(udp->rtcp_fd, packet->data, packet->len, 0, (const struct sockaddr *)&to->to,
                  to->bytes);
}
