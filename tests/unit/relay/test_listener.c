// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "relay/net/listener.h"

#define FDS_MAX 16

// From here on the kernel answers accept4 with `error`, whatever waits.
static void let_accept_fail(int error)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_accept4, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (guint32)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {G_N_ELEMENTS(steps), steps};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static int call(guint16 port)
{
    RelayAddress address;
    assert_true(relay_address_parse("127.0.0.1", port, &address, NULL));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address.to, address.bytes), 0);
    return fd;
}

// How many descriptors the main loop would wait for.
static gint watched(void)
{
    GPollFD fds[FDS_MAX];
    gint priority, timeout_ms;
    GMainContext *context = g_main_context_default();
    assert_true(g_main_context_acquire(context));
    g_main_context_prepare(context, &priority);
    gint count = g_main_context_query(context, G_MAXINT, &timeout_ms, fds, FDS_MAX);
    g_main_context_release(context);
    return count;
}

static void on_accept(gpointer user, int fd, const RelayAddress *peer)
{
    ++*(guint *)user;
    close(fd);
}

// A descriptor that stays readable would wake the main thread for ever.
static void looks_away_for_a_while_when_it_cannot_accept(void **state)
{
    static const int errors[] = {EPERM, ENOMEM, EMFILE, EPROTO};
    RelayHosts *hosts = relay_hosts_new(0);
    guint accepted = 0;
    RelayListener *listener =
        relay_listener_new("127.0.0.1", 0, hosts, "", on_accept, &accepted, NULL);
    assert_non_null(listener);
    int caller = call(relay_listener_port(listener));
    gint before = watched();
    g_main_context_iteration(NULL, TRUE);
    assert_int_equal(accepted, 1);
    assert_int_equal(watched(), before);
    int next = call(relay_listener_port(listener));
    for (guint i = 0; i < G_N_ELEMENTS(errors); i++) {
        let_accept_fail(errors[i]); // the newest rule counts
        g_main_context_iteration(NULL, TRUE);
        assert_int_equal(watched(), before - 1);
        while (watched() < before) // and looks again
            g_main_context_iteration(NULL, TRUE);
    }
    relay_listener_free(listener);
    relay_hosts_free(hosts);
    close(caller);
    close(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_away_for_a_while_when_it_cannot_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
