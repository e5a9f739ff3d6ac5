// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/json.h"
#include "relay/core/history.h"
#include "relay/core/input.h"
#include "relay/core/rendition.h"

// What the WebSocket viewers of one stream on one web worker get (docs/protocol.md section 4); who
// gets what in which order is in web_viewer.h. Knows no socket. One thread.
//
// Messages are units whose payload begins RELAY_WEB_HEADROOM bytes in: the WebSocket header is
// written there, once for all viewers.
#define RELAY_WEB_HEADROOM 16

// A message unit holding a copy of `data`.
RelayUnit *relay_web_message(const void *data, gsize size);
// One holding the text of `object`, whose reference it takes.
RelayUnit *relay_web_message_json(json_t *object);

typedef struct _RelayWebFeed RelayWebFeed;

// `owner` is borrowed for the feed's life and handed back by relay_web_feed_owner.
RelayWebFeed *relay_web_feed_new(const char *stream_name, gpointer owner, gint64 history_span_ns,
                                 gsize history_bytes_max);
void relay_web_feed_free(RelayWebFeed *feed);
gpointer relay_web_feed_owner(const RelayWebFeed *feed);
const char *relay_web_feed_name(const RelayWebFeed *feed);

// Copies the piece behind headroom. `format` with an initialisation segment, NULL with a chunk.
void relay_web_feed_push(RelayWebFeed *feed, const RelayUnit *piece,
                         const RelayStreamFormat *format);
guint64 relay_web_feed_oldest(const RelayWebFeed *feed); // number of a chunk; 0: none is held
// `state`: "live", "away", "ended"; "ending": the lesson is over, its last chunks are on their way
// to who watches, and nobody begins any more (nothing is told).
void relay_web_feed_set_state(RelayWebFeed *feed, const char *state, const char *lesson_json);
// `other`'s state as it is now: what is made of a stream is in its state.
void relay_web_feed_share_state(RelayWebFeed *feed, const RelayWebFeed *other);
gboolean relay_web_feed_is_open(const RelayWebFeed *feed); // neither ending nor ended
gboolean relay_web_feed_ended(const RelayWebFeed *feed);

// Who watches: a list of the owner's pointers, kept here so that a chunk finds them at once.
void relay_web_feed_join(RelayWebFeed *feed, gpointer member);
void relay_web_feed_leave(RelayWebFeed *feed, gpointer member);
const GPtrArray *relay_web_feed_members(const RelayWebFeed *feed);

// Another feed of the same lesson, borrowed, is this one's rendition; NULL: no longer.
void relay_web_feed_set_rendition(RelayWebFeed *feed, RelayRendition rendition,
                                  RelayWebFeed *other);
// What each rendition takes, as measured: 0 for one of which nothing comes at `now_ns`, or
// that is blind.
void relay_web_feed_ladder(const RelayWebFeed *feed, gint64 now_ns, RelayLadder *ret);

// Whether its sound goes on without its pictures. Browsers stop there: it is no rendition then.
gboolean relay_web_feed_is_blind(const RelayWebFeed *feed);

// When its newest chunk came in; 0: none has. Monotonic.
gint64 relay_web_feed_heard_ns(const RelayWebFeed *feed);

// What viewers read it by. All borrowed until the feed changes.
const RelayHistory *relay_web_feed_history(const RelayWebFeed *feed); // chunks, in messages
// The lesson's state as a message, NULL: none yet, and its serial number.
RelayUnit *relay_web_feed_state(const RelayWebFeed *feed, guint *ret_serial);
// What the chunk of that number needs before it: an initialisation segment, and its text.
typedef struct {
    RelayUnit *segment, *text;
    guint64 first_chunk;
} RelayWebInit;
const RelayWebInit *relay_web_feed_init_for(const RelayWebFeed *feed, guint64 number);
RelayWebFeed *relay_web_feed_rendition(const RelayWebFeed *feed, RelayRendition rendition);
// The oldest position whose chunk begins at `media_ns` or later.
guint64 relay_web_feed_find_media(const RelayWebFeed *feed, gint64 media_ns);
