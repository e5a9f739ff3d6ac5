// SPDX-License-Identifier: MIT
#include "relay/net/origin.h"

#include <string.h>

#include "relay/net/address.h"

// The host in "host", "host:port", "[::1]:port".
static char *host_part(const char *authority)
{
    if (*authority == '[') {
        const char *end = strchr(authority, ']');
        return end ? g_strndup(authority + 1, (gsize)(end - authority - 1)) : g_strdup("");
    }
    return g_strndup(authority, strcspn(authority, ":"));
}

static gboolean is_this_machine(const char *host)
{
    RelayAddress address;
    return g_ascii_strcasecmp(host, "localhost") == 0 ||
           (relay_address_parse(host, 0, &address, NULL) && relay_address_is_loopback(&address));
}

gboolean relay_origin_trusted(const char *origin, const char *host, gboolean changes,
                              gboolean door_is_open)
{
    if (!door_is_open) // a token is shown, and no browser adds it by itself
        return TRUE;
    g_autofree char *own = host ? host_part(host) : NULL;
    if (own && !is_this_machine(own))
        return FALSE;
    if (!origin || !changes)
        return TRUE;
    const char *authority = strstr(origin, "://");
    g_autofree char *from = authority ? host_part(authority + 3) : NULL;
    return from && is_this_machine(from);
}
