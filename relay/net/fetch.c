// SPDX-License-Identifier: MIT
#include "relay/net/fetch.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "relay/net/pull.h"

// After the last viewer has left, or somebody has asked: a class that comes back, a player between
// DESCRIBE and PLAY.
#define LINGER_NS (15 * TK_NS_PER_S)
// So long without media the line is taken for cut, and the stream is asked for anew: from where it
// broke off, which the old session would not do. Audio and picture come at least 10 times a second.
#define SILENCE_NS TK_NS_PER_S
// Where the stream is moved between renditions it could not go on from there, and the line is one
// that stands still now and then: what waits in it is of more use than to begin anew.
#define SILENCE_MOVED_NS (3 * TK_NS_PER_S)
// Over UDP the first packet may be lost or the keyframe be on its way; what does not come by then
// does not come by UDP.
#define FIRST_NS (4 * TK_NS_PER_S)
// What is shown as "away".
#define STALLED_NS (2 * TK_NS_PER_S)
// A relay keeps its packets for about so long.
#define RESUME_NS (60 * TK_NS_PER_S)
// The class is waiting: tries follow each other quickly as long as a line is usually away.
#define RETRY_NS (250 * TK_NS_PER_MS)
#define RETRIES_QUICK 60
// A connection is tried for 1, 2, 3, 1, 2, 3 … seconds: a lost SYN is sent again after 1 and 3.
#define DIAL_S_MAX 3
#define RETRY_SLOW_NS (4 * TK_NS_PER_S)
#define TOKEN_BYTES_MAX 8192
// A pull begins with the newest keyframe: what stands behind an old one is waited for once more. So
// who is in no hurry leaves the way of now when one has just come, if that is not too long.
#define KEY_FRESH_NS (200 * TK_NS_PER_MS)
#define KEY_WAIT_NS (10 * TK_NS_PER_S)
// An upstream that failed is passed over where there is another.
#define AVOID_NS (15 * TK_NS_PER_S)

struct _RelayFetch {
    RelayLessons *lessons;
    RelayConns *conns;
    RelayStream *stream;
    const char *lesson_id;
    gint viewers;
    gint64 wanted_until_ns;
    gboolean sent, stalled;

    RelayPull *pull;
    gboolean playing, over; // over: the pull said so, and is freed from the next tick
    const RelayUpstream *from;
    guint64 offered, session; // there: of the pull, and of what came last
    gint64 began_ns;          // the pull
    gint64 wanted_ns;         // since when it is wanted; 0 = it is not
    gint64 retry_ns;
    guint failures;
    gboolean tcp, moves; // how it is asked for
    const RelayUpstream *avoided;
    gint64 avoided_until_ns;
    const RelayUpstream *better; // than `from`
    gint64 better_ns;            // since when
};

static gboolean on_offer(gpointer user, RelayPull *pull, const RelayOffer *offer, RelayConn *conn,
                         GError **error)
{
    RelayFetch *f = user;
    f->offered = offer->session;
    return relay_lessons_feed(f->lessons, f->stream, offer, conn, error);
}

static void on_playing(gpointer user, RelayPull *pull)
{
    RelayFetch *f = user;
    f->playing = TRUE;
    f->began_ns = tk_clock_monotonic_ns();
    TkLogFields fields = {.lesson = f->stream->lesson_name,
                          .stream = f->stream->name,
                          .peer = relay_upstream_url(f->from)};
    tk_log(TK_LOG_INFO, &fields, "fetched from upstream over %s", f->tcp ? "TCP" : "UDP");
}

static void note_failure(RelayFetch *f, gint64 now_ns)
{
    f->retry_ns = now_ns + (f->failures < RETRIES_QUICK ? RETRY_NS : RETRY_SLOW_NS);
    f->failures++;
    f->avoided = f->from;
    f->avoided_until_ns = now_ns + AVOID_NS;
}

static void on_over(gpointer user, RelayPull *pull, const char *why)
{
    RelayFetch *f = user;
    f->over = TRUE;
    TkLogFields fields = {.lesson = f->stream->lesson_name,
                          .stream = f->stream->name,
                          .peer = relay_upstream_url(f->from)};
    tk_log(f->failures ? TK_LOG_DEBUG : TK_LOG_INFO, &fields, "not fetched any more: %s", why);
}

static const RelayPullHandler pull_handler = {on_offer, on_playing, on_over};

RelayFetch *relay_fetch_new(RelayLessons *lessons, RelayConns *conns, RelayStream *stream,
                            const char *lesson_id)
{
    RelayFetch *f = g_new0(RelayFetch, 1);
    f->lessons = lessons;
    f->conns = conns;
    f->stream = relay_stream_ref(stream);
    f->lesson_id = lesson_id;
    return f;
}

void relay_fetch_free(RelayFetch *fetch)
{
    if (!fetch)
        return;
    relay_pull_free(fetch->pull);
    relay_stream_unref(fetch->stream);
    g_free(fetch);
}

const RelayStream *relay_fetch_stream(const RelayFetch *fetch)
{
    return fetch->stream;
}

void relay_fetch_want(RelayFetch *fetch, gint change)
{
    fetch->viewers += change;
    if (change <= 0)
        fetch->wanted_until_ns = tk_clock_monotonic_ns() + LINGER_NS;
}

void relay_fetch_set_sent(RelayFetch *fetch, gboolean sent)
{
    fetch->sent = sent;
}

gboolean relay_fetch_is_stalled(const RelayFetch *fetch)
{
    return fetch->stalled;
}

static void stop(RelayFetch *f)
{
    g_clear_pointer(&f->pull, relay_pull_free);
    f->playing = f->over = FALSE;
}

static gint64 heard_ns(const RelayFetch *f)
{
    return relay_stat_get(f->stream->last_packet_ns);
}

gboolean relay_fetch_flows(const RelayFetch *fetch)
{
    return fetch->playing && heard_ns(fetch) > fetch->began_ns;
}

// Anew each time: tokens are renewed while the relay runs.
static char *read_token(const RelayFetch *f, const char *path)
{
    g_autoptr(GError) error = NULL;
    char *token = *path ? tk_file_read(path, TOKEN_BYTES_MAX, NULL, &error) : NULL;
    if (token)
        token[strcspn(token, " \r\n")] = '\0';
    else if (error && !f->failures)
        tk_error("upstream.token_file: %s", error->message);
    return token;
}

static void start(RelayFetch *f, const RelayUpstream *from, const RelayFetchPlan *plan,
                  gint64 now_ns)
{
    g_autofree char *token = read_token(f, plan->token_file);
    // Who names no stream is moved between the renditions of `main`.
    g_autofree char *path = plan->moves ? g_strdup(f->lesson_id)
                                        : g_strdup_printf("%s/%s", f->lesson_id, f->stream->name);
    RelayPullSpec spec = {.host = relay_upstream_host(from),
                          .port = relay_upstream_rtsp_port(from),
                          .path = path,
                          .token = token,
                          .tcp = f->tcp,
                          .moves = plan->moves,
                          .dial_s = 1 + f->failures % DIAL_S_MAX};
    if (!plan->moves && from == f->from && heard_ns(f) && now_ns - heard_ns(f) < RESUME_NS)
        spec.resumes = f->session;
    f->session = spec.resumes; // until something of another comes, there are no numbers of it
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++)
        spec.resume[track] = (guint16)relay_stat_get(f->stream->wanted_in[track]);
    f->from = from;
    f->moves = plan->moves;
    f->began_ns = now_ns;
    f->better = NULL;
    f->pull = relay_pull_new(f->conns, f->stream, &spec, &pull_handler, f);
}

// The pull is over, nothing comes of it, or it has broken off.
static gboolean has_failed(const RelayFetch *f, gint64 now_ns)
{
    if (f->over || !f->playing || !f->sent)
        return f->over;
    if (!relay_fetch_flows(f))
        return now_ns - f->began_ns > FIRST_NS;
    return now_ns - heard_ns(f) > (f->moves ? SILENCE_MOVED_NS : SILENCE_NS);
}

static const RelayUpstream *choose(const RelayFetch *f, const RelayFetchPlan *plan, gint64 now_ns)
{
    for (guint i = 0; i < plan->from_count; i++)
        if (plan->from[i] != f->avoided || now_ns > f->avoided_until_ns)
            return plan->from[i];
    return plan->from_count ? plan->from[0] : NULL;
}

static gboolean may_return(RelayFetch *f, const RelayUpstream *first, gint64 return_ns,
                           gint64 now_ns)
{
    if (!first || first == f->from || !relay_fetch_flows(f)) {
        f->better = NULL;
        return FALSE;
    }
    if (f->better != first) {
        f->better = first;
        f->better_ns = now_ns;
    }
    gint64 late_ns = now_ns - f->better_ns - return_ns;
    gboolean fresh = now_ns - relay_stat_get(f->stream->key_in_ns) <= KEY_FRESH_NS;
    return late_ns >= 0 && (fresh || late_ns > KEY_WAIT_NS);
}

static void drop_failed(RelayFetch *f, RelayFetchTransport transport, gint64 now_ns)
{
    gboolean never_came = f->playing && f->sent && !relay_fetch_flows(f);
    if (never_came && transport == RELAY_FETCH_AUTO)
        f->tcp = !f->tcp;
    note_failure(f, now_ns);
    stop(f);
}

gboolean relay_fetch_tend(RelayFetch *fetch, const RelayFetchPlan *plan, gint64 now_ns)
{
    RelayFetch *f = fetch;
    if (relay_stat_get(f->stream->guests) > 0)
        f->wanted_until_ns = now_ns + LINGER_NS;
    gboolean wanted = plan->ahead || f->viewers > 0 || now_ns < f->wanted_until_ns;
    f->wanted_ns = !wanted ? 0 : f->wanted_ns ? f->wanted_ns : now_ns;
    if (plan->transport != RELAY_FETCH_AUTO)
        f->tcp = plan->transport == RELAY_FETCH_TCP;
    if (relay_fetch_flows(f)) {
        f->failures = 0;
        f->session = f->offered;
    }
    if (f->pull && has_failed(f, now_ns))
        drop_failed(f, plan->transport, now_ns);
    const RelayUpstream *first = choose(f, plan, now_ns);
    if (f->pull && (!wanted || may_return(f, first, plan->return_ns, now_ns)))
        stop(f);
    if (!wanted)
        f->from = NULL; // who comes later wants what is now, not what went by meanwhile
    if (wanted && !f->pull && first && f->sent && now_ns >= f->retry_ns)
        start(f, first, plan, now_ns);
    gboolean stalled = wanted && f->sent && now_ns - MAX(heard_ns(f), f->wanted_ns) > STALLED_NS;
    gboolean changed = stalled != f->stalled;
    f->stalled = stalled;
    return changed;
}
