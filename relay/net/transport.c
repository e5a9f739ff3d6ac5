// SPDX-License-Identifier: MIT
#include "relay/net/transport.h"

#include <string.h>

#define OFFERS_MAX 8
#define FIELDS_MAX 32

// "name=a-b" or "name=a": the numbers, each at most `max`. FALSE when `field` is something else.
static gboolean read_range(const char *field, const char *name, guint64 max, guint64 *ret_first,
                           guint64 *ret_second)
{
    gsize length = strlen(name);
    if (g_ascii_strncasecmp(field, name, length) != 0 || field[length] != '=')
        return FALSE;
    g_auto(GStrv) numbers = g_strsplit(field + length + 1, "-", 2);
    if (!numbers[0] || !g_ascii_string_to_unsigned(numbers[0], 10, 0, max, ret_first, NULL))
        return FALSE;
    if (!numbers[1] || !g_ascii_string_to_unsigned(numbers[1], 10, 0, max, ret_second, NULL))
        *ret_second = *ret_first + 1;
    return TRUE;
}

static gboolean accept_tcp(char *const *fields, guint track, RelayTransport *ret)
{
    guint64 first = track * 2, second = first + 1;
    for (guint i = 0; fields[i]; i++)
        if (g_str_has_prefix(fields[i], "interleaved=") &&
            !read_range(fields[i], "interleaved", 255, &first, &second))
            return FALSE;
    if (first > 254 || second != first + 1)
        return FALSE;
    *ret = (RelayTransport){
        .interleaved = TRUE, .rtp_channel = (guint8)first, .rtcp_channel = (guint8)second};
    return TRUE;
}

static gboolean accept_udp(char *const *fields, const RelayAddress *peer, RelayTransport *ret)
{
    guint64 rtp = 0, rtcp = 0;
    for (guint i = 0; fields[i]; i++) {
        if (g_ascii_strcasecmp(fields[i], "multicast") == 0)
            return FALSE;
        (void)!read_range(fields[i], "client_port", 65535, &rtp, &rtcp);
    }
    if (rtp == 0 || rtcp == 0 || rtcp == rtp || rtcp > 65535)
        return FALSE;
    *ret = (RelayTransport){.rtp = relay_address_with_port(peer, (guint16)rtp),
                            .rtcp = relay_address_with_port(peer, (guint16)rtcp)};
    return TRUE;
}

static gboolean accept_offer(const char *offer, const RelayAddress *peer, guint track,
                             RelayTransport *ret)
{
    g_auto(GStrv) fields = g_strsplit(offer, ";", FIELDS_MAX);
    for (guint i = 0; fields[i]; i++)
        g_strstrip(fields[i]);
    if (!fields[0])
        return FALSE;
    static const struct {
        const char *name;
        gboolean tcp, feedback;
    } kinds[] = {
        {"RTP/AVP", FALSE, FALSE}, {"RTP/AVP/UDP", FALSE, FALSE}, {"RTP/AVP/TCP", TRUE, FALSE},
        {"RTP/AVPF", FALSE, TRUE}, {"RTP/AVPF/UDP", FALSE, TRUE}, {"RTP/AVPF/TCP", TRUE, TRUE},
    };
    for (guint i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (g_ascii_strcasecmp(fields[0], kinds[i].name) != 0)
            continue;
        gboolean accepted =
            kinds[i].tcp ? accept_tcp(fields + 1, track, ret) : accept_udp(fields + 1, peer, ret);
        ret->feedback = kinds[i].feedback;
        return accepted;
    }
    return FALSE;
}

gboolean relay_transport_choose(const char *header, const RelayAddress *peer, guint track,
                                RelayTransport *ret)
{
    g_auto(GStrv) offers = g_strsplit(header ? header : "", ",", OFFERS_MAX);
    for (guint i = 0; offers[i]; i++)
        if (accept_offer(offers[i], peer, track, ret))
            return TRUE;
    return FALSE;
}

char *relay_transport_header(const RelayTransport *transport, guint16 rtp_port, gboolean record)
{
    const char *mode = record ? ";mode=record" : "";
    const char *profile = transport->feedback ? "RTP/AVPF" : "RTP/AVP";
    if (transport->interleaved)
        return g_strdup_printf("Transport: %s/TCP;unicast;interleaved=%u-%u%s\r\n", profile,
                               transport->rtp_channel, transport->rtcp_channel, mode);
    return g_strdup_printf("Transport: %s;unicast;client_port=%u-%u;server_port=%u-%u%s\r\n",
                           profile, relay_address_port(&transport->rtp),
                           relay_address_port(&transport->rtcp), rtp_port, rtp_port + 1, mode);
}
