// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/histogram.h"
#include "tests/bench/lesson.h"
#include "tests/bench/stamp.h"

// What is counted of a run. All moments are CLOCK_REALTIME nanoseconds.

typedef enum { LOAD_RTP, LOAD_TCP, LOAD_WEB, LOAD_WAYS } LoadWay;

typedef struct {
    LoadHistogram delay; // sending to arrival, by the stamps
    LoadHistogram late;  // first arrival at anybody to this arrival
} LoadTimes;

typedef struct {
    gint64 from_ns, to_ns; // media sent from then to then is judged; G_MAXINT64 before it is known
    gint64 phase_ns;       // every second stretch of that length is disturbed; 0: none is
    LoadTimes times[2][LOAD_WAYS];   // undisturbed and disturbed
    LoadHistogram recent[LOAD_WAYS]; // delays since it was emptied last
} LoadTally;

// Whether what is sent at that moment belongs to a disturbed stretch.
gboolean load_tally_disturbed(const LoadTally *tally, gint64 ns);

#define LOAD_FIRSTS 8192 // remembered packets of a track: 30 s of the lesson
#define LOAD_PIECES 1024 // remembered chunks and frames
#define LOAD_PIECE_FRAMES 32

// One chunk, or one picture where there are no chunks.
typedef struct {
    guint64 id;
    gint64 first_ns;
    guint frames_count, frames_judged;
    gint64 frames_ns[LOAD_PIECE_FRAMES]; // their stamps
} LoadPiece;

// One lesson: what its sender sent, and what arrived first.
typedef struct {
    LoadTally *tally;
    guint64 sent[LOAD_STAMP_KINDS]; // of what is judged
    struct {
        guint32 timestamp;
        gint64 at_ns;
    } firsts[LOAD_TRACKS][LOAD_FIRSTS];
    LoadPiece pieces[LOAD_PIECES];
} LoadCourse;

// One RTP track at one viewer, and which of the last packets have come.
#define LOAD_FLOW_PACKETS 512

typedef struct {
    gboolean begun;
    guint64 newest;                       // extended sequence number
    guint64 seen[LOAD_FLOW_PACKETS / 64]; // has come, or was before the beginning
} LoadFlow;

typedef struct {
    LoadCourse *course;
    LoadWay way;
    gboolean impaired; // reads slowly or not, comes and goes: what it misses is its own affair
    gint64 asked_ns, first_ns;
    gint64 behind_ns; // how old the newest media was when it came
    guint64 bytes, packets, missing, doubles, reordered;
    guint64 dropped; // on purpose, before they were counted
    guint64 judged;  // packets or pictures of those that the sender sent between from_ns and to_ns
    guint64 last_chunk;
    gint64 media_ns; // end of its first track's run
    LoadFlow flows[LOAD_TRACKS];
} LoadCount;

// Whether that number, one of the last LOAD_FLOW_PACKETS, has come.
gboolean load_flow_has(const LoadFlow *flow, guint64 number);

LoadCourse *load_course_new(LoadTally *tally);
void load_course_sent(LoadCourse *course, LoadStampKind kind, gint64 ns);

// Asked for media now: what came before a pause does not count as missing.
void load_count_begin(LoadCount *count);
void load_count_rtp(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns);
// One CMAF piece, whole.
void load_count_chunk(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns);
// One picture of which the beginning is known.
void load_count_picture(LoadCount *count, const guint8 *data, gsize size, gint64 at_ns);
