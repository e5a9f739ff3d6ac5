// SPDX-License-Identifier: MIT
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "relay/net/fanout_part.h"

// A stream of which nothing came for so long is no rendition.
#define SILENCE_NS (2 * TK_NS_PER_S)
// What was lost of the feed before is repaired for so long after a move: longer than any player
// waits for it.
#define MEND_NS (3 * TK_NS_PER_S)
// What did not pass a while ago may pass now.
#define FAILED_NS (30 * TK_NS_PER_S)

// The lesson's stream that shows the same as `home` in smaller; NULL: there is none here.
static RelayFeed *low_of(const RelayFeed *home)
{
    const GPtrArray *feeds = home->fanout->feeds;
    for (guint i = 0; i < feeds->len; i++) {
        RelayFeed *feed = feeds->pdata[i];
        if (g_str_equal(feed->stream->name, RELAY_RENDITION_LOW_STREAM) &&
            g_str_equal(feed->stream->lesson_id, home->stream->lesson_id))
            return feed;
    }
    return NULL;
}

static gboolean flows(const RelayFeed *feed, gint64 now_ns)
{
    return relay_packet_feed_heard_ns(&feed->packets) > now_ns - SILENCE_NS;
}

static void look_at_ladder(const RelayFeed *home, const RelayFeed *low, gint64 now_ns,
                           RelayLadder *ret)
{
    const RelayPacketFeed *main = &home->packets;
    *ret = (RelayLadder){0};
    if (flows(home, now_ns)) {
        ret->need_bps[RELAY_RENDITION_MAIN] = relay_packet_feed_need_bps(main);
        ret->need_bps[RELAY_RENDITION_AUDIO] = relay_packet_feed_sound_bps(main);
    }
    // Without parameter sets nobody could come there, or back.
    if (low && flows(low, now_ns) && low->packets.configures && main->configures &&
        relay_crossing_possible(&low->packets, main)) {
        ret->need_bps[RELAY_RENDITION_LOW] = relay_packet_feed_need_bps(&low->packets);
        ret->need_bps[RELAY_RENDITION_AUDIO] = relay_packet_feed_sound_bps(&low->packets);
    }
}

// How long ago what is under way over TCP came in, by its bytes.
static gint64 way_ns(const RelayRtpViewer *v, gint64 now_ns)
{
    const RelayHistory *history = v->feed->packets.history;
    guint64 at = v->course.place.position, tail = relay_history_tail(history);
    gsize left = relay_link_unsent(v->spec.link);
    gint64 arrived_ns = now_ns;
    while (left && at > tail) {
        const RelayUnit *unit = relay_history_at(history, --at);
        if (v->course.no_picture && !(unit->flags & RELAY_UNIT_SOUND))
            continue;
        left -= MIN(left, unit->bytes);
        arrived_ns = unit->arrived_ns;
    }
    return now_ns - arrived_ns;
}

static RelayLineSeen look_at_line(const RelayRtpViewer *v, gint64 now_ns)
{
    const RelayLineRate *rate = &v->rate;
    RelayLineSeen seen = {0};
    if (v->waits)
        seen.behind_ns = relay_follower_behind_ns(&v->course, now_ns);
    if (v->spec.link) {
        RelayTcpLine line;
        relay_link_look(v->spec.link, &line);
        seen.behind_ns = MAX(seen.behind_ns, way_ns(v, now_ns));
        // While nothing waits, more than the kernel has seen may pass.
        *(v->waits ? &seen.full_bps : &seen.passes_bps) = line.passes_bps;
        return seen;
    }
    seen.passes_bps = rate->proven_bps;
    if (rate->ceiling_bps && now_ns - rate->ceiling_ns < FAILED_NS)
        seen.fails_bps = rate->ceiling_bps;
    return seen;
}

// What has to be known to pass before more is tried: some more than the next better one needs.
static gint64 target_of(const RelayRtpViewer *v, const RelayLadder *ladder)
{
    for (RelayRendition r = v->choice.at; r-- > v->choice.best;)
        if (ladder->need_bps[r])
            return ladder->need_bps[r] / 8 * 11;
    return 0;
}

// Who gets the feed in place of its own, or is about to want to, keeps it coming.
static void be_guest(RelayRtpViewer *v, RelayFeed *feed)
{
    if (v->guest_of == feed)
        return;
    if (v->guest_of)
        relay_stat_add(v->guest_of->stream->guests, -1u);
    if (feed)
        relay_stat_add(feed->stream->guests, 1);
    v->guest_of = feed;
}

// Once for all who are moved together: it goes through some seconds of both.
static gboolean find_crossing(RelayFeed *feed, const RelayFeed *home, gint64 now_ns)
{
    if (feed->crossed_ns != now_ns)
        (void)!relay_crossing_find(&feed->crossing, &feed->packets, &home->packets);
    feed->crossed_ns = now_ns;
    return feed->crossing.known;
}

static void aim(RelayRtpViewer *v, RelayFeed *low, RelayRendition to, gint64 now_ns)
{
    RelayFeed *feed = to == RELAY_RENDITION_MAIN  ? v->home
                      : to == RELAY_RENDITION_LOW ? low
                                                  : v->feed;
    if (to == RELAY_RENDITION_AUDIO && !flows(feed, now_ns))
        feed = feed == low || !low ? v->home : low;
    const RelayCrossing *crossing = feed == v->home ? NULL : &feed->crossing;
    if (v->course.aim.feed != &feed->packets && crossing && !find_crossing(feed, v->home, now_ns))
        return;
    relay_follower_aim(&v->course, &feed->packets, crossing, to != RELAY_RENDITION_AUDIO, now_ns);
    v->aim = to;
    v->feed->pending = TRUE;
}

gboolean relay_rtp_viewer_find_room(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    RelayLadder ladder;
    RelayRendition to;
    if (!relay_share_bounded(&v->share))
        return TRUE;
    if (!v->spec.moves || !g_str_equal(v->home->stream->name, TK_STREAM_MAIN))
        return relay_share_take(&v->share, relay_packet_feed_need_bps(&v->home->packets));
    RelayFeed *low = low_of(v->home);
    look_at_ladder(v->home, low, now_ns, &ladder);
    if (!relay_share_begin(&v->share, &ladder, RELAY_RENDITION_MAIN, &to))
        return FALSE;
    if (to != RELAY_RENDITION_MAIN) {
        v->choice.best = to;
        be_guest(v, low);
        aim(v, low, to, now_ns);
    }
    return TRUE;
}

static void judge(RelayRtpViewer *v, RelayFeed *low, const RelayLadder *ladder, gint64 now_ns)
{
    RelayLineSeen seen = look_at_line(v, now_ns);
    if (!v->course.aim.feed)
        relay_share_keep(&v->share, ladder->need_bps[v->choice.at]);
    v->choice.best = relay_share_best(&v->share, ladder, v->choice.at, RELAY_RENDITION_MAIN);
    RelayRendition to = relay_rendition_judge(&v->choice, ladder, &seen, now_ns);
    gboolean weak = v->choice.at != RELAY_RENDITION_MAIN || to != v->choice.at ||
                    seen.behind_ns > RELAY_RENDITION_CLEAN_NS;
    be_guest(v, weak ? low : NULL);
    relay_line_rate_aim(&v->rate, target_of(v, ladder));
    if (to == v->choice.at ||
        (to < v->choice.at && !relay_share_take(&v->share, ladder->need_bps[to])))
        relay_follower_stay(&v->course);
    else
        aim(v, low, to, now_ns);
}

void relay_feed_judge(RelayFeed *home, gint64 now_ns)
{
    RelayLadder ladder;
    if (!home->viewers->len || !g_str_equal(home->stream->name, TK_STREAM_MAIN))
        return;
    RelayFeed *low = low_of(home);
    look_at_ladder(home, low, now_ns, &ladder);
    for (guint i = 0; i < home->viewers->len; i++) {
        RelayRtpViewer *v = home->viewers->pdata[i];
        if (v->spec.moves && v->course.place.state != RELAY_VIEWER_WAITING)
            judge(v, low, &ladder, now_ns);
    }
}

static RelayFeed *feed_of(const RelayFanout *f, const RelayPacketFeed *packets)
{
    for (guint i = 0; i < f->feeds->len; i++) {
        RelayFeed *feed = f->feeds->pdata[i];
        if (&feed->packets == packets)
            return feed;
    }
    return NULL;
}

static void set_feed(RelayRtpViewer *v, RelayFeed *feed, gint64 now_ns)
{
    if (feed == v->feed)
        return;
    if (v->feed != v->home)
        g_ptr_array_remove_fast(v->feed->guests, v);
    if (feed != v->home)
        g_ptr_array_add(feed->guests, v);
    relay_rtp_viewer_forget_before(v);
    v->before = v->now;
    v->before_until_ns = now_ns + MEND_NS;
    v->now = (RelayMending){.feed = feed};
    v->feed = feed;
    feed->pending = TRUE;
}

static void log_move(const RelayRtpViewer *v, RelayRendition to)
{
    const char *school = v->spec.school && *v->spec.school->name ? v->spec.school->name : NULL;
    TkLogFields fields = {.lesson = v->home->stream->lesson_name, .stream = v->home->stream->name};
    tk_log(TK_LOG_INFO, &fields, "a viewer over %s%s%s: %s, was %s", v->spec.link ? "TCP" : "UDP",
           school ? " of " : "", school ? school : "",
           relay_viewer_state_word(relay_rendition_state(RELAY_VIEWER_LIVE, to)),
           relay_viewer_state_word(relay_rendition_state(RELAY_VIEWER_LIVE, v->choice.at)));
}

void relay_rtp_viewer_turn(RelayRtpViewer *viewer, gint64 now_ns)
{
    RelayRtpViewer *v = viewer;
    if (!relay_follower_turn(&v->course, now_ns))
        return;
    gboolean up = v->aim < v->choice.at;
    if (!up)
        relay_line_rate_fail(&v->rate, v->feed->need_bps);
    set_feed(v, feed_of(v->fanout, v->course.feed), now_ns);
    log_move(v, v->aim);
    relay_rendition_moved(&v->choice, v->aim, now_ns);
    relay_stat_add(v->fanout->moves[up ? 1 : 0], 1);
    relay_school_moved(v->spec.school, up);
    if (up)
        relay_line_rate_hope(&v->rate, v->feed->need_bps);
}

void relay_rtp_viewer_go_home(RelayRtpViewer *viewer)
{
    RelayRtpViewer *v = viewer;
    gint64 now_ns = relay_worker_now_ns(v->fanout->worker);
    relay_follower_stay(&v->course);
    be_guest(v, NULL);
    if (v->feed == v->home)
        return;
    relay_follower_go(&v->course, &v->home->packets);
    set_feed(v, v->home, now_ns);
    relay_rtp_viewer_forget_before(v);
    relay_rendition_begin(&v->choice, RELAY_RENDITION_MAIN, now_ns);
}
