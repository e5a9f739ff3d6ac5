// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Cameras, screens and microphones of this machine, a line each, beginning with what --source or
// --audio takes. Newly allocated; waits for the system's device monitors (about a second).
char *cap_devices_list(void);
