// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include "relay/net/endpoints.h"

static RelayEndpoints *table;
static int one, two; // owners

static RelayAddress address(const char *host, guint16 port)
{
    RelayAddress result;
    assert_true(relay_address_parse(host, port, &result, NULL));
    return result;
}

static RelayAddress above(const RelayAddress *address)
{
    return relay_address_with_port(address, (guint16)(relay_address_port(address) + 1));
}

static gboolean add_viewer(gpointer owner, guint track, const RelayAddress *rtp)
{
    RelayAddress rtcp = above(rtp);
    return relay_endpoints_add(table, RELAY_ENDPOINT_VIEWER, owner, track, rtp, &rtcp);
}

static gboolean comes(gboolean rtcp, const RelayAddress *from, RelayEndpoint *ret)
{
    return relay_endpoints_find(table, rtcp, from, ret);
}

// From a port that is nobody's: is it taken for one of `owner`'s, and of which track?
static gboolean moves(const RelayAddress *from, gconstpointer owner, guint track)
{
    RelayEndpoint found;
    guint silent;
    if (comes(FALSE, from, &found) || !relay_endpoints_guess(table, FALSE, from, &found, &silent) ||
        found.owner != owner || found.track != track || !(silent & 1u << track))
        return FALSE;
    relay_endpoints_move(table, FALSE, from, owner, track);
    return comes(FALSE, from, &found) && found.owner == owner && found.track == track;
}

static gboolean is_nobodys(gboolean rtcp, const RelayAddress *from)
{
    RelayEndpoint found;
    guint silent;
    return !comes(rtcp, from, &found) && !relay_endpoints_guess(table, rtcp, from, &found, &silent);
}

static int begin_table(void **state)
{
    table = relay_endpoints_new();
    return 0;
}

static int end_table(void **state)
{
    relay_endpoints_free(table);
    return 0;
}

static void finds_owners_and_follows_nat(void **state)
{
    RelayAddress said[2] = {address("10.0.0.7", 5000), address("10.0.0.7", 5002)};
    RelayAddress seen = address("10.0.0.7", 61000), foreign = address("10.0.0.8", 5000);
    RelayEndpoint found;
    assert_true(add_viewer(&one, 0, &said[0]));
    assert_true(add_viewer(&one, 1, &said[1]));
    assert_true(is_nobodys(FALSE, &foreign));
    assert_true(comes(FALSE, &said[1], &found));
    assert_true(found.track == 1 && !found.moved && found.kind == RELAY_ENDPOINT_VIEWER);
    assert_true(moves(&seen, &one, 0)); // track 0 was silent
    RelayAddress later = address("10.0.0.7", 62000);
    assert_true(is_nobodys(FALSE, &later));      // none is silent
    assert_true(comes(FALSE, &said[0], &found)); // no NAT after all
    assert_true(found.moved && found.track == 0);
    assert_true(is_nobodys(FALSE, &seen));
    assert_false(add_viewer(&two, 0, &said[1])); // it has an owner
    assert_true(comes(FALSE, &said[1], &found));
    assert_ptr_equal(found.owner, &one);
    assert_true(add_viewer(&one, 1, &later)); // said anew
    assert_true(comes(FALSE, &later, &found));
    assert_true(is_nobodys(FALSE, &said[1]));
    relay_endpoints_remove(table, &one);
    assert_true(is_nobodys(FALSE, &said[0]));
    assert_true(add_viewer(&two, 0, &said[0]));
}

static void gives_nobody_what_may_be_anothers(void **state)
{
    RelayAddress said[2] = {address("10.0.0.7", 5000), address("10.0.0.7", 6000)};
    RelayAddress strange[2] = {address("10.0.0.7", 61000), address("10.0.0.7", 62000)};
    RelayAddress rtcp = above(&strange[0]);
    RelayEndpoint found;
    assert_true(add_viewer(&one, 0, &said[0]));
    assert_true(add_viewer(&two, 0, &said[1]));
    assert_true(is_nobodys(FALSE, &strange[0]));
    assert_true(is_nobodys(TRUE, &rtcp));
    // The first speaks from where it said: the strange port can only be the second's.
    assert_true(comes(FALSE, &said[0], &found));
    assert_true(moves(&strange[0], &two, 0));
    assert_true(is_nobodys(FALSE, &strange[1]));
    assert_true(is_nobodys(TRUE, &rtcp)); // of the RTCP ports nothing is known yet
    relay_endpoints_remove(table, &one);
    assert_true(is_nobodys(FALSE, &strange[1]));
    guint silent;
    assert_true(relay_endpoints_guess(table, TRUE, &rtcp, &found, &silent));
    assert_ptr_equal(found.owner, &two);
    relay_endpoints_remove(table, &two);
    assert_true(is_nobodys(TRUE, &rtcp));
}

static void takes_both_ports_or_neither(void **state)
{
    RelayAddress said = address("10.0.0.7", 5000), mine = address("10.0.0.7", 6000);
    RelayAddress rtcp = above(&said), other = address("10.0.0.7", 7000);
    RelayEndpoint found;
    assert_true(add_viewer(&one, 0, &said));
    assert_true(comes(FALSE, &said, &found) && comes(TRUE, &rtcp, &found)); // none is silent
    // Its RTCP port is another's: so the RTP port is nobody's either.
    assert_false(relay_endpoints_add(table, RELAY_ENDPOINT_VIEWER, &two, 0, &mine, &rtcp));
    assert_true(is_nobodys(FALSE, &mine));
    // What it had before stays.
    assert_true(add_viewer(&two, 0, &mine));
    assert_false(relay_endpoints_add(table, RELAY_ENDPOINT_VIEWER, &two, 0, &other, &rtcp));
    assert_true(comes(FALSE, &mine, &found));
    assert_true(found.owner == &two && !found.moved);
    assert_false(comes(FALSE, &other, &found));
    relay_endpoints_remove(table, &two);
    assert_false(comes(FALSE, &mine, &found));
}

static void tells_what_an_owner_is(void **state)
{
    RelayAddress said = address("10.0.0.7", 5000), rtcp = above(&said);
    RelayAddress viewers = address("10.0.0.7", 6000);
    RelayEndpoint found;
    assert_true(relay_endpoints_add(table, RELAY_ENDPOINT_SENDER, &one, 0, &said, &rtcp));
    assert_true(add_viewer(&two, 0, &viewers));
    assert_true(comes(TRUE, &rtcp, &found));
    assert_int_equal(found.kind, RELAY_ENDPOINT_SENDER);
    assert_true(comes(FALSE, &viewers, &found));
    assert_int_equal(found.kind, RELAY_ENDPOINT_VIEWER);
}

// Hostile, or a player's mistake: the last word counts, and nothing is left of the first.
static void takes_one_port_for_two_tracks_as_the_last(void **state)
{
    RelayAddress said = address("10.0.0.7", 5000), seen = address("10.0.0.7", 61000);
    RelayEndpoint found;
    assert_true(add_viewer(&one, 0, &said));
    assert_true(add_viewer(&one, 1, &said));
    assert_true(moves(&seen, &one, 1));
    assert_true(comes(FALSE, &said, &found));
    assert_int_equal(found.track, 1);
    assert_true(is_nobodys(FALSE, &seen));
    relay_endpoints_remove(table, &one);
    assert_true(add_viewer(&two, 0, &said));
}

#define CLASSES 300 // behind few addresses

static RelayAddress of_class(guint i, guint track, gboolean rtcp)
{
    g_autofree char *host = g_strdup_printf("10.0.0.%u", i % 7 + 1);
    return address(host, (guint16)(10000 + i * 4 + track * 2 + rtcp));
}

static void keeps_many_owners_apart(void **state)
{
    int owners[CLASSES];
    RelayEndpoint found;
    for (guint i = 0; i < CLASSES * 2; i++) {
        RelayAddress said = of_class(i / 2, i % 2, FALSE);
        assert_true(add_viewer(&owners[i / 2], i % 2, &said));
    }
    for (guint i = 0; i < CLASSES; i += 2)
        relay_endpoints_remove(table, &owners[i]);
    for (guint i = 0; i < CLASSES * 4; i++) {
        RelayAddress said = of_class(i / 4, i % 4 / 2, i & 1);
        gboolean is_there = comes(i & 1, &said, &found);
        assert_int_equal(is_there, i / 4 % 2); // the others have left
        if (is_there)
            assert_true(found.owner == &owners[i / 4] && found.track == i % 4 / 2);
    }
    for (guint i = 0; i < CLASSES; i++)
        relay_endpoints_remove(table, &owners[i]);
    RelayAddress stranger = address("10.0.0.1", 9);
    assert_true(is_nobodys(FALSE, &stranger));
}

static void takes_no_strangers_packet_on_loopback_for_an_owners(void **state)
{
    RelayAddress said = address("127.0.0.1", 5000), stranger = address("127.0.0.1", 5004);
    RelayEndpoint found;
    assert_true(add_viewer(&one, 0, &said));
    assert_true(is_nobodys(FALSE, &stranger));
    assert_true(comes(FALSE, &said, &found));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_owners_and_follows_nat, begin_table, end_table),
        cmocka_unit_test_setup_teardown(gives_nobody_what_may_be_anothers, begin_table, end_table),
        cmocka_unit_test_setup_teardown(takes_both_ports_or_neither, begin_table, end_table),
        cmocka_unit_test_setup_teardown(tells_what_an_owner_is, begin_table, end_table),
        cmocka_unit_test_setup_teardown(takes_one_port_for_two_tracks_as_the_last, begin_table,
                                        end_table),
        cmocka_unit_test_setup_teardown(keeps_many_owners_apart, begin_table, end_table),
        cmocka_unit_test_setup_teardown(takes_no_strangers_packet_on_loopback_for_an_owners,
                                        begin_table, end_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
