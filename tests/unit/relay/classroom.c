// SPDX-License-Identifier: MIT
#include "tests/unit/relay/classroom.h"

#include "common/base/clock.h"

#define MS TK_NS_PER_MS

Classroom classroom_new(Collect *c, guint32 ssrc)
{
    Classroom r = {.c = c,
                   .video = {TK_TRACK_VIDEO, ssrc, ssrc * 7919, (guint16)(65000 + ssrc)},
                   .audio = {TK_TRACK_AUDIO, ssrc + 1, ssrc * 104729, (guint16)ssrc},
                   .step_ms = 40,
                   .key_every = 50};
    sender_formats(&r.formats[0], &r.formats[1]);
    return r;
}

gboolean classroom_begin(Classroom *r, gint64 at_ms)
{
    r->now_ms = r->begun_ms = at_ms;
    r->picture = r->sound = 0;
    return relay_input_begin(r->c->input, r->formats, 2, FALSE, at_ms * MS,
                             CLASSROOM_EPOCH_NS + at_ms * MS);
}

void classroom_send(Classroom *r, guint track, GPtrArray *packets)
{
    for (guint i = 0; i < packets->len; i++) {
        gsize size;
        const guint8 *data = g_bytes_get_data(packets->pdata[i], &size);
        relay_input_rtp(r->c->input, track, data, size, r->now_ms * MS,
                        CLASSROOM_EPOCH_NS + r->now_ms * MS);
    }
    g_ptr_array_unref(packets);
}

void classroom_report(Classroom *r, guint track)
{
    const Sender *s = track ? &r->audio : &r->video;
    gint64 ms = r->now_ms - r->begun_ms;
    g_autoptr(GByteArray) sr =
        sender_report(s, ms * (track ? 48 : 90), CLASSROOM_EPOCH_NS + r->now_ms * MS);
    relay_input_rtcp(r->c->input, track, sr->data, sr->len, r->now_ms * MS,
                     CLASSROOM_EPOCH_NS + r->now_ms * MS);
}

void classroom_send_picture(Classroom *r)
{
    gboolean key = r->picture % r->key_every == 0;
    classroom_send(r, 0,
                   sender_frame(&r->video, r->picture * r->step_ms * 90, key, key ? 5000 : 900));
    r->picture++;
}

void classroom_send_sound(Classroom *r)
{
    classroom_send(r, 1, sender_frame(&r->audio, r->sound * 1024, TRUE, 200));
    r->sound++;
}

void classroom_teach(Classroom *r, gint64 until_ms, gboolean pictures, gboolean sounds)
{
    for (; r->now_ms < until_ms; r->now_ms++) {
        gint64 ms = r->now_ms - r->begun_ms;
        if (ms % 1000 == 0 && !r->no_reports) {
            classroom_report(r, 0);
            classroom_report(r, 1);
        }
        if (pictures && ms >= r->picture * r->step_ms)
            classroom_send_picture(r);
        if (sounds && ms * 48 >= r->sound * 1024)
            classroom_send_sound(r);
        if (ms % 20 == 0)
            relay_input_tick(r->c->input, r->now_ms * MS, CLASSROOM_EPOCH_NS + r->now_ms * MS);
    }
}

void classroom_end(Classroom *r)
{
    relay_input_end(r->c->input, r->now_ms * MS);
}
