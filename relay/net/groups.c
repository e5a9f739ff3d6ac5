// SPDX-License-Identifier: MIT
#include "relay/net/groups.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "common/base/error.h"

#define SCOPED_FIRST 0xef000000u // 239.0.0.0/8
#define PREFIX_BITS_MIN 8
#define PREFIX_BITS_MAX 30
// What of a group's address is in its Ethernet address (RFC 1112 section 6.4).
#define ETHERNET_BITS 0x7fffffu

G_GNUC_PRINTF(2, 3)
static gboolean refuse(GError **error, const char *form, ...)
{
    va_list arguments;
    va_start(arguments, form);
    g_autofree char *text = g_strdup_vprintf(form, arguments);
    va_end(arguments);
    g_set_error_literal(error, TK_ERROR, TK_ERROR_CONFIG, text);
    return FALSE;
}

static gboolean parse_prefix(const char *prefix, guint32 *ret_first, guint *ret_bits,
                             GError **error)
{
    g_auto(GStrv) halves = g_strsplit(prefix, "/", 2);
    struct in_addr address;
    guint64 bits;
    if (!halves[0] || !halves[1] || inet_pton(AF_INET, halves[0], &address) != 1 ||
        !g_ascii_string_to_unsigned(halves[1], 10, 0, 32, &bits, NULL))
        return refuse(error, "multicast.groups = %s: write ADDRESS/BITS, as 239.255.0.0/16",
                      prefix);
    *ret_first = ntohl(address.s_addr);
    *ret_bits = (guint)bits;
    return TRUE;
}

gboolean relay_group_range_parse(const char *prefix, guint count, guint16 port,
                                 RelayGroupRange *ret, GError **error)
{
    guint32 first = 0;
    guint bits = 0;
    if (!parse_prefix(prefix, &first, &bits, error))
        return FALSE;
    if ((first & 0xff000000u) != SCOPED_FIRST || bits < PREFIX_BITS_MIN)
        return refuse(error,
                      "multicast.groups = %s is not inside 239.0.0.0/8, the groups that stay "
                      "within a site (RFC 2365)",
                      prefix);
    if (bits > PREFIX_BITS_MAX || first << bits != 0)
        return refuse(error,
                      "multicast.groups = %s: the address must be the range's first, with %u to "
                      "%u BITS",
                      prefix, PREFIX_BITS_MIN, PREFIX_BITS_MAX);
    if ((first & ETHERNET_BITS) == 0)
        return refuse(error,
                      "multicast.groups = %s: switches take its first groups for 224.0.0.x and "
                      "send them to every port; try 239.255.0.0/16",
                      prefix);
    if (count > (1u << (32 - bits)) - 1)
        return refuse(error, "multicast.groups = %s holds less than multicast.groups_max = %u",
                      prefix, count);
    if (port % 2 != 0 || port + count * RELAY_GROUP_PORTS > G_MAXUINT16)
        return refuse(error,
                      "multicast.port = %u must be even, with %u ports for each of %u groups "
                      "from there on",
                      port, RELAY_GROUP_PORTS, count);
    *ret = (RelayGroupRange){.first = first + 1, .count = count, .port = port};
    return TRUE;
}

RelayAddress relay_group_range_address(const RelayGroupRange *range, guint group, guint track,
                                       gboolean rtcp)
{
    RelayAddress address = {.bytes = sizeof(struct sockaddr_in)};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address.to;
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(range->first + group);
    v4->sin_port =
        htons((guint16)(range->port + group * RELAY_GROUP_PORTS + track * 2 + (rtcp ? 1 : 0)));
    return address;
}

struct _RelayGroups {
    GQueue idle; // numbers, longest free first
};

RelayGroups *relay_groups_new(const RelayGroupRange *range)
{
    RelayGroups *groups = g_new(RelayGroups, 1);
    g_queue_init(&groups->idle);
    for (guint group = 0; group < range->count; group++)
        relay_groups_give_back(groups, group);
    return groups;
}

void relay_groups_free(RelayGroups *groups)
{
    if (!groups)
        return;
    g_queue_clear(&groups->idle);
    g_free(groups);
}

gboolean relay_groups_take(RelayGroups *groups, guint *ret_group)
{
    if (g_queue_is_empty(&groups->idle))
        return FALSE;
    *ret_group = GPOINTER_TO_UINT(g_queue_pop_head(&groups->idle));
    return TRUE;
}

void relay_groups_give_back(RelayGroups *groups, guint group)
{
    g_queue_push_tail(&groups->idle, GUINT_TO_POINTER(group));
}
