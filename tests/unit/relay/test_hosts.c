// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "relay/net/hosts.h"

static RelayAddress address(const char *host)
{
    RelayAddress result;
    assert_true(relay_address_parse(host, 40000, &result, NULL));
    return result;
}

static int connection(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}

static gboolean comes(RelayHosts *hosts, const char *host, int fd, gint64 now_ns)
{
    RelayAddress peer = address(host);
    return relay_hosts_admit(hosts, &peer, fd, now_ns);
}

static void bounds_one_host_and_no_other(void **state)
{
    RelayHosts *hosts = relay_hosts_new(2);
    int fds[4] = {connection(), connection(), connection(), connection()};
    assert_true(comes(hosts, "10.0.0.7", fds[0], TK_NS_PER_S));
    assert_true(comes(hosts, "10.0.0.7", fds[1], TK_NS_PER_S));
    assert_false(comes(hosts, "10.0.0.7", fds[2], TK_NS_PER_S));
    assert_true(comes(hosts, "10.0.0.8", fds[2], TK_NS_PER_S));
    assert_int_equal(relay_hosts_refused(hosts), 1);
    close(fds[0]);
    assert_true(comes(hosts, "10.0.0.7", fds[3], 2 * TK_NS_PER_S));
    assert_false(comes(hosts, "10.0.0.7", fds[2], 3 * TK_NS_PER_S));
    for (guint i = 1; i < 4; i++)
        close(fds[i]);
    relay_hosts_free(hosts);
}

static void knows_a_descriptor_that_is_another_connection(void **state)
{
    RelayHosts *hosts = relay_hosts_new(1);
    int first = connection(), second = connection();
    assert_true(comes(hosts, "10.0.0.7", first, TK_NS_PER_S));
    assert_int_equal(dup2(second, first), first); // the number is used again
    assert_true(comes(hosts, "10.0.0.7", second, 2 * TK_NS_PER_S));
    close(first);
    close(second);
    relay_hosts_free(hosts);
}

static void counts_sites_and_not_this_machine(void **state)
{
    RelayHosts *hosts = relay_hosts_new(1);
    int fd = connection();
    for (guint i = 0; i < 3; i++) {
        assert_true(comes(hosts, "127.0.0.1", fd, TK_NS_PER_S));
        assert_true(comes(hosts, "::1", fd, TK_NS_PER_S));
        assert_true(comes(hosts, "::ffff:127.0.0.1", fd, TK_NS_PER_S));
    }
    assert_true(comes(hosts, "2001:db8:1:2::1", fd, TK_NS_PER_S));
    assert_false(comes(hosts, "2001:db8:1:2:aaaa::9", fd, TK_NS_PER_S));
    assert_true(comes(hosts, "2001:db8:1:3::1", fd, TK_NS_PER_S));
    assert_true(comes(hosts, "10.0.0.7", fd, TK_NS_PER_S));
    assert_false(comes(hosts, "::ffff:10.0.0.7", fd, TK_NS_PER_S));
    close(fd);
    relay_hosts_free(hosts);
}

static void remembers_no_more_than_are_open(void **state)
{
    RelayHosts *hosts = relay_hosts_new(1);
    for (guint i = 0; i < 5000; i++) {
        g_autofree char *host = g_strdup_printf("10.0.%u.%u", i / 250, i % 250);
        int fd = connection();
        assert_true(comes(hosts, host, fd, TK_NS_PER_S));
        close(fd);
    }
    assert_true(relay_hosts_remembered(hosts) <= 1024);
    relay_hosts_free(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_one_host_and_no_other),
        cmocka_unit_test(knows_a_descriptor_that_is_another_connection),
        cmocka_unit_test(counts_sites_and_not_this_machine),
        cmocka_unit_test(remembers_no_more_than_are_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
