// SPDX-License-Identifier: MIT
#include "relay/net/transport.h"

#include <gst/rtsp/gstrtsptransport.h>

#define OFFERS_MAX 8

static gboolean accept_transport(const GstRTSPTransport *offer, const RelayAddress *peer,
                                 guint track, RelayTransport *ret)
{
    if (offer->trans != GST_RTSP_TRANS_RTP || offer->profile != GST_RTSP_PROFILE_AVP)
        return FALSE;
    if (offer->lower_transport == GST_RTSP_LOWER_TRANS_TCP) {
        gint first = offer->interleaved.min >= 0 ? offer->interleaved.min : (gint)track * 2;
        gint second = offer->interleaved.max > first ? offer->interleaved.max : first + 1;
        if (first > 254 || second > 255)
            return FALSE;
        *ret = (RelayTransport){.interleaved = TRUE,
                                .rtp_channel = (guint8)first,
                                .rtcp_channel = (guint8)second};
        return TRUE;
    }
    if (offer->lower_transport != GST_RTSP_LOWER_TRANS_UDP)
        return FALSE;
    gint rtp = offer->client_port.min, rtcp = offer->client_port.max;
    if (rtp <= 0 || rtp > 65535)
        return FALSE;
    if (rtcp <= 0 || rtcp > 65535 || rtcp == rtp)
        rtcp = rtp == 65535 ? 65534 : rtp + 1;
    *ret = (RelayTransport){.rtp = relay_address_with_port(peer, (guint16)rtp),
                            .rtcp = relay_address_with_port(peer, (guint16)rtcp)};
    return TRUE;
}

gboolean relay_transport_choose(const char *header, const RelayAddress *peer, guint track,
                                RelayTransport *ret)
{
    g_auto(GStrv) offers = g_strsplit(header ? header : "", ",", OFFERS_MAX);
    gboolean chosen = FALSE;
    for (guint i = 0; offers[i] && !chosen; i++) {
        GstRTSPTransport *offer = NULL;
        gst_rtsp_transport_new(&offer);
        chosen = gst_rtsp_transport_parse(g_strstrip(offers[i]), offer) == GST_RTSP_OK &&
                 accept_transport(offer, peer, track, ret);
        gst_rtsp_transport_free(offer);
    }
    return chosen;
}

char *relay_transport_header(const RelayTransport *transport, guint16 rtp_port, gboolean record)
{
    const char *mode = record ? ";mode=record" : "";
    if (transport->interleaved)
        return g_strdup_printf("Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u%s\r\n",
                               transport->rtp_channel, transport->rtcp_channel, mode);
    return g_strdup_printf("Transport: RTP/AVP;unicast;client_port=%u-%u;server_port=%u-%u%s\r\n",
                           relay_address_port(&transport->rtp), relay_address_port(&transport->rtcp),
                           rtp_port, rtp_port + 1, mode);
}
