// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// What all units that live take, in bytes of the heap; counted by the linker's --wrap.
gsize sim_units_bytes(void);
