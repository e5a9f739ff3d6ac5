// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// All times inside are nanoseconds; all times outside are RFC 3339 with an offset.
#define TK_NS_PER_MS G_GINT64_CONSTANT(1000000)
#define TK_NS_PER_S G_GINT64_CONSTANT(1000000000)

// CLOCK_MONOTONIC: for intervals and deadlines.
gint64 tk_clock_monotonic_ns(void);

// CLOCK_REALTIME, nanoseconds since 1970-01-01T00:00:00Z: for labels on media and records.
gint64 tk_clock_wall_ns(void);

// 64-bit NTP timestamp (RFC 5905 section 6: seconds since 1900 in the upper half) and back.
guint64 tk_clock_ntp_from_wall(gint64 wall_ns);
gint64 tk_clock_wall_from_ntp(guint64 ntp);

// "2026-11-22T10:05:00.123+08:00" in the machine's time zone. Newly allocated.
char *tk_clock_format_rfc3339(gint64 wall_ns);

// Reads RFC 3339 (any offset, or "Z") or a bare date "2026-11-22" (midnight, local zone).
gboolean tk_clock_parse_rfc3339(const char *text, gint64 *ret_wall_ns, GError **error)
    G_GNUC_WARN_UNUSED_RESULT;
