// SPDX-License-Identifier: MIT
#include "relay/net/ingest_mail.h"

typedef struct {
    RelayIngestBox box;
    gpointer user;
    RelayStream *stream;
    RelaySenderSpec sender;
    void (*on_refused)(gpointer user);
    void (*on_settled)(gpointer user, guint track, gboolean taken);
    RelayUdpViewer viewer;
    RelayAddress rtp, rtcp;
    guint track;
    gboolean is_rtcp;
    GBytes *frame;
} Letter;

static Letter *letter_new(const RelayIngestBox *box, RelayStream *stream, gpointer user)
{
    Letter *letter = g_new0(Letter, 1);
    letter->box = *box;
    letter->user = user;
    letter->stream = stream ? relay_stream_ref(stream) : NULL;
    return letter;
}

static void letter_free(Letter *letter)
{
    relay_stream_unref(letter->stream);
    if (letter->frame)
        g_bytes_unref(letter->frame);
    letter->box.release(letter->user);
    g_free(letter);
}

static void begin(gpointer owner, gpointer data)
{
    Letter *letter = data;
    if (!relay_ingest_begin(letter->box.ingest, letter->stream, &letter->sender))
        letter->on_refused(letter->user);
    letter_free(letter);
}

void relay_ingest_mail_begin(const RelayIngestBox *box, RelayStream *stream,
                             const RelaySenderSpec *sender, void (*on_refused)(gpointer user),
                             gpointer user)
{
    Letter *letter = letter_new(box, stream, user);
    letter->sender = *sender;
    letter->on_refused = on_refused;
    relay_worker_do(box->worker, begin, letter);
}

static void end(gpointer owner, gpointer data)
{
    Letter *letter = data;
    relay_ingest_end(letter->box.ingest, letter->stream, letter->user);
    letter_free(letter);
}

void relay_ingest_mail_end(const RelayIngestBox *box, RelayStream *stream, gpointer user)
{
    relay_worker_do(box->worker, end, letter_new(box, stream, user));
}

static void pass_frame(gpointer owner, gpointer data)
{
    Letter *letter = data;
    gsize size;
    const guint8 *bytes = g_bytes_get_data(letter->frame, &size);
    relay_ingest_frame(letter->box.ingest, letter->stream, letter->user, letter->track,
                       letter->is_rtcp, bytes, size);
    letter_free(letter);
}

void relay_ingest_mail_frame(const RelayIngestBox *box, RelayStream *stream, guint track,
                             gboolean rtcp, const guint8 *data, gsize size, gpointer user)
{
    if (relay_worker_is_current(box->worker)) {
        relay_ingest_frame(box->ingest, stream, user, track, rtcp, data, size);
        box->release(user);
        return;
    }
    Letter *letter = letter_new(box, stream, user);
    letter->track = track;
    letter->is_rtcp = rtcp;
    letter->frame = g_bytes_new(data, size);
    if (!relay_worker_offer(box->worker, pass_frame, letter))
        letter_free(letter);
}

static void add_viewer(gpointer owner, gpointer data)
{
    Letter *letter = data;
    gboolean taken = relay_ingest_add_viewer(letter->box.ingest, &letter->viewer, letter->track,
                                             &letter->rtp, &letter->rtcp);
    letter->on_settled(letter->user, letter->track, taken);
    letter_free(letter);
}

void relay_ingest_mail_add_viewer(const RelayIngestBox *box, const RelayUdpViewer *viewer,
                                  guint track, const RelayAddress *rtp, const RelayAddress *rtcp,
                                  void (*on_settled)(gpointer user, guint track, gboolean taken))
{
    Letter *letter = letter_new(box, NULL, viewer->user);
    letter->on_settled = on_settled;
    letter->viewer = *viewer;
    letter->track = track;
    letter->rtp = *rtp;
    letter->rtcp = *rtcp;
    relay_worker_do(box->worker, add_viewer, letter);
}

static void remove_viewer(gpointer owner, gpointer data)
{
    Letter *letter = data;
    relay_ingest_remove_viewer(letter->box.ingest, letter->user);
    letter_free(letter);
}

void relay_ingest_mail_remove_viewer(const RelayIngestBox *box, gpointer user)
{
    relay_worker_do(box->worker, remove_viewer, letter_new(box, NULL, user));
}
