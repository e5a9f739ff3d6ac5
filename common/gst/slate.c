// SPDX-License-Identifier: MIT
#include "common/gst/slate.h"

#include <pango/pangocairo.h>

#define TEXT_CHARACTERS_MAX 160

struct _TkSlate {
    GMutex lock; // everything below
    char *title, *detail, *note;
    cairo_surface_t *drawn; // as the texts are now; NULL when they changed
    guint width, height;
};

void tk_ink(cairo_t *cr, guint rgb)
{
    cairo_set_source_rgb(cr, (rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0,
                         (rgb & 255) / 255.0);
}

double tk_ink_text(cairo_t *cr, const char *text, double size_px, gboolean bold, gboolean mono,
                   double x, double y, double width, double align)
{
    g_autoptr(PangoLayout) layout = pango_cairo_create_layout(cr);
    PangoFontDescription *font = pango_font_description_from_string(
        mono ? "Noto Sans Mono CJK SC, DejaVu Sans Mono, monospace"
             : "Noto Sans CJK SC, Microsoft YaHei, sans-serif");
    int text_width, text_height;

    pango_font_description_set_absolute_size(font, size_px * PANGO_SCALE);
    pango_font_description_set_weight(font, bold ? PANGO_WEIGHT_BOLD : PANGO_WEIGHT_NORMAL);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    pango_layout_set_text(layout, text, -1);
    if (width > 0) {
        pango_layout_set_width(layout, (int)(width * PANGO_SCALE));
        pango_layout_set_wrap(layout, PANGO_WRAP_WORD_CHAR);
        pango_layout_set_alignment(layout, align > 0 ? PANGO_ALIGN_CENTER : PANGO_ALIGN_LEFT);
    }
    pango_layout_get_pixel_size(layout, &text_width, &text_height);
    cairo_move_to(cr, x - align * (width > 0 ? width : text_width), y);
    pango_cairo_show_layout(cr, layout);
    return text_height;
}

TkSlate *tk_slate_new(void)
{
    TkSlate *slate = g_new0(TkSlate, 1);

    g_mutex_init(&slate->lock);
    return slate;
}

void tk_slate_free(TkSlate *slate)
{
    if (!slate)
        return;
    g_clear_pointer(&slate->drawn, cairo_surface_destroy);
    g_free(slate->title);
    g_free(slate->detail);
    g_free(slate->note);
    g_mutex_clear(&slate->lock);
    g_free(slate);
}

static gboolean replace(char **slot, const char *text)
{
    if (g_strcmp0(*slot, text) == 0)
        return FALSE;
    g_free(*slot);
    g_autofree char *valid = text ? g_utf8_make_valid(text, -1) : NULL;
    *slot = valid ? g_utf8_substring(valid, 0, MIN(g_utf8_strlen(valid, -1), TEXT_CHARACTERS_MAX))
                  : NULL;
    return TRUE;
}

void tk_slate_set(TkSlate *slate, const char *title, const char *detail, const char *note)
{
    g_mutex_lock(&slate->lock);
    gboolean changed = replace(&slate->title, title);
    changed |= replace(&slate->detail, detail);
    changed |= replace(&slate->note, note);
    if (changed)
        g_clear_pointer(&slate->drawn, cairo_surface_destroy);
    g_mutex_unlock(&slate->lock);
}

static void draw(cairo_t *cr, const TkSlate *slate, double width, double height)
{
    double unit = MIN(width / 1280, height / 720), y = height * 0.34, column = width * 0.84;

    tk_ink(cr, TK_INK_DARK);
    cairo_paint(cr);
    if (slate->title) {
        tk_ink(cr, TK_INK_LIGHT);
        y += tk_ink_text(cr, slate->title, 60 * unit, TRUE, FALSE, width / 2, y, column, 0.5);
    }
    if (slate->detail) {
        tk_ink(cr, TK_INK_QUIET_DARK);
        tk_ink_text(cr, slate->detail, 32 * unit, FALSE, FALSE, width / 2, y + 24 * unit, column,
                    0.5);
    }
    if (slate->note) {
        tk_ink(cr, TK_INK_QUIET_DARK);
        tk_ink_text(cr, slate->note, 24 * unit, FALSE, FALSE, width / 2, height * 0.86, column,
                    0.5);
    }
}

static void on_caps(GstElement *overlay, GstCaps *caps, gpointer data)
{
    TkSlate *slate = data;
    const GstStructure *s = gst_caps_get_structure(caps, 0);
    int width = 0, height = 0;

    gst_structure_get_int(s, "width", &width);
    gst_structure_get_int(s, "height", &height);
    g_mutex_lock(&slate->lock);
    slate->width = (guint)width;
    slate->height = (guint)height;
    g_clear_pointer(&slate->drawn, cairo_surface_destroy);
    g_mutex_unlock(&slate->lock);
}

static void on_draw(GstElement *overlay, cairo_t *cr, guint64 timestamp, guint64 duration,
                    gpointer data)
{
    TkSlate *slate = data;

    g_mutex_lock(&slate->lock);
    if (!slate->drawn) {
        slate->drawn =
            cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)slate->width, (int)slate->height);
        cairo_t *surface = cairo_create(slate->drawn);
        draw(surface, slate, slate->width, slate->height);
        cairo_destroy(surface);
    }
    cairo_set_source_surface(cr, slate->drawn, 0, 0);
    cairo_set_operator(cr, CAIRO_OPERATOR_SOURCE);
    cairo_paint(cr);
    g_mutex_unlock(&slate->lock);
}

char *tk_slate_describe(const char *name, guint width, guint height, guint fps)
{
    return g_strdup_printf(
        "videotestsrc is-live=true pattern=solid-color foreground-color=0xff101418 ! "
        "video/x-raw,format=BGRx,width=%u,height=%u,framerate=%u/1 ! "
        "cairooverlay name=%s",
        width, height, fps, name);
}

void tk_slate_attach(TkSlate *slate, GstElement *overlay)
{
    g_signal_connect(overlay, "caps-changed", G_CALLBACK(on_caps), slate);
    g_signal_connect(overlay, "draw", G_CALLBACK(on_draw), slate);
}
