// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/cmaf_read.h"

// The sample tables of a classic MP4 (ISO/IEC 14496-12 section 8), collected run by run.
typedef struct _ShelfMoov ShelfMoov;

ShelfMoov *shelf_moov_new(void);
void shelf_moov_free(ShelfMoov *moov);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ShelfMoov, shelf_moov_free)

// From now on samples of track->track_id are described by that track's sample entry in the
// initialisation segment at `data`.
gboolean shelf_moov_describe(ShelfMoov *moov, const TkCmafTrack *track, const guint8 *data,
                             gsize size) G_GNUC_WARN_UNUSED_RESULT;

// The samples of a run in the chunk that stands at `offset` in the media; `shift_ns` is added to
// its media time.
void shelf_moov_add_run(ShelfMoov *moov, const TkCmafTrack *track, const TkCmafRunInfo *run,
                        guint64 offset, gint64 shift_ns);

gboolean shelf_moov_has_samples(const ShelfMoov *moov);

// Appends the moov box; `base` is added to all offsets in the media. Its length does not depend on
// `base`.
void shelf_moov_write(const ShelfMoov *moov, guint64 base, GByteArray *out);
