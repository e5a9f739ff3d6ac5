// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/fanout.h"
#include "relay/net/groups.h"

// One stream into one group: a viewer of the fan-out whose address is the group's, however many
// listen. Made and stopped by the main thread, lives on a packet worker.

typedef struct _RelayGroupSender RelayGroupSender;

// What receivers report to the group (RFC 3550 section 6.4.2). It is counted and changes nothing:
// anybody in the LAN can write it. Relaxed atomics.
typedef struct {
    guint64 reports, lossy; // lossy: tell of 5 % of loss or more
} RelayGroupReports;

typedef struct {
    RelayWorker *worker; // borrowed, and the fan-out on it
    RelayFanout *fanout;
    RelayStream *stream; // borrowed for the call
    RelayAddress rtp[RELAY_INPUT_TRACKS_MAX], rtcp[RELAY_INPUT_TRACKS_MAX];
    RelayAddress interface;     // this machine's in the LAN; 0.0.0.0: as the routes say
    RelayGroupReports *reports; // borrowed
    // On the worker: nothing is sent any more ("ended"). Stop it then.
    void (*on_gone)(gpointer user, guint64 id, const char *reason);
    gpointer user;
    guint64 id;
} RelayGroupSenderSpec;

RelayGroupSender *relay_group_sender_start(const RelayGroupSenderSpec *spec);
// Somebody has come: the tracks' clocks are told to the group, so that picture and sound are in
// step at once.
void relay_group_sender_greet(RelayGroupSender *sender);
void relay_group_sender_stop(RelayGroupSender *sender);
