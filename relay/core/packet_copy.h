// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/rtp.h"
#include "relay/core/unit.h"

// The one copy that the relay makes of a packet, still under the sender's numbers; `rtp` is what
// `data` holds. `latm`: a frame of MP4A-LATM (RFC 6416) takes the form of RFC 3640, mode AAC-hbr,
// so that all behind knows one form only; NULL when it is not one whole frame.
RelayUnit *relay_packet_copy(const TkRtp *rtp, const guint8 *data, gsize size, gboolean latm);
