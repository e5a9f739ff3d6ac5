// SPDX-License-Identifier: MIT
#include "recorder/archive/gap.h"

#include <string.h>

static const char *const words[REC_GAP_REASONS] = {"sender-away", "missed", "no-picture"};

const char *rec_gap_word(RecGapReason reason)
{
    return words[reason];
}

const char *rec_gap_reason(const char *word)
{
    for (guint i = 0; i < REC_GAP_REASONS; i++)
        if (strcmp(word, words[i]) == 0)
            return words[i];
    return words[REC_GAP_MISSED];
}

// Of the stream as a whole.
static gboolean gap_between(const RecEntry *before, const RecEntry *after, RecGap *ret)
{
    gint64 from_ns = before ? rec_entry_end_ns(before) : 0;
    gboolean anew = !before || rec_entry_restarts(before, after);
    gboolean healed = (before ? before->flags | after->flags : after->flags) & REC_ENTRY_HEALED;
    gboolean missed = !healed && after->sequence != (anew ? 1 : before->sequence + 1);
    gboolean away = before && !(after->flags & REC_ENTRY_SOUND_FIRST) &&
                    after->media_ns - from_ns > REC_GAP_MIN_NS;

    if (!missed && !away)
        return FALSE;
    *ret = (RecGap){
        .from_ns = from_ns,
        .to_ns = MAX(after->media_ns, from_ns),
        .start_wall_ns = before && before->wall_ns ? before->wall_ns + before->duration_ns : 0,
        .end_wall_ns = after->wall_ns,
        .reason = words[missed ? REC_GAP_MISSED : REC_GAP_AWAY],
    };
    return TRUE;
}

// Whether pictures come back here, and were lost while sound was not, which it was until
// `until_ns`. The relay begins anew with a keyframe after any loss; pictures that go on without one
// are of a sender that had none to send.
static gboolean pictures_back(const RecTrail *trail, const RecEntry *entry, gint64 until_ns)
{
    gboolean alone = trail->before.flags & REC_ENTRY_SOUND || entry->flags & REC_ENTRY_SOUND_FIRST;
    return trail->pictured && alone && entry->flags & REC_ENTRY_KEY &&
           until_ns - rec_entry_end_ns(&trail->pictures) > REC_GAP_MIN_NS;
}

gboolean rec_trail_next(RecTrail *trail, const RecEntry *entry, RecGap *ret)
{
    const RecEntry *pictures = &trail->pictures;

    if (entry->flags & REC_ENTRY_INIT)
        return FALSE;
    gboolean found = gap_between(trail->begun ? &trail->before : NULL, entry, ret);
    if (pictures_back(trail, entry, found ? ret->from_ns : entry->media_ns)) {
        if (!found)
            *ret = (RecGap){.to_ns = entry->media_ns,
                            .end_wall_ns = entry->wall_ns,
                            .reason = words[REC_GAP_PICTURE]};
        ret->from_ns = rec_entry_end_ns(pictures);
        ret->start_wall_ns = pictures->wall_ns ? pictures->wall_ns + pictures->duration_ns : 0;
        found = TRUE;
    }
    trail->begun = TRUE;
    trail->before = *entry;
    if (!(entry->flags & REC_ENTRY_SOUND)) {
        trail->pictured = TRUE;
        trail->pictures = *entry;
    }
    return found;
}
