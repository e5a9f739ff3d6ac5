// SPDX-License-Identifier: MIT
#pragma once

#include <stddef.h>
#include <stdint.h>

// What each fuzz_NAME.c defines: it must come back from any bytes without a crash, a leak or
// undefined behaviour, and g_assert() what must hold of any input. Returns 0.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
