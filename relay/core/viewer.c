// SPDX-License-Identifier: MIT
#include "relay/core/viewer.h"

// Who was held back goes on with half a second under way where 3 s are the limit: sooner, the line
// would be full again with the first keyframe; later, it would stand idle.
#define CAUGHT_UP_PART 6

const char *relay_viewer_state_word(RelayViewerState state)
{
    static const char *const words[] = {"waiting", "live", "low", "audio", "catching-up", "gone"};
    return words[state];
}

void relay_viewer_init(RelayViewer *viewer, const RelayHistory *history)
{
    *viewer = (RelayViewer){.state = RELAY_VIEWER_WAITING,
                            .awaits_key = TRUE,
                            .position = relay_history_newest_key(history)};
}

void relay_viewer_init_at(RelayViewer *viewer, guint64 position)
{
    *viewer = (RelayViewer){.state = RELAY_VIEWER_LIVE, .lossless = TRUE, .position = position};
}

guint64 relay_viewer_init_from(RelayViewer *viewer, const RelayHistory *history, guint64 from)
{
    *viewer = (RelayViewer){.state = RELAY_VIEWER_WAITING, .lossless = TRUE};
    guint64 at = relay_history_find(history, from);
    const RelayUnit *unit = relay_history_at(history, at);
    if (unit && unit->number > from) {
        viewer->awaits_key = TRUE;
        at = relay_history_next_key(history, at);
    }
    viewer->position = at;
    unit = relay_history_at(history, at);
    return unit && unit->number > from ? unit->number - from : 0;
}

static void skip_to(RelayViewer *v, guint64 to)
{
    if (v->position != v->skipped_to)
        v->skipped_from = v->position;
    v->position = v->skipped_to = to;
}

// The position to which a viewer that is too far behind is set forward.
static void set_forward(RelayViewer *v, gint64 now_ns, guint64 to)
{
    v->units_dropped += to - v->position;
    v->dropped_at_ns = now_ns;
    v->drops++;
    v->state = RELAY_VIEWER_CATCHING_UP;
    skip_to(v, to);
    v->awaits_key = TRUE;
}

guint64 relay_viewer_judge(RelayViewer *viewer, const RelayHistory *history,
                           const RelayViewerLimits *limits, gint64 now_ns)
{
    RelayViewer *v = viewer;
    if (v->state == RELAY_VIEWER_CATCHING_UP && now_ns - v->dropped_at_ns > limits->settle_ns) {
        v->state = RELAY_VIEWER_LIVE;
        v->drops = 0;
    }
    guint64 head = relay_history_head(history), from = v->position;
    if (v->state == RELAY_VIEWER_GONE || from >= head)
        return 0;
    // Where nothing has come for so long, what there is would be followed by a jump.
    if (v->state == RELAY_VIEWER_WAITING && !v->lossless &&
        now_ns - relay_history_at(history, head - 1)->arrived_ns > limits->lag_max_ns) {
        v->position = head;
        return 0;
    }

    if (from < relay_history_tail(history)) {
        set_forward(v, now_ns,
                    v->lossless ? relay_history_next_key(history, from)
                                : relay_history_newest_key(history));
    } else if (!v->lossless) {
        gint64 lag_ns = now_ns - relay_history_at(history, from)->arrived_ns;
        guint64 key = relay_history_newest_key(history);
        // Setting forward helps only where a keyframe lies ahead.
        if (lag_ns > limits->lag_max_ns && key > from && key < head)
            set_forward(v, now_ns, key);
    }
    if (v->drops > limits->drops_max)
        v->state = RELAY_VIEWER_GONE;
    return v->position - from;
}

// How long ago the oldest unit that is still under way came in.
static gint64 way_ns(const RelayViewer *v, const RelayHistory *history, gint64 now_ns)
{
    const RelayUnit *unit =
        v->reached < v->position
            ? relay_history_at(history, MAX(v->reached, relay_history_tail(history)))
            : NULL;
    return unit ? now_ns - unit->arrived_ns : 0;
}

guint64 relay_viewer_take_reached(RelayViewer *viewer, const RelayHistory *history,
                                  const RelayViewerLimits *limits, guint64 reached, gint64 now_ns)
{
    RelayViewer *v = viewer;
    guint64 from = v->position, key = relay_history_newest_key(history);
    if (v->lossless || v->state == RELAY_VIEWER_GONE)
        return 0;
    v->reached = MAX(v->reached, MIN(reached, from));
    if (v->reached >= v->skipped_from && v->reached < v->skipped_to)
        v->reached = v->skipped_to;
    gint64 lag_ns = way_ns(v, history, now_ns);
    gboolean key_ahead = key < relay_history_head(history);
    // Holding back helps only where a keyframe lies ahead.
    if (!v->held && lag_ns > limits->lag_max_ns && key_ahead && key > v->reached) {
        v->held = TRUE;
        v->dropped_at_ns = now_ns;
        v->drops++;
        v->state = RELAY_VIEWER_CATCHING_UP;
    } else if (v->held && lag_ns <= limits->lag_max_ns / CAUGHT_UP_PART) {
        v->held = FALSE;
        if (key_ahead && key > from)
            set_forward(v, now_ns, key);
    }
    return v->position - from;
}

RelayUnit *relay_viewer_next(RelayViewer *viewer, const RelayHistory *history)
{
    if (viewer->state == RELAY_VIEWER_GONE)
        return NULL;
    if (viewer->held)
        return NULL;
    if (viewer->awaits_key)
        skip_to(viewer, relay_history_next_key(history, viewer->position));
    RelayUnit *unit = relay_history_at(history, viewer->position);
    if (unit) {
        viewer->awaits_key = FALSE;
        if (viewer->state == RELAY_VIEWER_WAITING)
            viewer->state = RELAY_VIEWER_LIVE;
    }
    return unit;
}
