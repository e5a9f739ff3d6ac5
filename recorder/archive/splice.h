// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/heal.h"
#include "recorder/archive/patch.h"

// Writing a stream anew with patches in it. For heal.c.

// Which samples of a track go in, and when they are in the recording: at `tl` of the patch `dl` is
// added, at `tr` `dr`, and in between by what share has passed. Ticks.
typedef struct {
    guint first, end;
    gint64 dl, dr, tl, tr;
    gint32 cts; // added to composition offsets
} RecFit;

gint64 rec_fit_time(const RecFit *fit, gint64 time);

typedef struct {
    RecHole hole;
    GMappedFile *file;
    RecPatchMedia *media;
    RecFit fits[2]; // by TkTrackKind
    gboolean proven;
} RecSplice;

typedef struct {
    char *folder, *name;
    GMappedFile *file; // NULL: nothing has been recorded
    const guint8 *media;
    GArray *entries;    // RecEntry
    GPtrArray *splices; // RecSplice, in order
} RecSpliceStream;

RecSpliceStream *rec_splice_open(const char *folder, const char *name, GError **error);
void rec_splice_close(RecSpliceStream *stream);

// Reads the patch. Borrowed.
RecSplice *rec_splice_add(RecSpliceStream *stream, const RecHole *hole, const char *path,
                          GError **error);

// <stream>.mp4.new and .index.new, all media moved by `moved_ns`; synced and read back.
gboolean rec_splice_write(RecSpliceStream *stream, gint64 moved_ns,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
