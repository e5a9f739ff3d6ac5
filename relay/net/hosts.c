// SPDX-License-Identifier: MIT
#include "relay/net/hosts.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"

// A host at its bound is looked through no more often, however fast it knocks.
#define LOOK_INTERVAL_NS (TK_NS_PER_S / 10)
// Connections remembered before those that are closed by now are looked for.
#define REMEMBERED_MIN 1024

// A socket's inode number is used by no other while it is open: whether a connection still is can
// be seen without being told by the thread that closes it.
typedef struct {
    int fd;
    ino_t inode;
} Connection;

typedef struct {
    RelayAddress address; // without port
    GArray *connections;
    gint64 looked_ns;
    gboolean warned;
} Host;

struct _RelayHosts {
    guint connections_max;
    GHashTable *hosts; // address in Host -> Host, owned
    guint remembered, look_at;
    guint64 refused;
};

static void host_free(gpointer data)
{
    Host *host = data;
    g_array_unref(host->connections);
    g_free(host);
}

RelayHosts *relay_hosts_new(guint connections_max)
{
    RelayHosts *h = g_new0(RelayHosts, 1);
    h->connections_max = connections_max;
    h->hosts = g_hash_table_new_full(relay_address_hash, relay_address_equal, NULL, host_free);
    h->look_at = REMEMBERED_MIN;
    return h;
}

void relay_hosts_free(RelayHosts *hosts)
{
    if (!hosts)
        return;
    g_hash_table_unref(hosts->hosts);
    g_free(hosts);
}

static RelayAddress host_of(const RelayAddress *peer)
{
    RelayAddress host = relay_address_with_port(peer, 0);
    if (host.to.ss_family != AF_INET6)
        return host;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&host.to;
    if (!IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        memset(v6->sin6_addr.s6_addr + 8, 0, 8);
        return host;
    }
    RelayAddress mapped = {.bytes = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&mapped.to;
    v4->sin_family = AF_INET;
    memcpy(&v4->sin_addr, v6->sin6_addr.s6_addr + 12, 4);
    return mapped;
}

static gboolean is_open(const Connection *connection)
{
    struct stat now;
    return fstat(connection->fd, &now) == 0 && S_ISSOCK(now.st_mode) &&
           now.st_ino == connection->inode;
}

static void forget_closed(RelayHosts *h, Host *host)
{
    for (guint i = host->connections->len; i-- > 0;) {
        if (is_open(&g_array_index(host->connections, Connection, i)))
            continue;
        g_array_remove_index_fast(host->connections, i);
        h->remembered--;
    }
}

static void look_through_all(RelayHosts *h)
{
    GHashTableIter iter;
    Host *host;
    g_hash_table_iter_init(&iter, h->hosts);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&host)) {
        forget_closed(h, host);
        if (host->connections->len == 0)
            g_hash_table_iter_remove(&iter);
    }
    h->look_at = MAX(h->remembered * 2, REMEMBERED_MIN);
}

static Host *find(RelayHosts *h, const RelayAddress *address)
{
    Host *host = g_hash_table_lookup(h->hosts, address);
    if (host)
        return host;
    host = g_new0(Host, 1);
    host->address = *address;
    host->connections = g_array_new(FALSE, FALSE, sizeof(Connection));
    g_hash_table_insert(h->hosts, &host->address, host);
    return host;
}

static gboolean refuse(RelayHosts *h, Host *host)
{
    h->refused++;
    if (host->warned)
        return FALSE;
    host->warned = TRUE;
    g_autofree char *text = relay_address_host_text(&host->address);
    TkLogFields fields = {.peer = text};
    tk_log(TK_LOG_WARNING, &fields,
           "refusing connections: this host has %u, as many as limits.connections_per_host allows",
           host->connections->len);
    return FALSE;
}

gboolean relay_hosts_admit(RelayHosts *hosts, const RelayAddress *peer, int fd, gint64 now_ns)
{
    RelayHosts *h = hosts;
    RelayAddress address = host_of(peer);
    struct stat now;
    if (relay_address_is_loopback(&address) || relay_address_is_loopback(peer) ||
        fstat(fd, &now) != 0)
        return TRUE;
    if (h->remembered >= h->look_at)
        look_through_all(h);
    Host *host = find(h, &address);
    if (host->connections->len >= h->connections_max &&
        now_ns - host->looked_ns >= LOOK_INTERVAL_NS) {
        host->looked_ns = now_ns;
        forget_closed(h, host);
    }
    if (host->connections->len >= h->connections_max)
        return refuse(h, host);
    if (host->connections->len < h->connections_max / 2)
        host->warned = FALSE;
    Connection connection = {fd, now.st_ino};
    g_array_append_val(host->connections, connection);
    h->remembered++;
    return TRUE;
}

guint64 relay_hosts_refused(const RelayHosts *hosts)
{
    return hosts->refused;
}

guint relay_hosts_remembered(const RelayHosts *hosts)
{
    return hosts->remembered;
}
