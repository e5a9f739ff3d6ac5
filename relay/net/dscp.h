// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What leaves by `fd` says of which traffic class it is (RFC 2474: 0 to 63), so that routers of a
// school or a county may let lessons go first. 0: as the system does it. A hint: where the kernel
// refuses it, nothing is marked.
void relay_dscp_mark(int fd, guint dscp);
