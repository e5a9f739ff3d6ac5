// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"

// By our player's settings.
#define BUFFER_MS 1000
#define PATIENCE_MS 20
#define ASK_EVERY_MS 80
#define CHECK_EVERY_MS 100

static void on_gone(gpointer user, const char *reason)
{
    Watcher *w = user;
    w->over = TRUE;
    rtp_watcher_leave(w);
}

void rtp_watcher_join(Watcher *watcher)
{
    Watcher *w = watcher;
    RelayAddress address = wire_address(w);
    RelayViewerSpec spec = {.moves = TRUE,
                            .on_gone = on_gone,
                            .user = w,
                            .school = relay_schools_find(w->hall->schools, NULL)};
    gboolean full;
    w->player = (Player){.buffer_ms = BUFFER_MS,
                         .patience_ms = MAX(PATIENCE_MS, w->crowd->down.jitter_ms),
                         .ask_every_ms = ASK_EVERY_MS,
                         .asks = TRUE};
    if (w->crowd->kind == WATCHER_TCP) {
        spec.interleaved = TRUE;
        spec.link = w->link = wire_link_new(w);
    }
    for (guint t = 0; t < RELAY_INPUT_TRACKS_MAX; t++)
        spec.tracks[t] = (RelayViewerTrack){.enabled = TRUE,
                                            .rtp = address,
                                            .rtcp = address,
                                            .rtp_channel = (guint8)(2 * t),
                                            .rtcp_channel = (guint8)(2 * t + 1),
                                            .rtx = !w->crowd->plain};
    w->viewer = relay_fanout_join(w->hall->fanout, w->hall->streams[STUDIO_MAIN], &spec, &full);
    w->present = TRUE;
    must(w, w->viewer);
}

void rtp_watcher_leave(Watcher *watcher)
{
    Watcher *w = watcher;
    if (!w->present)
        return;
    w->present = FALSE;
    relay_fanout_leave(w->hall->fanout, g_steal_pointer(&w->viewer));
    g_clear_pointer(&w->link, wire_link_free);
}

// A packet has come.
static void take_payload(Watcher *w, guint track, const guint8 *payload, gsize bytes)
{
    StudioMark mark;
    if (!studio_read_mark(payload, bytes, &mark))
        return;
    if (track)
        watcher_heard(w, mark.frame);
    else if (mark.last)
        w->pictured_ms = w->hall->now_ms;
}

static void arrive(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Watcher *w = to;
    const NetPacket *p = &event->packet;
    gsize size;
    const guint8 *data = g_bytes_get_data(event->bytes, &size);
    if (!w->present)
        return;
    if (p->report) {
        player_take_report(&w->player, p->track, event->bytes, now_ms);
        return;
    }
    w->bytes += p->number;
    take_payload(w, p->track, data, size);
    player_take(&w->player, p, now_ms);
}

static void put_on_line(Watcher *w, const NetPacket *packet, const guint8 *data, gsize bytes,
                        gsize carried)
{
    gint64 at_ms = net_line_put(&w->down, carried, w->hall->now_ms);
    NetEvent event = {arrive, w, NULL, *packet};
    if (at_ms == NET_LOST)
        return;
    event.bytes = g_bytes_new(data, bytes);
    net_wheel_put(w->hall->wheel, &event, at_ms);
}

void rtp_watcher_sent(Watcher *watcher, const guint8 *header, const RelayUnit *unit)
{
    Watcher *w = watcher;
    guint8 packet[2048];
    RtpSeen seen;
    must(w, unit->bytes <= sizeof packet);
    memcpy(packet, unit->data, unit->bytes);
    if (header)
        memcpy(packet, header, TK_RTP_HEADER_BYTES);
    rtp_check_sent(w, packet, unit->bytes, w->viewer->course.place.units_dropped, &seen);
    if (w->crowd->kind == WATCHER_TCP)
        return;
    NetPacket on_line = {.ssrc = seen.ssrc,
                         .sequence = seen.sequence,
                         .number = unit->bytes,
                         .track = (guint8)seen.track,
                         .again = seen.again};
    // A mark stands at the end of it.
    gsize kept = MIN(unit->bytes, 16);
    put_on_line(w, &on_line, packet + unit->bytes - kept, kept, unit->bytes + 28);
}

void rtp_watcher_reported(Watcher *watcher, const guint8 *rtcp, gsize size)
{
    Watcher *w = watcher;
    TkRtcp part;
    gsize offset = 0;
    NetPacket on_line = {.report = TRUE};
    while (tk_rtcp_next(rtcp, size, &offset, &part))
        if (part.type == TK_RTCP_SENDER_REPORT)
            on_line.ssrc = part.ssrc;
    on_line.track = on_line.ssrc == relay_input_identity(w->hall->inputs[STUDIO_MAIN], 1).ssrc;
    put_on_line(w, &on_line, rtcp, size, size + 28);
}

static void arrive_at_relay(gpointer to, const NetEvent *event, gint64 now_ms)
{
    Watcher *w = to;
    RelayQuestion question;
    gsize size;
    const guint8 *data = g_bytes_get_data(event->bytes, &size);
    if (w->present &&
        relay_repair_read(data, size, HALL_EPOCH_NS + now_ms * TK_NS_PER_MS, &question))
        relay_rtp_viewer_asked(w->viewer, event->packet.track, &question);
}

static void ask_and_report(Watcher *w)
{
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        GBytes *rtcp = player_rtcp(&w->player, track, w->hall->now_ms);
        gint64 at_ms =
            rtcp ? net_line_put(&w->up, g_bytes_get_size(rtcp), w->hall->now_ms) : NET_LOST;
        NetEvent event = {arrive_at_relay, w, rtcp, {.track = (guint8)track}};
        if (at_ms != NET_LOST)
            net_wheel_put(w->hall->wheel, &event, at_ms);
        else
            g_clear_pointer(&rtcp, g_bytes_unref);
    }
}

static void read_tcp(Watcher *w)
{
    RelayUnit *unit;
    wire_link_step(w->link);
    tcp_line_step(&w->tcp, w->hall->now_ms);
    while ((unit = tcp_line_read(&w->tcp))) {
        w->bytes += unit->bytes;
        take_payload(w, unit->track, unit->data, unit->bytes);
        relay_unit_unref(unit);
    }
}

void rtp_watcher_step(Watcher *watcher)
{
    Watcher *w = watcher;
    RelayRendition at = w->viewer->choice.at;
    // With the sound alone there is no picture.
    must(w, at != RELAY_RENDITION_AUDIO || w->at != at || w->rtp.pictures == w->pictures);
    w->pictures = w->rtp.pictures;
    watcher_moved(w, at);
    if (w->crowd->kind == WATCHER_TCP)
        read_tcp(w);
    else
        ask_and_report(w);
    if (w->hall->now_ms % CHECK_EVERY_MS == 0)
        rtp_check_tick(w);
}
