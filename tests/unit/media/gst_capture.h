// SPDX-License-Identifier: MIT
#pragma once

#include <gst/gst.h>

// Runs pipelines to their end and keeps what comes out: packets and access units of real payloaders
// and of GStreamer's own depayloaders, to hold ours against.
typedef struct {
    GPtrArray *packets; // GstSample, from the appsink "packets"
    GPtrArray *frames;  // GstSample, from the appsink "frames"
} GstCapture;

// Hangs from both appsinks; errors of the pipeline fail the test.
#define CAPTURE_SINK(name) "appsink name=" name " sync=false async=false wait-on-eos=false "

void gst_capture_run(GstCapture *capture, const char *pipeline);

// The same for a pipeline that begins with "appsrc name=source format=time": it gets `packets`
// (GBytes) of the format that `caps` says.
void gst_capture_feed(GstCapture *capture, const char *pipeline, GstCaps *caps,
                      const GPtrArray *packets);

void gst_capture_clear(GstCapture *capture);

// The caps of the first packet; borrowed.
GstCaps *gst_capture_caps(const GstCapture *capture);

// A string field of them, as in the SDP's fmtp line. Borrowed; NULL if absent.
const char *gst_capture_fmtp(const GstCapture *capture, const char *field);

// The bytes of a sample. Newly allocated.
GBytes *gst_capture_bytes(GstSample *sample);

// The shared sample lesson, or NULL where it does not stand beside the source tree.
const char *gst_capture_lesson(void);
