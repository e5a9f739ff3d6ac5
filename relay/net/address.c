// SPDX-License-Identifier: MIT
#include "relay/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/error.h"

static const struct sockaddr_in *in4(const RelayAddress *a)
{
    return (const struct sockaddr_in *)&a->to;
}

static const struct sockaddr_in6 *in6(const RelayAddress *a)
{
    return (const struct sockaddr_in6 *)&a->to;
}

guint relay_address_hash(gconstpointer address)
{
    const RelayAddress *a = address;
    if (a->to.ss_family == AF_INET)
        return in4(a)->sin_addr.s_addr * 31 + in4(a)->sin_port;
    guint hash = in6(a)->sin6_port;
    for (guint i = 0; i < 16; i++)
        hash = hash * 33 + in6(a)->sin6_addr.s6_addr[i];
    return hash;
}

gboolean relay_address_same_host(const RelayAddress *a, const RelayAddress *b)
{
    if (a->to.ss_family != b->to.ss_family)
        return FALSE;
    if (a->to.ss_family == AF_INET)
        return in4(a)->sin_addr.s_addr == in4(b)->sin_addr.s_addr;
    return memcmp(&in6(a)->sin6_addr, &in6(b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

gboolean relay_address_equal(gconstpointer a, gconstpointer b)
{
    return relay_address_same_host(a, b) && relay_address_port(a) == relay_address_port(b);
}

gboolean relay_address_is_loopback(const RelayAddress *address)
{
    if (address->to.ss_family == AF_INET)
        return ntohl(in4(address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&in6(address)->sin6_addr);
}

guint16 relay_address_port(const RelayAddress *address)
{
    return ntohs(address->to.ss_family == AF_INET ? in4(address)->sin_port
                                                  : in6(address)->sin6_port);
}

RelayAddress relay_address_with_port(const RelayAddress *address, guint16 port)
{
    RelayAddress result = *address;
    if (result.to.ss_family == AF_INET)
        ((struct sockaddr_in *)&result.to)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&result.to)->sin6_port = htons(port);
    return result;
}

char *relay_address_host_text(const RelayAddress *address)
{
    char host[INET6_ADDRSTRLEN] = "?";
    gboolean v4 = address->to.ss_family == AF_INET;
    inet_ntop(address->to.ss_family,
              v4 ? (const void *)&in4(address)->sin_addr : (const void *)&in6(address)->sin6_addr,
              host, sizeof host);
    return g_strdup(host);
}

char *relay_address_text(const RelayAddress *address)
{
    g_autofree char *host = relay_address_host_text(address);
    gboolean v4 = address->to.ss_family == AF_INET;
    return g_strdup_printf(v4 ? "%s:%u" : "[%s]:%u", host, relay_address_port(address));
}

gboolean relay_address_parse(const char *host, guint16 port, RelayAddress *ret, GError **error)
{
    RelayAddress address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address.to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address.to;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        address.bytes = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        address.bytes = sizeof *v6;
    } else {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "\"%s\" is not a numeric address; try 127.0.0.1, 0.0.0.0 or ::", host);
        return FALSE;
    }
    *ret = relay_address_with_port(&address, port);
    return TRUE;
}

guint16 relay_address_bound_port(int fd)
{
    RelayAddress address = {.bytes = sizeof address.to};
    getsockname(fd, (struct sockaddr *)&address.to, &address.bytes);
    return relay_address_port(&address);
}
