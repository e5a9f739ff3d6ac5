// SPDX-License-Identifier: MIT
#include "relay/net/metrics.h"

#include <malloc.h>

#include "common/base/clock.h"
#include "relay/net/school_report.h"

static void put_head(GString *out, const char *name, const char *type, const char *help)
{
    g_string_append_printf(out, "# HELP tongke_%s %s\n# TYPE tongke_%s %s\n", name, help, name,
                           type);
}

static void put(GString *out, const char *name, const char *type, const char *help, guint64 value)
{
    put_head(out, name, type, help);
    g_string_append_printf(out, "tongke_%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void put_states(GString *out, const char *name, const char *help, const guint *states)
{
    g_string_append_printf(out, "# HELP tongke_%s %s\n# TYPE tongke_%s gauge\n", name, help, name);
    for (guint i = 0; i < RELAY_VIEWER_STATES; i++)
        g_string_append_printf(out, "tongke_%s{state=\"%s\"} %u\n", name,
                               relay_viewer_state_word(i), states[i]);
}

static void put_fanouts(GString *out, const RelayHandoff *handoff)
{
    RelayFanoutStats sum = {0};
    for (guint i = 0; i < handoff->packet_count; i++) {
        RelayFanoutStats one;
        relay_fanout_stats(handoff->fanouts[i], &one);
        sum.viewers += one.viewers;
        for (guint state = 0; state < RELAY_VIEWER_STATES; state++)
            sum.lines.states[state] += one.lines.states[state];
        sum.lines.narrow += one.lines.narrow;
        if (one.lines.least_bps)
            sum.lines.least_bps =
                MIN(sum.lines.least_bps ? sum.lines.least_bps : G_MAXUINT64, one.lines.least_bps);
        sum.units_dropped += one.units_dropped;
        sum.viewers_gone += one.viewers_gone;
        sum.moves[0] += one.moves[0];
        sum.moves[1] += one.moves[1];
        sum.repair.asked += one.repair.asked;
        sum.repair.resent += one.repair.resent;
        sum.repair.unanswered += one.repair.unanswered;
        sum.udp.datagrams += one.udp.datagrams;
        sum.udp.bytes += one.udp.bytes;
        sum.udp.trains += one.udp.trains;
        sum.udp.calls += one.udp.calls;
        sum.udp.waits += one.udp.waits;
        sum.udp.refused += one.udp.refused;
    }
    put(out, "rtp_viewers", "gauge", "Viewers over RTP.", sum.viewers);
    put(out, "rtp_packets_sent_total", "counter", "RTP datagrams sent to viewers.",
        sum.udp.datagrams);
    put(out, "rtp_bytes_sent_total", "counter", "Bytes of them.", sum.udp.bytes);
    put(out, "rtp_trains_sent_total", "counter", "Trains that they left in.", sum.udp.trains);
    put(out, "rtp_send_calls_total", "counter", "Calls of the back-end that sent them.",
        sum.udp.calls);
    put(out, "rtp_send_waits_total", "counter", "Times that a socket's buffer was full.",
        sum.udp.waits);
    put(out, "rtp_packets_refused_total", "counter", "Datagrams that the kernel would not take.",
        sum.udp.refused);
    put(out, "rtp_packets_dropped_total", "counter", "Packets that slow viewers lost.",
        sum.units_dropped);
    put(out, "rtp_packets_asked_total", "counter", "Packets that viewers asked for again.",
        sum.repair.asked);
    put(out, "rtp_packets_resent_total", "counter", "Packets sent again.", sum.repair.resent);
    put(out, "rtp_packets_unanswered_total", "counter",
        "Packets asked for that were too old, not here yet or over the viewer's budget.",
        sum.repair.unanswered);
    put_states(out, "rtp_viewers_by_state", "Viewers over RTP, how they follow.", sum.lines.states);
    put(out, "rtp_moved_down_total", "counter",
        "Times that a viewer was given a smaller rendition.", sum.moves[0]);
    put(out, "rtp_moved_up_total", "counter", "Times that it was given a larger one.",
        sum.moves[1]);
    put(out, "rtp_viewers_narrow", "gauge",
        "Viewers over UDP whose line carries less than their stream.", sum.lines.narrow);
    put(out, "rtp_line_least_bps", "gauge",
        "Bits a second known to pass the slowest line of them; 0: nobody watches.",
        sum.lines.least_bps);
    put(out, "rtp_viewers_gone_total", "counter", "Viewers that the relay gave up.",
        sum.viewers_gone);
}

static void put_counts(GString *out, const RelayHandoff *handoff, const char *name,
                       const char *type, const char *help,
                       guint64 (*count)(const RelayFanoutStats *stats))
{
    put_head(out, name, type, help);
    for (guint i = 0; i < handoff->packet_count; i++) {
        RelayFanoutStats stats;
        relay_fanout_stats(handoff->fanouts[i], &stats);
        g_string_append_printf(out, "tongke_%s{worker=\"%u\"} %" G_GUINT64_FORMAT "\n", name, i,
                               count(&stats));
    }
}

static guint64 viewers(const RelayFanoutStats *stats)
{
    return stats->viewers;
}

static guint64 packets(const RelayFanoutStats *stats)
{
    return stats->udp.datagrams;
}

// Whether the work is shared evenly, and which worker is at its end.
static void put_workers(GString *out, const RelayHandoff *handoff, const RelayUdp *pairs)
{
    put_counts(out, handoff, "worker_rtp_viewers", "gauge", "Viewers of each packet worker.",
               viewers);
    put_counts(out, handoff, "worker_rtp_packets_sent_total", "counter", "Datagrams that it sent.",
               packets);
    put_head(out, "worker_cpu_seconds_total", "counter", "Processor time of each packet worker.");
    for (guint i = 0; i < handoff->packet_count; i++) {
        gint64 ms = relay_worker_cpu_ns(handoff->workers[i]) / TK_NS_PER_MS;
        g_string_append_printf(
            out, "tongke_worker_cpu_seconds_total{worker=\"%u\"} %" G_GINT64_FORMAT ".%03u\n", i,
            ms / 1000, (guint)(ms % 1000));
    }
    put_head(out, "udp_backend_info", "gauge", "How RTP leaves, for each packet worker.");
    for (guint i = 0; i < handoff->packet_count; i++)
        g_string_append_printf(out, "tongke_udp_backend_info{worker=\"%u\",backend=\"%s\"} 1\n", i,
                               relay_udp_backend(&pairs[i])->name);
}

static void put_multicast(GString *out, const RelayMulticast *multicast)
{
    RelayMulticastStats stats;
    relay_multicast_stats(multicast, &stats);
    put(out, "multicast_groups", "gauge", "Multicast groups that something is sent to.",
        stats.groups);
    put(out, "multicast_sessions", "gauge", "Viewers that watch by them.", stats.sessions);
    put(out, "multicast_reports_total", "counter", "Receiver reports heard in the groups.",
        stats.reports);
    put(out, "multicast_lossy_reports_total", "counter", "Those that tell of 5 % of loss or more.",
        stats.lossy);
}

// What grows with every viewer who has come and gone is lost; what is held beyond what is used
// waits in the allocator.
static void put_heap(GString *out)
{
    struct mallinfo2 heap = mallinfo2();
    put(out, "heap_bytes", "gauge", "Memory in use.", heap.uordblks + heap.hblkhd);
    put(out, "heap_held_bytes", "gauge", "Memory in use or kept for the next use.",
        heap.arena + heap.hblkhd);
}

static void put_webs(GString *out, const RelayHandoff *handoff)
{
    RelayWebStats sum = {0};
    for (guint i = 0; i < handoff->web_count; i++) {
        RelayWebStats one;
        relay_web_stats(handoff->webs[i], &one);
        sum.messages += one.messages;
        sum.bytes += one.bytes;
        sum.sockets += one.sockets;
        sum.bbr += one.bbr;
        sum.audience.viewers += one.audience.viewers;
        sum.audience.sockets += one.audience.sockets;
        for (guint state = 0; state < RELAY_VIEWER_STATES; state++)
            sum.audience.states[state] += one.audience.states[state];
        sum.audience.moves[0] += one.audience.moves[0];
        sum.audience.moves[1] += one.audience.moves[1];
        sum.audience.reports += one.audience.reports;
        sum.audience.fallen_behind += one.audience.fallen_behind;
        sum.audience.units_dropped += one.audience.units_dropped;
        sum.audience.viewers_gone += one.audience.viewers_gone;
        sum.audience.refused += one.audience.refused;
    }
    const RelayAudienceStats *audience = &sum.audience;
    put(out, "ws_viewers", "gauge", "Viewers over WebSocket.", audience->viewers);
    put_states(out, "ws_viewers_by_state", "Viewers over WebSocket, how they follow.",
               audience->states);
    put(out, "ws_fallen_behind_total", "counter", "Times that a viewer could not follow.",
        audience->fallen_behind);
    put(out, "ws_moved_down_total", "counter", "Times that a viewer was given a smaller rendition.",
        audience->moves[0]);
    put(out, "ws_moved_up_total", "counter", "Times that it was given a larger one.",
        audience->moves[1]);
    put(out, "ws_reports_total", "counter", "Reports of viewers on what they played.",
        audience->reports);
    put(out, "ws_sockets", "gauge", "WebSockets open.", audience->sockets);
    put(out, "ws_opened_total", "counter", "WebSockets opened so far.", sum.sockets);
    put(out, "ws_bbr_total", "counter", "Those of them that TCP BBR paces.", sum.bbr);
    put(out, "ws_messages_sent_total", "counter", "WebSocket messages sent.", sum.messages);
    put(out, "ws_bytes_sent_total", "counter", "Bytes of them.", sum.bytes);
    put(out, "ws_chunks_dropped_total", "counter", "Chunks that slow viewers lost.",
        audience->units_dropped);
    put(out, "ws_viewers_gone_total", "counter", "Viewers closed as too slow.",
        audience->viewers_gone);
    put(out, "ws_refused_total", "counter", "WebSockets refused.", audience->refused);
}

static void put_stream(gpointer user, const RelayLesson *lesson, const RelayLessonStream *face,
                       const RelayStream *stream)
{
    const struct {
        const char *name;
        guint64 value;
    } rows[] = {
        {"packets_received_total", relay_stat_get(stream->packets_in)},
        {"bytes_received_total", relay_stat_get(stream->bytes_in)},
        {"packets_lost_total", relay_stat_get(stream->packets_lost_in)},
        {"packets_asked_total", relay_stat_get(stream->packets_asked_in)},
        {"packets_repaired_total", relay_stat_get(stream->packets_repaired_in)},
        {"frames_dropped_total", relay_stat_get(stream->frames_dropped_in)},
        {"chunks_total", relay_stat_get(stream->chunk_newest)},
    };
    // Names are checked at the door: none holds a quote or a backslash.
    for (guint i = 0; i < G_N_ELEMENTS(rows); i++)
        g_string_append_printf(
            user, "tongke_stream_%s{lesson=\"%s\",stream=\"%s\"} %" G_GUINT64_FORMAT "\n",
            rows[i].name, lesson->name, stream->name, rows[i].value);
    const char *rendition = relay_lesson_stream_rendition(face);
    if (rendition)
        g_string_append_printf(
            user, "tongke_stream_rendition{lesson=\"%s\",stream=\"%s\",rendition=\"%s\"} 1\n",
            lesson->name, stream->name, rendition);
}

char *relay_metrics_text(RelayLessons *lessons, const RelayHandoff *handoff,
                         const RelayIngest *ingest, const RelayUdp *pairs,
                         const RelayMulticast *multicast, const RelayHosts *hosts,
                         RelaySchools *schools)
{
    GString *out = g_string_new(NULL);
    RelayIngestStats in;
    relay_ingest_stats(ingest, &in);
    put(out, "lessons", "gauge", "Lessons running.", relay_lessons_running(lessons, NULL));
    put(out, "datagrams_received_total", "counter", "UDP datagrams received.", in.udp.datagrams);
    put(out, "datagram_buffers_received_total", "counter",
        "Buffers that they came in: fewer where the kernel joins them.", in.udp.buffers);
    put(out, "datagrams_oversized_total", "counter", "UDP datagrams too large for RTP.",
        in.udp.oversized);
    put(out, "datagrams_strange_total", "counter", "UDP datagrams of nobody known.", in.strangers);
    put(out, "handoffs_dropped_total", "counter", "Units refused by a worker that fell behind.",
        relay_stat_get(handoff->dropped));
    put(out, "connections_refused_total", "counter",
        "Connections refused because their host has too many.", relay_hosts_refused(hosts));
    put_fanouts(out, handoff);
    put_workers(out, handoff, pairs);
    put_multicast(out, multicast);
    put_webs(out, handoff);
    put_heap(out);
    relay_lessons_foreach(lessons, put_stream, out);
    relay_school_report_metrics(schools, out);
    return g_string_free(out, FALSE);
}
