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
        .kind = RELAY_TRANSPORT_TCP, .rtp_channel = (guint8)first, .rtcp_channel = (guint8)second};
    return TRUE;
}

static gboolean accept_udp(char *const *fields, const RelayAddress *peer, RelayTransport *ret)
{
    guint64 rtp = 0, rtcp = 0;
    for (guint i = 0; fields[i]; i++)
        (void)!read_range(fields[i], "client_port", 65535, &rtp, &rtcp);
    if (rtp == 0 || rtcp == 0 || rtcp == rtp || rtcp > 65535)
        return FALSE;
    *ret = (RelayTransport){.rtp = relay_address_with_port(peer, (guint16)rtp),
                            .rtcp = relay_address_with_port(peer, (guint16)rtcp)};
    return TRUE;
}

// RFC 2326 calls multicast the default, but clients that say neither mean unicast.
static gboolean is_multicast(char *const *fields)
{
    for (guint i = 0; fields[i]; i++)
        if (g_ascii_strcasecmp(fields[i], "multicast") == 0)
            return TRUE;
    return FALSE;
}

static gboolean accept_group(gboolean multicast, RelayTransport *ret)
{
    *ret = (RelayTransport){.kind = RELAY_TRANSPORT_MULTICAST};
    return multicast;
}

static gboolean accept_offer(const char *offer, const RelayAddress *peer, guint track,
                             gboolean multicast, RelayTransport *ret)
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
        gboolean accepted = kinds[i].tcp               ? accept_tcp(fields + 1, track, ret)
                            : is_multicast(fields + 1) ? accept_group(multicast, ret)
                                                       : accept_udp(fields + 1, peer, ret);
        ret->feedback = kinds[i].feedback;
        return accepted;
    }
    return FALSE;
}

gboolean relay_transport_choose(const char *header, const RelayAddress *peer, guint track,
                                gboolean multicast, RelayTransport *ret)
{
    g_auto(GStrv) offers = g_strsplit(header ? header : "", ",", OFFERS_MAX);
    for (guint i = 0; offers[i]; i++)
        if (accept_offer(offers[i], peer, track, multicast, ret))
            return TRUE;
    return FALSE;
}

gboolean relay_transport_common(const RelayTransport *transports, const gboolean *set_up,
                                guint count, RelayTransportKind *ret_kind)
{
    gboolean any = FALSE, mixed = FALSE;
    for (guint i = 0; i < count; i++) {
        if (!set_up[i])
            continue;
        mixed |= any && *ret_kind != transports[i].kind;
        *ret_kind = transports[i].kind;
        any = TRUE;
    }
    return any && !mixed;
}

const char *relay_transport_word(RelayTransportKind kind)
{
    static const char *const words[] = {"UDP", "TCP", "multicast"};
    return words[kind];
}

// A group's "destination=…;port=a-b;ttl=n".
static char *group_header(const RelayTransport *t, const char *profile)
{
    g_autofree char *destination = relay_address_host_text(&t->rtp);
    return g_strdup_printf("Transport: %s;multicast;destination=%s;port=%u-%u;ttl=%u\r\n", profile,
                           destination, relay_address_port(&t->rtp), relay_address_port(&t->rtcp),
                           t->ttl);
}

char *relay_transport_header(const RelayTransport *transport, guint16 rtp_port, gboolean record)
{
    const char *mode = record ? ";mode=record" : "";
    const char *profile = transport->feedback ? "RTP/AVPF" : "RTP/AVP";
    if (transport->kind == RELAY_TRANSPORT_MULTICAST)
        return group_header(transport, profile);
    if (transport->kind == RELAY_TRANSPORT_TCP)
        return g_strdup_printf("Transport: %s/TCP;unicast;interleaved=%u-%u%s\r\n", profile,
                               transport->rtp_channel, transport->rtcp_channel, mode);
    return g_strdup_printf("Transport: %s;unicast;client_port=%u-%u;server_port=%u-%u%s\r\n",
                           profile, relay_address_port(&transport->rtp),
                           relay_address_port(&transport->rtcp), rtp_port, rtp_port + 1, mode);
}

gboolean relay_transport_read_server(const char *header, const RelayAddress *peer,
                                     RelayAddress *ret_rtp, RelayAddress *ret_rtcp)
{
    g_auto(GStrv) fields = g_strsplit(header ? header : "", ";", FIELDS_MAX);
    guint64 rtp, rtcp;
    for (guint i = 0; fields[i]; i++) {
        if (!read_range(g_strstrip(fields[i]), "server_port", 65535, &rtp, &rtcp) || rtp == 0 ||
            rtcp == 0 || rtcp > 65535)
            continue;
        *ret_rtp = relay_address_with_port(peer, (guint16)rtp);
        *ret_rtcp = relay_address_with_port(peer, (guint16)rtcp);
        return TRUE;
    }
    return FALSE;
}
