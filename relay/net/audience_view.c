// SPDX-License-Identifier: MIT
#include "common/base/clock.h"
#include "common/base/log.h"
#include "relay/net/audience_part.h"

// Reports come once a second; without one for so long its socket is asked, once a second.
#define REPORT_FRESH_NS (3 * TK_NS_PER_S)
#define SAMPLE_EVERY_NS TK_NS_PER_S
// Who may be moved to another rendition is looked at more often: what is late can be made up for
// while it is little.
#define LINE_EVERY_NS (250 * TK_NS_PER_MS)
// Below the best rendition what passes is found out afresh so often: keyframes are bursts that show
// it, once nothing holds them back.
#define HURRY_EVERY_NS (5 * TK_NS_PER_S)
// A school hears of its viewers' lines so often; asking the kernel costs as much as a sixth of a
// chunk.
#define TELL_EVERY_NS (5 * TK_NS_PER_S)
// With so many bytes under way a line has always something to carry.
#define FULL_BYTES 8192

static const char *school_of(const RelaySocket *s)
{
    return s->claims ? s->claims->school : NULL;
}

static void join(RelaySocket *s)
{
    const RelayWebFeed *low = relay_web_feed_rendition(s->viewer.home, RELAY_RENDITION_LOW);
    relay_web_feed_join(s->viewer.feed, s);
    // Who has the sound alone wants it next: where it comes from another relay, it is fetched.
    if (s->viewer.choice.at != RELAY_RENDITION_MAIN && low) {
        s->guest_of = relay_stream_ref(relay_audience_stream(low));
        relay_stat_add(s->guest_of->guests, 1);
    }
}

static void leave(RelaySocket *s)
{
    relay_web_feed_leave(s->viewer.feed, s);
    if (s->guest_of)
        relay_stat_add(s->guest_of->guests, -1u);
    g_clear_pointer(&s->guest_of, relay_stream_unref);
}

static RelayViewerState state_of(const RelaySocket *s)
{
    return relay_rendition_state(s->viewer.place.state, s->viewer.choice.at);
}

static gboolean move(RelaySocket *s, RelayRendition to, gint64 now_ns)
{
    leave(s);
    gboolean moved = relay_web_viewer_move(&s->viewer, to, now_ns);
    join(s);
    return moved;
}

static gboolean is_moved(const RelaySocket *s)
{
    return s->automatic && !s->viewer.place.lossless;
}

// Before anything is sent: no byte of a better rendition than the one that is wished for, and that
// there is room for. FALSE: there is none.
static gboolean begin_as_wished(RelaySocket *s, gint64 now_ns)
{
    RelayLadder ladder;
    RelayLineSeen nothing = {0};
    RelayRenditionChoice *choice = &s->viewer.choice;
    relay_web_feed_ladder(s->viewer.home, now_ns, &ladder);
    if (!is_moved(s) && relay_share_take(&s->share, ladder.need_bps[RELAY_RENDITION_MAIN]))
        return TRUE;
    if (!s->automatic)
        return FALSE;
    if (!is_moved(s)) { // it cannot go on where it was, but begin anew with less
        relay_web_viewer_init(&s->viewer, s->viewer.home, 0);
        relay_rendition_begin(choice, s->best, now_ns);
    }
    if (!relay_share_begin(&s->share, &ladder, s->best, &choice->best))
        return FALSE;
    if (choice->best == RELAY_RENDITION_MAIN)
        return TRUE;
    RelayRendition to = relay_rendition_judge(choice, &ladder, &nothing, now_ns);
    if (to != choice->at)
        (void)!move(s, to, now_ns);
    return TRUE;
}

static void refuse(RelaySocket *s)
{
    leave(s);
    s->no_room = TRUE;
    s->close_code = RELAY_CLOSE_TRY_LATER;
    relay_stat_add(s->audience->stats.refused, 1);
    relay_stat_add(s->school->refused, 1);
    s->audience->spec.wake(s->link);
}

// Dropping comes after everything else that can be done for it. Of who has come to the sound alone
// what is under way is still of what it had before, and the sound behind it is soon made up for.
static const RelayViewerLimits *limits_of(const RelaySocket *s)
{
    return s->automatic ? &s->audience->patient : &s->audience->limits;
}

void relay_socket_attach(RelaySocket *socket, RelayWebFeed *feed, gint64 now_ns)
{
    RelaySocket *s = socket;
    RelayAudience *a = s->audience;
    RelayStream *stream = relay_audience_stream(feed);
    relay_web_viewer_init(&s->viewer, feed, s->from);
    relay_rendition_begin(&s->viewer.choice, s->best, now_ns);
    join(s);
    if (!begin_as_wished(s, now_ns)) {
        refuse(s);
        return;
    }
    s->attached = TRUE;
    (void)!relay_web_viewer_judge(&s->viewer, limits_of(s), now_ns);
    relay_stat_add(a->stats.viewers, 1);
    s->counted = state_of(s);
    relay_stat_add(a->stats.states[s->counted], 1);
    relay_school_come(s->school, RELAY_OVER_WS, s->counted);
    a->spec.on_viewer(a->spec.user, stream, 1, school_of(s));
    TkLogFields fields = {.lesson = stream->lesson_name, .stream = s->stream};
    tk_log(TK_LOG_INFO, &fields, "a viewer begins over WebSocket");
    a->spec.wake(s->link);
}

static void count_bytes(RelaySocket *s)
{
    relay_stat_add(s->school->bytes, s->sent_bytes - s->told_bytes);
    s->told_bytes = s->sent_bytes;
}

void relay_socket_detach(RelaySocket *socket)
{
    RelaySocket *s = socket;
    RelayAudience *a = s->audience;
    if (!s->attached)
        return;
    leave(s);
    relay_share_release(&s->share);
    relay_stat_add(a->stats.viewers, -1u);
    relay_stat_add(a->stats.states[s->counted], -1u);
    relay_school_leave(s->school, RELAY_OVER_WS, s->counted);
    count_bytes(s);
    a->spec.on_viewer(a->spec.user, relay_audience_stream(s->viewer.home), -1, school_of(s));
    s->attached = FALSE;
}

static void log_state(const RelaySocket *s, RelayViewerState state)
{
    const RelayStream *stream = relay_audience_stream(s->viewer.home);
    const char *school = school_of(s);
    TkLogFields fields = {.lesson = stream->lesson_name, .stream = s->stream};
    tk_log(TK_LOG_INFO, &fields, "a viewer over WebSocket%s%s: %s, was %s", school ? " of " : "",
           school ? school : "", relay_viewer_state_word(state),
           relay_viewer_state_word(s->counted));
}

// The policy was applied to it: it lost `lost` units, and may be in another state.
static void note(RelaySocket *s, guint64 lost)
{
    RelayAudience *a = s->audience;
    RelayViewerState state = state_of(s);
    if (lost) {
        relay_stat_add(a->stats.units_dropped, lost);
        relay_stat_add(s->school->units_dropped, lost);
    }
    if (state == s->counted)
        return;
    if (s->counted != RELAY_VIEWER_WAITING)
        log_state(s, state);
    relay_stat_add(a->stats.states[s->counted], -1u);
    relay_stat_add(a->stats.states[state], 1);
    relay_school_change(s->school, RELAY_OVER_WS, s->counted, state);
    s->counted = state;
    if (state == RELAY_VIEWER_CATCHING_UP)
        relay_stat_add(a->stats.fallen_behind, 1);
    if (state == RELAY_VIEWER_GONE) {
        relay_stat_add(a->stats.viewers_gone, 1);
        a->spec.drop(s->link);
    }
}

void relay_socket_take_message(RelaySocket *socket, const char *text, gsize bytes, gint64 now_ns)
{
    RelaySocket *s = socket;
    RelayReport report;
    if (s->automatic && relay_wish_parse(text, bytes, &s->best)) {
        s->line_ns = 0; // as soon as it is looked at
        return;
    }
    if (!s->attached || s->counted == RELAY_VIEWER_GONE ||
        !relay_report_parse(text, bytes, &report))
        return;
    s->reported_ns = now_ns;
    relay_stat_add(s->audience->stats.reports, 1);
    note(s, relay_web_viewer_take_report(&s->viewer, limits_of(s), &report, now_ns));
}

// What passes can be told while there is always something to send; over a second, for a line that
// loses stands still now and then.
static void measure(RelaySocket *s, gsize unsent, gint64 now_ns)
{
    guint64 left_bytes = s->sent_bytes - MIN(s->sent_bytes, unsent);
    // Pongs and headers are under way too, and in no count of what was sent.
    guint64 passed_bytes = left_bytes - MIN(left_bytes, s->left_bytes);
    gint64 span_ns = now_ns - s->full_ns;
    if (unsent < FULL_BYTES) {
        s->full_ns = s->full_bps = 0;
        return;
    }
    if (s->full_ns && span_ns < TK_NS_PER_S)
        return;
    if (s->full_ns)
        s->full_bps = (gint64)((double)passed_bytes * 8e9 / (double)span_ns) + 1;
    s->full_ns = now_ns;
    s->left_bytes = left_bytes;
}

static void look_at_line(RelaySocket *s, gint64 now_ns, RelayLineSeen *ret)
{
    const RelayAudience *a = s->audience;
    gsize unsent = a->spec.unsent(s->link);
    measure(s, unsent, now_ns);
    *ret = (RelayLineSeen){.behind_ns = relay_web_viewer_behind_ns(&s->viewer, unsent, now_ns),
                           .full_bps = s->full_bps};
    if (s->full_ns && ret->behind_ns > RELAY_RENDITION_CLEAN_NS)
        a->spec.hold(s->link);
    // What stands in between, a proxy, may take all that the line does not carry.
    if (now_ns - s->reported_ns < REPORT_FRESH_NS)
        ret->behind_ns = MAX(ret->behind_ns, s->viewer.report_behind_ns);
    if (s->viewer.choice.at == RELAY_RENDITION_MAIN)
        return;
    // What the kernel saw best may have been before the line was full.
    RelayTcpLine line;
    a->spec.look(s->link, &line);
    if (s->full_bps && line.passes_bps > 2 * s->full_bps)
        s->passed_bps = line.passes_bps;
    ret->passes_bps = line.passes_bps == s->passed_bps ? 0 : line.passes_bps;
    if (!s->full_ns && now_ns - s->hurried_ns > HURRY_EVERY_NS) {
        s->hurried_ns = now_ns;
        a->spec.hurry(s->link);
    }
}

static void follow_line(RelaySocket *s, gint64 now_ns)
{
    RelayLadder ladder;
    RelayLineSeen seen;
    RelayRenditionChoice *choice = &s->viewer.choice;
    if (now_ns - s->line_ns < LINE_EVERY_NS || !(is_moved(s) || relay_share_bounded(&s->share)))
        return;
    s->line_ns = now_ns;
    relay_web_feed_ladder(s->viewer.home, now_ns, &ladder);
    relay_share_keep(&s->share, ladder.need_bps[choice->at]);
    if (!is_moved(s))
        return;
    look_at_line(s, now_ns, &seen);
    choice->best = relay_share_best(&s->share, &ladder, choice->at, s->best);
    RelayRendition to = relay_rendition_judge(choice, &ladder, &seen, now_ns);
    gboolean up = to < choice->at;
    if (to == choice->at || (up && !relay_share_take(&s->share, ladder.need_bps[to])) ||
        !move(s, to, now_ns))
        return; // what was taken for nothing is given back when it is looked at again
    relay_share_keep(&s->share, ladder.need_bps[to]);
    relay_stat_add(s->audience->stats.moves[up ? 1 : 0], 1);
    relay_school_moved(s->school, up);
    if (up)
        s->audience->spec.hurry(s->link);
}

static void tell_school(RelaySocket *s, gint64 now_ns)
{
    RelayTcpLine line;
    if (now_ns - s->told_ns < TELL_EVERY_NS)
        return;
    s->told_ns = now_ns;
    s->audience->spec.look(s->link, &line);
    RelayLineNews news = {.passes_bps = s->full_bps ? s->full_bps : line.passes_bps,
                          .full = s->full_bps != 0,
                          .round_ns = line.round_ns,
                          .loss_ppm = line.loss_ppm};
    relay_school_tell(s->school, &news, now_ns);
    count_bytes(s);
}

// A socket that reads nothing is never asked what it wants next: it is judged by what comes in.
static void judge(RelaySocket *s, gint64 now_ns)
{
    RelayAudience *a = s->audience;
    if (s->counted == RELAY_VIEWER_GONE)
        return;
    follow_line(s, now_ns);
    guint64 lost = relay_web_viewer_judge(&s->viewer, limits_of(s), now_ns);
    if (now_ns - s->reported_ns > REPORT_FRESH_NS && now_ns - s->sampled_ns >= SAMPLE_EVERY_NS) {
        s->sampled_ns = now_ns;
        lost +=
            relay_web_viewer_take_unsent(&s->viewer, limits_of(s), a->spec.unsent(s->link), now_ns);
    }
    note(s, lost);
    tell_school(s, now_ns);
}

// Once through them all: what is known of a viewer is out of the processor's cache by the next.
// Downwards, since who is moved leaves.
static void serve_members(RelayAudience *a, const RelayWebFeed *feed, gint64 now_ns)
{
    const GPtrArray *members = relay_web_feed_members(feed);
    for (guint i = members->len; i-- > 0;) {
        RelaySocket *s = members->pdata[i];
        judge(s, now_ns);
        a->spec.push(s->link);
    }
}

void relay_audience_serve(RelayAudience *audience, RelayWebFeed *feed, gint64 now_ns)
{
    RelayLadder ladder;
    serve_members(audience, feed, now_ns);
    // Of a rendition whose sender is silent its viewers would hear nothing.
    relay_web_feed_ladder(feed, now_ns, &ladder);
    for (guint i = 1; i < RELAY_RENDITIONS; i++) {
        const RelayWebFeed *other = relay_web_feed_rendition(feed, i);
        if (other && !ladder.need_bps[i] && relay_web_feed_members(other)->len)
            serve_members(audience, other, now_ns);
    }
}
