// SPDX-License-Identifier: MIT
#include "tests/unit/check.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "relay/net/worker.h"

#define ROUNDS 200
#define PATIENCE_S 10 // a worker that sleeps over a letter has no other reason to wake here

typedef struct {
    RelayWorker *worker;
    pthread_mutex_t lock; // not GMutex: ThreadSanitizer does not see into GLib
    pthread_cond_t bell;
    guint done;
} Office;

static void finish(gpointer owner, gpointer data)
{
    Office *office = data;
    pthread_mutex_lock(&office->lock);
    office->done++;
    pthread_cond_signal(&office->bell);
    pthread_mutex_unlock(&office->lock);
}

static void post_another(gpointer owner, gpointer data)
{
    Office *office = data;
    relay_worker_post(office->worker, finish, office);
}

static gboolean wait_done(Office *office, guint count)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_S;
    int failure = 0;
    pthread_mutex_lock(&office->lock);
    while (office->done < count && failure != ETIMEDOUT)
        failure = pthread_cond_timedwait(&office->bell, &office->lock, &deadline);
    gboolean done = office->done == count;
    pthread_mutex_unlock(&office->lock);
    return done;
}

// The worker has just emptied its mailbox and is not asleep yet when the second letter comes.
static void a_letter_posted_while_letters_are_read_wakes_the_worker(void **state)
{
    Office office = {.lock = PTHREAD_MUTEX_INITIALIZER, .bell = PTHREAD_COND_INITIALIZER};
    g_autoptr(GError) error = NULL;
    office.worker = relay_worker_new("worker", &error);
    assert_non_null(office.worker);
    relay_worker_start(office.worker);
    for (guint i = 1; i <= ROUNDS; i++) {
        relay_worker_post(office.worker, post_another, &office);
        assert_true(wait_done(&office, i));
    }
    relay_worker_stop(office.worker);
    relay_worker_free(office.worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_posted_while_letters_are_read_wakes_the_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
