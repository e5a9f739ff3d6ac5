// SPDX-License-Identifier: MIT
#include "common/media/rtsp.h"
#include "relay/net/rtsp_url.h"
#include "relay/net/sdp.h"
#include "relay/net/transport.h"
#include "tests/fuzz/target.h"

// What stands behind a request's head: its URL, its transport, its session description.
static void use(const TkRtspMessage *request)
{
    g_auto(RelayRtspUrl) url = {0};
    RelayAddress peer;
    RelayTransport transport;
    RelayOffer offer = {0};
    g_assert(relay_address_parse("127.0.0.1", 40000, &peer, NULL));
    if (relay_rtsp_url_parse(request->uri, &url, NULL))
        g_assert(url.lesson && url.stream && url.base);
    if (relay_transport_choose(tk_rtsp_header(request, "Transport"), &peer, 1, TRUE, &transport))
        g_assert(transport.kind == RELAY_TRANSPORT_UDP
                     ? relay_address_same_host(&transport.rtp, &peer)
                     : transport.rtp.bytes == 0);
    if (relay_sdp_parse(request->body, request->body_bytes, &offer, NULL))
        g_assert(offer.tracks_count > 0 && offer.info);
    relay_offer_clear(&offer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        TkRtspInput input;
        TkRtspPiece piece = tk_rtsp_next(data, size, &input);
        if (piece == TK_RTSP_INCOMPLETE || piece == TK_RTSP_BAD)
            break;
        g_assert(input.bytes > 0 && input.bytes <= size);
        if (piece == TK_RTSP_REQUEST)
            use(input.message);
        tk_rtsp_message_free(input.message);
        data += input.bytes;
        size -= input.bytes;
    }
    return 0;
}
