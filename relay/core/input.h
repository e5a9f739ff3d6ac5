// SPDX-License-Identifier: MIT
#pragma once

#include "common/media/aac.h"
#include "common/media/cmaf.h"
#include "relay/core/unit.h"

// One stream's way in. RTP of whoever sends it at the moment becomes
//   (a) RTP packets renumbered so that viewers see one unbroken source, given out as they arrive;
//   (b) initialisation segments and chunks, given out in order.
// Pure: no socket, clock or log; times come in as arguments. One thread at a time. Lives as long
// as the lesson; senders come and go.

#define RELAY_INPUT_TRACKS_MAX 2

// What the sender's SDP says of a track.
typedef struct {
    TkTrackKind kind;
    guint8 payload_type;
    guint32 clock_rate;      // RTP clock, Hz: 90000, or the audio's sample rate
    char sprop[1024];        // video: sprop-parameter-sets, or ""
    gboolean latm;           // audio: comes as MP4A-LATM; goes on as AAC-hbr
    TkAacMode aac_mode;      // audio, unless latm
    TkAacConfig aac;         // audio
    gboolean nack;           // the sender takes NACKs
    guint8 rtx_payload_type; // of retransmissions (RFC 4588); 0: what is asked for comes as it was
} RelayTrackFormat;

gboolean relay_track_format_usable(const RelayTrackFormat *format);

// What viewers are told of the stream; grows known with the first parameter sets.
typedef struct {
    char mime[128]; // video/mp4; codecs="…"
    guint width, height;
    double fps; // 0 = not known yet
    gboolean has_video, has_audio;
    guint32 timescale[RELAY_INPUT_TRACKS_MAX]; // of track id 1, 2; 0 = no such track
} RelayStreamFormat;

// The RTP identity that viewers see; fixed for the life of the input.
typedef struct {
    guint8 payload_type; // 96 video, 97 audio
    guint32 ssrc;
    guint32 clock_rate;
    guint32 sound; // audio: a sum over its configuration; the same: the same decoder does
} RelayTrackIdentity;

// One point of a track's clock, for sender reports and RTP-Info.
typedef struct {
    gboolean known;
    RelayTrackIdentity identity;
    gint64 wall_ns;
    guint32 rtp_timestamp;
} RelayTrackClock;

typedef struct {
    // Units are handed over with one reference.
    void (*on_packet)(void *user, guint track, RelayUnit *packet);
    void (*on_init)(void *user, RelayUnit *init, const RelayStreamFormat *format);
    void (*on_chunk)(void *user, RelayUnit *chunk);
    // The same of the sound alone, beside pictures; NULL: not wanted.
    void (*on_sound_init)(void *user, RelayUnit *init, const RelayStreamFormat *format);
    void (*on_sound_chunk)(void *user, RelayUnit *chunk);
} RelayInputSink;

typedef struct {
    guint64 packets, bytes;                            // accepted
    guint64 lost, late, duplicate, malformed, foreign; // packets
    guint64 frames_dropped;                            // access units not packaged
    guint64 chunks;
    guint64 jitter_ns;
    guint64 asked, repaired; // packets asked of the sender again; those that came then
    gboolean has_delay;
    gint64 delay_ns; // of the newest packet, from its capture by the sender's clock to its coming
    guint16 wanted;  // the sender's first sequence number that has not been packaged yet
} RelayInputStats;

typedef struct _RelayInput RelayInput;

// `epoch_wall_ns`: the lesson's start, media time zero. `seed` makes SSRCs and first numbers.
// `sink` is copied; `user` is borrowed for the object's life.
RelayInput *relay_input_new(gint64 epoch_wall_ns, guint64 seed, const RelayInputSink *sink,
                            void *user);
void relay_input_free(RelayInput *input);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RelayInput, relay_input_free)

// A sender begins (again). Track numbers are the indexes of `formats`; a returning sender must
// bring the same kinds in the same order: FALSE if not (the caller refuses it). `ordered`: packets
// come over TCP, nothing needs to be waited for.
gboolean relay_input_begin(RelayInput *input, const RelayTrackFormat *formats, guint count,
                           gboolean ordered, gint64 now_ns,
                           gint64 wall_ns) G_GNUC_WARN_UNUSED_RESULT;

// The sender may fall silent and go on where it broke off, however late: until relay_input_begin,
// what is missing is not given up while nothing comes.
void relay_input_be_patient(RelayInput *input);

// The sender is a relay, as may have been the one before: what it sends has its place by its
// reports alone, and what was given out before is left out, not moved. Until relay_input_begin,
// after which it is to be called.
void relay_input_is_relayed(RelayInput *input);

// The sender is gone: what is pending is given out.
void relay_input_end(RelayInput *input, gint64 now_ns);

// A datagram or interleaved frame from the sender. Hostile; anything may be in it. TRUE: it was a
// packet of the track's source that had not come before.
gboolean relay_input_rtp(RelayInput *input, guint track, const guint8 *data, gsize size,
                         gint64 now_ns, gint64 wall_ns);
void relay_input_rtcp(RelayInput *input, guint track, const guint8 *data, gsize size, gint64 now_ns,
                      gint64 wall_ns);

// Call about every 20 ms while a sender is there: gives up waiting for what is missing, closes a
// chunk that has waited long enough.
void relay_input_tick(RelayInput *input, gint64 now_ns, gint64 wall_ns);

guint relay_input_tracks(const RelayInput *input);
RelayTrackIdentity relay_input_identity(const RelayInput *input, guint track);

// To which tracks a packet from the sender may belong by what it says itself, its payload type or
// its source: a bit for each.
guint relay_input_tracks_of(const RelayInput *input, gboolean rtcp, const guint8 *data, gsize size);

// Whether the relation of the track's outgoing RTP time to wall-clock time is known, and one point
// of it: for the viewers' sender reports (RFC 3550 section 6.4.1).
gboolean relay_input_clock(const RelayInput *input, guint track, gint64 *ret_wall_ns,
                           guint32 *ret_rtp_timestamp);

// Appends receiver report + SDES about the track's sender (RFC 3550 section 6.4.2); nothing before
// its first packet.
void relay_input_receiver_report(RelayInput *input, guint track, gint64 now_ns, GByteArray *out);

// Appends a compound packet that asks the track's sender for what is missing and due (RFC 4585);
// nothing when nothing is, or the sender does not take NACKs.
void relay_input_nack(RelayInput *input, guint track, gint64 now_ns, GByteArray *out);

// The format as last given to on_init; NULL before that.
const RelayStreamFormat *relay_input_format(const RelayInput *input);
// Newest decoder configuration of a track for the SDP; borrowed until the next call into `input`.
const guint8 *relay_input_config(const RelayInput *input, guint track, gsize *ret_bytes);
void relay_input_stats(const RelayInput *input, guint track, RelayInputStats *ret);
