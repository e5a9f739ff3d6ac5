// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Reads a span of time: a whole number and s, m, h, d or w ("30d"), at most ten years.
gboolean ctl_span_parse(const char *text, gint64 *ret_seconds,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
