// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/unit.h"
#include "relay/net/tcp.h"
#include "relay/net/worker.h"

// A TCP connection on a packet worker: bytes in, texts and interleaved frames (RFC 2326 section
// 10.12) out, nothing copied per viewer. One thread: its worker's.

typedef struct _RelayLink RelayLink;

typedef struct {
    // New bytes stand in `input`; the handler removes what it has used. Not called while paused.
    void (*on_input)(gpointer user, GByteArray *input);
    // The queue has drained below half of RELAY_LINK_QUEUE_BYTES after having been above it.
    void (*on_room)(gpointer user);
    // The peer is gone, or too much came at once. Once, and nothing after it; the handler frees the
    // link now or later.
    void (*on_closed)(gpointer user, const char *why);
} RelayLinkHandler;

// What a viewer may have waiting here before it counts as behind: half a second at 4 Mbit/s.
#define RELAY_LINK_QUEUE_BYTES (256 << 10)
// The same where little is to wait: half a second at 250 kbit/s.
#define RELAY_LINK_SHORT_BYTES (16 << 10)

// Takes `fd` (non-blocking). `handler` and `user` are borrowed for the link's life. NULL: fd
// closed.
RelayLink *relay_link_new(RelayWorker *worker, int fd, const RelayLinkHandler *handler,
                          gpointer user);
// Closes at once.
void relay_link_free(RelayLink *link);

// Bytes that have come in and not been used.
gsize relay_link_input_bytes(const RelayLink *link);

// Stops and resumes reading: a request that is being answered holds the next one back.
void relay_link_pause(RelayLink *link, gboolean paused);

// More is queued than a viewer may have waiting; on_room tells when that is over.
gboolean relay_link_is_full(RelayLink *link);

// For a viewer that can be given less: little waits here and in the kernel, so that what it is
// given instead is soon at its turn.
void relay_link_keep_short(RelayLink *link);
// Bytes that were taken for the peer and are not acknowledged by it, and how its line is.
gsize relay_link_unsent(const RelayLink *link);
void relay_link_look(const RelayLink *link, RelayTcpLine *ret);

// Queue, then flush. Texts are always taken: who has a full link is not asked for more.
void relay_link_put_text(RelayLink *link, const char *text);
// FALSE: the queue is full, nothing was taken. Otherwise a reference is held until sent. `header`:
// RTP's, copied, in the place of the unit's own; NULL: it goes as it is.
gboolean relay_link_put_unit(RelayLink *link, guint8 channel, const guint8 *header,
                             RelayUnit *unit);
gboolean relay_link_put_bytes(RelayLink *link, guint8 channel, const guint8 *data, gsize size);
void relay_link_flush(RelayLink *link);

// Sends the texts that are queued, and no frame but the one that has begun, however slowly the peer
// reads; what it says is passed over. on_closed follows when it has closed: the caller sets the
// bound.
void relay_link_finish(RelayLink *link);
gboolean relay_link_is_finishing(const RelayLink *link);

// Sends what is queued as far as the kernel takes it, then reports on_closed.
void relay_link_close(RelayLink *link, const char *why);
