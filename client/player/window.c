// SPDX-License-Identifier: MIT
#include "client/player/window.h"

#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <X11/keysym.h>
#include <glib-unix.h>
#include <string.h>

struct _PlayWindow {
    Display *display;
    Window window;
    Atom delete_window;
    Atom state, full_screen;
    gboolean is_full;
    guint watch;
    PlayWindowEvents events;
    void *user;
};

// Asks the window manager (EWMH); without one the window already has the screen's size.
static void toggle_full_screen(PlayWindow *window)
{
    XEvent event = {.xclient = {.type = ClientMessage,
                                .window = window->window,
                                .format = 32,
                                .message_type = window->state}};

    window->is_full = !window->is_full;
    event.xclient.data.l[0] = window->is_full;
    event.xclient.data.l[1] = (long)window->full_screen;
    XSendEvent(window->display, DefaultRootWindow(window->display), False,
               SubstructureRedirectMask | SubstructureNotifyMask, &event);
    XFlush(window->display);
}

// FALSE: closed, `window` may be gone.
static gboolean handle(PlayWindow *window, XEvent *event)
{
    if (event->type == Expose) {
        window->events.on_exposed(window->user);
    } else if (event->type == KeyPress) {
        KeySym key = XLookupKeysym(&event->xkey, 0);
        if (key == XK_f)
            toggle_full_screen(window);
        if (key == XK_q || key == XK_Escape) {
            window->events.on_closed(window->user);
            return FALSE;
        }
    } else if (event->type == ClientMessage &&
               (Atom)event->xclient.data.l[0] == window->delete_window) {
        window->events.on_closed(window->user);
        return FALSE;
    }
    return TRUE;
}

static gboolean on_x(gint fd, GIOCondition condition, gpointer data)
{
    PlayWindow *window = data;
    XEvent event;

    while (XPending(window->display)) {
        XNextEvent(window->display, &event);
        if (!handle(window, &event))
            break;
    }
    return G_SOURCE_CONTINUE;
}

static void hide_pointer(PlayWindow *window)
{
    static const char nothing[8] = {0};
    XColor black = {0};
    Pixmap pixmap = XCreateBitmapFromData(window->display, window->window, nothing, 8, 8);
    Cursor cursor = XCreatePixmapCursor(window->display, pixmap, pixmap, &black, &black, 0, 0);

    XDefineCursor(window->display, window->window, cursor);
    XFreeCursor(window->display, cursor);
    XFreePixmap(window->display, pixmap);
}

PlayWindow *play_window_new(const char *title, gboolean full_screen, const PlayWindowEvents *events,
                            void *user)
{
    XInitThreads();
    Display *display = XOpenDisplay(NULL);

    if (!display)
        return NULL;
    PlayWindow *window = g_new0(PlayWindow, 1);
    int screen = DefaultScreen(display);
    guint width = full_screen ? (guint)DisplayWidth(display, screen) : 1280;
    guint height = full_screen ? (guint)DisplayHeight(display, screen) : 720;
    window->display = display;
    window->events = *events;
    window->user = user;
    window->window = XCreateSimpleWindow(display, RootWindow(display, screen), 0, 0, width, height,
                                         0, 0, BlackPixel(display, screen));
    window->state = XInternAtom(display, "_NET_WM_STATE", False);
    window->full_screen = XInternAtom(display, "_NET_WM_STATE_FULLSCREEN", False);
    window->delete_window = XInternAtom(display, "WM_DELETE_WINDOW", False);
    XSetWMProtocols(display, window->window, &window->delete_window, 1);
    XChangeProperty(display, window->window, XInternAtom(display, "_NET_WM_NAME", False),
                    XInternAtom(display, "UTF8_STRING", False), 8, PropModeReplace,
                    (const unsigned char *)title, (int)strlen(title));
    if (full_screen) {
        window->is_full = TRUE;
        XChangeProperty(display, window->window, window->state, XA_ATOM, 32, PropModeReplace,
                        (const unsigned char *)&window->full_screen, 1);
        hide_pointer(window);
    }
    XSelectInput(display, window->window, ExposureMask | KeyPressMask | StructureNotifyMask);
    XMapRaised(display, window->window);
    XSync(display, False);
    window->watch = g_unix_fd_add(ConnectionNumber(display), G_IO_IN, on_x, window);
    return window;
}

guintptr play_window_handle(const PlayWindow *window)
{
    return window->window;
}

void play_window_free(PlayWindow *window)
{
    if (!window)
        return;
    g_source_remove(window->watch);
    XDestroyWindow(window->display, window->window);
    XCloseDisplay(window->display);
    g_free(window);
}
