// SPDX-License-Identifier: MIT
// A lesson's viewer, of whom each line is one message; before it a second of the lesson has come
// and the viewer has been given what there was for it.
#include <string.h>

#include "common/base/clock.h"
#include "relay/core/web_viewer.h"
#include "tests/fuzz/target.h"

#define CHUNKS_PER_SECOND 10
#define GROUP_CHUNKS 20
#define LINES_MAX 200
#define YEARS_OF_MEDIA_NS (2 * 366 * 86400 * TK_NS_PER_S)

typedef struct {
    RelayWebFeed *feeds[RELAY_RENDITIONS];
    RelayWebViewer viewer;
    RelayViewerLimits limits;
    gint64 now_ns;
    guint64 chunks;
} Fuzz;

static void push(Fuzz *f, gboolean init)
{
    static const RelayStreamFormat format = {.mime = "video/mp4"};
    g_autoptr(RelayUnit) piece = relay_unit_new(0);
    piece->arrived_ns = f->now_ns;
    piece->number = init ? 1 : f->chunks + 1;
    piece->media_ns = (gint64)f->chunks * TK_NS_PER_S / CHUNKS_PER_SECOND;
    piece->flags = f->chunks % GROUP_CHUNKS == 0 ? RELAY_UNIT_KEY : 0;
    f->chunks += !init;
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        relay_web_feed_push(f->feeds[i], piece, init ? &format : NULL);
}

static void check_place(const Fuzz *f, guint64 position_before)
{
    const RelayViewer *place = &f->viewer.place;
    g_assert(place->position >= position_before && place->position <= f->chunks);
    g_assert(place->reached <= place->position);
}

static void pass_a_second(Fuzz *f)
{
    RelayWebNext next;
    for (guint i = 0; i < CHUNKS_PER_SECOND; i++) {
        f->now_ns += TK_NS_PER_S / CHUNKS_PER_SECOND;
        push(f, FALSE);
    }
    guint64 before = f->viewer.place.position;
    relay_web_viewer_judge(&f->viewer, &f->limits, f->now_ns);
    do {
        g_autoptr(RelayUnit) message = NULL;
        next = relay_web_viewer_next(&f->viewer, &message);
        g_assert((message != NULL) == (next == RELAY_WEB_TEXT || next == RELAY_WEB_BINARY));
    } while (next == RELAY_WEB_TEXT || next == RELAY_WEB_BINARY);
    check_place(f, before);
}

static void report(Fuzz *f, const RelayReport *report)
{
    g_assert(report->here_ns >= 0 && report->here_ns <= YEARS_OF_MEDIA_NS);
    guint64 before = f->viewer.place.position;
    guint64 lost = relay_web_viewer_take_report(&f->viewer, &f->limits, report, f->now_ns);
    g_assert(lost == f->viewer.place.position - before);
    check_place(f, before);
}

static void say(Fuzz *f, const char *text, gsize bytes)
{
    RelayReport told = {.here_ns = -1};
    RelayRendition wish = RELAY_RENDITIONS;
    gboolean reports = relay_report_parse(text, bytes, &told);
    gboolean wishes = relay_wish_parse(text, bytes, &wish);
    g_assert(!reports || !wishes);
    if (reports)
        report(f, &told);
    if (!wishes)
        return;
    g_assert(wish < RELAY_RENDITIONS);
    relay_web_viewer_move(&f->viewer, wish, f->now_ns);
    check_place(f, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Fuzz f = {.limits = RELAY_VIEWER_LIMITS_DEFAULT};
    const char *text = (const char *)data, *end = text + size;
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        f.feeds[i] = relay_web_feed_new(relay_rendition_word(i), NULL, 12 * TK_NS_PER_S, 1 << 20);
    for (guint i = RELAY_RENDITION_LOW; i < RELAY_RENDITIONS; i++)
        relay_web_feed_set_rendition(f.feeds[0], i, f.feeds[i]);
    push(&f, TRUE);
    relay_web_viewer_init(&f.viewer, f.feeds[0], 0);
    for (guint i = 0; i < LINES_MAX && text < end; i++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        gsize bytes = (gsize)((newline ? newline : end) - text);
        pass_a_second(&f);
        say(&f, text, bytes);
        text += bytes + (newline != NULL);
    }
    for (guint i = 0; i < RELAY_RENDITIONS; i++)
        relay_web_feed_free(f.feeds[i]);
    return 0;
}
