// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/audience.h"

// The thread of a web worker: a mailbox, and the loop that libwebsockets runs on. It is libev's,
// which hears from the kernel only of sockets that have something (epoll); the library's own asks
// about each of them whenever it wakes (poll).

typedef struct _RelayWebLoop RelayWebLoop;

// Letters get `audience`, which is told of the time. Not running yet.
RelayWebLoop *relay_web_loop_new(RelayAudience *audience);
void relay_web_loop_start(RelayWebLoop *loop);
// Ends the thread after the letters posted so far, and reads on the caller's what came later.
void relay_web_loop_stop(RelayWebLoop *loop);
// After it has stopped: reads on this thread what was posted to it since.
void relay_web_loop_settle(RelayWebLoop *loop);
// After stop, and after what ran on it was told to close. Takes NULL.
void relay_web_loop_free(RelayWebLoop *loop);

// Any thread.
RelayMailbox *relay_web_loop_mailbox(RelayWebLoop *loop);
// The struct ev_loop, for the library. Borrowed.
gpointer relay_web_loop_native(RelayWebLoop *loop);
