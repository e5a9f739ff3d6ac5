// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/audience.h"

// Letters to a web worker's audience, from any thread. The mailbox runs with the RelayAudience for
// its owner.

// What the stream's chunks need before them from now on; RELAY_UNIT_SOUND: those of its sound
// alone. Takes the reference. Ingest worker's.
void relay_audience_mail_init(RelayStream *stream, RelayUnit *init,
                              const RelayStreamFormat *format);
// With what it needs before it, so that nothing a worker has no room for is missed for longer than
// that. FALSE: the worker has fallen behind, the chunk is not taken.
gboolean relay_audience_mail_chunk(RelayMailbox *to, RelayStream *stream,
                                   RelayUnit *chunk) G_GNUC_WARN_UNUSED_RESULT;

// The stream begins or changes state; `lesson_json` is the lesson (protocol section 5). "ended"
// closes its viewers once they have what is there.
void relay_audience_mail_state(RelayMailbox *to, RelayStream *stream, const char *state,
                               const char *lesson_json);

// To every follower of events that may view the lesson of that name and id.
void relay_audience_mail_event(RelayMailbox *to, const char *json, const char *name,
                               const char *id);

// The first message for the follower with this serial.
void relay_audience_mail_snapshot(RelayMailbox *to, guint64 serial, const char *json);
