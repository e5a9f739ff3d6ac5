// SPDX-License-Identifier: MIT
#include "relay/net/ports.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/error.h"

#define TRIES 32
// A burst of two seconds of history at the full rate has to fit until the loop comes round.
#define RECEIVE_BYTES (4 << 20)

static int open_at(const RelayAddress *local, guint16 port)
{
    RelayAddress address = relay_address_with_port(local, port);
    int fd = socket(address.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int bytes = RECEIVE_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    if (bind(fd, (const struct sockaddr *)&address.to, address.bytes) == 0)
        return fd;
    close(fd);
    return -1;
}

// RTP on an even port, RTCP on the next (RFC 3550 section 11).
static gboolean open_pair(RelayPorts *p, const RelayAddress *local)
{
    p->fds[0] = open_at(local, 0);
    guint16 port = p->fds[0] >= 0 ? relay_address_bound_port(p->fds[0]) : 0;
    if (port && port % 2 == 0 && (p->fds[1] = open_at(local, port + 1)) >= 0) {
        p->ports[0] = port;
        p->ports[1] = port + 1;
        return TRUE;
    }
    if (p->fds[0] >= 0)
        close(p->fds[0]);
    p->fds[0] = -1;
    return FALSE;
}

RelayPorts *relay_ports_new(const RelayAddress *local, GError **error)
{
    RelayPorts *ports = g_new0(RelayPorts, 1);
    *ports = (RelayPorts){.refs = 1, .fds = {-1, -1}};
    for (guint i = 0; i < TRIES; i++)
        if (open_pair(ports, local))
            return ports;
    relay_ports_unref(ports);
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "no pair of UDP ports is free");
    return NULL;
}

gboolean relay_ports_connect(RelayPorts *ports, const RelayAddress *rtp, const RelayAddress *rtcp,
                             GError **error)
{
    static const guint8 empty_rtp[12] = {0x80, 127};         // version 2, no payload
    static const guint8 empty_report[8] = {0x80, 201, 0, 1}; // a receiver report on nobody
    const RelayAddress *to[2] = {rtp, rtcp};
    for (guint i = 0; i < 2; i++) {
        if (connect(ports->fds[i], (const struct sockaddr *)&to[i]->to, to[i]->bytes) < 0) {
            g_set_error(error, TK_ERROR, TK_ERROR_IO, "UDP: %s", g_strerror(errno));
            return FALSE;
        }
    }
    (void)!send(ports->fds[0], empty_rtp, sizeof empty_rtp, MSG_NOSIGNAL);
    (void)!send(ports->fds[1], empty_report, sizeof empty_report, MSG_NOSIGNAL);
    return TRUE;
}

RelayPorts *relay_ports_ref(RelayPorts *ports)
{
    if (ports)
        g_atomic_int_inc(&ports->refs);
    return ports;
}

void relay_ports_unref(RelayPorts *ports)
{
    if (!ports || !g_atomic_int_dec_and_test(&ports->refs))
        return;
    for (guint i = 0; i < 2; i++)
        if (ports->fds[i] >= 0)
            close(ports->fds[i]);
    g_free(ports);
}
