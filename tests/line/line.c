// SPDX-License-Identifier: MIT
// A bad line between two network namespaces: a tun device in each, and between them packets are
// lost at random or in bursts, wait, and pass a narrow place with a buffer. By a seed, the same
// each time. Standard input changes it while it runs ("loss 10", "burst 5", "delay 100", "rate
// 2000", "buffer 64"; "count" tells of the packets) and its end is the end.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PACKET_BYTES 2048     // MTU 1500
#define QUEUE_BYTES (8 << 20) // on its way in one direction: 300 ms at 200 Mbit/s

typedef struct {
    gint64 due_ns;
    gsize bytes;
    guint8 data[];
} Packet;

typedef struct {
    int from, to;
    GQueue queue; // of Packet, by `due_ns`
    gsize queued_bytes;
    gint64 free_ns; // when the narrow place has sent all that it has
    guint losing;   // so many more in a row
    guint64 passed, lost, full;
} Way;

typedef struct {
    double loss, burst, delay_ms, rate_kbit, buffer_kib; // rate 0: not narrow
    GRand *dice;
    Way ways[2];
} Line;

static void die(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

static void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

static gint64 now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (gint64)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void set_up(int control, const char *name, const char *address, const char *peer)
{
    struct ifreq request = {0};
    struct sockaddr_in at = {.sin_family = AF_INET};
    g_strlcpy(request.ifr_name, name, sizeof request.ifr_name);
    inet_pton(AF_INET, address, &at.sin_addr);
    memcpy(&request.ifr_addr, &at, sizeof at);
    if (ioctl(control, SIOCSIFADDR, &request) < 0)
        die("%s: %s", address, g_strerror(errno));
    inet_pton(AF_INET, peer, &at.sin_addr);
    memcpy(&request.ifr_dstaddr, &at, sizeof at);
    if (ioctl(control, SIOCSIFDSTADDR, &request) < 0)
        die("%s: %s", peer, g_strerror(errno));
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(control, SIOCSIFFLAGS, &request) < 0)
        die("%s: %s", name, g_strerror(errno));
}

// One end, in the network namespace of process `pid`.
static int open_end(const char *pid, const char *address, const char *peer)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "line%d"};
    g_autofree char *path = g_strdup_printf("/proc/%s/ns/net", pid);
    int space = open(path, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0)
        die("%s: %s", path, g_strerror(errno));
    close(space);
    int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0)
        die("/dev/net/tun: %s", g_strerror(errno));
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    set_up(control, request.ifr_name, address, peer);
    close(control);
    return tun;
}

static gboolean loses(Line *line, Way *way)
{
    if (way->losing > 0) {
        way->losing--;
        return TRUE;
    }
    if (g_rand_double(line->dice) * 100 * line->burst >= line->loss)
        return FALSE;
    way->losing = (guint)line->burst - 1;
    return TRUE;
}

// When it has passed the narrow place; -1: the buffer before that is full.
static gint64 leaves(const Line *line, Way *way, gsize bytes, gint64 at_ns)
{
    if (line->rate_kbit <= 0)
        return at_ns;
    gint64 begin_ns = MAX(at_ns, way->free_ns);
    double waiting = (double)(begin_ns - at_ns) * line->rate_kbit / 8e6;
    if (waiting + (double)bytes > line->buffer_kib * 1024)
        return -1;
    way->free_ns = begin_ns + (gint64)((double)bytes * 8e6 / line->rate_kbit);
    return way->free_ns;
}

static void take(Line *line, Way *way)
{
    guint8 data[PACKET_BYTES];
    ssize_t got;
    while ((got = read(way->from, data, sizeof data)) > 0) {
        gsize bytes = (gsize)got;
        gint64 at_ns = leaves(line, way, bytes, now_ns());
        if (at_ns < 0 || way->queued_bytes + bytes > QUEUE_BYTES) {
            way->full++;
        } else if (loses(line, way)) {
            way->lost++;
        } else {
            Packet *packet = g_malloc(sizeof *packet + bytes);
            packet->due_ns = at_ns + (gint64)(line->delay_ms * 1e6);
            packet->bytes = bytes;
            memcpy(packet->data, data, bytes);
            way->queued_bytes += bytes;
            g_queue_push_tail(&way->queue, packet);
        }
    }
}

// Milliseconds until the next packet is due, -1: none waits.
static int give(Way *way)
{
    Packet *packet;
    gint64 at_ns = now_ns();
    while ((packet = g_queue_peek_head(&way->queue)) && packet->due_ns <= at_ns) {
        g_queue_pop_head(&way->queue);
        way->queued_bytes -= packet->bytes;
        if (write(way->to, packet->data, packet->bytes) < 0)
            way->lost++; // nobody there any more
        else
            way->passed++;
        g_free(packet);
    }
    return packet ? (int)((packet->due_ns - at_ns) / 1000000) + 1 : -1;
}

static gboolean set(Line *line, const char *name, double value)
{
    const struct {
        const char *name;
        double *at, least, most;
    } settings[] = {
        {"loss", &line->loss, 0, 100},          {"burst", &line->burst, 1, 100},
        {"delay", &line->delay_ms, 0, 5000},   {"rate", &line->rate_kbit, 0, 1e6},
        {"buffer", &line->buffer_kib, 2, 1e5},
    };
    for (guint i = 0; i < G_N_ELEMENTS(settings); i++) {
        if (!g_str_equal(settings[i].name, name))
            continue;
        *settings[i].at = CLAMP(value, settings[i].least, settings[i].most);
        return TRUE;
    }
    return FALSE;
}

static void obey(Line *line, char *text)
{
    g_auto(GStrv) words = g_strsplit(g_strstrip(text), " ", -1);
    guint count = g_strv_length(words);
    if (count == 2 && set(line, words[0], g_ascii_strtod(words[1], NULL))) {
        printf("ok\n");
    } else if (count == 1 && g_str_equal(words[0], "count")) {
        printf("count");
        for (guint i = 0; i < 2; i++)
            printf(" %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
                   line->ways[i].passed, line->ways[i].lost, line->ways[i].full);
        putchar('\n');
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

static gboolean hear(Line *line)
{
    static GString *pending;
    char text[256];
    ssize_t got = read(STDIN_FILENO, text, sizeof text);
    if (!pending)
        pending = g_string_new(NULL);
    if (got <= 0 || pending->len > sizeof text)
        return FALSE;
    g_string_append_len(pending, text, got);
    char *end;
    while ((end = strchr(pending->str, '\n'))) {
        g_autofree char *one = g_strndup(pending->str, (gsize)(end - pending->str));
        g_string_erase(pending, 0, end - pending->str + 1);
        obey(line, one);
    }
    return TRUE;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage: tongke-line PID ADDRESS PID ADDRESS SEED");
    Line line = {.burst = 1,
                 .buffer_kib = 64,
                 .dice = g_rand_new_with_seed((guint32)strtoul(argv[5], NULL, 10))};
    int ends[] = {open_end(argv[1], argv[2], argv[4]), open_end(argv[3], argv[4], argv[2])};
    for (guint i = 0; i < 2; i++)
        line.ways[i] = (Way){.from = ends[i], .to = ends[1 - i], .queue = G_QUEUE_INIT};
    printf("ready\n");
    fflush(stdout);
    struct pollfd fds[] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    for (gboolean open = TRUE; open;) {
        int waits[] = {give(&line.ways[0]), give(&line.ways[1])};
        int wait = waits[0] < 0 || waits[1] < 0 ? MAX(waits[0], waits[1]) : MIN(waits[0], waits[1]);
        poll(fds, G_N_ELEMENTS(fds), wait);
        for (guint i = 0; i < 2; i++)
            if (fds[i].revents & POLLIN)
                take(&line, &line.ways[i]);
        if (fds[2].revents)
            open = hear(&line);
    }
    for (guint i = 0; i < 2; i++)
        g_queue_clear_full(&line.ways[i].queue, g_free);
    g_rand_free(line.dice);
    return EXIT_SUCCESS;
}
