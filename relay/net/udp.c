// SPDX-License-Identifier: MIT
#include "relay/net/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/log.h"
#include "relay/net/stream.h"

// Kernel buffers: bursts of 1,000 viewers out, keyframes of 40 senders in. The kernel cuts them to
// net.core.{r,w}mem_max without complaint.
#define SOCKET_BUFFER_BYTES (8 << 20)
// How often a free pair is looked for: the kernel gives odd ports as well, and the next one up may
// be taken.
#define PAIR_ATTEMPTS 100

static int open_socket(const char *host, guint16 port, GError **error)
{
    RelayAddress address;
    if (!relay_address_parse(host, port, &address, error))
        return -1;
    int fd = socket(address.to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address.to, address.bytes) == 0) {
        int size = SOCKET_BUFFER_BYTES;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        return fd;
    }
    g_set_error(error, TK_ERROR, TK_ERROR_IO,
                "cannot open UDP port %u on %s: %s (another even rtsp.rtp_port, or 0, may help)",
                port, host, g_strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

static gboolean open_pair(RelayUdp *udp, const char *host, guint16 port, GError **error)
{
    *udp = (RelayUdp){.rtp_fd = open_socket(host, port, error), .rtcp_fd = -1};
    if (udp->rtp_fd < 0)
        return FALSE;
    udp->port = relay_address_bound_port(udp->rtp_fd);
    if (udp->port % 2 != 0)
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG, "rtsp.rtp_port must be even, not %u",
                    udp->port);
    else
        udp->rtcp_fd = open_socket(host, udp->port + 1, error);
    if (udp->rtcp_fd >= 0)
        return TRUE;
    relay_udp_close(udp);
    return FALSE;
}

gboolean relay_udp_open(RelayUdp *udp, const char *host, guint16 port, GError **error)
{
    g_autoptr(GError) last = NULL;
    guint attempts = port ? 1 : PAIR_ATTEMPTS;
    while (attempts-- > 0) {
        g_clear_error(&last);
        if (open_pair(udp, host, port, &last)) {
            int none = 0;
            udp->segments =
                setsockopt(udp->rtp_fd, IPPROTO_UDP, UDP_SEGMENT, &none, sizeof none) == 0;
            return TRUE;
        }
    }
    g_propagate_error(error, g_steal_pointer(&last));
    return FALSE;
}

void relay_udp_close(RelayUdp *udp)
{
    if (udp->rtp_fd >= 0)
        close(udp->rtp_fd);
    if (udp->rtcp_fd >= 0)
        close(udp->rtcp_fd);
    udp->rtp_fd = udp->rtcp_fd = -1;
}

void relay_udp_send_rtcp(RelayUdp *udp, const RelayAddress *to, const GByteArray *packet)
{
    // A lost report is made up for by the next one.
    (void)!sendto(udp->rtcp_fd, packet->data, packet->len, 0, (const struct sockaddr *)&to->to,
                  to->bytes);
}

#define TRAINS_MAX 64
#define PACKETS_MAX 512
// The kernel's UDP_MAX_SEGMENTS on older kernels, and the largest UDP payload with room to spare.
#define SEGMENTS_MAX 64
#define TRAIN_BYTES_MAX 64000
// Larger packets do not fit an Ethernet frame, and the kernel refuses to segment into such.
#define SEGMENT_BYTES_MAX 1440

typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(guint16))];
} SegmentControl;

struct _RelayUdpBatch {
    RelayUdp *udp;
    guint trains, packets;
    gsize train_bytes; // of the newest train
    gsize bytes;       // of all
    gboolean open;     // the newest train can take more
    struct mmsghdr messages[TRAINS_MAX];
    const RelayAddress *to; // of the newest train
    SegmentControl controls[TRAINS_MAX];
    struct iovec vectors[PACKETS_MAX];
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

static gboolean fits_train(const RelayUdpBatch *b, const RelayAddress *to, const RelayUnit *unit)
{
    if (!b->open || !g_atomic_int_get(&b->udp->segments))
        return FALSE;
    const struct msghdr *train = &b->messages[b->trains - 1].msg_hdr;
    gsize segment = train->msg_iov[0].iov_len;
    return unit->bytes <= segment && segment <= SEGMENT_BYTES_MAX &&
           train->msg_iovlen < SEGMENTS_MAX && b->train_bytes + unit->bytes <= TRAIN_BYTES_MAX &&
           (b->to == to || relay_address_equal(b->to, to));
}

static void begin_train(RelayUdpBatch *b, const RelayAddress *to)
{
    guint i = b->trains++;
    b->to = to;
    b->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = (void *)&to->to,
                                                  .msg_namelen = to->bytes,
                                                  .msg_iov = &b->vectors[b->packets]}};
    b->train_bytes = 0;
}

void relay_udp_batch_add(RelayUdpBatch *batch, const RelayAddress *to, const RelayUnit *unit)
{
    RelayUdpBatch *b = batch;
    if (b->packets == PACKETS_MAX || (b->trains == TRAINS_MAX && !fits_train(b, to, unit)))
        relay_udp_batch_flush(b);
    if (!fits_train(b, to, unit))
        begin_train(b, to);
    struct msghdr *train = &b->messages[b->trains - 1].msg_hdr;
    b->vectors[b->packets++] = (struct iovec){(void *)unit->data, unit->bytes};
    b->bytes += unit->bytes;
    train->msg_iovlen++;
    b->train_bytes += unit->bytes;
    // All segments but the last have one size: a shorter packet closes the train.
    b->open = unit->bytes == train->msg_iov[0].iov_len;
}

static void set_segment_size(RelayUdpBatch *b, guint i)
{
    struct msghdr *train = &b->messages[i].msg_hdr;
    if (train->msg_iovlen < 2)
        return;
    train->msg_control = &b->controls[i];
    train->msg_controllen = sizeof b->controls[i];
    struct cmsghdr *control = CMSG_FIRSTHDR(train);
    control->cmsg_level = IPPROTO_UDP;
    control->cmsg_type = UDP_SEGMENT;
    control->cmsg_len = CMSG_LEN(sizeof(guint16));
    guint16 size = (guint16)train->msg_iov[0].iov_len;
    memcpy(CMSG_DATA(control), &size, sizeof size);
}

// The kernel took no train of this form: its packets leave one by one, and so do all from now on
// when it knows no trains at all. (A route with a small MTU refuses only its own.)
static void send_singly(RelayUdpBatch *b, const struct msghdr *train, int failure)
{
    if (failure == EIO && g_atomic_int_compare_and_exchange(&b->udp->segments, TRUE, FALSE))
        tk_warning("the kernel refuses UDP segmentation (%s): sending single datagrams from now on",
                   g_strerror(failure));
    for (gsize i = 0; i < train->msg_iovlen; i++)
        if (sendto(b->udp->rtp_fd, train->msg_iov[i].iov_base, train->msg_iov[i].iov_len, 0,
                   train->msg_name, train->msg_namelen) < 0)
            relay_stat_add(b->stats.refused, 1);
}

static void send_trains(RelayUdpBatch *b)
{
    for (guint sent = 0; sent < b->trains;) {
        int count = sendmmsg(b->udp->rtp_fd, b->messages + sent, b->trains - sent, 0);
        relay_stat_add(b->stats.calls, 1);
        if (count > 0) {
            sent += (guint)count;
            continue;
        }
        if (errno == EINTR)
            continue;
        const struct msghdr *train = &b->messages[sent].msg_hdr;
        if (train->msg_iovlen > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE))
            send_singly(b, train, errno);
        else
            relay_stat_add(b->stats.refused, train->msg_iovlen);
        sent++;
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
    b->trains = b->packets = 0;
    b->bytes = 0;
    b->open = FALSE;
}

const RelayUdpStats *relay_udp_batch_stats(const RelayUdpBatch *batch)
{
    return &batch->stats;
}
