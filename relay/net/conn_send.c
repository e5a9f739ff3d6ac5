// SPDX-License-Identifier: MIT
#include <string.h>

#include "relay/net/conn_part.h"

void relay_conn_stop_sending(RelayConn *conn)
{
    if (!conn->sending)
        return;
    relay_ingest_mail_end(&conn->conns->ingest, conn->sending, relay_conn_ref(conn));
    g_clear_pointer(&conn->sending, relay_stream_unref);
}

void relay_conn_take_frame(RelayConn *conn, const TkRtspInput *piece)
{
    for (guint track = 0; conn->sending && conn->interleaved && track < conn->tracks_count;
         track++) {
        gboolean rtcp = piece->channel == conn->channels[track] + 1;
        if (!rtcp && piece->channel != conn->channels[track])
            continue;
        relay_ingest_mail_frame(&conn->conns->ingest, conn->sending, track, rtcp, piece->payload,
                                piece->payload_bytes, relay_conn_ref(conn));
        return;
    }
}

// Receiver reports to an interleaved sender: from the ingest worker to the connection's.
typedef struct {
    RelayConn *conn;
    guint track;
    GBytes *packet;
} Report;

static void put_rtcp(gpointer owner, gpointer data)
{
    Report *report = data;
    RelayConn *c = report->conn;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(report->packet, &size);
    if (c->link && c->sending) {
        // A sender whose queue is full will get the next report.
        (void)relay_link_put_bytes(c->link, (guint8)(c->channels[report->track] + 1), bytes, size);
        relay_link_flush(c->link);
    }
    g_bytes_unref(report->packet);
    relay_conn_unref(c);
    g_free(report);
}

static void send_rtcp(gpointer user, guint track, const GByteArray *packet)
{
    RelayConn *c = user;
    Report *report = g_new(Report, 1);
    *report = (Report){relay_conn_ref(c), track, g_bytes_new(packet->data, packet->len)};
    relay_worker_do(c->conns->worker, put_rtcp, report);
}

static void on_refused(gpointer user)
{
    relay_conn_close(user, "other tracks than before, or somebody else's ports");
}

typedef struct {
    RelayConn *conn;
    RelayStream *stream;
    RelaySenderSpec spec;
    guint8 channels[RELAY_INPUT_TRACKS_MAX];
} Record;

static void begin(gpointer owner, gpointer data)
{
    g_autofree Record *record = data;
    RelayConn *c = record->conn;
    if (c->link) {
        relay_conn_stop_sending(c);
        c->sending = relay_stream_ref(record->stream);
        c->interleaved = record->spec.interleaved;
        c->tracks_count = record->spec.tracks_count;
        memcpy(c->channels, record->channels, sizeof c->channels);
        record->spec.send_rtcp = send_rtcp;
        record->spec.user = c;
        relay_ingest_mail_begin(&c->conns->ingest, c->sending, &record->spec, on_refused,
                                relay_conn_ref(c));
    }
    relay_stream_unref(record->stream);
    relay_conn_unref(c);
}

void relay_conn_record(RelayConn *conn, RelayStream *stream, const RelaySenderSpec *spec,
                       const guint8 channels[RELAY_INPUT_TRACKS_MAX])
{
    Record *record = g_new(Record, 1);
    *record =
        (Record){.conn = relay_conn_ref(conn), .stream = relay_stream_ref(stream), .spec = *spec};
    memcpy(record->channels, channels, sizeof record->channels);
    for (guint track = 0; track < RELAY_INPUT_TRACKS_MAX; track++) {
        relay_ports_unref(conn->ports[track]);
        conn->ports[track] = relay_ports_ref(spec->ports[track]);
    }
    relay_worker_post(conn->conns->worker, begin, record);
}
