// SPDX-License-Identifier: MIT
#pragma once

#include "relay/net/ingest.h"

// Letters to the ingest, from any worker; on the ingest worker's own thread they are carried out at
// once. Each takes over one reference to its `user` and lets it go by `release` when it is done.
typedef struct {
    RelayWorker *worker;
    RelayIngest *ingest;
    void (*release)(gpointer user);
} RelayIngestBox;

// `on_refused` is called on the ingest worker's thread when relay_ingest_begin says no.
void relay_ingest_mail_begin(const RelayIngestBox *box, RelayStream *stream,
                             const RelaySenderSpec *sender, void (*on_refused)(gpointer user),
                             gpointer user);
void relay_ingest_mail_end(const RelayIngestBox *box, RelayStream *stream, gpointer user);
// `data` is copied unless the letter is carried out at once. Dropped when the worker has fallen
// behind.
void relay_ingest_mail_frame(const RelayIngestBox *box, RelayStream *stream, guint track,
                             gboolean rtcp, const guint8 *data, gsize size, gpointer user);
// `on_settled` likewise, with what relay_ingest_add_viewer says.
void relay_ingest_mail_add_viewer(const RelayIngestBox *box, const RelayUdpViewer *viewer,
                                  guint track, const RelayAddress *rtp, const RelayAddress *rtcp,
                                  void (*on_settled)(gpointer user, guint track, gboolean taken));
void relay_ingest_mail_remove_viewer(const RelayIngestBox *box, gpointer user);
