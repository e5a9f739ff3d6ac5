// SPDX-License-Identifier: MIT
#pragma once

#include "recorder/archive/lesson.h"
#include "recorder/archive/writer.h"
#include "common/web/link.h"

// One stream on its way from the relay to the disk: a viewer with ?from=, so that after any break
// it gets exactly the chunks it lacks, as far as the relay still holds them. Main thread only.
typedef struct _RecSource RecSource;

typedef struct {
    // A chunk has been queued, or a gap been seen: what the lesson says has changed.
    void (*on_change)(void *user);
    // Whether chunks come has changed: rec_source_flowing.
    void (*on_flow)(void *user, const char *why);
    // Nothing more will come: the lesson is over and all of it is durable. Once; the source may not
    // be freed from inside.
    void (*on_done)(void *user);
} RecSourceHandler;

// `lesson` and `stream` (one of its streams) are borrowed and kept up to date; `folder` is the
// recording's. What the folder has of the stream already is recovered first and gone on with.
RecSource *rec_source_new(RecLesson *lesson, RecStream *stream, const char *folder,
                          RecWriter *writer, const TkWebTarget *target,
                          const RecSourceHandler *handler, void *user);
// Closes the file behind what is queued.
void rec_source_free(RecSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RecSource, rec_source_free)

// Wall-clock time from which the relay counts media time now. A relay that was restarted counts
// anew, chunks as well; what it sends is put behind what was recorded before.
void rec_source_set_epoch(RecSource *source, gint64 epoch_ns);

// The relay says that the lesson is over: the rest is fetched and made durable, what the disk
// refuses is fetched again, then on_done. Waited for are so many seconds of relay and disk being
// there and nothing coming, and in all what a relay keeps of a lesson that is over
// (history.chunk_s, 60 s by default) and the longest wait between two tries.
#define REC_SOURCE_DRAIN_S 10
#define REC_SOURCE_DRAIN_S_MAX (60 + 25)
void rec_source_drain(RecSource *source);

gboolean rec_source_done(const RecSource *source);
// Whether the last thing that was heard of the stream is a chunk.
gboolean rec_source_flowing(const RecSource *source);
