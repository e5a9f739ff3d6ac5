// SPDX-License-Identifier: MIT
#include "relay/net/listener.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

// The bell: 1,000 players connect within a second.
#define BACKLOG 1024
// Out of descriptors or memory, or not allowed to: whoever waits to be accepted goes on waiting,
// and the descriptor stays readable. Wait before accepting again instead of spinning.
#define PAUSE_MS 100

struct _RelayListener {
    int fd;
    guint16 port;
    guint watch;
    RelayHosts *hosts;
    const char *refusal;
    void (*on_accept)(gpointer, int, const RelayAddress *);
    gpointer user;
};

static gboolean ready(gint fd, GIOCondition condition, gpointer data);

static gboolean resume(gpointer data)
{
    RelayListener *l = data;
    l->watch = g_unix_fd_add(l->fd, G_IO_IN, ready, l);
    return G_SOURCE_REMOVE;
}

static void take(RelayListener *l, int fd, const RelayAddress *peer)
{
    if (relay_hosts_admit(l->hosts, peer, fd, tk_clock_monotonic_ns())) {
        l->on_accept(l->user, fd, peer);
        return;
    }
    (void)!send(fd, l->refusal, strlen(l->refusal), MSG_NOSIGNAL);
    close(fd);
}

static gboolean pause_watch(RelayListener *l, int error)
{
    tk_warning("cannot accept a connection: %s; trying again%s", g_strerror(error),
               error == EMFILE || error == ENFILE ? " (raise LimitNOFILE)" : "");
    l->watch = g_timeout_add(PAUSE_MS, resume, l);
    return G_SOURCE_REMOVE;
}

static gboolean ready(gint fd, GIOCondition condition, gpointer data)
{
    RelayListener *l = data;
    for (;;) {
        RelayAddress peer = {.bytes = sizeof peer.to};
        int accepted =
            accept4(fd, (struct sockaddr *)&peer.to, &peer.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0)
            take(l, accepted, &peer);
        else if (errno == EAGAIN)
            return G_SOURCE_CONTINUE;
        else if (errno != EINTR && errno != ECONNABORTED)
            return pause_watch(l, errno);
    }
}

static int open_socket(const char *host, guint16 port, GError **error)
{
    RelayAddress address;
    if (!relay_address_parse(host, port, &address, error))
        return -1;
    int fd = socket(address.to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address.to, address.bytes) == 0 &&
        listen(fd, BACKLOG) == 0)
        return fd;
    g_set_error(error, TK_ERROR, TK_ERROR_IO,
                "cannot listen on TCP port %u of %s: %s (another port, or 0 for any, may help)",
                port, host, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

RelayListener *relay_listener_new(const char *host, guint16 port, RelayHosts *hosts,
                                  const char *refusal,
                                  void (*on_accept)(gpointer, int, const RelayAddress *),
                                  gpointer user, GError **error)
{
    int fd = open_socket(host, port, error);
    if (fd < 0)
        return NULL;
    RelayListener *listener = g_new0(RelayListener, 1);
    *listener = (RelayListener){.fd = fd,
                                .port = relay_address_bound_port(fd),
                                .hosts = hosts,
                                .refusal = refusal,
                                .on_accept = on_accept,
                                .user = user};
    listener->watch = g_unix_fd_add(fd, G_IO_IN, ready, listener);
    return listener;
}

void relay_listener_free(RelayListener *listener)
{
    if (!listener)
        return;
    g_source_remove(listener->watch);
    close(listener->fd);
    g_free(listener);
}

guint16 relay_listener_port(const RelayListener *listener)
{
    return listener->port;
}
