// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/lessons.h"
#include "relay/net/web.h"

// Everything countable in Prometheus' text format. Main thread. Newly allocated.
char *relay_metrics_text(RelayLessons *lessons, const RelayHandoff *handoff,
                         const RelayIngest *ingest, const RelayUdp *pairs);
