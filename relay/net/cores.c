// SPDX-License-Identifier: MIT
#include "relay/net/cores.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "common/base/error.h"

struct _RelayCores {
    cpu_set_t allowed; // of this process
    GArray *cores;     // int
    guint next;
};

static gboolean add_word(RelayCores *c, const char *word, GError **error)
{
    guint64 number;
    if (!g_ascii_string_to_unsigned(word, 10, 0, CPU_SETSIZE - 1, &number, NULL)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "workers.pin: \"%s\" is not the number of a core (true, false or 0,1,…)", word);
        return FALSE;
    }
    int core = (int)number;
    if (!CPU_ISSET(core, &c->allowed)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "workers.pin: this process may not use core %d (taskset -p shows which)", core);
        return FALSE;
    }
    g_array_append_val(c->cores, core);
    return TRUE;
}

static gboolean add_all(RelayCores *c)
{
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &c->allowed))
            g_array_append_val(c->cores, core);
    return TRUE;
}

static gboolean add_list(RelayCores *c, const char *text, GError **error)
{
    g_auto(GStrv) words = g_strsplit(text, ",", -1);
    for (char **word = words; *word; word++)
        if (!add_word(c, g_strstrip(*word), error))
            return FALSE;
    return TRUE;
}

RelayCores *relay_cores_new(const char *text, GError **error)
{
    RelayCores *c = g_new0(RelayCores, 1);
    c->cores = g_array_new(FALSE, FALSE, sizeof(int));
    pthread_getaffinity_np(pthread_self(), sizeof c->allowed, &c->allowed);
    if (g_str_equal(text, "false") ||
        (g_str_equal(text, "true") ? add_all(c) : add_list(c, text, error)))
        return c;
    relay_cores_free(c);
    return NULL;
}

void relay_cores_free(RelayCores *cores)
{
    if (!cores)
        return;
    g_array_unref(cores->cores);
    g_free(cores);
}

gboolean relay_cores_enter_next(RelayCores *cores, GError **error)
{
    if (cores->cores->len == 0)
        return TRUE;
    int core = g_array_index(cores->cores, int, cores->next);
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    int failure = pthread_setaffinity_np(pthread_self(), sizeof only, &only);
    if (failure == 0) {
        cores->next = (cores->next + 1) % cores->cores->len;
        return TRUE;
    }
    g_set_error(error, TK_ERROR, TK_ERROR_IO, "workers.pin: cannot bind to core %d: %s%s", core,
                g_strerror(failure),
                failure == EPERM ? " (a sandbox forbids sched_setaffinity)" : "");
    return FALSE;
}

void relay_cores_leave(RelayCores *cores)
{
    if (cores->cores->len)
        pthread_setaffinity_np(pthread_self(), sizeof cores->allowed, &cores->allowed);
}
