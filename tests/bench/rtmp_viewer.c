// SPDX-License-Identifier: MIT
#include "tests/bench/rtmp.h"
#include "tests/bench/viewer.h"

typedef struct {
    LoadViewer viewer;
    char *url;
    LoadRtmp rtmp;
} RtmpViewer;

static void on_ready(void *user)
{
    RtmpViewer *self = user;
    self->viewer.playing = TRUE;
}

static void on_picture(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
    RtmpViewer *self = user;
    load_count_picture(&self->viewer.count, data, size, at_ns);
}

static void lost(void *user, const char *why)
{
    RtmpViewer *self = user;
    load_rtmp_close(&self->rtmp);
    load_viewer_lost(&self->viewer, why);
}

static void start(LoadViewer *viewer)
{
    RtmpViewer *self = (RtmpViewer *)viewer;
    viewer->started = TRUE;
    load_count_begin(&viewer->count);
    self->rtmp.on_ready = on_ready;
    self->rtmp.on_picture = on_picture;
    self->rtmp.on_closed = lost;
    self->rtmp.user = self;
    load_rtmp_open(&self->rtmp, viewer->loop, self->url);
}

static void stop(LoadViewer *viewer)
{
    load_rtmp_close(&((RtmpViewer *)viewer)->rtmp);
    viewer->started = viewer->playing = FALSE;
}

static void free_viewer(LoadViewer *viewer)
{
    RtmpViewer *self = (RtmpViewer *)viewer;
    load_rtmp_close(&self->rtmp);
    g_free(viewer->why);
    g_free(self->url);
    g_free(self);
}

static const LoadViewerKind kind = {.start = start, .stop = stop, .free = free_viewer};

LoadViewer *load_rtmp_viewer_new(const char *url)
{
    RtmpViewer *self = g_new0(RtmpViewer, 1);
    self->viewer.kind = &kind;
    self->viewer.count.way = LOAD_WEB;
    self->url = g_strdup(url);
    return &self->viewer;
}
