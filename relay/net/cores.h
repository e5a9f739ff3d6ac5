// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Which processor cores threads are bound to. A thread inherits its starter's: so the starter moves
// to a core, starts the thread, and goes back.
typedef struct _RelayCores RelayCores;

// "false": none. "true": each that this process may use. Otherwise their numbers, separated by
// commas; each has to be one of those. NULL: error set.
RelayCores *relay_cores_new(const char *text, GError **error);
void relay_cores_free(RelayCores *cores);

// The calling thread moves to the next core in turn; does nothing without any.
gboolean relay_cores_enter_next(RelayCores *cores, GError **error) G_GNUC_WARN_UNUSED_RESULT;
// Back to all that it had at first.
void relay_cores_leave(RelayCores *cores);
