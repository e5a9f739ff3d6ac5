// SPDX-License-Identifier: MIT
#pragma once

#include "common/gst/pipeline.h"

// Takes leave of an RTSP server: lets the rtspclientsink of a publishing pipeline send TEARDOWN
// (RFC 2326 section 10.7) and waits for the answer, at most `timeout_ns`. FALSE: none came. Only
// freeing is left to do with the pipeline after it.
gboolean cap_leave(TkPipeline *pipeline, gint64 timeout_ns);
