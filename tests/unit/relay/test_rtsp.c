// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <string.h>

#include "common/media/rtsp.h"
#include "relay/net/groups.h"
#include "relay/net/origin.h"
#include "relay/net/rtsp_url.h"
#include "relay/net/transport.h"

static TkRtspPiece next(const char *text, TkRtspInput *input)
{
    return tk_rtsp_next((const guint8 *)text, strlen(text), input);
}

static void reads_a_request_with_a_body(void **state)
{
    static const char text[] = "ANNOUNCE rtsp://h/math RTSP/1.0\r\nCSeq: 3\r\n"
                               "content-length:  5 \r\nX-Two: a: b\r\n\r\nv=0\r\nrest";
    TkRtspInput input;
    assert_int_equal(next(text, &input), TK_RTSP_REQUEST);
    g_autoptr(TkRtspMessage) request = input.message;
    assert_string_equal(request->method, "ANNOUNCE");
    assert_string_equal(request->uri, "rtsp://h/math");
    assert_string_equal(tk_rtsp_header(request, "cseq"), "3");
    assert_string_equal(tk_rtsp_header(request, "x-two"), "a: b");
    assert_null(tk_rtsp_header(request, "Session"));
    assert_string_equal(request->body, "v=0\r\n");
    assert_int_equal(input.bytes, strlen(text) - 4);
}

static void waits_for_every_missing_byte(void **state)
{
    static const char text[] =
        "SETUP rtsp://h/m RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc";
    for (gsize size = 0; size < strlen(text); size++) {
        TkRtspInput input;
        assert_int_equal(tk_rtsp_next((const guint8 *)text, size, &input), TK_RTSP_INCOMPLETE);
    }
}

static void reads_frames_between_requests(void **state)
{
    static const guint8 bytes[] = {'$', 2, 0, 3, 'x', 'y', 'z', '$', 3, 0, 0};
    TkRtspInput input;
    assert_int_equal(tk_rtsp_next(bytes, sizeof bytes, &input), TK_RTSP_FRAME);
    assert_int_equal(input.channel, 2);
    assert_int_equal(input.payload_bytes, 3);
    assert_memory_equal(input.payload, "xyz", 3);
    assert_int_equal(tk_rtsp_next(bytes + input.bytes, sizeof bytes - input.bytes, &input),
                     TK_RTSP_FRAME);
    assert_int_equal(input.payload_bytes, 0);
    assert_int_equal(tk_rtsp_next(bytes, 6, &input), TK_RTSP_INCOMPLETE);
}

static void refuses_what_is_not_rtsp(void **state)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "options rtsp://h RTSP/1.0\r\n\r\n",
        "OPTIONS rtsp://h\r\n\r\n",
        "OPTIONS rtsp://h RTSP/1.0\r\nno colon\r\n\r\n",
        "OPTIONS rtsp://h RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
        "OPTIONS rtsp://h RTSP/1.0\r\nContent-Length: 999999999999\r\n\r\n",
        "OPTIONS rtsp://h RTSP/1.0\r\nA: \xff\r\n\r\n",
    };
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        TkRtspInput input;
        assert_int_equal(next(bad[i], &input), TK_RTSP_BAD);
    }
}

static void bounds_the_head_and_its_headers(void **state)
{
    g_autoptr(GString) text = g_string_new("OPTIONS rtsp://h RTSP/1.0\r\n");
    for (guint i = 0; i <= TK_RTSP_HEADERS_MAX; i++)
        g_string_append(text, "A: b\r\n");
    g_string_append(text, "\r\n");
    TkRtspInput input;
    assert_int_equal(next(text->str, &input), TK_RTSP_BAD);
    g_string_truncate(text, 0);
    while (text->len < TK_RTSP_HEAD_BYTES_MAX)
        g_string_append_c(text, 'A');
    assert_int_equal(next(text->str, &input), TK_RTSP_BAD);
}

static void reads_a_response_with_a_body(void **state)
{
    static const char text[] = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nv=0rest";
    TkRtspInput input;
    assert_int_equal(next(text, &input), TK_RTSP_RESPONSE);
    g_autoptr(TkRtspMessage) response = input.message;
    assert_int_equal(response->status, 200);
    assert_null(response->method);
    assert_string_equal(response->body, "v=0");
    assert_int_equal(input.bytes, strlen(text) - 4);
    assert_int_equal(next("\r\nOPTIONS", &input), TK_RTSP_OTHER);
}

static void refuses_a_status_that_is_none(void **state)
{
    static const char *const bad[] = {"RTSP/1.0 99 Low\r\n\r\n", "RTSP/1.0 600 High\r\n\r\n",
                                      "RTSP/1.0 OK\r\n\r\n", "RTSP/1.0\r\n\r\n",
                                      "RTSP/2.0 200 OK\r\n\r\n"};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        TkRtspInput input;
        assert_int_equal(next(bad[i], &input), TK_RTSP_BAD);
    }
}

static void reads_where_a_server_sends_from(void **state)
{
    RelayAddress peer, rtp, rtcp;
    assert_true(relay_address_parse("192.0.2.7", 8554, &peer, NULL));
    assert_true(relay_transport_read_server(
        "RTP/AVPF;unicast;client_port=6000-6001; server_port=8000-8001", &peer, &rtp, &rtcp));
    assert_true(relay_address_same_host(&rtp, &peer));
    assert_int_equal(relay_address_port(&rtp), 8000);
    assert_int_equal(relay_address_port(&rtcp), 8001);
    assert_false(
        relay_transport_read_server("RTP/AVP;unicast;client_port=6000-6001", &peer, &rtp, &rtcp));
    assert_false(relay_transport_read_server("RTP/AVP;server_port=0-1", &peer, &rtp, &rtcp));
    assert_false(relay_transport_read_server(NULL, &peer, &rtp, &rtcp));
}

static void check_url(const char *uri, const char *lesson, const char *stream, const char *query,
                      gint track, const char *base)
{
    g_auto(RelayRtspUrl) url = {0};
    assert_true(relay_rtsp_url_parse(uri, &url, NULL));
    assert_string_equal(url.lesson, lesson);
    assert_string_equal(url.stream, stream);
    assert_string_equal(url.query ? url.query : "", query);
    assert_int_equal(url.track, track);
    assert_string_equal(url.base, base);
}

static void reads_urls_as_clients_put_them_together(void **state)
{
    check_url("rtsp://h:8554/math", "math", "main", "", -1, "rtsp://h:8554/math");
    check_url("rtsp://h/math/", "math", "main", "", -1, "rtsp://h/math");
    check_url("rtsp://h/math/slides/track=1", "math", "slides", "", 1, "rtsp://h/math/slides");
    check_url("rtsp://h/math/track=0?token=a.b", "math", "main", "token=a.b", 0, "rtsp://h/math");
    check_url("rtsp://h/math?token=a.b/track=1", "math", "main", "token=a.b", 1, "rtsp://h/math");
    check_url("RTSP://u:p@h/math", "math", "main", "", -1, "RTSP://u:p@h/math");
}

static void refuses_urls_that_name_no_lesson(void **state)
{
    static const char *const bad[] = {
        "rtsp://h",       "rtsp://h/",         "http://h/math",   "rtsp://h/../etc",
        "rtsp://h/a/b/c", "rtsp://h/%2e%2e/x", "rtsp://h/a/../b", "*"};
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(RelayRtspUrl) url = {0};
        g_autoptr(GError) error = NULL;
        assert_false(relay_rtsp_url_parse(bad[i], &url, &error));
        assert_non_null(error);
    }
}

static void knows_a_tracks_control(void **state)
{
    assert_true(relay_rtsp_url_has_control("rtsp://h/m/streamid=0", "streamid=0"));
    assert_true(relay_rtsp_url_has_control("rtsp://h/m/t", "rtsp://h/m/t"));
    assert_false(relay_rtsp_url_has_control("rtsp://h/m/streamid=10", "streamid=0"));
    assert_false(relay_rtsp_url_has_control("rtsp://h/m/xstreamid=0", "streamid=0"));
    assert_false(relay_rtsp_url_has_control("rtsp://h/m", ""));
}

static RelayAddress address(const char *host, guint16 port)
{
    RelayAddress result;
    assert_true(relay_address_parse(host, port, &result, NULL));
    return result;
}

static void sends_only_to_the_peer_itself(void **state)
{
    RelayAddress peer = address("10.0.0.7", 40000), other = address("192.0.2.1", 1);
    RelayTransport transport;
    assert_true(
        relay_transport_choose("RTP/AVP;unicast;destination=192.0.2.1;client_port=5000-5001", &peer,
                               0, FALSE, &transport));
    assert_true(relay_address_same_host(&transport.rtp, &peer));
    assert_false(relay_address_same_host(&transport.rtp, &other));
    assert_int_equal(relay_address_port(&transport.rtp), 5000);
    assert_int_equal(relay_address_port(&transport.rtcp), 5001);
}

static void chooses_a_transport_it_speaks(void **state)
{
    RelayAddress peer = address("::1", 40000);
    RelayTransport transport;
    assert_true(relay_transport_choose(
        "RTP/SAVP;unicast;client_port=1-2,RTP/AVP/TCP;unicast;interleaved=4-5", &peer, 0, FALSE,
        &transport));
    assert_int_equal(transport.kind, RELAY_TRANSPORT_TCP);
    assert_int_equal(transport.rtp_channel, 4);
    assert_true(relay_transport_choose("RTP/AVP/TCP;unicast", &peer, 1, FALSE, &transport));
    assert_int_equal(transport.rtp_channel, 2);
    assert_false(transport.feedback);
    assert_true(relay_transport_choose("RTP/AVPF;unicast;client_port=5000-5001", &peer, 0, FALSE,
                                       &transport));
    assert_true(transport.feedback);
    assert_int_equal(transport.kind, RELAY_TRANSPORT_UDP);
    g_autofree char *header = relay_transport_header(&transport, 8000, FALSE);
    check_contains(header, "Transport: RTP/AVPF;unicast;client_port=5000-5001;server_port=8000");
    assert_true(relay_transport_choose("RTP/AVPF/TCP;unicast", &peer, 1, FALSE, &transport));
    assert_true(transport.feedback && transport.kind == RELAY_TRANSPORT_TCP);
    assert_false(relay_transport_choose("RTP/SAVPF;unicast;client_port=5000-5001", &peer, 0, FALSE,
                                        &transport));
    assert_false(relay_transport_choose("RTP/AVP;multicast", &peer, 0, FALSE, &transport));
    assert_false(relay_transport_choose("RTP/AVP;unicast", &peer, 0, FALSE, &transport));
    assert_false(
        relay_transport_choose("RTP/AVP;unicast;client_port=0-1", &peer, 0, FALSE, &transport));
    assert_false(
        relay_transport_choose("RTP/AVP/TCP;interleaved=300-301", &peer, 0, FALSE, &transport));
    assert_false(relay_transport_choose(NULL, &peer, 0, FALSE, &transport));
}

static void names_a_group_by_itself(void **state)
{
    RelayAddress peer = address("10.0.0.7", 40000);
    RelayTransport transport;
    const char *offer = "RTP/AVP;multicast;destination=239.1.2.3;port=5000-5001;ttl=99";
    assert_false(relay_transport_choose(offer, &peer, 0, FALSE, &transport));
    assert_true(relay_transport_choose(offer, &peer, 0, TRUE, &transport));
    assert_int_equal(transport.kind, RELAY_TRANSPORT_MULTICAST);
    assert_int_equal(transport.rtp.bytes, 0);
    transport.rtp = address("239.255.0.1", 18002);
    transport.rtcp = address("239.255.0.1", 18003);
    transport.ttl = 1;
    g_autofree char *header = relay_transport_header(&transport, 8000, FALSE);
    assert_string_equal(
        header, "Transport: RTP/AVP;multicast;destination=239.255.0.1;port=18002-18003;ttl=1\r\n");
    // Where there is none, the next offer counts.
    assert_true(relay_transport_choose("RTP/AVP/UDP;multicast,RTP/AVP/TCP;unicast", &peer, 0, FALSE,
                                       &transport));
    assert_int_equal(transport.kind, RELAY_TRANSPORT_TCP);
}

static void sends_to_scoped_groups_only(void **state)
{
    static const struct {
        const char *prefix;
        guint count;
        guint16 port;
        const char *reason; // NULL: good
    } cases[] = {
        {"239.255.0.0/16", 64, 18000, NULL},       {"239.192.0.0/14", 500, 18000, NULL},
        {"239.255.0.0/30", 3, 18000, NULL},        {"239.255.0.0/30", 4, 18000, "holds less"},
        {"224.0.0.0/8", 1, 18000, "239.0.0.0/8"},  {"232.1.0.0/16", 1, 18000, "239.0.0.0/8"},
        {"10.0.0.0/8", 1, 18000, "239.0.0.0/8"},   {"239.0.0.0/4", 1, 18000, "239.0.0.0/8"},
        {"239.255.0.1/16", 1, 18000, "first"},     {"239.255.0.0/32", 1, 18000, "BITS"},
        {"239.0.0.0/16", 1, 18000, "switches"},    {"239.128.0.0/16", 1, 18000, "switches"},
        {"239.255.0.0", 1, 18000, "ADDRESS/BITS"}, {"239.255/16", 1, 18000, "ADDRESS/BITS"},
        {"ff05::/16", 1, 18000, "ADDRESS/BITS"},   {"", 1, 18000, "ADDRESS/BITS"},
        {"239.255.0.0/16", 1, 18001, "even"},      {"239.255.0.0/16", 500, 64000, "ports"},
    };
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        RelayGroupRange range;
        gboolean good =
            relay_group_range_parse(cases[i].prefix, cases[i].count, cases[i].port, &range, &error);
        assert_int_equal(good, cases[i].reason == NULL);
        if (!good)
            check_contains(error->message, cases[i].reason);
    }
}

static void check_group(const RelayGroupRange *range, guint group, guint track, gboolean rtcp,
                        const char *expected)
{
    RelayAddress to = relay_group_range_address(range, group, track, rtcp);
    g_autofree char *text = relay_address_text(&to);
    assert_string_equal(text, expected);
}

static void gives_each_group_once_and_the_longest_free_first(void **state)
{
    RelayGroupRange range;
    assert_true(relay_group_range_parse("239.255.0.0/16", 3, 18000, &range, NULL));
    check_group(&range, 0, 0, FALSE, "239.255.0.1:18000");
    check_group(&range, 0, 1, TRUE, "239.255.0.1:18003");
    check_group(&range, 2, 0, TRUE, "239.255.0.3:18009");
    RelayGroups *groups = relay_groups_new(&range);
    guint group;
    for (guint i = 0; i < 3; i++) {
        assert_true(relay_groups_take(groups, &group));
        assert_int_equal(group, i);
    }
    assert_false(relay_groups_take(groups, &group));
    relay_groups_give_back(groups, 1);
    relay_groups_give_back(groups, 0);
    assert_true(relay_groups_take(groups, &group));
    assert_int_equal(group, 1);
    relay_groups_free(groups);
}

static void lets_no_foreign_page_in_by_the_loopback_door(void **state)
{
    static const struct {
        const char *origin, *host;
        gboolean changes, trusted;
    } rows[] = {
        {NULL, "127.0.0.1:8080", TRUE, TRUE},
        {"http://127.0.0.1:8080", "127.0.0.1:8080", TRUE, TRUE},
        {"http://localhost:8080", "localhost:8080", TRUE, TRUE},
        {"http://[::1]:8080", "[::1]:8080", TRUE, TRUE},
        {"https://evil.example", "127.0.0.1:8080", TRUE, FALSE},
        {"https://evil.example", "127.0.0.1:8080", FALSE, TRUE}, // CORS keeps the answer from it
        {"null", "127.0.0.1:8080", TRUE, FALSE},
        {"http://rebound.example", "rebound.example", TRUE, FALSE},
        {NULL, "rebound.example:8080", FALSE, FALSE},
        {"http://127.0.0.1.evil.example", "127.0.0.1", TRUE, FALSE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
        assert_int_equal(relay_origin_trusted(rows[i].origin, rows[i].host, rows[i].changes, TRUE),
                         rows[i].trusted);
        assert_true(relay_origin_trusted(rows[i].origin, rows[i].host, rows[i].changes, FALSE));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_no_foreign_page_in_by_the_loopback_door),
        cmocka_unit_test(reads_a_request_with_a_body),
        cmocka_unit_test(waits_for_every_missing_byte),
        cmocka_unit_test(reads_frames_between_requests),
        cmocka_unit_test(refuses_what_is_not_rtsp),
        cmocka_unit_test(bounds_the_head_and_its_headers),
        cmocka_unit_test(reads_a_response_with_a_body),
        cmocka_unit_test(refuses_a_status_that_is_none),
        cmocka_unit_test(reads_where_a_server_sends_from),
        cmocka_unit_test(reads_urls_as_clients_put_them_together),
        cmocka_unit_test(refuses_urls_that_name_no_lesson),
        cmocka_unit_test(knows_a_tracks_control),
        cmocka_unit_test(sends_only_to_the_peer_itself),
        cmocka_unit_test(chooses_a_transport_it_speaks),
        cmocka_unit_test(names_a_group_by_itself),
        cmocka_unit_test(sends_to_scoped_groups_only),
        cmocka_unit_test(gives_each_group_once_and_the_longest_free_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
