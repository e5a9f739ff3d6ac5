// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "tests/sim/hall.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"

// Stands in the place of sockets, clocks and the worker's loop, by the linker's --wrap.

#define FRAME_BYTES 4 // RFC 2326 section 10.12

static Hall *hall;

void wire_use(Hall *used)
{
    hall = used;
}

gint64 __wrap_tk_clock_wall_ns(void);
gint64 __wrap_tk_clock_monotonic_ns(void);
gint64 __wrap_relay_worker_now_ns(const RelayWorker *worker);
void __wrap_relay_worker_add_tick(RelayWorker *worker, RelayTick tick, gpointer user);
RelayUdpBatch *__wrap_relay_udp_batch_new(RelayUdp *udp);
void __wrap_relay_udp_batch_free(RelayUdpBatch *batch);
void __wrap_relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const guint8 *header,
                                const RelayUnit *unit);
void __wrap_relay_udp_batch_flush(RelayUdpBatch *batch);
void __wrap_relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet);
void __wrap_relay_link_keep_short(RelayLink *link);
gboolean __wrap_relay_link_put_unit(RelayLink *link, guint8 channel, const guint8 *header,
                                    RelayUnit *unit);
gboolean __wrap_relay_link_put_bytes(RelayLink *link, guint8 channel, const guint8 *data,
                                     gsize size);
void __wrap_relay_link_flush(RelayLink *link);
gsize __wrap_relay_link_unsent(const RelayLink *link);
void __wrap_relay_link_look(const RelayLink *link, RelayTcpLine *ret);

gint64 __wrap_tk_clock_wall_ns(void)
{
    return HALL_EPOCH_NS + __wrap_tk_clock_monotonic_ns();
}

gint64 __wrap_tk_clock_monotonic_ns(void)
{
    return hall ? hall->now_ms * TK_NS_PER_MS : 0;
}

gint64 __wrap_relay_worker_now_ns(const RelayWorker *worker)
{
    return __wrap_tk_clock_monotonic_ns();
}

void __wrap_relay_worker_add_tick(RelayWorker *worker, RelayTick tick, gpointer user)
{
    hall->tick = tick;
    hall->tick_user = user;
}

// UDP: an address is its watcher.

RelayAddress wire_address(Watcher *watcher)
{
    RelayAddress address = {.bytes = sizeof watcher};
    memcpy(&address.to, &watcher, sizeof watcher);
    return address;
}

static Watcher *watcher_at(const RelayAddress *address)
{
    Watcher *watcher;
    memcpy(&watcher, &address->to, sizeof watcher);
    return watcher;
}

RelayUdpBatch *__wrap_relay_udp_batch_new(RelayUdp *udp)
{
    return NULL;
}

void __wrap_relay_udp_batch_free(RelayUdpBatch *batch) {}

void __wrap_relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const guint8 *header,
                                const RelayUnit *unit)
{
    rtp_watcher_sent(watcher_at(to), header, unit);
}

void __wrap_relay_udp_batch_flush(RelayUdpBatch *batch) {}

void __wrap_relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet)
{
    rtp_watcher_reported(watcher_at(to), packet->data, packet->len);
}

// TCP: as link.c, with the kernel that tcp_line.h is.

struct _RelayLink {
    Watcher *watcher;
    GQueue queue; // of RelayUnit, referenced
    gsize queued, queue_max;
    gsize not_sent_max;
    gboolean was_full;
};

RelayLink *wire_link_new(Watcher *watcher)
{
    RelayLink *link = g_new0(RelayLink, 1);
    link->watcher = watcher;
    link->queue_max = RELAY_LINK_QUEUE_BYTES;
    link->not_sent_max = 64 << 10;
    g_queue_init(&link->queue);
    return link;
}

void wire_link_free(RelayLink *link)
{
    g_queue_clear_full(&link->queue, (GDestroyNotify)relay_unit_unref);
    g_free(link);
}

void __wrap_relay_link_keep_short(RelayLink *link)
{
    link->queue_max = link->not_sent_max = RELAY_LINK_SHORT_BYTES;
}

static gsize framed(const RelayUnit *unit)
{
    return FRAME_BYTES + unit->bytes;
}

gboolean __wrap_relay_link_put_unit(RelayLink *link, guint8 channel, const guint8 *header,
                                    RelayUnit *unit)
{
    if (link->queued > link->queue_max) {
        link->was_full = TRUE;
        return FALSE;
    }
    g_queue_push_tail(&link->queue, relay_unit_ref(unit));
    link->queued += framed(unit);
    rtp_watcher_sent(link->watcher, header, unit);
    return TRUE;
}

gboolean __wrap_relay_link_put_bytes(RelayLink *link, guint8 channel, const guint8 *data,
                                     gsize size)
{
    return link->queued <= link->queue_max;
}

void __wrap_relay_link_flush(RelayLink *link)
{
    TcpLine *tcp = &link->watcher->tcp;
    while (!g_queue_is_empty(&link->queue) && tcp_line_not_sent(tcp) < link->not_sent_max) {
        RelayUnit *unit = g_queue_pop_head(&link->queue);
        link->queued -= framed(unit);
        tcp_line_write(tcp, framed(unit), unit);
    }
    if (link->was_full && link->queued < link->queue_max / 2) {
        link->was_full = FALSE;
        relay_rtp_viewer_room(link->watcher->viewer);
    }
}

void wire_link_step(RelayLink *link)
{
    must(link->watcher, link->queued <= link->queue_max + G_MAXUINT16);
    __wrap_relay_link_flush(link);
}

gsize __wrap_relay_link_unsent(const RelayLink *link)
{
    return link->queued + tcp_line_not_acked(&link->watcher->tcp);
}

void __wrap_relay_link_look(const RelayLink *link, RelayTcpLine *ret)
{
    const TcpLine *tcp = &link->watcher->tcp;
    *ret =
        (RelayTcpLine){.passes_bps = tcp->passes_bps, .round_ns = 2 * tcp->delay_ms * TK_NS_PER_MS};
}
