// SPDX-License-Identifier: MIT
#include "relay/core/unit.h"

RelayUnit *relay_unit_new(gsize bytes)
{
    g_assert(bytes <= G_MAXUINT32);
    RelayUnit *unit = g_malloc(sizeof *unit + bytes);
    *unit = (RelayUnit){.refs = 1, .bytes = (guint32)bytes};
    return unit;
}

RelayUnit *relay_unit_ref(RelayUnit *unit)
{
    g_atomic_int_inc(&unit->refs);
    return unit;
}

void relay_unit_unref(RelayUnit *unit)
{
    if (unit && g_atomic_int_dec_and_test(&unit->refs))
        g_free(unit);
}
