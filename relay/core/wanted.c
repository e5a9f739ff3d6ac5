// SPDX-License-Identifier: MIT
#include "relay/core/wanted.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/media/bytes.h"
#include "relay/core/reorder.h"

#define CREDIT_MAX (RELAY_WANTED_MAX * RELAY_WANTED_CREDIT_SHARE)
// Before the first repair: a sender on the same continent.
#define REPAIR_GUESS_NS (100 * TK_NS_PER_MS)
#define AGAIN_MIN_NS (30 * TK_NS_PER_MS)
#define MARGIN_NS (60 * TK_NS_PER_MS)
#define GUESSED_ASKS 2

void relay_wanted_start(RelayWanted *wanted, gboolean enabled)
{
    wanted->enabled = enabled;
    wanted->started = FALSE;
    wanted->count = 0;
    wanted->credit = CREDIT_MAX / 4;
}

static void forget(RelayWanted *w, guint at)
{
    w->count--;
    memmove(&w->wants[at], &w->wants[at + 1], (w->count - at) * sizeof w->wants[0]);
}

// The place of `sequence`, or the count.
static guint find(const RelayWanted *w, gint64 sequence)
{
    guint at = 0;
    while (at < w->count && w->wants[at].sequence != sequence)
        at++;
    return at;
}

static void miss(RelayWanted *w, gint64 from, gint64 until, gint64 now_ns)
{
    from = MAX(from, until - RELAY_WANTED_MAX);
    gint64 over = w->count + (until - from) - RELAY_WANTED_MAX;
    if (over > 0) {
        w->count -= (guint)over;
        memmove(w->wants, w->wants + over, w->count * sizeof w->wants[0]);
    }
    for (gint64 sequence = from; sequence < until; sequence++)
        w->wants[w->count++] = (RelayWant){.sequence = sequence, .missed_ns = now_ns};
}

static void came(RelayWanted *w, guint at, gint64 now_ns)
{
    const RelayWant *want = &w->wants[at];
    if (want->asks > 0)
        w->repaired++;
    if (want->asks == 1) { // else nobody knows which question was answered
        gint64 took_ns = now_ns - want->asked_ns;
        w->repair_ns = w->repair_ns ? (7 * w->repair_ns + took_ns) / 8 : MAX(took_ns, 1);
    }
    forget(w, at);
}

void relay_wanted_arrived(RelayWanted *wanted, gint64 sequence, gint64 now_ns)
{
    RelayWanted *w = wanted;
    if (!w->enabled)
        return;
    w->credit = MIN(w->credit + 1, CREDIT_MAX);
    if (!w->started) {
        w->started = TRUE;
        w->highest = sequence;
    } else if (sequence > w->highest) {
        miss(w, w->highest + 1, sequence, now_ns);
        w->highest = sequence;
    } else {
        guint at = find(w, sequence);
        if (at < w->count)
            came(w, at, now_ns);
    }
}

// From a question to the next for the same packet.
static gint64 again_ns(const RelayWanted *w)
{
    gint64 repair_ns = w->repair_ns ? w->repair_ns : REPAIR_GUESS_NS;
    return MAX(repair_ns + repair_ns / 4, AGAIN_MIN_NS);
}

gint64 relay_wanted_wait_ns(const RelayWanted *wanted)
{
    if (!wanted->enabled)
        return RELAY_REORDER_WAIT_NS;
    gint64 asks = wanted->repair_ns ? RELAY_WANTED_WAIT_ASKS : GUESSED_ASKS;
    gint64 wait_ns = asks * again_ns(wanted) + MARGIN_NS;
    return CLAMP(wait_ns, RELAY_WANTED_WAIT_MIN_NS, RELAY_WANTED_WAIT_MAX_NS);
}

static gboolean is_due(const RelayWanted *w, const RelayWant *want, gint64 now_ns)
{
    if (want->asks == 0)
        return now_ns - want->missed_ns >= RELAY_WANTED_PATIENCE_NS;
    return want->asks < RELAY_WANTED_ASKS_MAX && now_ns - want->asked_ns >= again_ns(w);
}

guint relay_wanted_due(RelayWanted *wanted, gint64 now_ns, guint16 *ret)
{
    RelayWanted *w = wanted;
    gint64 wait_ns = relay_wanted_wait_ns(w);
    guint given_up = 0, count = 0;
    while (given_up < w->count && now_ns - w->wants[given_up].missed_ns >= wait_ns)
        given_up++;
    w->count -= given_up;
    memmove(w->wants, w->wants + given_up, w->count * sizeof w->wants[0]);
    for (guint at = 0; at < w->count && w->credit >= RELAY_WANTED_CREDIT_SHARE; at++) {
        RelayWant *want = &w->wants[at];
        if (!is_due(w, want, now_ns))
            continue;
        want->asks++;
        want->asked_ns = now_ns;
        w->credit -= RELAY_WANTED_CREDIT_SHARE;
        ret[count++] = (guint16)want->sequence;
    }
    w->asked += count;
    return count;
}

guint8 *relay_wanted_restore(const RelayWanted *wanted, const guint8 *data, gsize size,
                             const TkRtp *rtx, guint8 payload_type, guint32 ssrc, gsize *ret_size)
{
    if (!wanted->started || rtx->payload_bytes < 2)
        return NULL;
    TkReader r = tk_reader(rtx->payload, 2);
    guint16 number = tk_reader_u16(&r);
    gint64 sequence = wanted->highest + tk_rtp_seq_distance(number, (guint16)wanted->highest);
    if (find(wanted, sequence) == wanted->count)
        return NULL;
    gsize head = (gsize)(rtx->payload - data);
    guint8 *original = g_malloc(size - 2);
    memcpy(original, data, head);
    memcpy(original + head, data + head + 2, size - head - 2);
    tk_rtp_rewrite(original, payload_type, number, rtx->timestamp, ssrc);
    *ret_size = size - 2;
    return original;
}
