// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// Which seeds a simulation plays: those of TONGKE_SIM ("7": seed 7 alone, "100:50": fifty from 100
// on), else `count` from 1 on.
void sim_seeds(guint32 count, guint32 *ret_first, guint32 *ret_count);
// TONGKE_SIM_TELL is set: the figures are wanted.
gboolean sim_tells(void);
