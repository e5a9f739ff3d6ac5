// SPDX-License-Identifier: MIT
#include "recorder/archive/state.h"

#include "common/base/log.h"

#include <string.h>

static const char *const words[REC_STATES] = {
    [REC_STATE_ARMED] = "armed",   [REC_STATE_RECORDING] = "recording",
    [REC_STATE_GAP] = "gap",       [REC_STATE_CLOSING] = "closing",
    [REC_STATE_CLOSED] = "closed", [REC_STATE_SALVAGED] = "salvaged",
};

#define TO(state) (1u << REC_STATE_##state)

static const guint32 steps[REC_STATES] = {
    [REC_STATE_ARMED] = TO(RECORDING) | TO(CLOSING) | TO(SALVAGED),
    [REC_STATE_RECORDING] = TO(GAP) | TO(CLOSING) | TO(SALVAGED),
    [REC_STATE_GAP] = TO(RECORDING) | TO(CLOSING) | TO(SALVAGED),
    [REC_STATE_CLOSING] = TO(CLOSED) | TO(SALVAGED),
    // The sender of a lesson that was over came back with the lesson's id.
    [REC_STATE_CLOSED] = TO(ARMED),
    [REC_STATE_SALVAGED] = TO(RECORDING) | TO(GAP) | TO(CLOSING) | TO(CLOSED),
};

const char *rec_state_word(RecState state)
{
    return words[state];
}

gboolean rec_state_parse(const char *word, RecState *ret)
{
    for (guint i = 0; i < REC_STATES; i++) {
        if (strcmp(word, words[i]) == 0) {
            *ret = (RecState)i;
            return TRUE;
        }
    }
    return FALSE;
}

gboolean rec_state_allowed(RecState from, RecState to)
{
    return (steps[from] & (1u << to)) != 0;
}

gboolean rec_state_set(RecLesson *lesson, RecState state, const char *why)
{
    if (lesson->state == state)
        return FALSE;
    if (!rec_state_allowed(lesson->state, state)) {
        tk_log(TK_LOG_ERROR, &(TkLogFields){.lesson = lesson->id},
               "state %s cannot become %s (%s): it stays", words[lesson->state], words[state], why);
        return FALSE;
    }
    tk_log(TK_LOG_INFO, &(TkLogFields){.lesson = lesson->id}, "state %s -> %s: %s",
           words[lesson->state], words[state], why);
    lesson->state = state;
    return TRUE;
}
