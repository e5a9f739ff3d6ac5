// SPDX-License-Identifier: MIT
#pragma once

#include <gio/gio.h>

// Gives the library what it lacks of the lessons whose copies lie here (docs/api.md).

typedef struct {
    const char *folder;  // of the copies
    const char *library; // URL; NULL: the relay is asked
    const char *web;     // the relay's URL for that; NULL: port 8080 of the host that was sent to
    const char *token;   // may be NULL
    gint64 for_ns;       // at most so long
    gboolean at_once;    // leave when nobody can be reached at the first try
} CapDelivery;

// Until all is delivered, the time is over, or cancelled. Blocks: for a thread of its own. FALSE:
// something is left for another time; what and why has been logged.
gboolean cap_deliver(const CapDelivery *delivery, GCancellable *cancellable);
