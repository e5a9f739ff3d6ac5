// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// The moment of sending, written into the media itself: letters only, so that it needs no emulation
// prevention in H.264 and comes through every server as it is.
#define LOAD_STAMP_BYTES 24

typedef enum {
    LOAD_STAMP_FRAME, // at the beginning of a picture
    LOAD_STAMP_PART,  // at the beginning of a picture's further packets
    LOAD_STAMP_SOUND,
    LOAD_STAMP_KINDS,
} LoadStampKind;

void load_stamp_write(guint8 *at, LoadStampKind kind, gint64 ns);

// Whether a stamp stands at `data`.
gboolean load_stamp_read(const guint8 *data, gsize size, LoadStampKind *ret_kind, gint64 *ret_ns);

// The next stamp of a picture at or behind *offset, which is moved behind it.
gboolean load_stamp_find(const guint8 *data, gsize size, gsize *offset, gint64 *ret_ns);
