// SPDX-License-Identifier: MIT
#include "relay/core/reorder.h"

static RelayUnit **slot(RelayReorder *reorder, guint64 number)
{
    return &reorder->slots[number % RELAY_REORDER_PACKETS];
}

void relay_reorder_clear(RelayReorder *reorder)
{
    for (guint i = 0; i < RELAY_REORDER_PACKETS && reorder->held; i++) {
        if (reorder->slots[i])
            reorder->held--;
        g_clear_pointer(&reorder->slots[i], relay_unit_unref);
    }
    *reorder = (RelayReorder){0};
}

void relay_reorder_start(RelayReorder *reorder, gboolean ordered)
{
    relay_reorder_clear(reorder);
    reorder->ordered = ordered;
    reorder->wait_ns = RELAY_REORDER_WAIT_NS;
}

gboolean relay_reorder_fits(const RelayReorder *reorder, const RelayUnit *packet)
{
    return !reorder->held || packet->number < reorder->next + RELAY_REORDER_PACKETS;
}

gboolean relay_reorder_push(RelayReorder *reorder, RelayUnit *packet)
{
    guint64 number = packet->number;
    if (!reorder->started) {
        reorder->next = number;
        reorder->started = TRUE;
    }
    if (number < reorder->next || !relay_reorder_fits(reorder, packet))
        return FALSE;
    if (number >= reorder->next + RELAY_REORDER_PACKETS) {
        reorder->next = number;
        reorder->lost = TRUE;
    }
    RelayUnit **place = slot(reorder, number);
    if (*place)
        return FALSE;
    *place = relay_unit_ref(packet);
    reorder->held++;
    reorder->held_bytes += packet->bytes;
    return TRUE;
}

// Some packet is held, but not the one that is due.
static gboolean give_up(RelayReorder *reorder, gint64 now_ns)
{
    guint64 number = reorder->next;
    while (!*slot(reorder, number))
        number++;
    if (!reorder->waiting)
        reorder->since_ns = (*slot(reorder, number))->arrived_ns;
    reorder->waiting = TRUE;
    if (!reorder->ordered && reorder->held_bytes <= RELAY_REORDER_BYTES_MAX &&
        now_ns < reorder->since_ns + reorder->wait_ns)
        return FALSE;
    reorder->next = number;
    reorder->lost = TRUE;
    return TRUE;
}

RelayUnit *relay_reorder_pop(RelayReorder *reorder, gint64 now_ns, gboolean *ret_lost_before)
{
    if (!reorder->held)
        return NULL;
    if (!*slot(reorder, reorder->next) && !give_up(reorder, now_ns))
        return NULL;
    RelayUnit *packet = g_steal_pointer(slot(reorder, reorder->next));
    *ret_lost_before = reorder->lost;
    reorder->next++;
    reorder->held--;
    reorder->held_bytes -= packet->bytes;
    reorder->lost = reorder->waiting = FALSE;
    return packet;
}
