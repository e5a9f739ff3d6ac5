// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"
#include "relay/net/schools.h"

// The schools as a technician and a monitor see them. Main thread.

// The answer of GET /api/v1/schools (docs/api.md), the worst first. New reference.
json_t *relay_school_report_json(RelaySchools *schools, gint64 now_ns);
// In Prometheus' text format.
void relay_school_report_metrics(RelaySchools *schools, GString *out);
