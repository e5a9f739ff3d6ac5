// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/config.h"

// What tongke-relay can be told; configs/tongke-relay.conf is made from it.
extern const TkConfigField relay_config_fields[];
