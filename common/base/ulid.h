// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// ULIDs (github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in 26 Crockford
// base-32 characters; they sort by time of creation. A lesson's id, live and archived.
#define TK_ULID_LENGTH 26

// A fresh id for `wall_ns`. Newly allocated.
char *tk_ulid_new(gint64 wall_ns);

// Upper-case canonical form only.
gboolean tk_ulid_valid(const char *text);

// The time inside a valid id, nanoseconds since 1970.
gint64 tk_ulid_wall_ns(const char *ulid);
