// SPDX-License-Identifier: MIT
#pragma once

#include "client/capture/source.h"

// The slate that stands in for a picture that is missing, and says what is the matter.
typedef struct _CapStandIn CapStandIn;

// Its pictures, as `format` says, go into `pictures`.
CapStandIn *cap_stand_in_new(const CapSourceFormat *format, TkJoint *pictures, GstClock *clock,
                             GstClockTime base_time);
void cap_stand_in_free(CapStandIn *stand_in);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapStandIn, cap_stand_in_free)

// `lost`: there was a picture before; else it is waited for. `reason` may be NULL.
void cap_stand_in_tell(CapStandIn *stand_in, const CapSourceSpec *spec, gboolean lost,
                       const char *reason, int seconds);
// Selects it at the joint. FALSE and error when it cannot be shown.
gboolean cap_stand_in_show(CapStandIn *stand_in, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cap_stand_in_hide(CapStandIn *stand_in);
gboolean cap_stand_in_shown(const CapStandIn *stand_in);
