// SPDX-License-Identifier: MIT
#include "relay/net/mailbox.h"

#include <pthread.h>

typedef struct {
    RelayTask task;
    gpointer data;
} Letter;

struct _RelayMailbox {
    pthread_mutex_t lock; // guards `letters`; not a GMutex, which ThreadSanitizer cannot see
    GArray *letters;
    GArray *reading; // owner's thread only
    guint limit;
    void (*wake)(gpointer);
    gpointer wake_data;
};

RelayMailbox *relay_mailbox_new(guint limit, void (*wake)(gpointer), gpointer wake_data)
{
    RelayMailbox *m = g_new0(RelayMailbox, 1);
    pthread_mutex_init(&m->lock, NULL);
    m->letters = g_array_new(FALSE, FALSE, sizeof(Letter));
    m->reading = g_array_new(FALSE, FALSE, sizeof(Letter));
    m->limit = limit;
    m->wake = wake;
    m->wake_data = wake_data;
    return m;
}

void relay_mailbox_free(RelayMailbox *mailbox)
{
    if (!mailbox)
        return;
    g_array_unref(mailbox->letters);
    g_array_unref(mailbox->reading);
    pthread_mutex_destroy(&mailbox->lock);
    g_free(mailbox);
}

static gboolean put(RelayMailbox *m, RelayTask task, gpointer data, guint limit)
{
    Letter letter = {task, data};
    pthread_mutex_lock(&m->lock);
    guint before = m->letters->len;
    gboolean taken = before < limit;
    if (taken)
        g_array_append_val(m->letters, letter);
    pthread_mutex_unlock(&m->lock);
    if (taken && before == 0)
        m->wake(m->wake_data);
    return taken;
}

void relay_mailbox_post(RelayMailbox *mailbox, RelayTask task, gpointer data)
{
    put(mailbox, task, data, G_MAXUINT);
}

gboolean relay_mailbox_offer(RelayMailbox *mailbox, RelayTask task, gpointer data)
{
    return put(mailbox, task, data, mailbox->limit);
}

guint relay_mailbox_run(RelayMailbox *mailbox, gpointer owner)
{
    pthread_mutex_lock(&mailbox->lock);
    GArray *reading = mailbox->letters;
    mailbox->letters = mailbox->reading;
    mailbox->reading = reading;
    pthread_mutex_unlock(&mailbox->lock);
    for (guint i = 0; i < reading->len; i++) {
        Letter letter = g_array_index(reading, Letter, i);
        letter.task(owner, letter.data);
    }
    guint count = reading->len;
    g_array_set_size(reading, 0);
    return count;
}
