// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/address.h"

// Which multicast groups this relay may send to, and which are given out. Nobody else chooses one.

// Each group has an address of its own and ports of its own: hosts that listen at a port hear all
// groups that anybody on them has joined.
typedef struct {
    guint32 first; // address of group 0, host byte order
    guint count;
    guint16 port; // of RTP of group 0's first track
} RelayGroupRange;

// RTP and RTCP of two tracks.
#define RELAY_GROUP_PORTS 4
// So many lessons at once fill a LAN of 1 Gbit/s at 2 Mbit/s each; the ports end near there, too.
#define RELAY_GROUPS_MAX 500

// "239.255.0.0/16": administratively scoped (RFC 2365), so that routers at the school's border keep
// it in.
gboolean relay_group_range_parse(const char *prefix, guint count, guint16 port,
                                 RelayGroupRange *ret, GError **error) G_GNUC_WARN_UNUSED_RESULT;

RelayAddress relay_group_range_address(const RelayGroupRange *range, guint group, guint track,
                                       gboolean rtcp);

typedef struct _RelayGroups RelayGroups;

RelayGroups *relay_groups_new(const RelayGroupRange *range);
void relay_groups_free(RelayGroups *groups);

// The number of a free group, the one that has been free longest: who has not noticed that a lesson
// is over does not see another one. FALSE: all are given out.
gboolean relay_groups_take(RelayGroups *groups, guint *ret_group) G_GNUC_WARN_UNUSED_RESULT;
void relay_groups_give_back(RelayGroups *groups, guint group);
