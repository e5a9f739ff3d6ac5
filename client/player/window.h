// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// An X11 window for a GStreamer sink to draw into.
typedef struct _PlayWindow PlayWindow;

typedef struct {
    void (*on_exposed)(void *user);
    void (*on_closed)(void *user); // by q, Escape or the window's own button
} PlayWindowEvents;

// NULL when there is no X display. `title` is borrowed for the call, `user` for the object's life.
PlayWindow *play_window_new(const char *title, gboolean full_screen, const PlayWindowEvents *events,
                            void *user);
void play_window_free(PlayWindow *window);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PlayWindow, play_window_free)

// For gst_video_overlay_set_window_handle().
guintptr play_window_handle(const PlayWindow *window);
