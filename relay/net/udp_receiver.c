// SPDX-License-Identifier: MIT
#include "relay/net/udp_receiver.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "relay/net/stream.h"

#define BUFFERS_PER_CALL 32
// Of one round: others on the worker's loop get their turn in between.
#define DATAGRAMS_PER_ROUND 512
// What the kernel joins at most. Pages that nothing is written to cost nothing.
#define BUFFER_BYTES 65536
// Larger RTP than an Ethernet frame carries only comes over loopback or interleaved.
#define DATAGRAM_BYTES_MAX 9216

typedef union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec))];
} Control;

struct _RelayUdpReceiver {
    struct mmsghdr messages[BUFFERS_PER_CALL];
    struct iovec vectors[BUFFERS_PER_CALL];
    RelayAddress addresses[BUFFERS_PER_CALL];
    Control controls[BUFFERS_PER_CALL];
    guint8 (*buffers)[BUFFER_BYTES];
    RelayUdpReceiverStats stats;
};

RelayUdpReceiver *relay_udp_receiver_new(void)
{
    RelayUdpReceiver *r = g_new0(RelayUdpReceiver, 1);
    r->buffers = g_malloc(sizeof *r->buffers * BUFFERS_PER_CALL);
    for (guint i = 0; i < BUFFERS_PER_CALL; i++) {
        r->vectors[i] = (struct iovec){r->buffers[i], BUFFER_BYTES};
        r->messages[i].msg_hdr = (struct msghdr){.msg_iov = &r->vectors[i],
                                                 .msg_iovlen = 1,
                                                 .msg_name = &r->addresses[i].to,
                                                 .msg_control = &r->controls[i]};
    }
    return r;
}

void relay_udp_receiver_free(RelayUdpReceiver *receiver)
{
    if (!receiver)
        return;
    g_free(receiver->buffers);
    g_free(receiver);
}

// The size of each datagram in the buffer but the last (left alone when there is only one), and
// when it came.
static void read_control(struct msghdr *message, gsize *ret_segment, gint64 *ret_wall_ns)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            if (size > 0)
                *ret_segment = (gsize)size;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec came;
            memcpy(&came, CMSG_DATA(c), sizeof came);
            *ret_wall_ns = came.tv_sec * TK_NS_PER_S + came.tv_nsec;
        }
    }
}

// How many datagrams were in it.
static guint take_buffer(RelayUdpReceiver *r, guint i, RelayUdpTake take, gpointer user)
{
    struct msghdr *message = &r->messages[i].msg_hdr;
    gsize bytes = r->messages[i].msg_len, at = 0;
    gsize segment = bytes;
    gint64 came_wall_ns = 0;
    guint count = 0;
    read_control(message, &segment, &came_wall_ns);
    r->addresses[i].bytes = message->msg_namelen;
    do { // an empty datagram is one as well
        gsize size = MIN(segment, bytes - at);
        count++;
        if (size <= DATAGRAM_BYTES_MAX)
            take(user, &r->addresses[i], r->buffers[i] + at, size, came_wall_ns);
        else
            relay_stat_add(r->stats.oversized, 1);
        at += size;
    } while (at < bytes);
    return count;
}

void relay_udp_receive(RelayUdpReceiver *receiver, int fd, RelayUdpTake take, gpointer user)
{
    RelayUdpReceiver *r = receiver;
    int got = BUFFERS_PER_CALL;
    for (guint count = 0; got == BUFFERS_PER_CALL && count < DATAGRAMS_PER_ROUND;) {
        for (guint i = 0; i < BUFFERS_PER_CALL; i++) {
            r->messages[i].msg_hdr.msg_namelen = sizeof r->addresses[i].to;
            r->messages[i].msg_hdr.msg_controllen = sizeof r->controls[i];
        }
        got = recvmmsg(fd, r->messages, BUFFERS_PER_CALL, MSG_DONTWAIT, NULL);
        guint datagrams = 0;
        for (int i = 0; i < got; i++)
            datagrams += take_buffer(r, (guint)i, take, user);
        relay_stat_add(r->stats.datagrams, datagrams);
        relay_stat_add(r->stats.buffers, (guint64)MAX(got, 0));
        count += datagrams;
    }
}

void relay_udp_receiver_stats(const RelayUdpReceiver *receiver, RelayUdpReceiverStats *ret)
{
    *ret = (RelayUdpReceiverStats){.datagrams = relay_stat_get(receiver->stats.datagrams),
                                   .buffers = relay_stat_get(receiver->stats.buffers),
                                   .oversized = relay_stat_get(receiver->stats.oversized)};
}
