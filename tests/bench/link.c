// SPDX-License-Identifier: MIT
#include "tests/bench/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define READ_BYTES (256 << 10)

static guint8 read_buffer[READ_BYTES]; // one thread; used between recvmsg and on_bytes only

static void fail(LoadLink *link, const char *why)
{
    load_link_close(link);
    link->on_closed(link->user, why);
}

static void watch_for(LoadLink *link)
{
    guint32 events = (link->paused ? 0 : EPOLLIN) | (link->out->len || !link->open ? EPOLLOUT : 0);
    load_loop_change(link->loop, &link->watch, events);
}

static gint64 arrival_ns(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec at;
            memcpy(&at, CMSG_DATA(c), sizeof at);
            return (gint64)at.tv_sec * 1000000000 + at.tv_nsec;
        }
    }
    return load_now_ns();
}

void load_link_read(LoadLink *link, gsize bytes)
{
    char control[128];
    struct iovec place = {read_buffer, MIN(bytes, READ_BYTES)};
    struct msghdr message = {.msg_iov = &place,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    if (!link->out)
        return;
    ssize_t got = recvmsg(link->watch.fd, &message, MSG_DONTWAIT);
    if (got > 0)
        link->on_bytes(link->user, read_buffer, (gsize)got, arrival_ns(&message));
    else if (got == 0)
        fail(link, "closed by the peer");
    else if (errno != EAGAIN && errno != EINTR)
        fail(link, g_strerror(errno));
}

// How much of it the kernel took; the link is closed when it is in error.
static gsize send_some(LoadLink *link, const guint8 *data, gsize size)
{
    gsize done = 0;
    while (done < size) {
        ssize_t sent = send(link->watch.fd, data + done, size - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0) {
            fail(link, g_strerror(errno));
            break;
        }
        done += (gsize)sent;
    }
    return done;
}

static void flush(LoadLink *link)
{
    gsize done = send_some(link, link->out->data, link->out->len);
    if (link->out && done)
        g_byte_array_remove_range(link->out, 0, (guint)done);
}

static void opened(LoadLink *link)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(link->watch.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        fail(link, g_strerror(error));
        return;
    }
    link->open = TRUE;
    if (link->on_open)
        link->on_open(link->user);
    if (link->out && link->out->len)
        flush(link);
}

static void on_ready(void *user, guint32 events)
{
    LoadLink *link = user;
    if (!link->open && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        opened(link);
        if (link->out)
            watch_for(link);
        return;
    }
    if (events & EPOLLOUT && link->out->len) {
        flush(link);
        if (link->out && !link->out->len)
            watch_for(link);
    }
    if (link->out && (events & EPOLLIN) && !link->paused)
        load_link_read(link, READ_BYTES);
    else if (link->out && events & (EPOLLERR | EPOLLHUP))
        fail(link, "reset by the peer");
}

static void begin(LoadLink *link, int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    link->watch = (LoadWatch){.fd = fd, .on_ready = on_ready, .user = link};
    link->out = g_byte_array_new();
    link->paused = FALSE;
}

void load_link_connect(LoadLink *link, const char *host, guint port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((guint16)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        load_die("socket: %s", g_strerror(errno));
    inet_pton(AF_INET, host, &to.sin_addr);
    if (link->receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &link->receive_bytes, sizeof link->receive_bytes);
    begin(link, fd);
    link->open = FALSE;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)
        g_warning("connect: %s", g_strerror(errno)); // epoll tells of it as well
    load_loop_add(link->loop, &link->watch, EPOLLIN | EPOLLOUT);
}

void load_link_take(LoadLink *link, int fd)
{
    begin(link, fd);
    link->open = TRUE;
    load_loop_add(link->loop, &link->watch, EPOLLIN);
}

void load_link_close(LoadLink *link)
{
    if (!link->out)
        return;
    load_loop_close(link->loop, &link->watch);
    g_clear_pointer(&link->out, g_byte_array_unref);
}

void load_link_put(LoadLink *link, const void *data, gsize size)
{
    if (!link->out)
        return;
    gboolean waits = link->out->len > 0;
    gsize done = waits || !link->open ? 0 : send_some(link, data, size);
    if (!link->out || done == size)
        return;
    g_byte_array_append(link->out, (const guint8 *)data + done, (guint)(size - done));
    if (!waits)
        watch_for(link);
}

void load_link_pause(LoadLink *link)
{
    link->paused = TRUE;
    if (link->out)
        watch_for(link);
}
