// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include <string.h>

#include "common/base/clock.h"

#define REPORT_EVERY_MS 1000
// As web.c and tcp.c: what one turn sends, and what waits in the kernel.
#define MESSAGES_PER_TURN 8
#define NOT_SENT_BYTES (32 << 10)
#define MESSAGE_BYTES_MAX (256 << 10)

static gboolean has_room(const Watcher *w)
{
    return tcp_line_not_sent(&w->tcp) < NOT_SENT_BYTES;
}

static void close_with(Watcher *w, guint code)
{
    must(w, code != RELAY_CLOSE_REFUSED && code != RELAY_CLOSE_TRY_LATER);
    w->over = TRUE;
}

static void write_messages(Watcher *w)
{
    for (guint i = 0; i < MESSAGES_PER_TURN; i++) {
        RelayUnit *message = NULL;
        guint code = 0;
        const char *reason;
        RelayWebNext next =
            relay_socket_next(w->socket, w->hall->now_ms * TK_NS_PER_MS, &message, &code, &reason);
        if (next == RELAY_WEB_NOTHING)
            return;
        if (next == RELAY_WEB_OVER) {
            close_with(w, code);
            return;
        }
        gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
        web_check_sent(w, (const char *)message->data + RELAY_WEB_HEADROOM, bytes);
        tcp_line_write(&w->tcp, bytes, message);
        if (!relay_socket_has_more(w->socket))
            return;
        if (!has_room(w))
            break;
    }
    w->waits = TRUE;
}

static void push(gpointer link)
{
    Watcher *w = link;
    if (!w->waits && !w->over)
        write_messages(w);
}

static void wake(gpointer link)
{
    ((Watcher *)link)->waits = TRUE;
}

static gsize unsent(gpointer link)
{
    return tcp_line_not_acked(&((Watcher *)link)->tcp);
}

static void look(gpointer link, RelayTcpLine *ret)
{
    const TcpLine *tcp = &((Watcher *)link)->tcp;
    *ret =
        (RelayTcpLine){.passes_bps = tcp->passes_bps, .round_ns = 2 * tcp->delay_ms * TK_NS_PER_MS};
}

static void hurry(gpointer link)
{
    tcp_line_hurry(&((Watcher *)link)->tcp);
}

static void drop(gpointer link)
{
    ((Watcher *)link)->over = TRUE;
}

static void on_viewer(gpointer user, RelayStream *stream, gint change, const char *school) {}

static void on_snapshot(gpointer user, guint64 serial, const TkClaims *claims) {}

const RelayAudienceSpec web_watcher_spec = {.wake = wake,
                                            .push = push,
                                            .unsent = unsent,
                                            .hold = wake,
                                            .look = look,
                                            .hurry = hurry,
                                            .drop = drop,
                                            .on_viewer = on_viewer,
                                            .on_snapshot = on_snapshot};

void web_watcher_join(Watcher *watcher)
{
    Watcher *w = watcher;
    RelaySocketRequest request = {.path = "/live/math", .rendition = "auto"};
    w->present = TRUE;
    w->socket = relay_audience_open(w->hall->audience, &request, w, w->hall->now_ms * TK_NS_PER_MS);
}

void web_watcher_leave(Watcher *watcher)
{
    Watcher *w = watcher;
    if (w->present)
        relay_audience_leave(w->hall->audience, g_steal_pointer(&w->socket));
    w->present = FALSE;
}

static void arrive_at_relay(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Watcher *w = to;
    gsize size;
    const char *text = g_bytes_get_data(event->bytes, &size);
    RelaySocketFragment fragment = {
        .data = text, .bytes = size, .first = TRUE, .last = TRUE, .text = TRUE};
    if (w->present && !w->over)
        must(w, relay_socket_received(w->socket, &fragment, now_ms * TK_NS_PER_MS) == 0);
}

static void report(Watcher *w)
{
    char *text = g_strdup_printf("{\"type\":\"report\",\"played_s\":%.3f,\"buffer_s\":0}",
                                 (double)w->here_ns / 1e9);
    NetEvent event = {arrive_at_relay, w, g_bytes_new_take(text, strlen(text)), {0}};
    net_wheel_put(w->hall->wheel, &event, w->hall->now_ms + 1 + w->crowd->up.delay_ms);
}

static void take_message(Watcher *w, RelayUnit *message)
{
    guint first = 0;
    gint64 end_ns = w->here_ns;
    const char *data = (const char *)message->data + RELAY_WEB_HEADROOM;
    gsize bytes = message->bytes - RELAY_WEB_HEADROOM;
    guint sounds = web_check_sounds(&w->came, data, bytes, &first, &end_ns);
    for (guint i = 0; i < sounds; i++)
        watcher_heard(w, first + i);
    w->here_ns = end_ns;
    w->bytes += bytes;
    relay_unit_unref(message);
}

void web_watcher_step(Watcher *watcher)
{
    Watcher *w = watcher;
    RelayUnit *message;
    if (w->waits && has_room(w)) {
        w->waits = FALSE;
        write_messages(w);
    }
    must(w, tcp_line_not_sent(&w->tcp) < NOT_SENT_BYTES + MESSAGE_BYTES_MAX);
    tcp_line_step(&w->tcp, w->hall->now_ms);
    while ((message = tcp_line_read(&w->tcp)))
        take_message(w, message);
    if (!w->crowd->plain && w->here_ns && (w->hall->now_ms - w->join_ms) % REPORT_EVERY_MS == 0)
        report(w);
}
