// SPDX-License-Identifier: MIT
#include "client/player/receiver.h"

#include <gst/rtsp/gstrtsptransport.h>
#include <gst/sdp/gstsdpmessage.h>
#include <string.h>

#include "client/peer/peer.h"
#include "client/player/losses.h"
#include "client/player/pictures.h"
#include "client/player/sounds.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/gst/pipeline.h"

#define TICK_MS 250
#define QUIET_AFTER_NS (2 * TK_NS_PER_S)   // without pictures: say so
#define REOPEN_AFTER_NS (20 * TK_NS_PER_S) // … and ask the relay again
#define UDP_PATIENCE_NS (4 * TK_NS_PER_S)  // nothing by UDP: a firewall, take TCP
#define CONNECT_TIMEOUT_NS (12 * TK_NS_PER_S)
#define BACKOFF_MAX_S 15
#define WAIT_MAX_S 5 // for a lesson's begin
// Where the relay repairs losses, feedback has to go at once and not by RTCP's leisurely timing:
// with the defaults most of what is lost stays lost.
#define FEEDBACK_INTERVAL_MS 20u
#define FEEDBACK_BPS 50000.0 // a share of a small stream would be a few packets a second
// By default a packet is asked for again after a round trip and more: three times in a second. The
// relay answers once a round trip, however often it is asked.
#define ASK_AGAIN_MS 80

struct _PlayReceiver {
    const PlayOptions *options;
    TkJoint *pictures, *sound;
    GstClock *clock;
    GstClockTime base_time;
    PlayStateChanged on_changed;
    void *user;

    PlayState state;
    gboolean played; // ever
    gboolean tcp;    // tried now
    TkPipeline *pipeline;
    gint64 opened_ns;
    guint failures, retry, tick;
    // Set by streaming threads, read by the main thread: atomics.
    gint pictures_input, sound_input;
    gint repairs; // the SDP announces feedback
    PlayPictures decoded;
    PlaySounds heard;
};

static void connect_now(PlayReceiver *receiver);

const char *play_state_word(PlayState state)
{
    static const char *const words[] = {"connecting", "waiting",      "playing",
                                        "sound",      "reconnecting", "refused"};

    return words[state];
}

static gboolean is_multicast(const PlayReceiver *receiver)
{
    return receiver->options->transport == PLAY_TRANSPORT_MULTICAST;
}

static GstRTSPLowerTrans protocols(const PlayReceiver *receiver)
{
    if (is_multicast(receiver))
        return GST_RTSP_LOWER_TRANS_UDP_MCAST;
    return receiver->tcp ? GST_RTSP_LOWER_TRANS_TCP : GST_RTSP_LOWER_TRANS_UDP;
}

const char *play_receiver_transport(const PlayReceiver *receiver)
{
    return is_multicast(receiver) ? "multicast" : receiver->tcp ? "tcp" : "udp";
}

static void set_state(PlayReceiver *receiver, PlayState state, const char *why)
{
    receiver->state = state;
    receiver->on_changed(receiver->user, state, why);
}

static void tell_losses(PlayReceiver *receiver)
{
    PlayLosses losses;

    play_losses_read(tk_pipeline_bin(receiver->pipeline), &losses);
    if (losses.packets)
        tk_info("received %" G_GUINT64_FORMAT " packets; %" G_GUINT64_FORMAT
                " lost, %" G_GUINT64_FORMAT " late; %" G_GUINT64_FORMAT
                " asked for again, %" G_GUINT64_FORMAT " repaired; %d pictures, %d missing; "
                "%d sounds, %d missing",
                losses.packets, losses.lost, losses.late, losses.asked, losses.repaired,
                g_atomic_int_get(&receiver->decoded.decoded),
                g_atomic_int_get(&receiver->decoded.missing),
                g_atomic_int_get(&receiver->heard.frames),
                g_atomic_int_get(&receiver->heard.missing));
}

static void drop_pipeline(PlayReceiver *receiver)
{
    gint pictures = g_atomic_int_get(&receiver->pictures_input);
    gint sound = g_atomic_int_get(&receiver->sound_input);

    if (pictures)
        tk_joint_disconnect(receiver->pictures, (guint)pictures);
    if (sound)
        tk_joint_disconnect(receiver->sound, (guint)sound);
    if (receiver->pipeline)
        tell_losses(receiver);
    g_clear_pointer(&receiver->pipeline, tk_pipeline_free);
    g_atomic_int_set(&receiver->pictures_input, 0);
    g_atomic_int_set(&receiver->sound_input, 0);
}

static gboolean on_retry(gpointer data)
{
    PlayReceiver *receiver = data;

    receiver->retry = 0;
    connect_now(receiver);
    return G_SOURCE_REMOVE;
}

static void failed(PlayReceiver *receiver, PlayState state, const char *why)
{
    guint max_s = state == PLAY_WAITING ? WAIT_MAX_S : BACKOFF_MAX_S;
    guint pause_ms = client_backoff_s(receiver->failures++, max_s) * 1000;

    drop_pipeline(receiver);
    if (receiver->options->transport == PLAY_TRANSPORT_AUTO)
        receiver->tcp = FALSE;
    // A county's schools must not all come back in the same moment.
    pause_ms += (guint)g_random_int_range(0, (gint32)pause_ms / 4);
    if (!receiver->retry)
        receiver->retry = g_timeout_add(pause_ms, on_retry, receiver);
    set_state(receiver, state, why);
}

static void on_error(void *user, const GError *error, const char *debug)
{
    PlayReceiver *receiver = user;
    PlayState away = receiver->played ? PLAY_RECONNECTING : PLAY_CONNECTING;

    tk_debug("receiver: %s (%s)", error->message, debug ? debug : "");
    if (g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND))
        failed(receiver, PLAY_WAITING, "the lesson has not begun");
    else if (g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_AUTHORIZED) ||
             (debug && strstr(debug, "(403)")))
        failed(receiver, PLAY_REFUSED, "需要令牌 · a token is needed: --token-file");
    else
        failed(receiver, away, client_error_sentence(error));
}

static void on_eos(void *user)
{
    failed(user, PLAY_RECONNECTING, "连接中断 · the connection was lost");
}

static void on_sdp(GstElement *src, GstSDPMessage *sdp, gpointer data)
{
    PlayReceiver *receiver = data;
    gboolean repairs = FALSE;

    for (guint i = 0; i < gst_sdp_message_medias_len(sdp); i++) {
        const GstSDPMedia *media = gst_sdp_message_get_media(sdp, i);
        const char *value;
        for (guint n = 0; (value = gst_sdp_media_get_attribute_val_n(media, "rtcp-fb", n)); n++)
            repairs |= strstr(value, "nack") != NULL;
    }
    // A group's packets are not sent again to one of its receivers.
    g_atomic_int_set(&receiver->repairs, repairs && !is_multicast(receiver));
}

static void on_manager_pad(GstElement *manager, GstPad *pad, gpointer data)
{
    PlayReceiver *receiver = data;
    g_autoptr(GObject) session = NULL;
    guint number;

    if (!tk_pad_number(pad, "recv_rtp_sink_", &number) || !g_atomic_int_get(&receiver->repairs))
        return;
    g_signal_emit_by_name(manager, "get-internal-session", number, &session);
    if (session)
        g_object_set(session, "rtcp-min-interval", FEEDBACK_INTERVAL_MS * GST_MSECOND,
                     "rtcp-fraction", FEEDBACK_BPS, NULL);
}

static void on_jitter_buffer(GstElement *manager, GstElement *buffer, guint session, guint ssrc,
                             gpointer data)
{
    // Guesses when the next packet should have come ask for more than is ever lost.
    g_object_set(buffer, "rtx-retry-timeout", ASK_AGAIN_MS, "rtx-next-seqnum", FALSE, NULL);
}

static void on_new_manager(GstElement *src, GstElement *manager, gpointer data)
{
    g_signal_connect(manager, "pad-added", G_CALLBACK(on_manager_pad), data);
    g_signal_connect(manager, "new-jitterbuffer", G_CALLBACK(on_jitter_buffer), data);
}

// In a streaming thread: the main thread may be taking its pipeline down meanwhile.
static void add_branch(PlayReceiver *receiver, GstElement *src, GstPad *pad, const char *tail,
                       TkJoint *joint, gint *slot)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GstObject) bin = gst_object_get_parent(GST_OBJECT(src));
    GstElement *branch = gst_parse_bin_from_description(tail, FALSE, &error);

    if (!branch) {
        GST_ELEMENT_ERROR(src, CORE, MISSING_PLUGIN, ("%s", error->message), (NULL));
        return;
    }
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(branch), "out");
    if (sink && joint == receiver->pictures) {
        g_autoptr(GstPad) decoded = gst_element_get_static_pad(sink, "sink");
        play_pictures_watch(&receiver->decoded, pad, decoded);
    }
    if (sink) {
        guint number = tk_joint_connect(joint, sink, 0);
        g_atomic_int_set(slot, (gint)number);
        tk_joint_prefer(joint, number);
    }
    g_autoptr(GstElement) in = gst_bin_get_by_name(GST_BIN(branch), "in");
    g_autoptr(GstPad) target = gst_element_get_static_pad(in, "sink");
    GstPad *door = gst_ghost_pad_new("sink", target);
    gst_element_add_pad(branch, door);
    gst_bin_add(GST_BIN(bin), branch);
    gst_pad_link(pad, door);
    gst_element_sync_state_with_parent(branch);
}

static void on_pad(GstElement *src, GstPad *pad, gpointer data)
{
    PlayReceiver *receiver = data;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    const GstStructure *s = caps ? gst_caps_get_structure(caps, 0) : NULL;
    const char *media = s ? gst_structure_get_string(s, "media") : NULL;

    if (g_strcmp0(media, "video") == 0 && !g_atomic_int_get(&receiver->pictures_input))
        add_branch(receiver, src, pad,
                   "decodebin name=in ! videoconvert ! video/x-raw ! appsink name=out sync=false",
                   receiver->pictures, &receiver->pictures_input);
    else if (g_strcmp0(media, "audio") == 0 && !g_atomic_int_get(&receiver->sound_input)) {
        play_sounds_watch(&receiver->heard, pad);
        add_branch(receiver, src, pad,
                   "decodebin name=in ! audioconvert ! audioresample ! "
                   "audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved ! "
                   "appsink name=out sync=false async=false",
                   receiver->sound, &receiver->sound_input);
    } else
        add_branch(receiver, src, pad, "fakesink name=in sync=false async=false", NULL, NULL);
}

static void connect_now(PlayReceiver *receiver)
{
    const TkPipelineEvents events = {.on_error = on_error, .on_eos = on_eos};
    const PlayOptions *options = receiver->options;
    g_autoptr(GError) error = NULL;

    if (receiver->state != PLAY_WAITING && receiver->state != PLAY_REFUSED)
        set_state(receiver, receiver->played ? PLAY_RECONNECTING : PLAY_CONNECTING, NULL);
    receiver->opened_ns = tk_clock_monotonic_ns();
    receiver->pipeline = tk_pipeline_new("receiver", "rtspsrc name=src", &events, receiver, &error);
    if (receiver->pipeline) {
        GstElement *src = tk_pipeline_get(receiver->pipeline, "src");
        g_object_set(src, "location", options->url, "latency", options->latency_ms, "protocols",
                     protocols(receiver), "do-retransmission", !is_multicast(receiver), "timeout",
                     (guint64)0, "tcp-timeout", (guint64)8000000, "drop-on-latency", FALSE,
                     "udp-reconnect", FALSE, "user-agent", "tongke-player", NULL);
        if (options->token)
            g_object_set(src, "user-id", "tongke", "user-pw", options->token, NULL);
        g_signal_connect(src, "on-sdp", G_CALLBACK(on_sdp), receiver);
        g_signal_connect(src, "new-manager", G_CALLBACK(on_new_manager), receiver);
        g_signal_connect(src, "pad-added", G_CALLBACK(on_pad), receiver);
        tk_pipeline_set_time(receiver->pipeline, receiver->clock, receiver->base_time);
        if (tk_pipeline_set_state(receiver->pipeline, GST_STATE_PLAYING, &error))
            return;
    }
    failed(receiver, receiver->played ? PLAY_RECONNECTING : PLAY_CONNECTING, error->message);
}

static void on_first_picture(void *user, guint input)
{
    PlayReceiver *receiver = user;

    if (input != (guint)g_atomic_int_get(&receiver->pictures_input))
        return;
    tk_joint_select(receiver->pictures, input);
    receiver->failures = 0;
    receiver->played = TRUE;
    set_state(receiver, PLAY_PLAYING, NULL);
}

static void on_first_sound(void *user, guint input)
{
    PlayReceiver *receiver = user;

    if (input == (guint)g_atomic_int_get(&receiver->sound_input))
        tk_joint_select(receiver->sound, input);
}

static gboolean on_tick(gpointer data)
{
    PlayReceiver *receiver = data;
    guint input = (guint)g_atomic_int_get(&receiver->pictures_input);
    gint64 now_ns = tk_clock_monotonic_ns();
    TkJointInputStats stats, sound = {0};

    if (!receiver->pipeline)
        return G_SOURCE_CONTINUE;
    if (g_atomic_int_get(&receiver->sound_input))
        tk_joint_input_stats(receiver->sound, (guint)g_atomic_int_get(&receiver->sound_input),
                             &sound);
    gboolean heard = sound.seen_ns && now_ns - sound.seen_ns < QUIET_AFTER_NS;
    tk_joint_input_stats(receiver->pictures, input, &stats);
    // A line may be so weak from the beginning.
    if (heard && now_ns - MAX(stats.seen_ns, receiver->opened_ns) > QUIET_AFTER_NS) {
        receiver->failures = 0;
        receiver->played = TRUE;
        if (receiver->state != PLAY_SOUND)
            set_state(receiver, PLAY_SOUND, "网络太慢，先保证声音 · the line carries no more");
    } else if (stats.seen == 0) {
        gint64 waited_ns = now_ns - receiver->opened_ns;
        if (input && !receiver->tcp && receiver->options->transport == PLAY_TRANSPORT_AUTO &&
            waited_ns > UDP_PATIENCE_NS) {
            tk_warning("nothing comes by UDP, perhaps a firewall; trying TCP");
            drop_pipeline(receiver);
            receiver->tcp = TRUE;
            connect_now(receiver);
        } else if (waited_ns > CONNECT_TIMEOUT_NS) {
            failed(receiver, receiver->played ? PLAY_RECONNECTING : PLAY_CONNECTING,
                   input ? "没有画面 · no picture comes"
                         : "服务器没有回应 · the relay does not answer");
        }
    } else if (now_ns - stats.seen_ns > REOPEN_AFTER_NS) {
        failed(receiver, PLAY_RECONNECTING, "没有画面 · no picture comes");
    } else if (now_ns - stats.seen_ns > QUIET_AFTER_NS) {
        if (receiver->state == PLAY_PLAYING || receiver->state == PLAY_SOUND)
            set_state(receiver, PLAY_RECONNECTING, "没有画面 · no picture comes");
    } else if (receiver->state == PLAY_RECONNECTING || receiver->state == PLAY_SOUND) {
        tk_joint_select(receiver->pictures, input);
        set_state(receiver, PLAY_PLAYING, NULL);
    }
    return G_SOURCE_CONTINUE;
}

PlayReceiver *play_receiver_new(const PlayOptions *options, TkJoint *pictures, TkJoint *sound,
                                GstClock *clock, GstClockTime base_time,
                                PlayStateChanged on_changed, void *user)
{
    PlayReceiver *receiver = g_new0(PlayReceiver, 1);

    receiver->options = options;
    receiver->pictures = tk_joint_ref(pictures);
    receiver->sound = tk_joint_ref(sound);
    receiver->clock = gst_object_ref(clock);
    receiver->base_time = base_time;
    receiver->on_changed = on_changed;
    receiver->user = user;
    receiver->tcp = options->transport == PLAY_TRANSPORT_TCP;
    tk_joint_set_on_first(pictures, on_first_picture, receiver);
    tk_joint_set_on_first(sound, on_first_sound, receiver);
    return receiver;
}

void play_receiver_start(PlayReceiver *receiver)
{
    receiver->tick = g_timeout_add(TICK_MS, on_tick, receiver);
    connect_now(receiver);
}

void play_receiver_free(PlayReceiver *receiver)
{
    if (!receiver)
        return;
    tk_joint_set_on_first(receiver->pictures, NULL, NULL);
    tk_joint_set_on_first(receiver->sound, NULL, NULL);
    if (receiver->tick)
        g_source_remove(receiver->tick);
    if (receiver->retry)
        g_source_remove(receiver->retry);
    drop_pipeline(receiver);
    tk_joint_unref(receiver->pictures);
    tk_joint_unref(receiver->sound);
    gst_object_unref(receiver->clock);
    g_free(receiver);
}
