// SPDX-License-Identifier: MIT
#include "tests/sim/seeds.h"

#include <stdlib.h>

void sim_seeds(guint32 count, guint32 *ret_first, guint32 *ret_count)
{
    const char *said = g_getenv("TONGKE_SIM");
    g_auto(GStrv) parts = g_strsplit(said ? said : "", ":", 2);
    *ret_first = said ? (guint32)strtoul(parts[0], NULL, 10) : 1;
    *ret_count = !said ? count : parts[1] ? (guint32)strtoul(parts[1], NULL, 10) : 1;
}

gboolean sim_tells(void)
{
    return g_getenv("TONGKE_SIM_TELL") != NULL;
}
