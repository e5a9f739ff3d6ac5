// SPDX-License-Identifier: MIT
#include "relay/core/history.h"

struct _RelayHistory {
    gint64 span_ns;
    gsize bytes_max, bytes;
    guint64 tail, head;
    guint64 newest_key; // valid when has_key and >= tail
    gboolean has_key;
    guint mask, allocated;
    RelayUnit **ring; // `allocated` slots; doubles up to units_max
    guint units_max;
};

// Most streams stay far below their bound; the ring starts small and doubles.
#define RING_START 64

RelayHistory *relay_history_new(gint64 span_ns, gsize bytes_max, guint units_max)
{
    g_return_val_if_fail(units_max >= RING_START && (units_max & (units_max - 1)) == 0, NULL);
    RelayHistory *h = g_new0(RelayHistory, 1);
    h->span_ns = span_ns;
    h->bytes_max = bytes_max;
    h->units_max = units_max;
    h->allocated = RING_START;
    h->mask = RING_START - 1;
    h->ring = g_new0(RelayUnit *, h->allocated);
    return h;
}

static void drop_oldest(RelayHistory *h)
{
    RelayUnit **slot = &h->ring[h->tail & h->mask];
    h->bytes -= (*slot)->bytes;
    g_clear_pointer(slot, relay_unit_unref);
    h->tail++;
}

void relay_history_free(RelayHistory *history)
{
    if (!history)
        return;
    while (history->tail < history->head)
        drop_oldest(history);
    g_free(history->ring);
    g_free(history);
}

static void grow(RelayHistory *h)
{
    guint size = h->allocated * 2;
    RelayUnit **ring = g_new0(RelayUnit *, size);
    for (guint64 at = h->tail; at < h->head; at++)
        ring[at & (size - 1)] = h->ring[at & h->mask];
    g_free(h->ring);
    h->ring = ring;
    h->allocated = size;
    h->mask = size - 1;
}

void relay_history_push(RelayHistory *history, RelayUnit *unit)
{
    RelayHistory *h = history;
    if (h->head - h->tail == h->allocated) {
        if (h->allocated < h->units_max)
            grow(h);
        else
            drop_oldest(h);
    }
    h->ring[h->head & h->mask] = unit;
    h->bytes += unit->bytes;
    if (unit->flags & RELAY_UNIT_KEY) {
        h->newest_key = h->head;
        h->has_key = TRUE;
    }
    h->head++;

    while (h->head - h->tail > 1 &&
           (h->bytes > h->bytes_max ||
            unit->arrived_ns - h->ring[h->tail & h->mask]->arrived_ns > h->span_ns))
        drop_oldest(h);
}

guint64 relay_history_tail(const RelayHistory *history)
{
    return history->tail;
}

guint64 relay_history_head(const RelayHistory *history)
{
    return history->head;
}

gsize relay_history_bytes(const RelayHistory *history)
{
    return history->bytes;
}

RelayUnit *relay_history_at(const RelayHistory *history, guint64 position)
{
    if (position < history->tail || position >= history->head)
        return NULL;
    return history->ring[position & history->mask];
}

guint64 relay_history_newest_key(const RelayHistory *history)
{
    return history->has_key && history->newest_key >= history->tail ? history->newest_key
                                                                    : history->head;
}

guint64 relay_history_next_key(const RelayHistory *history, guint64 from)
{
    guint64 at = MAX(from, history->tail);
    while (at < history->head && !(history->ring[at & history->mask]->flags & RELAY_UNIT_KEY))
        at++;
    return at;
}

guint64 relay_history_find(const RelayHistory *history, guint64 number)
{
    if (history->tail == history->head)
        return history->head;
    guint64 oldest = history->ring[history->tail & history->mask]->number;
    if (number <= oldest)
        return history->tail;
    return MIN(history->tail + (number - oldest), history->head);
}
