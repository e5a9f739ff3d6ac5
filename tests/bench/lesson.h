// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// A made-up lesson of a given rate: H.264 with real parameter sets, and AAC. What is in the
// pictures is stamps and filling, which no relay looks at.
#define LOAD_PACKET_BYTES 1200 // an RTP packet, header included
#define LOAD_GOP_FRAMES 60
#define LOAD_SOUND_RATE 48000
#define LOAD_SOUND_SAMPLES 1024
#define LOAD_SOUND_BPS 64000
#define LOAD_VIDEO_TYPE 96 // RTP payload types
#define LOAD_SOUND_TYPE 97

typedef enum { LOAD_VIDEO, LOAD_SOUND, LOAD_TRACKS } LoadTrack;

extern const guint8 load_sps[9], load_pps[4], load_aac_config[2];

typedef struct {
    LoadTrack track;
    gboolean key;
    gint64 at_ns;      // from the lesson's beginning
    guint32 timestamp; // RTP
    guint8 *data;      // one NAL unit without start code or length, or one AAC frame
    gsize bytes;
} LoadFrame;

typedef struct {
    guint8 data[LOAD_PACKET_BYTES];
    gsize bytes;
} LoadPacket;

typedef struct _LoadLesson LoadLesson;

LoadLesson *load_lesson_new(guint bits_per_second, guint fps);
void load_lesson_free(LoadLesson *lesson);

// The next frame in order of time; borrowed until the next call.
LoadFrame *load_lesson_next(LoadLesson *lesson);

// Writes the moment of sending into the places of the frame that will begin a packet.
void load_lesson_stamp(LoadFrame *frame, gint64 now_ns);

// The frame as RTP (RFC 6184 FU-A or single NAL, RFC 3640 AAC-hbr); borrowed until the next call.
const LoadPacket *load_lesson_packets(LoadLesson *lesson, const LoadFrame *frame, guint *ret_count);

// For ANNOUNCE. Newly allocated.
char *load_lesson_sdp(void);
