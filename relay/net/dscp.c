// SPDX-License-Identifier: MIT
#include "relay/net/dscp.h"

#include <netinet/in.h>
#include <sys/socket.h>

void relay_dscp_mark(int fd, guint dscp)
{
    int field = (int)dscp << 2; // beside it stands ECN, which is the kernel's
    if (!dscp)
        return;
    // A socket for IPv6 may send IPv4 as well; one for IPv4 refuses the second.
    (void)!setsockopt(fd, IPPROTO_IP, IP_TOS, &field, sizeof field);
    (void)!setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &field, sizeof field);
}
