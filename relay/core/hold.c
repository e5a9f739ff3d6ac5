// SPDX-License-Identifier: MIT
#include "relay/core/hold.h"

void relay_hold_init(RelayHold *hold)
{
    *hold = (RelayHold){.frames = G_QUEUE_INIT};
}

void relay_hold_clear(RelayHold *hold)
{
    g_queue_clear_full(&hold->frames, (GDestroyNotify)relay_held_frame_free);
    hold->bytes = 0;
}

void relay_hold_push(RelayHold *hold, guint track, const TkFrame *frame, GBytes *config,
                     gint64 wall_ns)
{
    RelayHeldFrame *held = g_new(RelayHeldFrame, 1);
    *held = (RelayHeldFrame){
        .track = track,
        .frame = *frame,
        .bytes = g_bytes_new(frame->data, frame->size),
        .config = config ? g_bytes_ref(config) : NULL,
        .wall_ns = wall_ns,
    };
    held->frame.data = g_bytes_get_data(held->bytes, NULL);
    g_queue_push_tail(&hold->frames, held);
    hold->bytes += frame->size;
}

gboolean relay_hold_full(const RelayHold *hold)
{
    return hold->bytes >= RELAY_HOLD_BYTES_MAX || hold->frames.length >= RELAY_HOLD_FRAMES_MAX;
}

const RelayHeldFrame *relay_hold_first(const RelayHold *hold, guint track)
{
    for (const GList *at = hold->frames.head; at; at = at->next) {
        const RelayHeldFrame *held = at->data;
        if (held->track == track)
            return held;
    }
    return NULL;
}

RelayHeldFrame *relay_hold_pop(RelayHold *hold)
{
    RelayHeldFrame *held = g_queue_pop_head(&hold->frames);
    if (held)
        hold->bytes -= held->frame.size;
    return held;
}

void relay_held_frame_free(RelayHeldFrame *held)
{
    if (!held)
        return;
    g_bytes_unref(held->bytes);
    g_clear_pointer(&held->config, g_bytes_unref);
    g_free(held);
}
