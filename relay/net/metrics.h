// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/hosts.h"
#include "relay/net/lessons.h"
#include "relay/net/multicast.h"
#include "relay/net/schools.h"
#include "relay/net/web.h"

// Everything countable in Prometheus' text format. `multicast` may be NULL. Main thread. Newly
// allocated.
char *relay_metrics_text(RelayLessons *lessons, const RelayHandoff *handoff,
                         const RelayIngest *ingest, const RelayUdp *pairs,
                         const RelayMulticast *multicast, const RelayHosts *hosts,
                         RelaySchools *schools);
