// SPDX-License-Identifier: MIT
#include "relay/net/rtsp.h"

#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "relay/net/rtsp_pass.h"
#include "relay/net/rtsp_player.h"
#include "relay/net/rtsp_url.h"
#include "relay/net/transport.h"

// What RFC 2326 section 12.37 calls the session's timeout, seconds.
#define SESSION_TIMEOUT_S 60
// Time for a connection to be let in to a lesson.
#define STRANGER_NS (30 * TK_NS_PER_S)

// How long a DESCRIBE waits for the stream's first keyframe: two of them at the usual distance.
#define DESCRIBE_WAIT_MS 5000

typedef struct {
    RelayRtsp *rtsp;
    RelayConn *conn; // borrowed; the main thread's reference
    char *peer;
    char *id; // of the RTSP session
    RelayRtspPass pass;
    gboolean whole; // viewing: the URL named no stream
    gint64 opened_ns;
    RelayOffer offer; // announced
    gboolean announced;
    RelayTransport transports[RELAY_INPUT_TRACKS_MAX];
    gboolean set_up[RELAY_INPUT_TRACKS_MAX];
    TkRtspMessage *setup;           // that waits for its ports to be taken
    RelayGroup *group;              // held; NULL: no multicast
    gboolean watching;              // it
    RelayStream *viewing, *sending; // references
    TkRtspMessage *parked;          // a DESCRIBE that waits for its stream
    RelayStream *parked_stream;
    guint parked_timer;
} Session;

struct _RelayRtsp {
    RelayLessons *lessons;
    const RelayDoor *door;
    RelayRtspSpec spec;
    GHashTable *sessions; // RelayConn -> Session, owned
    guint timer;
};

static void unpark(Session *s)
{
    g_clear_handle_id(&s->parked_timer, g_source_remove);
    g_clear_pointer(&s->parked, tk_rtsp_message_free);
    g_clear_pointer(&s->parked_stream, relay_stream_unref);
}

static void session_free(gpointer data)
{
    Session *s = data;
    unpark(s);
    tk_rtsp_message_free(s->setup);
    relay_offer_clear(&s->offer);
    relay_stream_unref(s->viewing);
    relay_stream_unref(s->sending);
    g_free(s->peer);
    g_free(s->id);
    relay_rtsp_pass_clear(&s->pass);
    g_free(s);
}

// Status line, CSeq and session; the caller adds headers and the empty line.
static GString *begin_answer(const Session *s, const TkRtspMessage *request, guint status)
{
    const char *cseq = tk_rtsp_header(request, "CSeq");
    GString *text = g_string_new(NULL);
    g_string_append_printf(text, "RTSP/1.0 %u %s\r\nCSeq: %s\r\nServer: Tongke\r\n", status,
                           tk_rtsp_phrase(status), cseq ? cseq : "0");
    if (s->set_up[0] || s->set_up[1])
        g_string_append_printf(text, "Session: %s;timeout=%u\r\n", s->id, SESSION_TIMEOUT_S);
    if (status == 401)
        g_string_append(text, "WWW-Authenticate: Basic realm=\"Tongke\", charset=\"UTF-8\"\r\n");
    return text;
}

static void answer(Session *s, const TkRtspMessage *request, guint status, const char *headers)
{
    GString *text = begin_answer(s, request, status);
    g_string_append_printf(text, "%s\r\n", headers ? headers : "");
    relay_conn_answer(s->conn, g_string_free(text, FALSE), FALSE);
}

static void refuse(Session *s, const TkRtspMessage *request, const GError *error)
{
    TkLogFields fields = {.lesson = s->pass.lesson, .peer = s->peer};
    tk_log(TK_LOG_INFO, &fields, "%s refused: %s", request->method, error->message);
    g_autofree char *reason = g_strdup_printf("X-Tongke-Reason: %s\r\n", error->message);
    answer(s, request, tk_error_http_status(error), reason);
}

static gboolean admit(RelayRtsp *r, Session *s, const TkRtspMessage *request,
                      const RelayRtspUrl *url, TkRole role, GError **error)
{
    return relay_rtsp_pass_admit(&s->pass, r->door, relay_lessons_find(r->lessons, url->lesson),
                                 url, role, tk_rtsp_header(request, "Authorization"), error);
}

static void do_options(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    answer(s, request, 200,
           "Public: OPTIONS, DESCRIBE, ANNOUNCE, SETUP, PLAY, RECORD, TEARDOWN, GET_PARAMETER, "
           "SET_PARAMETER\r\n");
}

static void do_announce(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    g_autoptr(GError) error = NULL;
    g_auto(RelayRtspUrl) url = {0};
    if (s->viewing || s->sending) {
        answer(s, request, 455, NULL);
        return;
    }
    if (!relay_rtsp_url_parse(request->uri, &url, &error) ||
        !admit(r, s, request, &url, TK_ROLE_SENDER, &error)) {
        refuse(s, request, error);
        return;
    }
    if (g_str_equal(url.stream, TK_STREAM_AUDIO)) {
        answer(s, request, 409,
               "X-Tongke-Reason: audio is what the relay makes of main's sound\r\n");
        return;
    }
    relay_offer_clear(&s->offer);
    s->offer = (RelayOffer){0};
    s->announced = relay_sdp_parse(request->body, request->body_bytes, &s->offer, &error);
    if (s->announced)
        answer(s, request, 200, NULL);
    else
        refuse(s, request, error);
}

static void describe(RelayRtsp *r, Session *s, const TkRtspMessage *request, gboolean may_wait);

static gboolean parked_long_enough(gpointer user)
{
    Session *s = user;
    g_autoptr(TkRtspMessage) request = g_steal_pointer(&s->parked);
    s->parked_timer = 0;
    unpark(s);
    describe(s->rtsp, s, request, FALSE);
    return G_SOURCE_REMOVE;
}

// The stream is there and its first keyframe is on its way: few players would ask again.
static void park(Session *s, const TkRtspMessage *request, RelayStream *stream)
{
    s->parked = tk_rtsp_message_copy(request);
    s->parked_stream = relay_stream_ref(stream);
    s->parked_timer = g_timeout_add(DESCRIBE_WAIT_MS, parked_long_enough, s);
}

static void on_format(gpointer user, RelayStream *stream)
{
    RelayRtsp *r = user;
    GHashTableIter iter;
    Session *s;
    g_hash_table_iter_init(&iter, r->sessions);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&s)) {
        if (!s->parked || s->parked_stream != stream)
            continue;
        g_autoptr(TkRtspMessage) request = g_steal_pointer(&s->parked);
        unpark(s);
        describe(r, s, request, FALSE);
    }
}

static void describe(RelayRtsp *r, Session *s, const TkRtspMessage *request, gboolean may_wait)
{
    g_autoptr(GError) error = NULL;
    g_auto(RelayRtspUrl) url = {0};
    if (!relay_rtsp_url_parse(request->uri, &url, &error) ||
        !admit(r, s, request, &url, TK_ROLE_VIEWER, &error)) {
        refuse(s, request, error);
        return;
    }
    RelayStream *stream;
    RelayDescription description;
    RelayDescribed described =
        relay_lessons_describe(r->lessons, url.lesson, url.stream, &stream, &description);
    if (described == RELAY_DESCRIBE_LATER && may_wait) {
        park(s, request, stream);
        return;
    }
    if (described != RELAY_DESCRIBED) {
        answer(s, request, 404, "X-Tongke-Reason: the lesson has not begun\r\n");
        return;
    }
    description.host = url.host;
    description.ipv6 = strchr(url.host, ':') != NULL;
    description.feedback = r->spec.repair && relay_rtsp_takes_feedback(request);
    g_autofree char *sdp = relay_sdp_write(&description);
    GString *text = begin_answer(s, request, 200);
    g_string_append_printf(text,
                           "Content-Base: %s/\r\nContent-Type: application/sdp\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           url.base, strlen(sdp), sdp);
    relay_conn_answer(s->conn, g_string_free(text, FALSE), FALSE);
}

static void do_describe(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    describe(r, s, request, TRUE);
}

// The stream's group is put into the answer: a group is named by the relay alone.
static gboolean give_group(RelayRtsp *r, Session *s, guint track, RelayTransport *transport,
                           GError **error)
{
    RelayStream *stream;
    RelayDescription description;
    if (!s->group) {
        if (relay_lessons_describe(r->lessons, s->pass.lesson, s->pass.stream, &stream,
                                   &description) != RELAY_DESCRIBED) {
            g_set_error(error, TK_ERROR, TK_ERROR_NOT_FOUND, "the lesson has not begun");
            return FALSE;
        }
        s->group = relay_multicast_hold(r->spec.multicast, stream, error);
        if (!s->group)
            return FALSE;
    }
    transport->rtp = relay_group_address(s->group, track, FALSE);
    transport->rtcp = relay_group_address(s->group, track, TRUE);
    transport->ttl = relay_group_ttl(s->group);
    return TRUE;
}

static void finish_setup(Session *s, const TkRtspMessage *request, guint track)
{
    s->set_up[track] = TRUE;
    g_autofree char *header =
        relay_transport_header(&s->transports[track], s->rtsp->spec.rtp_port, s->announced);
    answer(s, request, 200, header);
}

static void do_setup(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    g_autoptr(GError) error = NULL;
    g_auto(RelayRtspUrl) url = {0};
    gint track;
    if (s->announced) {
        track = relay_offer_track(&s->offer, request->uri, s->set_up);
    } else {
        if (!relay_rtsp_url_parse(request->uri, &url, &error) ||
            !admit(r, s, request, &url, TK_ROLE_VIEWER, &error)) {
            refuse(s, request, error);
            return;
        }
        track = url.track;
    }
    if (track < 0 || track >= RELAY_INPUT_TRACKS_MAX) {
        answer(s, request, track < 0 && !s->announced ? 459 : 404, NULL);
        return;
    }
    if (s->viewing || s->sending) {
        answer(s, request, 455, NULL);
        return;
    }
    s->whole = url.whole;
    RelayTransport transport;
    if (!relay_transport_choose(tk_rtsp_header(request, "Transport"), relay_conn_peer(s->conn),
                                (guint)track, r->spec.multicast && !s->announced, &transport)) {
        answer(s, request, 461, NULL);
        return;
    }
    if (transport.kind == RELAY_TRANSPORT_MULTICAST &&
        !give_group(r, s, (guint)track, &transport, &error)) {
        refuse(s, request, error);
        return;
    }
    if (s->set_up[track] && s->transports[track].kind != transport.kind)
        relay_conn_stop(s->conn); // and its ports are anybody's
    s->transports[track] = transport;
    s->set_up[track] = FALSE;
    if (s->announced || transport.kind != RELAY_TRANSPORT_UDP) {
        finish_setup(s, request, (guint)track);
        return;
    }
    s->setup = tk_rtsp_message_copy(request);
    relay_conn_expect(s->conn, (guint)track, &transport.rtp, &transport.rtcp);
}

static void on_expected(gpointer user, RelayConn *conn, guint track, gboolean taken)
{
    RelayRtsp *r = user;
    Session *s = g_hash_table_lookup(r->sessions, conn);
    if (!s)
        return;
    g_autoptr(TkRtspMessage) request = g_steal_pointer(&s->setup);
    if (taken)
        finish_setup(s, request, track);
    else
        answer(s, request, 461, "X-Tongke-Reason: somebody else has these ports\r\n");
}

static const char *school_of(const Session *s)
{
    return s->pass.claims ? s->pass.claims->school : NULL;
}

static RelaySchool *find_school(RelayRtsp *r, const Session *s)
{
    return relay_schools_find(r->spec.schools, school_of(s));
}

static void begin_viewing(RelayRtsp *r, Session *s, RelayStream *stream, RelayTransportKind kind)
{
    s->viewing = relay_stream_ref(stream);
    relay_lessons_count_viewer(r->lessons, stream, RELAY_VIEWER_RTP, 1, school_of(s));
    TkLogFields fields = {.lesson = s->pass.lesson, .stream = s->pass.stream, .peer = s->peer};
    tk_log(TK_LOG_INFO, &fields, "a viewer begins over %s", relay_transport_word(kind));
}

// What comes to a group came before and goes on behind: there is no first packet for RTP-Info.
static void watch_group(RelayRtsp *r, Session *s, const TkRtspMessage *request, RelayStream *stream)
{
    if (relay_group_stream(s->group) != stream) {
        answer(s, request, 404, "X-Tongke-Reason: the lesson that was set up is over\r\n");
        return;
    }
    begin_viewing(r, s, stream, RELAY_TRANSPORT_MULTICAST);
    s->watching = TRUE;
    relay_school_come(find_school(r, s), RELAY_OVER_MULTICAST, RELAY_VIEWER_LIVE);
    answer(s, request, 200, "Range: npt=now-\r\n");
    relay_group_watch(s->group, s->conn);
}

static void do_play(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    g_autoptr(GError) error = NULL;
    RelayTransportKind kind = RELAY_TRANSPORT_UDP;
    RelayDescription description;
    RelayStream *stream;
    if (s->viewing) { // again, as some players do to keep alive
        answer(s, request, 200, NULL);
        return;
    }
    if (s->announced ||
        !relay_transport_common(s->transports, s->set_up, RELAY_INPUT_TRACKS_MAX, &kind)) {
        answer(s, request, 455, NULL);
        return;
    }
    // Since it was let in another lesson may have begun there.
    if (!relay_rtsp_pass_holds(&s->pass, relay_lessons_find(r->lessons, s->pass.lesson),
                               tk_clock_monotonic_ns(), &error)) {
        refuse(s, request, error);
        return;
    }
    if (relay_lessons_describe(r->lessons, s->pass.lesson, s->pass.stream, &stream, &description) !=
        RELAY_DESCRIBED) {
        answer(s, request, 404, NULL);
        return;
    }
    if (kind == RELAY_TRANSPORT_MULTICAST) {
        watch_group(r, s, request, stream);
        return;
    }
    g_auto(RelayRtspUrl) url = {0};
    if (!relay_rtsp_url_parse(request->uri, &url, NULL)) {
        answer(s, request, 400, NULL);
        return;
    }
    RelayViewerSpec spec = {.interleaved = kind == RELAY_TRANSPORT_TCP,
                            .school = find_school(r, s)};
    char *urls[RELAY_INPUT_TRACKS_MAX] = {0};
    for (guint i = 0; i < RELAY_INPUT_TRACKS_MAX; i++) {
        if (!s->set_up[i] || !description.configs[i])
            continue;
        const RelayTransport *t = &s->transports[i];
        spec.tracks[i] = (RelayViewerTrack){.enabled = TRUE,
                                            .rtp = t->rtp,
                                            .rtcp = t->rtcp,
                                            .rtp_channel = t->rtp_channel,
                                            .rtcp_channel = t->rtcp_channel,
                                            .rtx = t->feedback};
        urls[i] = g_strdup_printf("%s/track=%u", url.base, i);
    }
    relay_rtsp_read_resume(request, &spec);
    spec.moves = s->whole && !spec.resumes;
    spec.share = relay_schools_share(r->spec.schools, spec.school,
                                     relay_rtsp_is_exempt(request, s->pass.claims, &spec));
    begin_viewing(r, s, stream, kind);
    GString *head = begin_answer(s, request, 200);
    g_string_append(head, "Range: npt=now-\r\n");
    relay_conn_play(s->conn, stream, &spec, g_string_free(head, FALSE), urls);
}

static gboolean goes_on(const RelayOffer *offer, const RelayLesson *lesson)
{
    return offer->id ? g_str_equal(offer->id, lesson->id) : lesson->state != RELAY_LESSON_ENDED;
}

static void do_record(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    g_autoptr(GError) error = NULL;
    RelayTransportKind kind = RELAY_TRANSPORT_UDP;
    if (!s->announced || s->sending ||
        !relay_transport_common(s->transports, s->set_up, RELAY_INPUT_TRACKS_MAX, &kind)) {
        answer(s, request, 455, NULL);
        return;
    }
    for (guint i = 0; i < s->offer.tracks_count; i++) {
        if (!s->set_up[i]) {
            answer(s, request, 455, "X-Tongke-Reason: a track was announced but not set up\r\n");
            return;
        }
    }
    const RelayLesson *lesson = relay_lessons_find(r->lessons, s->pass.lesson);
    if (lesson && !goes_on(&s->offer, lesson))
        lesson = NULL; // a new one begins
    RelayStream *stream = relay_rtsp_pass_holds(&s->pass, lesson, tk_clock_monotonic_ns(), &error)
                              ? relay_lessons_publish(r->lessons, s->pass.lesson, s->pass.stream,
                                                      &s->offer, s->conn, &error)
                              : NULL;
    if (!stream) {
        refuse(s, request, error);
        return;
    }
    RelaySenderSpec spec = {.tracks_count = s->offer.tracks_count,
                            .interleaved = kind == RELAY_TRANSPORT_TCP};
    guint8 channels[RELAY_INPUT_TRACKS_MAX] = {0};
    for (guint i = 0; i < s->offer.tracks_count; i++) {
        spec.formats[i] = s->offer.formats[i];
        spec.rtp[i] = s->transports[i].rtp;
        spec.rtcp[i] = s->transports[i].rtcp;
        channels[i] = s->transports[i].rtp_channel;
    }
    s->sending = relay_stream_ref(stream);
    TkLogFields fields = {.lesson = s->pass.lesson, .stream = s->pass.stream, .peer = s->peer};
    tk_log(TK_LOG_INFO, &fields, "a sender begins over %s", relay_transport_word(kind));
    relay_conn_record(s->conn, stream, &spec, channels);
    answer(s, request, 200, NULL);
}

static void leave(RelayRtsp *r, Session *s, gboolean orderly, const char *why)
{
    if (s->viewing || s->sending) {
        TkLogFields fields = {
            .lesson = s->pass.lesson, .stream = s->pass.stream, .peer = s->peer, .reason = why};
        tk_log(TK_LOG_INFO, &fields, s->sending ? "a sender leaves" : "a viewer leaves");
    }
    if (s->viewing)
        relay_lessons_count_viewer(r->lessons, s->viewing, RELAY_VIEWER_RTP, -1, school_of(s));
    if (s->sending)
        relay_lessons_unpublish(r->lessons, s->sending, s->conn, orderly);
    if (s->watching)
        relay_school_leave(find_school(r, s), RELAY_OVER_MULTICAST, RELAY_VIEWER_LIVE);
    s->watching = FALSE;
    if (s->group)
        relay_group_let_go(g_steal_pointer(&s->group), s->conn);
    g_clear_pointer(&s->viewing, relay_stream_unref);
    g_clear_pointer(&s->sending, relay_stream_unref);
}

// The lesson goes on. A player to which nothing comes asks for it before it tries TCP; the others
// need not, and the answer to OPTIONS does not tempt them to.
static void do_pause(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    gboolean pauses = s->viewing && !s->group;
    if (pauses) {
        leave(r, s, TRUE, "pause");
        relay_conn_pause(s->conn);
    }
    answer(s, request, pauses ? 200 : 455, NULL);
}

static void do_teardown(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    leave(r, s, TRUE, "teardown");
    relay_conn_stop(s->conn);
    GString *text = begin_answer(s, request, 200);
    g_string_append(text, "Connection: close\r\n\r\n");
    relay_conn_answer(s->conn, g_string_free(text, FALSE), TRUE);
}

static void do_parameter(RelayRtsp *r, Session *s, const TkRtspMessage *request)
{
    answer(s, request, 200, NULL); // keeps alive
}

static const struct {
    const char *method;
    void (*act)(RelayRtsp *, Session *, const TkRtspMessage *);
} methods[] = {
    {"OPTIONS", do_options},
    {"ANNOUNCE", do_announce},
    {"DESCRIBE", do_describe},
    {"SETUP", do_setup},
    {"PLAY", do_play},
    {"PAUSE", do_pause},
    {"RECORD", do_record},
    {"TEARDOWN", do_teardown},
    {"GET_PARAMETER", do_parameter},
    {"SET_PARAMETER", do_parameter},
};

static void on_request(gpointer user, RelayConn *conn, TkRtspMessage *given)
{
    RelayRtsp *r = user;
    g_autoptr(TkRtspMessage) request = given;
    Session *s = g_hash_table_lookup(r->sessions, conn);
    if (!s)
        return;
    guint status = relay_rtsp_objection(request, s->id);
    for (guint i = 0; !status && i < G_N_ELEMENTS(methods); i++) {
        if (g_str_equal(request->method, methods[i].method)) {
            methods[i].act(r, s, request);
            return;
        }
    }
    answer(s, request, status ? status : 501, status == 551 ? "Unsupported: all\r\n" : NULL);
}

static void on_closed(gpointer user, RelayConn *conn, const char *why)
{
    RelayRtsp *r = user;
    Session *s = g_hash_table_lookup(r->sessions, conn);
    if (!s)
        return;
    leave(r, s, FALSE, why);
    g_hash_table_remove(r->sessions, conn);
}

// A connection that never shows to which lesson it may is not kept, nor one whose token has ended,
// but a teacher's is until the lesson's end.
static gboolean close_strangers(gpointer user)
{
    RelayRtsp *r = user;
    gint64 now_ns = tk_clock_monotonic_ns();
    GHashTableIter iter;
    Session *s;
    g_hash_table_iter_init(&iter, r->sessions);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&s)) {
        if (!s->pass.lesson && now_ns - s->opened_ns > STRANGER_NS)
            relay_conn_close(s->conn, "no lesson within 30 s");
        else if (!s->sending && relay_rtsp_pass_is_over(&s->pass, now_ns))
            relay_conn_close(s->conn, "the token has expired");
    }
    return G_SOURCE_CONTINUE;
}

RelayRtsp *relay_rtsp_new(RelayLessons *lessons, const RelayDoor *door, const RelayRtspSpec *spec)
{
    RelayRtsp *r = g_new0(RelayRtsp, 1);
    r->lessons = lessons;
    r->door = door;
    r->spec = *spec;
    r->sessions = g_hash_table_new_full(NULL, NULL, NULL, session_free);
    RelayLessonsWatcher watcher = {.on_format = on_format, .user = r};
    relay_lessons_watch(lessons, &watcher);
    r->timer = g_timeout_add_seconds(5, close_strangers, r);
    return r;
}

void relay_rtsp_free(RelayRtsp *rtsp)
{
    if (!rtsp)
        return;
    g_source_remove(rtsp->timer);
    g_hash_table_unref(rtsp->sessions);
    g_free(rtsp);
}

void relay_rtsp_accept(RelayRtsp *rtsp, RelayConns *conns, int fd, const RelayAddress *peer)
{
    if (g_hash_table_size(rtsp->sessions) >= rtsp->spec.connections_max) {
        tk_warning("refusing an RTSP connection: %u are open, as many as limits.connections allows",
                   rtsp->spec.connections_max);
        close(fd);
        return;
    }
    Session *s = g_new0(Session, 1);
    s->rtsp = rtsp;
    RelayConnDesk desk = {
        .on_request = on_request, .on_expected = on_expected, .on_closed = on_closed, .user = rtsp};
    s->conn = relay_conn_accept(conns, fd, peer, &desk);
    s->opened_ns = tk_clock_monotonic_ns();
    s->peer = relay_address_text(peer);
    s->id = g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
    g_hash_table_insert(rtsp->sessions, s->conn, s);
}
