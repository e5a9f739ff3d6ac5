// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <pthread.h>

#include "relay/net/mailbox.h"

#define POSTERS 4
#define LETTERS 5000 // of each poster
#define LIMIT 64

typedef struct {
    guint poster, number;
} Letter;

typedef struct {
    RelayMailbox *mailbox;
    pthread_mutex_t lock; // not GMutex: ThreadSanitizer does not see into GLib
    pthread_cond_t bell;
    gboolean rung;
    guint next[POSTERS]; // the owner's: number that is due
    guint refused;       // relaxed atomic
} Office;

static void ring(gpointer data)
{
    Office *office = data;
    pthread_mutex_lock(&office->lock);
    office->rung = TRUE;
    pthread_cond_signal(&office->bell);
    pthread_mutex_unlock(&office->lock);
}

static void take(gpointer owner, gpointer data)
{
    Office *office = owner;
    g_autofree Letter *letter = data;
    assert_int_equal(letter->number, office->next[letter->poster]);
    office->next[letter->poster]++;
}

typedef struct {
    Office *office;
    guint poster;
} Poster;

static gpointer post_all(gpointer data)
{
    const Poster *poster = data;
    for (guint i = 0; i < LETTERS; i++) {
        Letter *letter = g_new(Letter, 1);
        *letter = (Letter){poster->poster, i};
        // Every other one is offered first, and posted if the owner has fallen behind.
        if (i % 2 == 0 && relay_mailbox_offer(poster->office->mailbox, take, letter))
            continue;
        if (i % 2 == 0)
            g_atomic_int_inc((gint *)&poster->office->refused);
        relay_mailbox_post(poster->office->mailbox, take, letter);
    }
    return NULL;
}

static void letters_of_many_threads_come_whole_and_in_order(void **state)
{
    Office office = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER};
    Poster posters[POSTERS];
    GThread *threads[POSTERS];
    office.mailbox = relay_mailbox_new(LIMIT, ring, &office);
    for (guint i = 0; i < POSTERS; i++) {
        posters[i] = (Poster){&office, i};
        threads[i] = g_thread_new("poster", post_all, &posters[i]);
    }
    for (guint taken = 0; taken < POSTERS * LETTERS;) {
        pthread_mutex_lock(&office.lock);
        while (!office.rung)
            pthread_cond_wait(&office.bell, &office.lock);
        office.rung = FALSE;
        pthread_mutex_unlock(&office.lock);
        taken += relay_mailbox_run(office.mailbox, &office);
    }
    for (guint i = 0; i < POSTERS; i++)
        g_thread_join(threads[i]);
    for (guint i = 0; i < POSTERS; i++)
        assert_int_equal(office.next[i], LETTERS);
    relay_mailbox_free(office.mailbox);
}

static void who_has_fallen_behind_refuses_media_and_takes_control(void **state)
{
    Office office = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER};
    office.mailbox = relay_mailbox_new(LIMIT, ring, &office);
    guint number = 0;
    for (gboolean taken = TRUE; taken && number <= LIMIT;) {
        Letter *letter = g_new(Letter, 1);
        *letter = (Letter){0, number};
        taken = relay_mailbox_offer(office.mailbox, take, letter);
        if (!taken)
            relay_mailbox_post(office.mailbox, take, letter);
        number++;
    }
    assert_int_equal(number, LIMIT + 1);
    assert_int_equal(relay_mailbox_run(office.mailbox, &office), LIMIT + 1);
    assert_int_equal(office.next[0], LIMIT + 1);
    relay_mailbox_free(office.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_of_many_threads_come_whole_and_in_order),
        cmocka_unit_test(who_has_fallen_behind_refuses_media_and_takes_control),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
