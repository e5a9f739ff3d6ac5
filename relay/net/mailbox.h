// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// How threads speak: tasks posted by anyone, run in order by the one thread that owns the mailbox.
// Media is offered (refused when the owner has fallen behind by `limit` tasks: the caller drops and
// counts); control is posted (always taken: its amount is bounded by the limits on connections).

typedef struct _RelayMailbox RelayMailbox;

// Runs on the owning thread; `owner` is what relay_mailbox_run was given.
typedef void (*RelayTask)(gpointer owner, gpointer data);

// `wake` is called from any thread when the mailbox stops being empty; it must not block.
RelayMailbox *relay_mailbox_new(guint limit, void (*wake)(gpointer), gpointer wake_data);
void relay_mailbox_free(RelayMailbox *mailbox);

// Any thread. `data` goes to the task, which frees it.
void relay_mailbox_post(RelayMailbox *mailbox, RelayTask task, gpointer data);
// FALSE: not taken, `data` is still the caller's.
gboolean relay_mailbox_offer(RelayMailbox *mailbox, RelayTask task,
                             gpointer data) G_GNUC_WARN_UNUSED_RESULT;

// Owner's thread: runs what is there now. Returns the number of tasks run.
guint relay_mailbox_run(RelayMailbox *mailbox, gpointer owner);
