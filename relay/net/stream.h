// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"

// The handle of one stream of one lesson, known to every thread. Its words never change; each slot
// belongs to one thread, which alone reads and writes it; the counters are atomic.
#define RELAY_WORKERS_MAX 64

typedef struct {
    gint refs;
    char *lesson_id, *lesson_name, *name;
    guint32 session; // of no other stream, and of none before this program was started

    struct _RelayIngestStream *ingest; // ingest worker's
    // Its too: what its newest chunks need before them; [1]: those of its sound alone.
    struct {
        RelayUnit *segment; // NULL: none yet
        RelayStreamFormat format;
    } inits[2];
    struct _RelayFeed *feeds[RELAY_WORKERS_MAX];         // packet worker i's
    struct _RelayWebFeed *web_feeds[RELAY_WORKERS_MAX];  // web worker i's
    struct _RelayWebFeed *web_sounds[RELAY_WORKERS_MAX]; // the same, of its sound alone

    // Relaxed atomics, written by one thread each, read by metrics and the lesson list.
    guint64 packets_in, bytes_in, packets_lost_in, frames_dropped_in;
    guint64 packets_asked_in, packets_repaired_in;
    gint64 delay_in_ns; // from capture to here; 0 = not known
    guint64 chunk_newest, chunk_oldest;
    gint64 last_packet_ns; // monotonic, of one that the input took; 0 = none yet
    gint64 key_in_ns;      // monotonic, of the newest that one may begin with; 0 = none yet
    guint wanted_in[2];    // of each track: the sequence number that is wanted next
    guint blind_in;        // 1: its sound comes without its pictures

    // Viewers of other streams who get this one in their place, or are to: it is fetched for them
    // as for its own. Relaxed atomic; every thread adds and takes away its own.
    guint guests;
} RelayStream;

RelayStream *relay_stream_new(const char *lesson_id, const char *lesson_name, const char *name);
RelayStream *relay_stream_ref(RelayStream *stream);
void relay_stream_unref(RelayStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayStream, relay_stream_unref)

#define relay_stat_set(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)
#define relay_stat_add(field, value) __atomic_fetch_add(&(field), (value), __ATOMIC_RELAXED)
#define relay_stat_get(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
