// SPDX-License-Identifier: MIT
#include "relay/core/stream_rate.h"

static void note(RelayStreamRate *rate, const RelayUnit *unit, gboolean may_end)
{
    gint64 span_ns = unit->arrived_ns - rate->since_ns;
    if (may_end && (!rate->since_ns || span_ns >= RELAY_STREAM_RATE_SPAN_NS)) {
        if (rate->since_ns) {
            gint64 sample = (gint64)((double)rate->bytes * 8e9 / (double)span_ns);
            rate->bps = rate->bps ? rate->bps + (sample - rate->bps) / 4 : sample;
        }
        rate->since_ns = unit->arrived_ns;
        rate->bytes = 0;
    }
    rate->bytes += (gint64)unit->bytes;
}

void relay_stream_rate_note(RelayStreamRate *rate, const RelayUnit *unit)
{
    note(rate, unit, (unit->flags & RELAY_UNIT_KEY) != 0);
}

void relay_stream_rate_note_any(RelayStreamRate *rate, const RelayUnit *unit)
{
    note(rate, unit, TRUE);
}
