// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/lesson_info.h"

// What the command line asks for, checked.

typedef enum {
    CAP_SOURCE_NONE,
    CAP_SOURCE_TEST,         // the built-in lesson
    CAP_SOURCE_CAMERA,       // V4L2; where = device or NULL
    CAP_SOURCE_SCREEN,       // X11; where = display or NULL
    CAP_SOURCE_URI,          // where = rtsp:// or srt:// address
    CAP_SOURCE_FILE,         // where = path
    CAP_SOURCE_MIC,          // where = ALSA or PulseAudio device, or NULL
    CAP_SOURCE_WITH_PICTURE, // sound: whatever the picture's source has
} CapSourceKind;

typedef struct {
    CapSourceKind kind;
    char *where;
} CapSourceSpec;

// "test", "camera[:DEV]", "screen[:DISPLAY]", "rtsp://…", "srt://…", or a file.
gboolean cap_source_spec_parse(const char *text, CapSourceSpec *ret,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
// "mic[:DEV]", "test", "none".
gboolean cap_sound_spec_parse(const char *text, CapSourceSpec *ret,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void cap_source_spec_clear(CapSourceSpec *spec);
// For people; passwords in addresses are left out. Newly allocated.
char *cap_source_spec_describe(const CapSourceSpec *spec);

typedef enum { CAP_TRANSPORT_AUTO, CAP_TRANSPORT_UDP, CAP_TRANSPORT_TCP } CapTransport;
typedef enum { CAP_COPY_AUTO, CAP_COPY_ALWAYS, CAP_COPY_NEVER } CapCopy;
typedef enum {
    CAP_RUN_CAPTURE,
    CAP_RUN_DELIVER,
    CAP_RUN_LIST_DEVICES,
    CAP_RUN_LIST_ENCODERS,
    CAP_RUN_VERSION
} CapRun;

typedef struct {
    CapRun run;
    char *relay; // rtsp://host:port/lesson
    CapSourceSpec source, slides, sound;
    gboolean low;
    CapSourceSpec low_source; // NONE: the main picture, smaller
    guint low_width, low_height, low_bitrate_kbps;
    gboolean loop, stats;
    TkLessonInfo *info;
    char *lesson_id; // NULL: the relay decides
    guint width, height, fps, slides_fps;
    guint bitrate_kbps, slides_bitrate_kbps, sound_bitrate_kbps;
    gint64 duration_ns; // 0 = until stopped
    CapTransport transport;
    CapCopy copy;
    char *token;   // NULL: none
    char *encoder; // NULL: the best that works
    char *keep;    // folder of the local copies; NULL: none are kept
    guint64 keep_bytes;
    gint64 keep_ns;
    char *library, *web;   // URLs; NULL: found out
    gint64 deliver_for_ns; // how long is delivered after the lesson
} CapOptions;

// Parses and checks argv (of which nothing is kept). NULL and error when it makes no sense; --help
// prints and exits.
CapOptions *cap_options_parse(int argc, char **argv, GError **error);
void cap_options_free(CapOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapOptions, cap_options_free)
