// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/media/rtcp.h"
#include "relay/core/repair.h"
#include "tests/fuzz/target.h"

static void walk_nack(const TkRtcp *nack, const uint8_t *data, size_t size)
{
    gsize cursor = 0, count = 0;
    guint16 sequence;

    g_assert(nack->nack >= data && nack->nack + nack->nack_bytes <= data + size);
    while (tk_rtcp_nack_next(nack, &cursor, &sequence))
        count++;
    g_assert(count >= nack->nack_bytes / 4 && count <= nack->nack_bytes / 4 * 17);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    TkRtcp rtcp;
    gsize offset = 0, before = 0;

    for (; tk_rtcp_next(data, size, &offset, &rtcp); before = offset) {
        g_assert(offset >= before + 4 && offset <= size);
        g_assert(rtcp.reports_count <= TK_RTCP_REPORTS_MAX);
        g_assert(memchr(rtcp.cname, 0, sizeof rtcp.cname));
        if (rtcp.type == TK_RTCP_NACK)
            walk_nack(&rtcp, data, size);
    }
    g_assert(offset == before);
    RelayQuestion question;
    if (relay_repair_read(data, size, 0, &question)) {
        g_assert(question.reported || question.count);
        g_assert(question.count <= RELAY_REPAIR_ASKED_MAX);
        g_assert(!question.reported ||
                 (question.rtt_ns >= 0 && question.rtt_ns <= RELAY_QUESTION_RTT_MAX_NS));
    }
    return 0;
}
