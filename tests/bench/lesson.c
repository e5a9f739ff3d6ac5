// SPDX-License-Identifier: MIT
#include "tests/bench/lesson.h"

#include <string.h>

#include "common/media/rtp.h"
#include "tests/bench/stamp.h"

// Baseline, level 3.1, 1280x720, presentation in decode order (ITU-T H.264 section 7.3.2.1.1).
const guint8 load_sps[9] = {0x67, 0x42, 0xc0, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4};
const guint8 load_pps[4] = {0x68, 0xce, 0x38, 0x80};
// AAC-LC, 48 kHz, mono.
const guint8 load_aac_config[2] = {0x11, 0x88};

#define KEY_WEIGHT 4 // a key frame is as long as so many others
#define FU_BYTES 2
#define PART_BYTES (LOAD_PACKET_BYTES - TK_RTP_HEADER_BYTES - FU_BYTES)
#define AU_BYTES 4 // RFC 3640 section 3.2.1: length of the headers, one header
// What stands before the stamp in every part: the beginning of a slice header.
#define SLICE_BYTES 2

struct _LoadLesson {
    guint fps;
    gsize key_bytes, other_bytes, sound_bytes;
    guint64 pictures, sounds; // given out
    guint8 *data;
    LoadFrame frame;
    guint16 sequence[LOAD_TRACKS];
    LoadPacket *packets;
    guint packets_max;
};

LoadLesson *load_lesson_new(guint bits_per_second, guint fps)
{
    LoadLesson *lesson = g_new0(LoadLesson, 1);
    gsize gop = (gsize)(bits_per_second - LOAD_SOUND_BPS) / 8 * LOAD_GOP_FRAMES / fps;
    lesson->fps = fps;
    lesson->other_bytes = MAX(64, gop / (LOAD_GOP_FRAMES - 1 + KEY_WEIGHT));
    lesson->key_bytes = lesson->other_bytes * KEY_WEIGHT;
    lesson->sound_bytes = LOAD_SOUND_BPS / 8 * LOAD_SOUND_SAMPLES / LOAD_SOUND_RATE;
    lesson->data = g_malloc(lesson->key_bytes);
    lesson->packets_max = (guint)(lesson->key_bytes / PART_BYTES + 1);
    lesson->packets = g_new0(LoadPacket, lesson->packets_max);
    return lesson;
}

void load_lesson_free(LoadLesson *lesson)
{
    if (!lesson)
        return;
    g_free(lesson->data);
    g_free(lesson->packets);
    g_free(lesson);
}

// A zero byte would need emulation prevention.
static void fill(LoadFrame *frame, guint64 number)
{
    for (gsize i = 0; i < frame->bytes; i++)
        frame->data[i] = (guint8)((i * 31 + number * 7) | 1);
}

static void next_picture(LoadLesson *lesson, LoadFrame *frame, gint64 at_ns)
{
    guint64 number = lesson->pictures++;
    frame->track = LOAD_VIDEO;
    frame->at_ns = at_ns;
    frame->timestamp = (guint32)(number * 90000 / lesson->fps);
    frame->key = number % LOAD_GOP_FRAMES == 0;
    frame->bytes = frame->key ? lesson->key_bytes : lesson->other_bytes;
    fill(frame, number);
    frame->data[0] = frame->key ? 0x65 : 0x41;
    for (gsize part = 1; part + SLICE_BYTES < frame->bytes; part += PART_BYTES) {
        frame->data[part] = frame->key ? 0x88 : 0x9a;
        frame->data[part + 1] = 0x84;
    }
}

static void next_sound(LoadLesson *lesson, LoadFrame *frame, gint64 at_ns)
{
    guint64 number = lesson->sounds++;
    frame->track = LOAD_SOUND;
    frame->at_ns = at_ns;
    frame->timestamp = (guint32)(number * LOAD_SOUND_SAMPLES);
    frame->key = TRUE;
    frame->bytes = lesson->sound_bytes;
    fill(frame, number);
}

LoadFrame *load_lesson_next(LoadLesson *lesson)
{
    LoadFrame *frame = &lesson->frame;
    frame->data = lesson->data;
    gint64 picture_ns = (gint64)(lesson->pictures * G_GUINT64_CONSTANT(1000000000) / lesson->fps);
    gint64 sound_ns = (gint64)(lesson->sounds * LOAD_SOUND_SAMPLES *
                               G_GUINT64_CONSTANT(1000000000) / LOAD_SOUND_RATE);
    if (picture_ns <= sound_ns)
        next_picture(lesson, frame, picture_ns);
    else
        next_sound(lesson, frame, sound_ns);
    return frame;
}

void load_lesson_stamp(LoadFrame *frame, gint64 now_ns)
{
    if (frame->track == LOAD_SOUND) {
        load_stamp_write(frame->data, LOAD_STAMP_SOUND, now_ns);
        return;
    }
    for (gsize part = 1; part + SLICE_BYTES + LOAD_STAMP_BYTES <= frame->bytes; part += PART_BYTES)
        load_stamp_write(frame->data + part + SLICE_BYTES,
                         part == 1 ? LOAD_STAMP_FRAME : LOAD_STAMP_PART, now_ns);
}

static guint8 *begin_packet(LoadLesson *lesson, LoadPacket *packet, const LoadFrame *frame,
                            gboolean last)
{
    packet->data[0] = 0x80;
    packet->data[1] = last ? 0x80 : 0;
    tk_rtp_rewrite(packet->data, frame->track == LOAD_VIDEO ? LOAD_VIDEO_TYPE : LOAD_SOUND_TYPE,
                   lesson->sequence[frame->track]++, frame->timestamp, 0x544b0000u + frame->track);
    return packet->data + TK_RTP_HEADER_BYTES;
}

static void end_packet(LoadPacket *packet, guint8 *at, const guint8 *data, gsize bytes)
{
    memcpy(at, data, bytes);
    packet->bytes = (gsize)(at - packet->data) + bytes;
}

static void put_whole(LoadLesson *lesson, const LoadFrame *frame)
{
    LoadPacket *packet = &lesson->packets[0];
    guint8 *at = begin_packet(lesson, packet, frame, TRUE);
    if (frame->track == LOAD_SOUND) {
        guint header = (guint)frame->bytes << 3;
        const guint8 headers[AU_BYTES] = {0, 16, (guint8)(header >> 8), (guint8)header};
        memcpy(at, headers, AU_BYTES);
        at += AU_BYTES;
    }
    end_packet(packet, at, frame->data, frame->bytes);
}

const LoadPacket *load_lesson_packets(LoadLesson *lesson, const LoadFrame *frame, guint *ret_count)
{
    if (frame->track == LOAD_SOUND || frame->bytes <= LOAD_PACKET_BYTES - TK_RTP_HEADER_BYTES) {
        put_whole(lesson, frame);
        *ret_count = 1;
        return lesson->packets;
    }
    guint count = 0;
    for (gsize done = 1; done < frame->bytes; done += PART_BYTES) {
        gsize bytes = MIN(PART_BYTES, frame->bytes - done);
        gboolean last = done + bytes == frame->bytes;
        LoadPacket *packet = &lesson->packets[count++];
        guint8 *at = begin_packet(lesson, packet, frame, last);
        at[0] = (frame->data[0] & 0xe0) | 28;
        at[1] = (guint8)((done == 1 ? 0x80 : 0) | (last ? 0x40 : 0) | (frame->data[0] & 0x1f));
        end_packet(packet, at + FU_BYTES, frame->data + done, bytes);
    }
    *ret_count = count;
    return lesson->packets;
}

char *load_lesson_sdp(void)
{
    g_autofree char *sps = g_base64_encode(load_sps, sizeof load_sps);
    g_autofree char *pps = g_base64_encode(load_pps, sizeof load_pps);
    return g_strdup_printf(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=load\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        "m=video 0 RTP/AVP %d\r\na=rtpmap:%d H264/90000\r\n"
        "a=fmtp:%d packetization-mode=1;profile-level-id=42c01f;sprop-parameter-sets=%s,%s\r\n"
        "a=control:streamid=0\r\n"
        "m=audio 0 RTP/AVP %d\r\na=rtpmap:%d mpeg4-generic/%d/1\r\n"
        "a=fmtp:%d streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;"
        "indexdeltalength=3;config=%02x%02x\r\na=control:streamid=1\r\n",
        LOAD_VIDEO_TYPE, LOAD_VIDEO_TYPE, LOAD_VIDEO_TYPE, sps, pps, LOAD_SOUND_TYPE,
        LOAD_SOUND_TYPE, LOAD_SOUND_RATE, LOAD_SOUND_TYPE, load_aac_config[0], load_aac_config[1]);
}
