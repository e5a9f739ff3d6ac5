// SPDX-License-Identifier: MIT
#pragma once

#include "client/capture/options.h"
#include "common/gst/joint.h"

// The way to the relay: RTSP ANNOUNCE and RECORD of what two coded joints bring. Tries again by
// itself, after 1, 2, 4 … 15 s, until it is stopped or refused for good.
typedef struct _CapPublisher CapPublisher;

typedef enum {
    CAP_PUBLISHER_CONNECTING,
    CAP_PUBLISHER_LIVE,
    CAP_PUBLISHER_WAITING, // for the next try
    CAP_PUBLISHER_REFUSED, // for good
    CAP_PUBLISHER_OVER,    // somebody ended the lesson
    CAP_PUBLISHER_STOPPED,
} CapPublisherState;

typedef struct {
    const char *url; // of the stream
    const char *token;
    const char *lesson_id;
    const TkLessonInfo *info;
    CapTransport transport;
} CapPublisherConfig;

// `why` is one sentence for people, or NULL. Called from the main loop or from start and stop.
typedef void (*CapPublisherChanged)(void *user, CapPublisherState state, const char *why);

// `picture` or `sound` may be NULL. `config` and all in it is copied, `user` borrowed.
CapPublisher *cap_publisher_new(const CapPublisherConfig *config, TkJoint *picture, TkJoint *sound,
                                GstClock *clock, GstClockTime base_time,
                                CapPublisherChanged on_changed, void *user);
// Without leave: the relay waits for the sender to come back.
void cap_publisher_free(CapPublisher *publisher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapPublisher, cap_publisher_free)

void cap_publisher_start(CapPublisher *publisher);
// Takes leave of the relay (TEARDOWN), which takes up to 1.5 s.
void cap_publisher_stop(CapPublisher *publisher);
