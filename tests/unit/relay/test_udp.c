// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/media/rtp.h"
#include "relay/net/dscp.h"
#include "relay/net/udp_batch.h"
#include "relay/net/udp_receiver.h"

#define DATAGRAM_BYTES_MAX 9216
#define ANSWER_MS 10000 // how long loopback may take before the test has failed

// A socket on loopback that receives one by one.
typedef struct {
    int fd;
    RelayAddress at;
} Peer;

static void peer_open(Peer *peer)
{
    RelayAddress any;
    assert_true(relay_address_parse("127.0.0.1", 0, &any, NULL));
    peer->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer->fd, (struct sockaddr *)&any.to, any.bytes), 0);
    peer->at = relay_address_with_port(&any, relay_address_bound_port(peer->fd));
}

static gsize peer_read(const Peer *peer, guint8 *data, guint16 *ret_port)
{
    struct pollfd ready = {.fd = peer->fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, ANSWER_MS), 1);
    struct sockaddr_in from;
    socklen_t bytes = sizeof from;
    ssize_t size =
        recvfrom(peer->fd, data, DATAGRAM_BYTES_MAX, 0, (struct sockaddr *)&from, &bytes);
    assert_true(size >= 0);
    *ret_port = ntohs(from.sin_port);
    return (gsize)size;
}

static RelayUnit *unit(guint8 content, guint bytes)
{
    RelayUnit *made = relay_unit_new(bytes);
    for (guint i = 0; i < bytes; i++)
        made->data[i] = (guint8)(content + i);
    return made;
}

static void open_pairs(RelayUdp *pairs, guint count, const char *backend)
{
    g_autoptr(GError) error = NULL;
    gboolean opened = relay_udp_open(pairs, count, "127.0.0.1", 0, backend, &error);
    assert_null(error);
    assert_true(opened);
}

// What a round may hold: trains with a shorter end, packets that fit no train, doubles of a size
// that is not the first one's, more than one call takes.
static const guint sizes[] = {1200, 1200, 1200, 700, 700,  100,  1200, 1460, 1460, 9000,
                              12,   12,   1300, 1,   1200, 1200, 1200, 1200, 1200, 333};
#define PEERS 70

// Every other peer, and one of three packets of every seventh, has headers of its own.
static gboolean has_own_header(guint peer, guint packet)
{
    return sizes[packet] >= TK_RTP_HEADER_BYTES && (peer % 2 || (peer % 7 == 0 && packet % 3 == 0));
}

static void own_header(guint peer, guint packet, guint8 ret[TK_RTP_HEADER_BYTES])
{
    memset(ret, (guint8)(100 + peer + packet), TK_RTP_HEADER_BYTES);
}

static void sends_to_all(RelayUdp *udp, RelayUdpStats *ret_stats)
{
    static Peer peers[PEERS];
    RelayUnit *units[G_N_ELEMENTS(sizes)];
    RelayUdpBatch *batch = relay_udp_batch_new(udp);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        units[i] = unit((guint8)i, sizes[i]);
    for (guint p = 0; p < PEERS; p++) {
        peer_open(&peers[p]);
        for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
            guint8 header[TK_RTP_HEADER_BYTES];
            own_header(p, i, header);
            relay_udp_batch_add(batch, &peers[p].at, has_own_header(p, i) ? header : NULL,
                                units[i]);
        }
    }
    relay_udp_batch_flush(batch);
    for (guint p = 0; p < PEERS; p++) {
        for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
            guint8 data[DATAGRAM_BYTES_MAX], header[TK_RTP_HEADER_BYTES];
            guint16 port;
            assert_int_equal(peer_read(&peers[p], data, &port), sizes[i]);
            gsize own = has_own_header(p, i) ? sizeof header : 0;
            own_header(p, i, header);
            assert_memory_equal(data, header, own);
            assert_memory_equal(data + own, units[i]->data + own, sizes[i] - own);
            assert_int_equal(port, udp->port);
        }
        close(peers[p].fd);
    }
    *ret_stats = *relay_udp_batch_stats(batch);
    assert_int_equal(ret_stats->datagrams, PEERS * G_N_ELEMENTS(sizes));
    assert_int_equal(ret_stats->refused, 0);
    relay_udp_batch_free(batch);
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
        relay_unit_unref(units[i]);
}

static void every_back_end_sends_the_same(void **state)
{
    static const char *const names[] = {"gso", "sendmmsg", "sendto"};
    guint64 calls = 0;
    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        RelayUdp udp;
        RelayUdpStats stats;
        open_pairs(&udp, 1, names[i]);
        assert_string_equal(relay_udp_backend(&udp)->name, names[i]);
        sends_to_all(&udp, &stats);
        if (i == 0)
            assert_true(stats.trains < stats.datagrams);
        else
            assert_int_equal(stats.trains, stats.datagrams);
        assert_true(i == 0 || stats.calls >= calls);
        calls = stats.calls;
        relay_udp_close(&udp);
    }
}

static void a_back_end_has_to_work(void **state)
{
    g_autoptr(GError) error = NULL;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_string_equal(relay_udp_backend_choose("auto", pair[0], &error)->name, "sendmmsg");
    assert_null(error);
    assert_null(relay_udp_backend_choose("gso", pair[0], &error)); // no UDP, no segmentation
    check_error(error, TK_ERROR_CONFIG);
    close(pair[0]);
    close(pair[1]);
}

// Without checksums the kernel segments nothing, as on routes with a small MTU.
static void refused_trains_go_one_by_one(void **state)
{
    RelayUdp udp;
    RelayUdpStats stats;
    int on = 1;
    open_pairs(&udp, 1, "gso");
    assert_int_equal(setsockopt(udp.rtp_fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
    sends_to_all(&udp, &stats);
    assert_true(stats.trains < stats.datagrams);
    assert_true(stats.calls > stats.trains);
    assert_string_equal(relay_udp_backend(&udp)->name, "gso"); // other routes take them
    relay_udp_close(&udp);
}

#define MANY 400

static gpointer count_datagrams(gpointer data)
{
    const int *fd = data;
    guint8 bytes[DATAGRAM_BYTES_MAX];
    guint count = 0;
    while (recv(*fd, bytes, sizeof bytes, 0) > 1)
        count++;
    return GUINT_TO_POINTER(count);
}

// Loopback's UDP is never full; a local socket is, after a few datagrams.
static void fill(int fd, RelayUdpStats *ret_stats)
{
    static const RelayAddress connected;
    int least = 1;
    g_autoptr(RelayUnit) packet = unit(7, 1200);
    RelayUdp udp = RELAY_UDP_NONE;
    udp.rtp_fd = fd;
    udp.backend = relay_udp_backend_choose("sendmmsg", fd, NULL);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
    RelayUdpBatch *batch = relay_udp_batch_new(&udp);
    for (guint i = 0; i < MANY; i++)
        relay_udp_batch_add(batch, &connected, NULL, packet);
    relay_udp_batch_flush(batch);
    *ret_stats = *relay_udp_batch_stats(batch);
    relay_udp_batch_free(batch);
}

#define ATTEMPTS 2000 // at being given the processor in time, on a machine that has much to do

static void sends_to_reader(RelayUdpStats *ret_stats)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
    int flags = fcntl(pair[0], F_GETFL);
    assert_int_equal(fcntl(pair[0], F_SETFL, flags | O_NONBLOCK), 0);
    GThread *reader = g_thread_new("reader", count_datagrams, &pair[1]);
    fill(pair[0], ret_stats);
    assert_int_equal(fcntl(pair[0], F_SETFL, flags), 0);
    assert_int_equal(send(pair[0], "", 1, 0), 1); // the end
    assert_int_equal(GPOINTER_TO_UINT(g_thread_join(reader)) + ret_stats->refused, MANY);
    close(pair[0]);
    close(pair[1]);
}

static void waits_for_a_full_buffer(void **state)
{
    for (guint i = 0; i < ATTEMPTS; i++) {
        RelayUdpStats stats;
        sends_to_reader(&stats);
        if (stats.waits > 0 && stats.refused == 0)
            return;
    }
    fail_msg("packets are lost to a full buffer");
}

static void does_not_wait_for_ever(void **state)
{
    int pair[2];
    RelayUdpStats stats;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    fill(pair[0], &stats);
    assert_true(stats.refused > 0);
    guint came = 0;
    guint8 bytes[DATAGRAM_BYTES_MAX];
    while (recv(pair[1], bytes, sizeof bytes, 0) > 0)
        came++;
    assert_int_equal(came + stats.refused, MANY);
    close(pair[0]);
    close(pair[1]);
}

typedef struct {
    GByteArray *sizes; // of what came, as guint16
    GByteArray *bytes;
    guint count;
    RelayAddress from;
    gint64 came_wall_ns;
} Taken;

static void take(gpointer user, const RelayAddress *from, const guint8 *data, gsize size,
                 gint64 came_wall_ns)
{
    Taken *taken = user;
    guint16 small = (guint16)size;
    taken->from = *from;
    taken->came_wall_ns = came_wall_ns;
    taken->count++;
    g_byte_array_append(taken->sizes, (const guint8 *)&small, sizeof small);
    g_byte_array_append(taken->bytes, data, (guint)size);
}

static void receive(RelayUdpReceiver *receiver, int fd, guint count, Taken *taken)
{
    while (taken->count < count) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, ANSWER_MS), 1);
        relay_udp_receive(receiver, fd, take, taken);
    }
}

// The kernel begins to note when packets come a moment after the first socket asked for it.
#define TRIES_MAX 10000

static void tells_when_rtcp_came(void **state)
{
    RelayUdp to, from;
    open_pairs(&to, 1, "auto");
    open_pairs(&from, 1, "auto");
    RelayAddress address;
    assert_true(relay_address_parse("127.0.0.1", (guint16)(to.port + 1), &address, NULL));
    RelayUdpReceiver *receiver = relay_udp_receiver_new();
    Taken taken = {.sizes = g_byte_array_new(), .bytes = g_byte_array_new()};
    g_autoptr(GByteArray) packet = g_byte_array_new();
    g_byte_array_append(packet, (const guint8 *)"report", 6);
    gboolean told = FALSE;
    for (guint i = 0; i < TRIES_MAX && !told; i++) {
        gint64 before_ns = tk_clock_wall_ns();
        relay_udp_send_rtcp(&from, &address, packet);
        struct pollfd ready = {.fd = to.rtcp_fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, ANSWER_MS), 1);
        gint64 after_ns = tk_clock_wall_ns();
        receive(receiver, to.rtcp_fd, i + 1, &taken);
        told = taken.came_wall_ns >= before_ns && taken.came_wall_ns <= after_ns;
    }
    assert_true(told);
    g_byte_array_unref(taken.sizes);
    g_byte_array_unref(taken.bytes);
    relay_udp_receiver_free(receiver);
    relay_udp_close(&to);
    relay_udp_close(&from);
}

static void takes_joined_datagrams_apart(void **state)
{
    RelayUdp to, from;
    open_pairs(&to, 1, "auto");
    open_pairs(&from, 1, "gso");
    RelayAddress address;
    assert_true(relay_address_parse("127.0.0.1", to.port, &address, NULL));
    RelayUdpBatch *batch = relay_udp_batch_new(&from);
    RelayUdpReceiver *receiver = relay_udp_receiver_new();
    Taken taken = {.sizes = g_byte_array_new(), .bytes = g_byte_array_new()};
    g_autoptr(GPtrArray) units = g_ptr_array_new_with_free_func((GDestroyNotify)relay_unit_unref);
    g_autoptr(GByteArray) sent = g_byte_array_new(), sent_sizes = g_byte_array_new();
    for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
        RelayUnit *packet = unit((guint8)i, sizes[i]);
        guint16 size = (guint16)sizes[i];
        g_byte_array_append(sent, packet->data, packet->bytes);
        g_byte_array_append(sent_sizes, (const guint8 *)&size, sizeof size);
        relay_udp_batch_add(batch, &address, NULL, packet);
        g_ptr_array_add(units, packet);
    }
    relay_udp_batch_flush(batch);
    receive(receiver, to.rtp_fd, G_N_ELEMENTS(sizes), &taken);
    RelayUdpReceiverStats stats;
    relay_udp_receiver_stats(receiver, &stats);
    assert_int_equal(stats.datagrams, G_N_ELEMENTS(sizes));
    assert_true(stats.buffers < stats.datagrams);
    assert_int_equal(taken.bytes->len, sent->len);
    assert_memory_equal(taken.bytes->data, sent->data, sent->len);
    assert_memory_equal(taken.sizes->data, sent_sizes->data, sent_sizes->len);
    assert_int_equal(relay_address_port(&taken.from), from.port);
    g_byte_array_unref(taken.sizes);
    g_byte_array_unref(taken.bytes);
    relay_udp_receiver_free(receiver);
    relay_udp_batch_free(batch);
    relay_udp_close(&to);
    relay_udp_close(&from);
}

#define WORKERS 3
#define STRANGERS 64

static void workers_send_alone_and_the_first_receives(void **state)
{
    RelayUdp pairs[WORKERS];
    Peer peers[STRANGERS];
    guint8 data[DATAGRAM_BYTES_MAX];
    RelayAddress address;
    open_pairs(pairs, WORKERS, "auto");
    assert_true(relay_address_parse("127.0.0.1", pairs[0].port, &address, NULL));
    RelayUdpReceiver *receiver = relay_udp_receiver_new();
    Taken taken = {.sizes = g_byte_array_new(), .bytes = g_byte_array_new()};
    for (guint i = 0; i < STRANGERS; i++) {
        peer_open(&peers[i]);
        assert_int_equal(
            sendto(peers[i].fd, "x", 1, 0, (struct sockaddr *)&address.to, address.bytes), 1);
    }
    receive(receiver, pairs[0].rtp_fd, STRANGERS, &taken);
    g_autoptr(RelayUnit) packet = unit(1, 200);
    for (guint i = 0; i < WORKERS; i++) {
        RelayUdpBatch *batch = relay_udp_batch_new(&pairs[i]);
        relay_udp_batch_add(batch, &peers[0].at, NULL, packet);
        relay_udp_batch_flush(batch);
        relay_udp_batch_free(batch);
        guint16 port;
        assert_int_equal(peer_read(&peers[0], data, &port), 200);
        assert_int_equal(port, pairs[0].port);
        for (guint j = 0; j < i; j++) {
            guint64 one = 0, other = 0;
            socklen_t bytes = sizeof one;
            getsockopt(pairs[i].rtp_fd, SOL_SOCKET, SO_COOKIE, &one, &bytes);
            getsockopt(pairs[j].rtp_fd, SOL_SOCKET, SO_COOKIE, &other, &bytes);
            assert_int_not_equal(one, other);
        }
    }
    for (guint i = 0; i < STRANGERS; i++)
        close(peers[i].fd);
    g_byte_array_unref(taken.sizes);
    g_byte_array_unref(taken.bytes);
    relay_udp_receiver_free(receiver);
    for (guint i = 0; i < WORKERS; i++)
        relay_udp_close(&pairs[i]);
}

static void another_relay_gets_no_share_of_the_port(void **state)
{
    RelayUdp mine[2], other[2];
    open_pairs(mine, 2, "auto");
    g_autoptr(GError) error = NULL;
    assert_false(relay_udp_open(other, 2, "127.0.0.1", mine->port, "auto", &error));
    check_error(error, TK_ERROR_IO);
    relay_udp_close(&mine[0]);
    relay_udp_close(&mine[1]);
}

// The traffic class of the next datagram, as its receiver sees it.
static int class_of_next(int fd, int level, int type)
{
    guint8 data[64], control[64];
    struct iovec vector = {data, sizeof data};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, ANSWER_MS), 1);
    assert_true(recvmsg(fd, &message, 0) > 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c))
        if (c->cmsg_level == level && c->cmsg_type == type)
            return level == IPPROTO_IP ? *CMSG_DATA(c) : *(const int *)(const void *)CMSG_DATA(c);
    return -1;
}

static void says_class(const char *sender, const char *receiver, guint dscp)
{
    RelayAddress from, any;
    assert_true(relay_address_parse(sender, 0, &from, NULL));
    assert_true(relay_address_parse(receiver, 0, &any, NULL));
    int out = socket(from.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
    int in = socket(any.to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    gboolean six = any.to.ss_family == AF_INET6, mapped = from.to.ss_family == AF_INET6 && !six;
    assert_int_equal(bind(in, (struct sockaddr *)&any.to, any.bytes), 0);
    guint16 port = relay_address_bound_port(in);
    setsockopt(in, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVTCLASS : IP_RECVTOS, &on,
               sizeof on);
    relay_dscp_mark(out, dscp);
    RelayAddress to = relay_address_with_port(&any, port);
    if (mapped)
        assert_true(relay_address_parse("::ffff:127.0.0.1", port, &to, NULL));
    assert_int_equal(sendto(out, "x", 1, 0, (struct sockaddr *)&to.to, to.bytes), 1);
    assert_int_equal(class_of_next(in, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS),
                     dscp << 2);
    close(in);
    close(out);
}

static void says_its_traffic_class_by_ipv4_and_ipv6(void **state)
{
    says_class("127.0.0.1", "127.0.0.1", 34);
    says_class("127.0.0.1", "127.0.0.1", 63);
    says_class("127.0.0.1", "127.0.0.1", 0);
    says_class("::1", "::1", 34);
    says_class("::", "127.0.0.1", 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_back_end_sends_the_same),
        cmocka_unit_test(a_back_end_has_to_work),
        cmocka_unit_test(refused_trains_go_one_by_one),
        cmocka_unit_test(waits_for_a_full_buffer),
        cmocka_unit_test(does_not_wait_for_ever),
        cmocka_unit_test(tells_when_rtcp_came),
        cmocka_unit_test(takes_joined_datagrams_apart),
        cmocka_unit_test(workers_send_alone_and_the_first_receives),
        cmocka_unit_test(another_relay_gets_no_share_of_the_port),
        cmocka_unit_test(says_its_traffic_class_by_ipv4_and_ipv6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
