// SPDX-License-Identifier: MIT
#pragma once

#include "relay/core/input.h"
#include "relay/net/fanout.h"
#include "relay/net/ports.h"
#include "relay/net/udp_receiver.h"

// Where media comes in: the UDP pair's receiving side, and every stream's RelayInput. Lives on one
// packet worker; what comes out is handed on to all workers by a RelayHandoff.

typedef struct _RelayIngest RelayIngest;
typedef struct _RelayIngestStream RelayIngestStream;

// Where units go. On the ingest worker's thread.
typedef struct {
    // References in `units` go over.
    void (*on_packets)(gpointer user, RelayStream *stream, RelayUnit **units, guint count);
    void (*on_clock)(gpointer user, RelayStream *stream, guint track, const RelayTrackClock *clock);
    // One reference goes over. `configs`: the decoder configuration of each track, borrowed.
    void (*on_init)(gpointer user, RelayStream *stream, RelayUnit *init,
                    const RelayStreamFormat *format, GBytes *const configs[RELAY_INPUT_TRACKS_MAX]);
    void (*on_chunk)(gpointer user, RelayStream *stream, RelayUnit *chunk);
    // Of the sound alone of the stream `main`: RELAY_UNIT_SOUND. `format` with an initialisation
    // segment, NULL with a chunk.
    void (*on_sound)(gpointer user, RelayStream *stream, RelayUnit *piece,
                     const RelayStreamFormat *format);
} RelayIngestSink;

// `sink` is copied, `user` borrowed. Watches `udp` on `worker`. `repair`: senders are asked for
// what is missing, and viewers get it.
RelayIngest *relay_ingest_new(RelayWorker *worker, RelayUdp *udp, const RelayIngestSink *sink,
                              gpointer user, gboolean repair, GError **error);
// After the worker has stopped.
void relay_ingest_free(RelayIngest *ingest);

// All of the following on the ingest worker's thread.

// `epoch_wall_ns`: media time zero of the lesson.
void relay_ingest_open(RelayIngest *ingest, RelayStream *stream, gint64 epoch_wall_ns);
void relay_ingest_close(RelayIngest *ingest, RelayStream *stream);

// A relay keeps its packets for no longer.
#define RELAY_INGEST_ADRIFT_S 60

// Who sends a stream, and how.
typedef struct {
    guint tracks_count;
    RelayTrackFormat formats[RELAY_INPUT_TRACKS_MAX];
    gboolean interleaved;
    // UDP: by the common pair, from these addresses; or by sockets of its own, borrowed until
    // relay_ingest_end.
    RelayAddress rtp[RELAY_INPUT_TRACKS_MAX], rtcp[RELAY_INPUT_TRACKS_MAX];
    RelayPorts *ports[RELAY_INPUT_TRACKS_MAX];
    // Another relay: the source goes on when this way to it ends, and the next one that resumes
    // within RELAY_INGEST_ADRIFT_S leads to it.
    gboolean lingers;
    gboolean relayed; // another relay: what it brings another may have brought before
    gboolean resumes; // and it goes on with the very next packets
    // Interleaved: takes the receiver reports until relay_ingest_end.
    void (*send_rtcp)(gpointer user, guint track, const GByteArray *packet);
    gpointer user; // also who it is
} RelaySenderSpec;

// FALSE: the tracks are not those the stream had before, or the ports are somebody else's.
gboolean relay_ingest_begin(RelayIngest *ingest, RelayStream *stream,
                            const RelaySenderSpec *spec) G_GNUC_WARN_UNUSED_RESULT;
// Does nothing when somebody else than `user` (NULL: anybody) sends by now.
void relay_ingest_end(RelayIngest *ingest, RelayStream *stream, gconstpointer user);

// An interleaved frame; passed over when `user` is not the present sender.
void relay_ingest_frame(RelayIngest *ingest, RelayStream *stream, gconstpointer user, guint track,
                        gboolean rtcp, const guint8 *data, gsize size);

// A viewer over UDP, so that its packets are known for its own. The calls come on the ingest
// worker's thread.
typedef struct {
    void (*heard)(gpointer user); // at most once a second
    // Its packets come from another port of the same host (NAT), or from its own again.
    void (*moved)(gpointer user, guint track, gboolean rtcp, const RelayAddress *address);
    // It reports about a track, or misses packets of it (NACK).
    void (*asked)(gpointer user, guint track, const RelayQuestion *question);
    gpointer user;   // the viewer's key
    gint64 heard_ns; // the ingest's own
} RelayUdpViewer;

// One track of it. FALSE: the ports are somebody else's.
gboolean relay_ingest_add_viewer(RelayIngest *ingest, const RelayUdpViewer *viewer, guint track,
                                 const RelayAddress *rtp,
                                 const RelayAddress *rtcp) G_GNUC_WARN_UNUSED_RESULT;
void relay_ingest_remove_viewer(RelayIngest *ingest, gpointer user);

typedef struct {
    RelayUdpReceiverStats udp;
    guint64 strangers; // datagrams of nobody known, dropped
} RelayIngestStats;
// Any thread.
void relay_ingest_stats(const RelayIngest *ingest, RelayIngestStats *ret);
