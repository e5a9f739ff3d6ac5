// SPDX-License-Identifier: MIT
#pragma once

#include <cairo.h>
#include <gst/gst.h>

// A picture that says in words why there is no other: dark, calm, readable from the last row.
// Texts may be changed from any thread while it plays.
typedef struct _TkSlate TkSlate;

TkSlate *tk_slate_new(void);
void tk_slate_free(TkSlate *slate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkSlate, tk_slate_free)

// Large line, smaller line below it, quiet line at the foot. Plain UTF-8, each may be NULL; longer
// than 160 characters is cut. Borrowed for the call.
void tk_slate_set(TkSlate *slate, const char *title, const char *detail, const char *note);

// A live source of such pictures for gst_parse_launch, raw BGRx, ending in a cairooverlay named
// `name`. Newly allocated.
char *tk_slate_describe(const char *name, guint width, guint height, guint fps);

// Lets `slate` draw on that cairooverlay. It must outlive the element's pipeline.
void tk_slate_attach(TkSlate *slate, GstElement *overlay);

// The house's colours for pictures (docs: the page uses the same).
#define TK_INK_DARK 0x101418
#define TK_INK_PAPER 0xFAF8F3
#define TK_INK_INK 0x1F2A37
#define TK_INK_LIGHT 0xEDF1F5
#define TK_INK_QUIET 0x5B6775
#define TK_INK_QUIET_DARK 0x9AA7B4
#define TK_INK_LINE 0xE4DFD4
#define TK_INK_ACCENT 0x0F5E7A
#define TK_INK_LIVE 0xC8321F

void tk_ink(cairo_t *cr, guint rgb);

// Draws `text` (UTF-8, borrowed) in the CJK sans or, with `mono`, in figures of equal width, with
// its line box beginning at (x, y), wrapped at `width` pixels when that is > 0. Returns the height
// drawn. `align` 0 = left, 0.5 = centred on x.
double tk_ink_text(cairo_t *cr, const char *text, double size_px, gboolean bold, gboolean mono,
                   double x, double y, double width, double align);
