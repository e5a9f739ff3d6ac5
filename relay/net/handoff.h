// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/ingest.h"
#include "relay/net/web.h"

// From the ingest to everybody: each packet round once to every packet worker, each piece once to
// every web worker, and what the stream is to the main thread. Never once per viewer.
typedef struct {
    guint packet_count, web_count;
    RelayWorker *workers[RELAY_WORKERS_MAX];
    RelayFanout *fanouts[RELAY_WORKERS_MAX];
    RelayWeb *webs[RELAY_WORKERS_MAX];
    RelayMailbox *desk; // the main thread's; tasks there get its owner, the RelayLessons
    guint64 dropped;    // offers refused by a worker that had fallen behind; relaxed atomic
} RelayHandoff;

// The functions that a RelayIngest calls, with a RelayHandoff for `user`.
extern const RelayIngestSink relay_handoff_sink;
