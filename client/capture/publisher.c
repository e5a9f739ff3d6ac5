// SPDX-License-Identifier: MIT
#include "client/capture/publisher.h"

#include <gst/rtsp/gstrtsptransport.h>
#include <gst/sdp/gstsdpmessage.h>
#include <string.h>

#include "client/capture/leave.h"
#include "client/peer/peer.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"

#define BACKOFF_MAX_S 15
#define RTX_MS 1000u // how long the relay may ask for a packet again
#define CONNECT_TIMEOUT_MS 10000
#define LEAVE_TIMEOUT_NS (3 * TK_NS_PER_S / 2)
#define PACKET_BYTES 1200 // leaves room for tunnels and PPPoE on the way
// Sender reports: often at first, for a relay must know the clock of a sender at once.
#define REPORTS_FIRST_MS 50u
#define REPORTS_SETTLE_MS 1000u
#define REPORTS_MS 1000u
#define WATCH_MS 1000u
// Receiver reports come from our relay once a second, from others' every 2.5 to 10 s (RFC 3550
// section 6.2). Of one that has reported for so long the longest pause is known; without reports
// for twice that and a little, but for so long at least, it is gone.
#define SILENT_AFTER_S 20
#define SILENT_KNOWN_AFTER_S 8
#define REPORTS_KNOWN_S 3
#define TRACKS_MAX 2

struct _CapPublisher {
    char *url, *token, *title, *record;
    CapTransport transport;
    TkJoint *picture, *sound;
    GstClock *clock;
    GstClockTime base_time;
    CapPublisherChanged on_changed;
    void *user;

    CapPublisherState state;
    TkPipeline *pipeline;
    guint timer; // one at a time: the connection's deadline, the next try, leaving's deadline
    guint failures;
    gint64 live_s;         // monotonic: since when it is live
    gint heard_s, pause_s; // the relay's last RTCP, longest pause; atomic, set by streaming threads
};

static void connect_now(CapPublisher *publisher);

static void set_state(CapPublisher *publisher, CapPublisherState state, const char *why)
{
    static const char *const words[] = {"connecting", "live", "waiting",
                                        "refused",    "over", "stopped"};

    if (publisher->state != state)
        tk_debug("publisher: %s -> %s%s%s", words[publisher->state], words[state], why ? ": " : "",
                 why ? why : "");
    publisher->state = state;
    publisher->on_changed(publisher->user, state, why);
}

static void set_timer(CapPublisher *publisher, guint ms, GSourceFunc function)
{
    if (publisher->timer)
        g_source_remove(publisher->timer);
    publisher->timer = ms ? g_timeout_add(ms, function, publisher) : 0;
}

static void drop_pipeline(CapPublisher *publisher)
{
    if (publisher->picture)
        tk_joint_set_output(publisher->picture, NULL);
    if (publisher->sound)
        tk_joint_set_output(publisher->sound, NULL);
    g_clear_pointer(&publisher->pipeline, tk_pipeline_free);
}

static gboolean on_retry(gpointer data)
{
    CapPublisher *publisher = data;

    publisher->timer = 0;
    connect_now(publisher);
    return G_SOURCE_REMOVE;
}

// What a status of RTSP (RFC 2326 section 7.1.1) means for the one at the machine; NULL: nothing
// that the sender could do anything about.
static const char *advice(guint status, gboolean *ret_final)
{
    *ret_final = TRUE;
    switch (status) {
    case 401:
        return "the relay wants a token: give --token-file FILE or $TONGKE_TOKEN";
    case 403:
        return "the token does not allow sending this lesson: ask for one with role=sender";
    case 410:
        return "课已被结束 · somebody ended this lesson";
    case 415:
        return "the relay does not take this picture or sound";
    }
    *ret_final = FALSE;
    switch (status) {
    case 404:
        return "the relay knows no such place: is the address rtsp://HOST:8554/LESSON?";
    case 409:
        return "somebody else is sending this lesson";
    case 503:
        return "the relay is full";
    }
    return NULL;
}

// `status` 0: no answer.
static void failed(CapPublisher *publisher, guint status, const char *reason)
{
    gboolean final = FALSE;

    drop_pipeline(publisher);
    const char *answer = status ? advice(status, &final) : NULL;
    g_autofree char *why =
        answer ? g_strdup_printf("%s (RTSP %u)", answer, status) : g_strdup(reason);
    if (final) {
        set_timer(publisher, 0, NULL);
        set_state(publisher, status == 410 ? CAP_PUBLISHER_OVER : CAP_PUBLISHER_REFUSED, why);
        return;
    }
    guint pause_s = client_backoff_s(publisher->failures++, BACKOFF_MAX_S);
    g_autofree char *sentence = g_strdup_printf("%s; next try in %u s", why, pause_s);
    set_timer(publisher, pause_s * 1000, on_retry);
    set_state(publisher, CAP_PUBLISHER_WAITING, sentence);
}

static void on_error(void *user, const GError *error, const char *debug)
{
    CapPublisher *publisher = user;

    tk_debug("publisher: %s (%s)", error->message, debug ? debug : "");
    // rtspclientsink has the status only in its words to developers, some as a code of its own.
    static const char words[] = "error response: ";
    const char *at = debug ? strstr(debug, words) : NULL;
    guint status = at ? (guint)g_ascii_strtoull(at + strlen(words), NULL, 10) : 0;
    if (g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED))
        status = 401;
    else if (g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND))
        status = 404;
    failed(publisher, status, client_error_sentence(error));
}

static void on_eos(void *user)
{
    failed(user, 0, "the relay closed the connection");
}

static gboolean on_connect_timeout(gpointer data)
{
    CapPublisher *publisher = data;

    publisher->timer = 0;
    failed(publisher, 0, "the relay does not answer");
    return G_SOURCE_REMOVE;
}

static void tune_session(GstElement *manager, guint number, guint interval_ms)
{
    g_autoptr(GObject) session = NULL;

    g_signal_emit_by_name(manager, "get-internal-session", number, &session);
    if (session)
        g_object_set(session, "rtcp-min-interval", interval_ms * GST_MSECOND, NULL);
}

static gint64 monotonic_s(void)
{
    return tk_clock_monotonic_ns() / TK_NS_PER_S;
}

// A relay whose machine or line is gone closes nothing: its receiver reports stay away.
static gboolean on_watch(gpointer data)
{
    CapPublisher *publisher = data;
    gint64 heard_s = MAX(publisher->live_s, g_atomic_int_get(&publisher->heard_s));
    gint64 silent_s = SILENT_AFTER_S;

    if (heard_s - publisher->live_s >= REPORTS_KNOWN_S)
        silent_s = MAX(SILENT_KNOWN_AFTER_S, 2 * g_atomic_int_get(&publisher->pause_s) + 2);
    if (monotonic_s() - heard_s < silent_s)
        return G_SOURCE_CONTINUE;
    publisher->timer = 0;
    failed(publisher, 0, "服务器没有回应 · the relay has fallen silent");
    return G_SOURCE_REMOVE;
}

static gboolean on_settled(gpointer data)
{
    CapPublisher *publisher = data;
    GstBin *bin = GST_BIN(tk_pipeline_bin(publisher->pipeline));
    GstIterator *managers = gst_bin_iterate_all_by_element_factory_name(bin, "rtpbin");
    GValue item = G_VALUE_INIT;

    publisher->timer = 0;
    if (gst_iterator_next(managers, &item) == GST_ITERATOR_OK) {
        for (guint i = 0; i < TRACKS_MAX; i++)
            tune_session(g_value_get_object(&item), i, REPORTS_MS);
        g_value_unset(&item);
    }
    gst_iterator_free(managers);
    set_timer(publisher, WATCH_MS, on_watch);
    return G_SOURCE_REMOVE;
}

// The element's inner bin plays from the moment the relay has answered RECORD.
static gboolean tells_recording(GstMessage *message)
{
    GstState state;

    if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_STATE_CHANGED ||
        !g_str_equal(GST_MESSAGE_SRC_NAME(message), "rtspbin"))
        return FALSE;
    gst_message_parse_state_changed(message, NULL, &state, NULL);
    return state == GST_STATE_PLAYING;
}

static void on_message(void *user, GstMessage *message)
{
    CapPublisher *publisher = user;

    if (publisher->state == CAP_PUBLISHER_CONNECTING && tells_recording(message)) {
        publisher->failures = 0;
        publisher->live_s = monotonic_s();
        set_timer(publisher, REPORTS_SETTLE_MS, on_settled);
        set_state(publisher, CAP_PUBLISHER_LIVE, NULL);
    } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
        g_autoptr(GError) warning = NULL;
        gst_message_parse_warning(message, &warning, NULL);
        // With media on UDP that is all the element does about a connection that was closed.
        if (g_error_matches(warning, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ))
            failed(publisher, 0, client_error_sentence(warning));
    }
}

static void on_update_sdp(GstElement *sink, GstSDPMessage *sdp, gpointer data)
{
    const CapPublisher *publisher = data;

    if (publisher->title)
        gst_sdp_message_set_session_name(sdp, publisher->title);
    gst_sdp_message_add_attribute(sdp, "x-tongke-lesson", publisher->record);
}

// Sender reports tell the relay the capture time of every picture, so the first must come at once
// and each must map the picture's own time, not the moment of sending.
static void on_rtcp(GObject *session, GstBuffer *buffer, gpointer data)
{
    CapPublisher *publisher = data;

    gint now_s = (gint)monotonic_s();
    gint heard_s = g_atomic_int_get(&publisher->heard_s);

    if (now_s - heard_s > g_atomic_int_get(&publisher->pause_s))
        g_atomic_int_set(&publisher->pause_s, now_s - heard_s);
    g_atomic_int_set(&publisher->heard_s, now_s);
}

static void on_manager_pad(GstElement *manager, GstPad *pad, gpointer data)
{
    g_autoptr(GObject) session = NULL;
    guint number;

    if (!tk_pad_number(pad, "send_rtp_sink_", &number))
        return;
    tune_session(manager, number, REPORTS_FIRST_MS);
    g_signal_emit_by_name(manager, "get-internal-session", number, &session);
    if (session)
        g_signal_connect(session, "on-receiving-rtcp", G_CALLBACK(on_rtcp), data);
}

static void on_new_manager(GstElement *sink, GstElement *manager, gpointer data)
{
    g_object_set(manager, "rtcp-sync-send-time", FALSE, NULL);
    g_signal_connect(manager, "pad-added", G_CALLBACK(on_manager_pad), data);
}

static void add_track(CapPublisher *publisher, GstElement *sink, const char *name,
                      const char *payloader, guint payload_type)
{
    GstElement *bin = tk_pipeline_bin(publisher->pipeline);
    GstElement *appsrc = gst_element_factory_make("appsrc", name);
    GstElement *pay = gst_element_factory_make(payloader, NULL);
    g_autoptr(GstPad) pad = gst_element_request_pad_simple(sink, "sink_%u");

    g_object_set(appsrc, "is-live", TRUE, "format", GST_FORMAT_TIME, NULL);
    g_object_set(pay, "pt", payload_type, "mtu", PACKET_BYTES, NULL);
    if (g_str_equal(payloader, "rtph264pay"))
        g_object_set(pay, "config-interval", 0, "aggregate-mode", 1, NULL);
    g_object_set(pad, "payloader", pay, NULL);
    gst_bin_add(GST_BIN(bin), appsrc);
    g_autoptr(GstPad) src = gst_element_get_static_pad(appsrc, "src");
    gst_pad_link(src, pad);
}

static gboolean build(CapPublisher *publisher, GError **error)
{
    static const GstRTSPLowerTrans protocols[] = {
        GST_RTSP_LOWER_TRANS_UDP | GST_RTSP_LOWER_TRANS_TCP,
        GST_RTSP_LOWER_TRANS_UDP,
        GST_RTSP_LOWER_TRANS_TCP,
    };
    const TkPipelineEvents events = {on_error, on_eos, NULL, on_message};

    publisher->pipeline =
        tk_pipeline_new("publisher", "rtspclientsink name=sink", &events, publisher, error);
    if (!publisher->pipeline)
        return FALSE;
    tk_pipeline_set_time(publisher->pipeline, publisher->clock, publisher->base_time);
    GstElement *sink = tk_pipeline_get(publisher->pipeline, "sink");
    g_object_set(sink, "location", publisher->url, "protocols", protocols[publisher->transport],
                 "udp-reconnect", FALSE, "latency", 0u, "rtx-time", RTX_MS, "profiles",
                 GST_RTSP_PROFILE_AVPF, "user-agent", "tongke-capture", "tcp-timeout",
                 (guint64)5000000, "publish-clock-mode", 0, NULL);
    if (publisher->token)
        g_object_set(sink, "user-id", "tongke", "user-pw", publisher->token, NULL);
    g_signal_connect(sink, "update-sdp", G_CALLBACK(on_update_sdp), publisher);
    g_signal_connect(sink, "new-manager", G_CALLBACK(on_new_manager), publisher);
    if (publisher->picture)
        add_track(publisher, sink, "picture", "rtph264pay", 96);
    if (publisher->sound)
        add_track(publisher, sink, "sound", "rtpmp4gpay", 97);
    return TRUE;
}

static void connect_now(CapPublisher *publisher)
{
    g_autoptr(GError) error = NULL;

    set_state(publisher, CAP_PUBLISHER_CONNECTING, NULL);
    set_timer(publisher, CONNECT_TIMEOUT_MS, on_connect_timeout);
    // What comes first ends a pause that began now.
    g_atomic_int_set(&publisher->heard_s, (gint)monotonic_s());
    g_atomic_int_set(&publisher->pause_s, 0);
    if (!build(publisher, &error) ||
        !tk_pipeline_set_state(publisher->pipeline, GST_STATE_PLAYING, &error)) {
        failed(publisher, 0, error->message);
        return;
    }
    if (publisher->picture)
        tk_joint_set_output(publisher->picture, tk_pipeline_get(publisher->pipeline, "picture"));
    if (publisher->sound)
        tk_joint_set_output(publisher->sound, tk_pipeline_get(publisher->pipeline, "sound"));
}

CapPublisher *cap_publisher_new(const CapPublisherConfig *config, TkJoint *picture, TkJoint *sound,
                                GstClock *clock, GstClockTime base_time,
                                CapPublisherChanged on_changed, void *user)
{
    CapPublisher *publisher = g_new0(CapPublisher, 1);
    g_autoptr(json_t) record = tk_lesson_info_to_json(config->info);

    if (config->lesson_id)
        tk_json_set_string(record, "id", config->lesson_id);
    publisher->record = tk_json_dump(record);
    publisher->title = g_strdup(tk_lesson_info_get(config->info, "title"));
    publisher->url = g_strdup(config->url);
    publisher->token = g_strdup(config->token);
    publisher->transport = config->transport;
    publisher->picture = picture ? tk_joint_ref(picture) : NULL;
    publisher->sound = sound ? tk_joint_ref(sound) : NULL;
    publisher->clock = gst_object_ref(clock);
    publisher->base_time = base_time;
    publisher->on_changed = on_changed;
    publisher->user = user;
    publisher->state = CAP_PUBLISHER_STOPPED;
    return publisher;
}

void cap_publisher_start(CapPublisher *publisher)
{
    connect_now(publisher);
}

void cap_publisher_stop(CapPublisher *publisher)
{
    gboolean live = publisher->state == CAP_PUBLISHER_LIVE;

    set_timer(publisher, 0, NULL);
    // The relay may know of a sender that has not heard its answer yet.
    if (publisher->pipeline && !cap_leave(publisher->pipeline, LEAVE_TIMEOUT_NS) && live)
        tk_warning("the relay did not answer TEARDOWN; it waits for this sender to come back");
    drop_pipeline(publisher);
    set_state(publisher, CAP_PUBLISHER_STOPPED, NULL);
}

void cap_publisher_free(CapPublisher *publisher)
{
    if (!publisher)
        return;
    set_timer(publisher, 0, NULL);
    drop_pipeline(publisher);
    tk_joint_unref(publisher->picture);
    tk_joint_unref(publisher->sound);
    gst_clear_object(&publisher->clock);
    g_free(publisher->url);
    g_free(publisher->token);
    g_free(publisher->title);
    g_free(publisher->record);
    g_free(publisher);
}
