// SPDX-License-Identifier: MIT
#include "relay/net/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/media/rtp.h"

#define READ_BYTES 65536
#define VECTORS_PER_CALL 64
// Not yet on its way: a slow viewer's backlog waits in the queue here, where it is seen and can be
// dropped, and not by the megabyte in the kernel.
#define NOTSENT_LOWAT_BYTES (64 << 10)

#define FRAME_BYTES 4 // RFC 2326 section 10.12

// One piece of the queue: a header of its own (text: empty) and shared bytes.
typedef struct {
    guint8 header[FRAME_BYTES + TK_RTP_HEADER_BYTES];
    guint8 header_bytes;
    guint8 from; // of the unit: what stands before is in the header
    RelayUnit *unit;
} Piece;

struct _RelayLink {
    RelayWatch watch;
    RelayWorker *worker;
    const RelayLinkHandler *handler;
    gpointer user;
    GByteArray *input;
    GQueue queue; // of Piece
    gsize queue_max, queued_bytes, sent_of_first;
    gboolean paused, closed, broken, wants_out, was_full;
    gboolean finishing, shut; // says no more than what is queued; has said it
};

static void watch_again(RelayLink *l)
{
    relay_worker_rewatch(l->worker, &l->watch,
                         (l->paused ? 0 : EPOLLIN | EPOLLRDHUP) | (l->wants_out ? EPOLLOUT : 0));
}

static void close_with(RelayLink *l, const char *why)
{
    if (l->closed)
        return;
    l->closed = TRUE;
    relay_worker_unwatch(l->worker, &l->watch);
    l->handler->on_closed(l->user, why);
}

static void read_input(RelayLink *l)
{
    // Not straight into `input`, which would then hold as much for each viewer as for a sender.
    guint8 bytes[READ_BYTES];
    gssize count = read(l->watch.fd, bytes, sizeof bytes);
    if (count > 0) {
        // Of a link that finishes it is read for this alone: what stood unread at the close would
        // make it a reset, by which the last words are lost.
        if (l->finishing)
            return;
        g_byte_array_append(l->input, bytes, (guint)count);
        l->handler->on_input(l->user, l->input);
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_with(l, count == 0 ? "closed by the peer" : strerrordesc_np(errno));
    }
}

static void ready(RelayWatch *watch, guint32 epoll_events)
{
    RelayLink *l = (RelayLink *)watch;
    if (epoll_events & EPOLLOUT)
        relay_link_flush(l);
    if ((epoll_events & EPOLLIN) && !l->paused)
        read_input(l);
    else if (epoll_events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        close_with(l, "closed by the peer");
}

RelayLink *relay_link_new(RelayWorker *worker, int fd, const RelayLinkHandler *handler,
                          gpointer user)
{
    RelayLink *l = g_new0(RelayLink, 1);
    l->watch = (RelayWatch){.fd = fd, .ready = ready};
    l->worker = worker;
    l->handler = handler;
    l->user = user;
    l->input = g_byte_array_new();
    l->queue_max = RELAY_LINK_QUEUE_BYTES;
    g_queue_init(&l->queue);
    int on = 1, lowat = NOTSENT_LOWAT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
    relay_tcp_insist(fd);
    if (relay_worker_watch(worker, &l->watch, EPOLLIN | EPOLLRDHUP, NULL))
        return l;
    l->closed = TRUE;
    relay_link_free(l);
    return NULL;
}

static void piece_free(Piece *piece)
{
    relay_unit_unref(piece->unit);
    g_free(piece);
}

static void drop_first(RelayLink *l)
{
    piece_free(g_queue_pop_head(&l->queue));
    l->sent_of_first = 0;
}

void relay_link_free(RelayLink *link)
{
    if (!link)
        return;
    if (!link->closed)
        relay_worker_unwatch(link->worker, &link->watch);
    while (!g_queue_is_empty(&link->queue))
        drop_first(link);
    close(link->watch.fd);
    g_byte_array_unref(link->input);
    g_free(link);
}

gsize relay_link_input_bytes(const RelayLink *link)
{
    return link->input->len;
}

gboolean relay_link_is_full(RelayLink *link)
{
    link->was_full |= link->queued_bytes > link->queue_max;
    return link->queued_bytes > link->queue_max;
}

void relay_link_pause(RelayLink *link, gboolean paused)
{
    if (link->closed || link->finishing || link->paused == paused)
        return;
    link->paused = paused;
    watch_again(link);
    if (!paused && link->input->len > 0)
        link->handler->on_input(link->user, link->input);
}

static gsize body_bytes(const Piece *piece)
{
    return piece->unit->bytes - piece->from;
}

static void put(RelayLink *l, const Piece *new)
{
    Piece *piece = g_new(Piece, 1);
    *piece = *new;
    g_queue_push_tail(&l->queue, piece);
    l->queued_bytes += piece->header_bytes + body_bytes(piece);
}

void relay_link_keep_short(RelayLink *link)
{
    int lowat = RELAY_LINK_SHORT_BYTES;
    link->queue_max = RELAY_LINK_SHORT_BYTES;
    setsockopt(link->watch.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
}

gsize relay_link_unsent(const RelayLink *link)
{
    return link->queued_bytes + relay_tcp_unsent(link->watch.fd);
}

void relay_link_look(const RelayLink *link, RelayTcpLine *ret)
{
    relay_tcp_look(link->watch.fd, ret);
}

void relay_link_put_text(RelayLink *link, const char *text)
{
    gsize size = strlen(text);
    RelayUnit *unit = relay_unit_new(size);
    memcpy(unit->data, text, size);
    put(link, &(Piece){.unit = unit});
}

gboolean relay_link_put_unit(RelayLink *link, guint8 channel, const guint8 *header, RelayUnit *unit)
{
    if (link->queued_bytes > link->queue_max || unit->bytes > G_MAXUINT16) {
        link->was_full = TRUE;
        return FALSE;
    }
    Piece piece = {.header = {'$', channel, (guint8)(unit->bytes >> 8), (guint8)unit->bytes},
                   .header_bytes = FRAME_BYTES,
                   .unit = relay_unit_ref(unit)};
    if (header) {
        memcpy(piece.header + FRAME_BYTES, header, TK_RTP_HEADER_BYTES);
        piece.header_bytes += TK_RTP_HEADER_BYTES;
        piece.from = TK_RTP_HEADER_BYTES;
    }
    put(link, &piece);
    return TRUE;
}

gboolean relay_link_put_bytes(RelayLink *link, guint8 channel, const guint8 *data, gsize size)
{
    g_autoptr(RelayUnit) unit = relay_unit_new(size);
    memcpy(unit->data, data, size);
    return relay_link_put_unit(link, channel, NULL, unit);
}

// Fills `vectors` from the queue's start; returns how many.
static guint gather(const RelayLink *l, struct iovec vectors[VECTORS_PER_CALL])
{
    guint count = 0;
    gsize skip = l->sent_of_first;
    for (GList *at = l->queue.head; at && count + 2 <= VECTORS_PER_CALL; at = at->next) {
        Piece *piece = at->data;
        if (skip < piece->header_bytes)
            vectors[count++] = (struct iovec){piece->header + skip, piece->header_bytes - skip};
        gsize body_skip = skip > piece->header_bytes ? skip - piece->header_bytes : 0;
        if (body_skip < body_bytes(piece))
            vectors[count++] = (struct iovec){piece->unit->data + piece->from + body_skip,
                                              body_bytes(piece) - body_skip};
        skip = 0;
    }
    return count;
}

static void take_off(RelayLink *l, gsize sent)
{
    l->queued_bytes -= sent;
    sent += l->sent_of_first;
    while (!g_queue_is_empty(&l->queue)) {
        const Piece *first = g_queue_peek_head(&l->queue);
        gsize size = first->header_bytes + body_bytes(first);
        if (sent < size)
            break;
        sent -= size;
        drop_first(l);
    }
    l->sent_of_first = sent;
}

// The caller may be in the middle of anything: the end is reported from the loop, by EPOLLHUP.
static void break_off(RelayLink *l)
{
    l->broken = TRUE;
    shutdown(l->watch.fd, SHUT_RDWR);
}

void relay_link_flush(RelayLink *link)
{
    RelayLink *l = link;
    gboolean blocked = FALSE;
    while (!l->broken && !blocked && !g_queue_is_empty(&l->queue)) {
        struct iovec vectors[VECTORS_PER_CALL];
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = gather(l, vectors)};
        gssize sent = sendmsg(l->watch.fd, &message, MSG_NOSIGNAL);
        if (sent >= 0)
            take_off(l, (gsize)sent);
        else if (errno == EAGAIN)
            blocked = TRUE;
        else if (errno != EINTR)
            break_off(l);
    }
    if (l->broken || l->closed)
        return;
    if (l->wants_out != blocked) {
        l->wants_out = blocked;
        watch_again(l);
    }
    if (l->was_full && l->queued_bytes < l->queue_max / 2) {
        l->was_full = FALSE;
        l->handler->on_room(l->user);
    }
    if (l->finishing && !l->shut && g_queue_is_empty(&l->queue)) {
        l->shut = TRUE;
        shutdown(l->watch.fd, SHUT_WR);
    }
}

// Frames of which nothing has left.
static void drop_frames(RelayLink *l)
{
    GList *next;
    for (GList *at = l->queue.head; at; at = next) {
        Piece *piece = at->data;
        next = at->next;
        if (!piece->header_bytes || (at == l->queue.head && l->sent_of_first))
            continue;
        l->queued_bytes -= piece->header_bytes + body_bytes(piece);
        piece_free(piece);
        g_queue_delete_link(&l->queue, at);
    }
}

void relay_link_finish(RelayLink *link)
{
    link->finishing = TRUE;
    link->paused = FALSE;
    watch_again(link);
    drop_frames(link);
    relay_link_flush(link);
}

gboolean relay_link_is_finishing(const RelayLink *link)
{
    return link->finishing;
}

void relay_link_close(RelayLink *link, const char *why)
{
    relay_link_flush(link);
    close_with(link, why);
}
