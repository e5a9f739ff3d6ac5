// SPDX-License-Identifier: MIT
#pragma once

#include "client/capture/options.h"
#include "common/gst/joint.h"

// One source's pipeline: from camera, screen, file, address or test lesson to raw pictures, coded
// H.264 and raw sound, each into a joint. A source lives once: when it is lost its owner frees it
// and makes another.
typedef struct _CapSource CapSource;

// Raw sound everywhere in the program.
#define CAP_SOUND_RATE 48000
#define CAP_SOUND_CAPS "audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved"
#define CAP_SOUND_CHANNELS 2

typedef struct {
    guint width, height, fps;
    gboolean picture, sound; // what is wanted of it
    gboolean copy;           // H.264 may pass as it is
    gboolean loop;
    gboolean slides;   // which picture the test lesson draws
    const char *title; // of the test lesson; borrowed for the call
} CapSourceFormat;

// Where it leads; borrowed, NULL where not wanted.
typedef struct {
    TkJoint *pictures, *coded, *sound;
} CapSourceOutputs;

// From the main loop, never from inside a function below.
typedef struct {
    // A file stands at its first picture and waits for cap_source_start().
    void (*on_ready)(void *user);
    // It gives nothing more; the owner frees it.
    void (*on_lost)(void *user, const GError *error);
    // A file that does not loop is over.
    void (*on_end)(void *user);
} CapSourceEvents;

// All sources share `clock` and `base_time`. `events` is copied, `user` borrowed.
CapSource *cap_source_new(const CapSourceSpec *spec, const CapSourceFormat *format,
                          const CapSourceOutputs *outputs, GstClock *clock, GstClockTime base_time,
                          const CapSourceEvents *events, void *user, GError **error);
// Does not wait for a network.
void cap_source_free(CapSource *source);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapSource, cap_source_free)

// Opens it. Live sources then run; files report on_ready.
gboolean cap_source_open(CapSource *source, GError **error) G_GNUC_WARN_UNUSED_RESULT;
// A file's first picture is due at clock time `at`.
gboolean cap_source_start(CapSource *source, GstClockTime at,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;

// The numbers of its inputs at the joints; 0 = it has none (yet).
guint cap_source_pictures(const CapSource *source);
guint cap_source_coded(const CapSource *source);
guint cap_source_sound(const CapSource *source);
