// SPDX-License-Identifier: MIT
#pragma once

#include "tests/bench/lesson.h"
#include "tests/bench/loop.h"
#include "tests/bench/tally.h"

// Sends a made-up lesson in real time, each packet with its moment of sending:
//   rtsp://…  ANNOUNCE and RECORD, RTP over UDP      rtsp+tcp://…  interleaved
//   udp://address:port  bare RTP, picture to port, sound to port + 2
//   rtmp://…/app/name
typedef struct _LoadSender LoadSender;

LoadSender *load_sender_new(LoadLoop *loop, const char *url, guint bits_per_second, guint fps,
                            LoadCourse *course);
void load_sender_free(LoadSender *sender);

// Whether media flow. FALSE with *ret_why set (borrowed): they never will, or no more.
gboolean load_sender_running(const LoadSender *sender, const char **ret_why);
