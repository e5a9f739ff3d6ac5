// SPDX-License-Identifier: MIT
#pragma once

#include "client/capture/keep.h"
#include "client/capture/publisher.h"
#include "client/capture/source.h"

// One stream of the lesson, from its sources to the relay: it keeps the picture and the sound going
// whatever happens before it, and the relay supplied whatever happens behind it.
typedef struct _CapStream CapStream;

typedef struct {
    const char *name; // "main", "slides", "low"
    // A rendition of that stream: its sound goes along, frame by frame, and without a `picture` of
    // its own its picture, with keyframes at the same moments. It is published when that one is,
    // and none of its failures is the program's. Borrowed for the stream's life; at most one of
    // each.
    CapStream *leader;
    CapSourceSpec picture;
    CapSourceSpec sound; // NONE: a stream without sound, or with its leader's
    CapSourceFormat format;
    CapCopy copy;
    guint bitrate_kbps, sound_bitrate_kbps;
    const char *encoder;
    CapPublisherConfig publisher;
    CapKeep *keep; // borrowed for the stream's life; NULL: no local copy
} CapStreamConfig;

typedef struct {
    // A file stands ready (or has failed): the owner starts all streams together.
    void (*on_ready)(void *user);
    // A file that does not loop is over, or somebody ended the lesson. It has been logged.
    void (*on_end)(void *user);
    // The relay refused for good, or an encoder failed; not of a rendition. The sentence has been
    // logged.
    void (*on_failed)(void *user);
    void (*on_stopped)(void *user);
} CapStreamEvents;

// `config` is copied where needed; `events` copied, `user` borrowed.
CapStream *cap_stream_new(const CapStreamConfig *config, GstClock *clock, GstClockTime base_time,
                          const CapStreamEvents *events, void *user, GError **error);
// A rendition before its leader.
void cap_stream_free(CapStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapStream, cap_stream_free)

void cap_stream_open(CapStream *stream);
gboolean cap_stream_is_ready(const CapStream *stream);
// Clock time at which files begin. Publishing begins too.
void cap_stream_start(CapStream *stream, GstClockTime at);
// Takes leave of the relay; on_stopped tells when that is done, once.
void cap_stream_stop(CapStream *stream);

// "main: 1987 kbit/s picture, 96 kbit/s sound, 3 dropped" since the last call. Newly allocated.
char *cap_stream_stats(CapStream *stream);
