// SPDX-License-Identifier: MIT
// The least that a machine can do for the same sends: no reading, no history, no policy. What a
// relay costs is measured against it.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/media/cmaf.h"
#include "tests/bench/lesson.h"
#include "tests/bench/link.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define LINE_BYTES (1 << 20)
#define TRAIN_PACKETS 50 // 60 kB: the kernel takes 64 kB
#define BATCH 64
#define CHUNK_FRAMES 3 // 100 ms
#define CHUNK_SOUNDS 16

typedef struct {
    struct sockaddr_in at[LOAD_TRACKS];
} Receiver;

typedef struct {
    LoadLoop *loop;
    LoadLesson *lesson;
    LoadFrame *frame; // the next
    LoadWatch timer;
    gint64 begin_ns;
    void (*send)(LoadFrame *frame);
} Bare;

static Bare bare;
static Receiver *receivers;
static guint receivers_count;
static int udp_fd;

static void send_each(LoadFrame *frame)
{
    guint count;
    const LoadPacket *packets = load_lesson_packets(bare.lesson, frame, &count);
    for (guint r = 0; r < receivers_count; r++)
        for (guint i = 0; i < count; i++)
            if (sendto(udp_fd, packets[i].data, packets[i].bytes, 0,
                       (struct sockaddr *)&receivers[r].at[frame->track],
                       sizeof(struct sockaddr_in)) < 0 && errno != ECONNREFUSED)
                load_die("sendto: %s", g_strerror(errno));
}

static void flush_trains(struct mmsghdr *messages, guint count)
{
    for (guint done = 0; done < count;) {
        int sent = sendmmsg(udp_fd, messages + done, count - done, 0);
        if (sent < 0 && errno != ECONNREFUSED)
            load_die("sendmmsg: %s", g_strerror(errno));
        done += sent > 0 ? (guint)sent : 0;
    }
}

// One train to everybody.
static void send_train(LoadTrack track, guint8 *data, gsize bytes, gsize segment)
{
    static struct mmsghdr messages[BATCH];
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(guint16))];
    } control = {.head = {.cmsg_level = IPPROTO_UDP, .cmsg_type = UDP_SEGMENT,
                          .cmsg_len = CMSG_LEN(sizeof(guint16))}};
    guint16 size = (guint16)segment;
    memcpy(CMSG_DATA(&control.head), &size, sizeof size);
    struct iovec place = {data, bytes};
    guint count = 0;
    for (guint r = 0; r < receivers_count; r++) {
        struct msghdr *head = &messages[count++].msg_hdr;
        *head = (struct msghdr){.msg_name = &receivers[r].at[track],
                                .msg_namelen = sizeof(struct sockaddr_in),
                                .msg_iov = &place, .msg_iovlen = 1};
        if (bytes > segment) {
            head->msg_control = &control;
            head->msg_controllen = sizeof control;
        }
        if (count == BATCH || r + 1 == receivers_count) {
            flush_trains(messages, count);
            count = 0;
        }
    }
}

static void send_trains(LoadFrame *frame)
{
    static guint8 train[TRAIN_PACKETS * LOAD_PACKET_BYTES];
    guint count;
    const LoadPacket *packets = load_lesson_packets(bare.lesson, frame, &count);
    for (guint first = 0; first < count; first += TRAIN_PACKETS) {
        gsize bytes = 0;
        for (guint i = first; i < MIN(count, first + TRAIN_PACKETS); i++) {
            memcpy(train + bytes, packets[i].data, packets[i].bytes);
            bytes += packets[i].bytes;
        }
        send_train(frame->track, train, bytes, packets[first].bytes);
    }
}

// "ports 5000,5002 5004,5006 …": of picture and sound at each receiver.
static void read_ports(void)
{
    g_autofree char *line = g_malloc(LINE_BYTES);
    if (!fgets(line, LINE_BYTES, stdin) || !g_str_has_prefix(line, "ports "))
        load_die("standard input does not say the ports");
    g_auto(GStrv) words = g_strsplit(g_strchomp(line) + strlen("ports "), " ", -1);
    receivers_count = g_strv_length(words);
    receivers = g_new0(Receiver, receivers_count);
    for (guint r = 0; r < receivers_count; r++) {
        char *rest = words[r];
        for (guint i = 0; i < LOAD_TRACKS; i++) {
            struct sockaddr_in *at = &receivers[r].at[i];
            at->sin_family = AF_INET;
            at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            at->sin_port = htons((guint16)strtoul(rest, &rest, 10));
            rest += *rest == ',';
        }
    }
    int bytes = 4 << 20;
    udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(udp_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

static GPtrArray *links; // who takes chunks over TCP
static LoadWatch listening;

typedef struct {
    TkCmafRun run;
    TkCmafSample samples[CHUNK_SOUNDS];
    GByteArray *data;
    guint64 time; // of the next sample
} Pending;

static Pending pending[LOAD_TRACKS];

static void send_chunk(void)
{
    static guint32 sequence;
    TkCmafRun runs[LOAD_TRACKS];
    guint count = 0;
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        Pending *p = &pending[i];
        p->run.samples = p->samples;
        p->run.data = p->data->data;
        p->run.data_bytes = p->data->len;
        if (p->run.samples_count)
            runs[count++] = p->run;
    }
    gsize bytes = tk_cmaf_chunk_bytes(runs, count, FALSE);
    guint8 *message = g_malloc(bytes + 10);
    gsize head = bytes > G_MAXUINT16 ? 10 : 4;
    message[0] = 0x82; // RFC 6455 section 5.2: binary, whole
    message[1] = head == 10 ? 127 : 126;
    for (gsize i = 2; i < head; i++)
        message[i] = (guint8)((guint64)bytes >> 8 * (head - 1 - i));
    tk_cmaf_chunk_write(message + head, ++sequence, 0, runs, count);
    for (guint i = 0; i < links->len; i++)
        load_link_put(links->pdata[i], message, head + bytes);
    g_free(message);
    for (guint i = 0; i < LOAD_TRACKS; i++) {
        pending[i].run.samples_count = 0;
        g_byte_array_set_size(pending[i].data, 0);
    }
}

static void gather(LoadFrame *frame)
{
    Pending *p = &pending[frame->track];
    guint32 length = GUINT32_TO_BE((guint32)frame->bytes);
    gboolean video = frame->track == LOAD_VIDEO;
    if (p->run.samples_count == CHUNK_SOUNDS)
        return;
    if (!p->run.samples_count)
        p->run.decode_time = p->time;
    TkCmafSample *sample = &p->samples[p->run.samples_count++];
    *sample = (TkCmafSample){.duration = video ? 3000 : LOAD_SOUND_SAMPLES,
                             .size = (guint32)frame->bytes + (video ? 4 : 0), .key = frame->key};
    p->run.track_id = frame->track + 1;
    p->time += sample->duration;
    if (video)
        g_byte_array_append(p->data, (const guint8 *)&length, 4);
    g_byte_array_append(p->data, frame->data, (guint)frame->bytes);
    if (video && p->run.samples_count == CHUNK_FRAMES)
        send_chunk();
}

static void on_bytes(void *user, const guint8 *data, gsize size, gint64 at_ns)
{
}

static void on_closed(void *user, const char *why)
{
    g_ptr_array_remove_fast(links, user); // not freed: whoever called is still using it
}

static void on_connection(void *user, guint32 events)
{
    int fd = accept4(listening.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    // The relay's own; where the kernel has no BBR, neither gets it.
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", strlen("bbr"));
    LoadLink *link = g_new0(LoadLink, 1);
    link->loop = bare.loop;
    link->on_bytes = on_bytes;
    link->on_closed = on_closed;
    link->user = link;
    load_link_take(link, fd);
    g_ptr_array_add(links, link);
}

static void listen_tcp(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    listening.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    listening.on_ready = on_connection;
    if (bind(listening.fd, (struct sockaddr *)&at, size) < 0 || listen(listening.fd, 4096) < 0)
        load_die("listen: %s", g_strerror(errno));
    getsockname(listening.fd, (struct sockaddr *)&at, &size);
    load_loop_add(bare.loop, &listening, EPOLLIN);
    links = g_ptr_array_new();
    for (guint i = 0; i < LOAD_TRACKS; i++)
        pending[i].data = g_byte_array_new();
    printf("listening %u\n", ntohs(at.sin_port));
    fflush(stdout);
}

static void on_timer(void *user, guint32 events)
{
    load_timer_read(&bare.timer);
    gint64 now_ns = load_monotonic_ns() - bare.begin_ns;
    while (bare.frame->at_ns <= now_ns) {
        load_lesson_stamp(bare.frame, load_now_ns());
        bare.send(bare.frame);
        bare.frame = load_lesson_next(bare.lesson);
    }
    load_timer_set(&bare.timer, bare.begin_ns + bare.frame->at_ns);
}

int main(int argc, char **argv)
{
    const char *way = argc == 2 ? argv[1] : "";
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    bare.loop = load_loop_new();
    bare.lesson = load_lesson_new(2000000, 30);
    if (g_str_equal(way, "sendto") || g_str_equal(way, "gso")) {
        bare.send = g_str_equal(way, "gso") ? send_trains : send_each;
        read_ports();
    } else if (g_str_equal(way, "tcp")) {
        bare.send = gather;
        listen_tcp();
    } else {
        load_die("usage: tongke-bare sendto|gso|tcp");
    }
    bare.begin_ns = load_monotonic_ns();
    bare.frame = load_lesson_next(bare.lesson);
    bare.timer.on_ready = on_timer;
    load_timer_start(bare.loop, &bare.timer, 1000000);
    load_loop_run(bare.loop); // until it is stopped
    return EXIT_SUCCESS;
}
