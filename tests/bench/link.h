// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/loop.h"

// A TCP connection that never blocks. Call-backs may close it.
typedef struct {
    LoadLoop *loop;
    LoadWatch watch; // fd -1: closed
    GByteArray *out; // what the kernel would not take yet
    gboolean open, paused;
    int receive_bytes; // size of the kernel's buffer; 0: as the system likes
    void (*on_open)(void *user);
    // `at_ns`: when the kernel got the last of these bytes (CLOCK_REALTIME).
    void (*on_bytes)(void *user, const guint8 *data, gsize size, gint64 at_ns);
    void (*on_closed)(void *user, const char *why); // by the peer or an error
    void *user;
} LoadLink;

// The call-backs, `user` and `loop` must be set. Numeric IPv4 address.
void load_link_connect(LoadLink *link, const char *host, guint port);
// Takes a connection that was accepted.
void load_link_take(LoadLink *link, int fd);
void load_link_close(LoadLink *link);

void load_link_put(LoadLink *link, const void *data, gsize size);

// No more reading but by load_link_read, which gives at most `bytes` to on_bytes.
void load_link_pause(LoadLink *link);
void load_link_read(LoadLink *link, gsize bytes);
