// SPDX-License-Identifier: MIT
#include "tests/sim/units.h"

#include <malloc.h>

#include "relay/core/unit.h"

static gsize units_bytes;
RelayUnit *__real_relay_unit_new(gsize bytes);
void __real_relay_unit_unref(RelayUnit *unit);
RelayUnit *__wrap_relay_unit_new(gsize bytes);
void __wrap_relay_unit_unref(RelayUnit *unit);

RelayUnit *__wrap_relay_unit_new(gsize bytes)
{
    RelayUnit *unit = __real_relay_unit_new(bytes);
    units_bytes += malloc_usable_size(unit);
    return unit;
}

void __wrap_relay_unit_unref(RelayUnit *unit)
{
    if (unit && unit->refs == 1)
        units_bytes -= malloc_usable_size(unit);
    __real_relay_unit_unref(unit);
}

gsize sim_units_bytes(void)
{
    return units_bytes;
}
