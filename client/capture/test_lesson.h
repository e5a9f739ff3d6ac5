// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// The built-in lesson: a picture with a running clock, a moving slide, and sound that behaves like
// a voice, for machines without a camera and for measuring delay by eye.
typedef struct _CapTestLesson CapTestLesson;

typedef enum { CAP_TEST_PICTURE, CAP_TEST_SLIDES } CapTestKind;

// `title` may be NULL; borrowed for the call.
CapTestLesson *cap_test_lesson_new(CapTestKind kind, const char *title);
void cap_test_lesson_free(CapTestLesson *lesson);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CapTestLesson, cap_test_lesson_free)

// Draws on a cairooverlay; `lesson` must outlive the element's pipeline.
void cap_test_lesson_attach_picture(CapTestLesson *lesson, GstElement *overlay);

// Overwrites what passes `pad` (S16LE, 48 kHz, interleaved, `channels`) with the voice.
void cap_test_lesson_attach_voice(CapTestLesson *lesson, GstPad *pad, guint channels);

// The voice itself: `count` samples from sample number `from` on, mono, 48 kHz, full scale ±1.
// The same numbers give the same sound.
typedef struct {
    double phase;   // of the vocal folds, in periods
    double y[3][2]; // the resonators' memory
} CapVoice;
void cap_voice_run(CapVoice *voice, guint64 from, float *ret, guint count);
