// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/hold.h"
#include "relay/core/timeline.h"

// Pictures out of order are sent by their decode times, so some come long before they are shown; to
// go by the least delayed packet would set them ahead of their sound. For a track of pictures
// without a report, from the frames that are held.
void relay_arrival_anchor(RelayTimeline *timeline, guint track, const RelayHold *hold);
