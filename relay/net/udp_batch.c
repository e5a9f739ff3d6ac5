// SPDX-License-Identifier: MIT
#include "relay/net/udp_batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

#include "common/base/log.h"
#include "common/media/rtp.h"
#include "relay/net/stream.h"

#define TRAINS_MAX 64
#define PACKETS_MAX 512
// The kernel's UDP_MAX_SEGMENTS on older kernels, and the largest UDP payload with room to spare.
#define SEGMENTS_MAX 64
#define TRAIN_BYTES_MAX 64000
// Larger packets do not fit an Ethernet frame, and the kernel refuses to segment into such.
#define SEGMENT_BYTES_MAX 1440
// How long a full socket buffer is waited for, and in what time at most once: a gigabit line
// empties 400 kB in 4 ms, and who else lives on the thread (the ingest) has to get most of it.
#define PATIENCE_US 20000
#define PATIENCE_PERIOD_US 100000

typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(guint16))];
} SegmentControl;

struct _RelayUdpBatch {
    RelayUdp *udp;
    guint trains, packets, vectors_used;
    gsize train_bytes; // of the newest train
    gsize bytes;       // of all
    gboolean open;     // the newest train can take more
    struct mmsghdr messages[TRAINS_MAX];
    guint pieces[TRAINS_MAX]; // vectors of each packet of a train: its header apart or not
    const RelayAddress *to;   // of the newest train
    SegmentControl controls[TRAINS_MAX];
    struct iovec vectors[2 * PACKETS_MAX];
    guint8 headers[PACKETS_MAX][TK_RTP_HEADER_BYTES];
    gint64 full_us; // when the buffer was found full first in this period; 0: never yet
    RelayUdpStats stats;
};

RelayUdpBatch *relay_udp_batch_new(RelayUdp *udp)
{
    RelayUdpBatch *batch = g_new0(RelayUdpBatch, 1);
    batch->udp = udp;
    return batch;
}

void relay_udp_batch_free(RelayUdpBatch *batch)
{
    g_free(batch);
}

static gsize segment_bytes(const RelayUdpBatch *b, guint i)
{
    const struct iovec *first = b->messages[i].msg_hdr.msg_iov;
    return first[0].iov_len + (b->pieces[i] > 1 ? first[1].iov_len : 0);
}

static gsize segments(const RelayUdpBatch *b, guint i)
{
    return b->messages[i].msg_hdr.msg_iovlen / b->pieces[i];
}

static gboolean fits_train(const RelayUdpBatch *b, const RelayAddress *to, guint pieces,
                           const RelayUnit *unit)
{
    guint i = b->trains - 1;
    if (!b->open || !b->udp->backend->trains || b->pieces[i] != pieces)
        return FALSE;
    gsize segment = segment_bytes(b, i);
    return unit->bytes <= segment && segment <= SEGMENT_BYTES_MAX &&
           segments(b, i) < SEGMENTS_MAX && b->train_bytes + unit->bytes <= TRAIN_BYTES_MAX &&
           (b->to == to || relay_address_equal(b->to, to));
}

static void begin_train(RelayUdpBatch *b, const RelayAddress *to, guint pieces)
{
    guint i = b->trains++;
    b->to = to;
    b->pieces[i] = pieces;
    b->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = (void *)&to->to,
                                                  .msg_namelen = to->bytes,
                                                  .msg_iov = &b->vectors[b->vectors_used]}};
    b->train_bytes = 0;
}

static void put_piece(RelayUdpBatch *b, const guint8 *data, gsize bytes)
{
    b->vectors[b->vectors_used++] = (struct iovec){(void *)data, bytes};
    b->messages[b->trains - 1].msg_hdr.msg_iovlen++;
}

void relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const guint8 *header,
                         const RelayUnit *unit)
{
    RelayUdpBatch *b = batch;
    guint pieces = header ? 2 : 1;
    if (b->packets == PACKETS_MAX || (b->trains == TRAINS_MAX && !fits_train(b, to, pieces, unit)))
        relay_udp_batch_flush(b);
    if (!fits_train(b, to, pieces, unit))
        begin_train(b, to, pieces);
    gsize own = header ? TK_RTP_HEADER_BYTES : 0;
    if (header)
        put_piece(b, memcpy(b->headers[b->packets], header, own), own);
    put_piece(b, unit->data + own, unit->bytes - own);
    b->packets++;
    b->bytes += unit->bytes;
    b->train_bytes += unit->bytes;
    // All segments but the last have one size: a shorter packet closes the train.
    b->open = unit->bytes == segment_bytes(b, b->trains - 1);
}

static void set_segment_size(RelayUdpBatch *b, guint i)
{
    struct msghdr *train = &b->messages[i].msg_hdr;
    if (segments(b, i) < 2)
        return;
    train->msg_control = &b->controls[i];
    train->msg_controllen = sizeof b->controls[i];
    struct cmsghdr *control = CMSG_FIRSTHDR(train);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(guint16));
    guint16 size = (guint16)segment_bytes(b, i);
    memcpy(CMSG_DATA(control), &size, sizeof size);
}

// FALSE: it was waited for long enough.
static gboolean wait_for_room(RelayUdpBatch *b)
{
    gint64 now_us = g_get_monotonic_time();
    if (b->full_us == 0 || now_us - b->full_us >= PATIENCE_PERIOD_US)
        b->full_us = now_us;
    gint64 left_us = b->full_us + PATIENCE_US - now_us;
    if (left_us <= 0)
        return FALSE;
    relay_stat_add(b->stats.waits, 1);
    struct pollfd room = {.fd = b->udp->rtp_fd, .events = POLLOUT};
    return poll(&room, 1, (int)(left_us + 999) / 1000) != 0; // interrupted: sending says more
}

// How many of `count` messages went; those behind are lost to `ret_failure`.
static guint send_messages(RelayUdpBatch *b, struct mmsghdr *messages, guint count,
                           int *ret_failure)
{
    guint sent = 0;
    while (sent < count) {
        int went = b->udp->backend->send(b->udp->rtp_fd, messages + sent, count - sent);
        relay_stat_add(b->stats.calls, 1);
        if (went > 0) {
            sent += (guint)went;
        } else if (went != -EINTR && !(went == -EAGAIN && wait_for_room(b))) {
            *ret_failure = -went;
            break;
        }
    }
    return sent;
}

// The kernel took no train of this form: its packets leave one by one, and so do all from now on
// when it knows no trains at all. (A route with a small MTU refuses only its own.)
static void send_singly(RelayUdpBatch *b, guint train_index, int failure)
{
    const struct msghdr *train = &b->messages[train_index].msg_hdr;
    guint pieces = b->pieces[train_index];
    const RelayUdpBackend *next = relay_udp_backend_next(b->udp->backend);
    if (failure == EIO && b->udp->backend->trains && next) {
        relay_stat_set(b->udp->backend, next);
        tk_warning("the kernel refuses UDP segmentation (%s): sending by %s from now on",
                   strerrordesc_np(failure), next->name);
    }
    for (gsize i = 0; i < train->msg_iovlen; i += pieces) {
        struct mmsghdr single = {.msg_hdr = {.msg_name = train->msg_name,
                                             .msg_namelen = train->msg_namelen,
                                             .msg_iov = train->msg_iov + i,
                                             .msg_iovlen = pieces}};
        int ignored;
        if (!send_messages(b, &single, 1, &ignored))
            relay_stat_add(b->stats.refused, 1);
    }
}

static void send_trains(RelayUdpBatch *b)
{
    for (guint sent = 0; sent < b->trains;) {
        int failure = 0;
        sent += send_messages(b, b->messages + sent, b->trains - sent, &failure);
        if (sent == b->trains)
            break;
        guint train = sent++;
        if (segments(b, train) > 1 && (failure == EIO || failure == EINVAL || failure == EMSGSIZE))
            send_singly(b, train, failure);
        else
            relay_stat_add(b->stats.refused, segments(b, train));
    }
}

void relay_udp_batch_flush(RelayUdpBatch *batch)
{
    RelayUdpBatch *b = batch;
    for (guint i = 0; i < b->trains; i++)
        set_segment_size(b, i);
    send_trains(b);
    relay_stat_add(b->stats.bytes, b->bytes);
    relay_stat_add(b->stats.datagrams, b->packets);
    relay_stat_add(b->stats.trains, b->trains);
    b->trains = b->packets = b->vectors_used = 0;
    b->bytes = 0;
    b->open = FALSE;
}

const RelayUdpStats *relay_udp_batch_stats(const RelayUdpBatch *batch)
{
    return &batch->stats;
}
