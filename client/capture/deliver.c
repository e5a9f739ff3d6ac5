// SPDX-License-Identifier: MIT
#include "client/capture/deliver.h"

#include <string.h>
#include <unistd.h>

#include "client/capture/copies.h"
#include "client/capture/keep.h"
#include "client/capture/upload.h"
#include "client/peer/peer.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#define BACKOFF_MAX_S 15
#define STREAMS_MAX 16

typedef enum {
    DONE,    // nothing is missing that is here
    AGAIN,   // ask again now
    LATER,   // ask again after a pause
    REFUSED, // for good, as long as nobody does something about it
} Outcome;

typedef struct {
    const CapDelivery *delivery;
    GCancellable *cancellable;
    CapUploader *uploader;
    gint64 end_ns;
    gboolean reached; // somebody has answered
    // Of the lesson that is being delivered:
    const char *folder, *id;
    json_t *lesson;
    char *library;
    GHashTable *hopeless; // "stream key": the library does not want it, or it is not here
    GHashTable *given;    // the same: the library has put it in its place
} Round;

static char *trimmed(const char *url)
{
    char *copy = g_strdup(url);
    while (g_str_has_suffix(copy, "/"))
        copy[strlen(copy) - 1] = '\0';
    return copy;
}

// `port`: ":8080", or "". An IPv6 address has brackets in a URL.
static char *server_at(const char *scheme, const char *host, const char *port)
{
    return g_strdup_printf(strchr(host, ':') ? "%s://[%s]%s" : "%s://%s%s", scheme, host, port);
}

// What the relay says of itself; its address is as told, or one of the usual ones on its host:
// behind a proxy, or its own. `*ret_web`: where it answered.
static json_t *relay_ask(Round *round, char **ret_web)
{
    const CapDelivery *d = round->delivery;
    g_autoptr(GUri) relay =
        g_uri_parse(tk_json_string(round->lesson, "relay", ""), G_URI_FLAGS_NONE, NULL);
    const char *host = relay ? g_uri_get_host(relay) : "";
    char *webs[] = {d->web ? trimmed(d->web) : server_at("https", host, ""),
                    d->web ? NULL : server_at("http", host, ":8080")};
    json_t *answer = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(webs) && webs[i] && !answer; i++) {
        g_autofree char *url = g_strconcat(webs[i], "/api/v1/relay", NULL);
        g_autoptr(GError) error = NULL;
        guint status = 0;
        answer = cap_upload_ask(round->uploader, "GET", url, NULL, &status, &error);
        if (answer)
            *ret_web = g_strdup(webs[i]);
        else
            tk_info("%s: %s does not say where the library is: %s", round->id, webs[i],
                    error->message);
    }
    for (guint i = 0; i < G_N_ELEMENTS(webs); i++)
        g_free(webs[i]);
    return answer;
}

// Where the library is: as told, or as the relay says (docs/api.md). NULL: not known now; `*ret` is
// what to do then.
static char *library_find(Round *round, Outcome *ret)
{
    g_autofree char *web = NULL;

    if (round->delivery->library)
        return trimmed(round->delivery->library);
    g_autoptr(json_t) answer = relay_ask(round, &web);
    *ret = LATER;
    if (!answer)
        return NULL;
    round->reached = TRUE;
    const char *library = tk_json_string(answer, "library", NULL);
    if (!library) {
        tk_info("%s: kept here: the relay names no library; see --library", round->id);
        *ret = REFUSED;
        return NULL;
    }
    if (library[0] != ':')
        return trimmed(library);
    g_autoptr(GUri) base = g_uri_parse(web, G_URI_FLAGS_NONE, NULL);
    return server_at(g_uri_get_scheme(base), g_uri_get_host(base), library);
}

static char *recording_url(const Round *round, const char *rest)
{
    return g_strdup_printf("%s/api/v1/recordings/%s/%s", round->library, round->id, rest);
}

// What is here, for the library to compare.
static json_t *offer_new(const Round *round)
{
    g_autoptr(GArray) segments = cap_segments_list(round->folder, NULL);
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GUri) relay =
        g_uri_parse(tk_json_string(round->lesson, "relay", ""), G_URI_FLAGS_NONE, NULL);
    json_t *offer = json_object(), *streams = json_array();

    tk_json_set_string(offer, "name", relay ? g_uri_get_path(relay) + 1 : "");
    json_object_set(offer, "info", json_object_get(round->lesson, "info"));
    tk_json_set_time(offer, "now", tk_clock_wall_ns());
    json_object_set_new(offer, "streams", streams);
    for (guint i = 0; i < segments->len; i++) {
        const char *name = g_array_index(segments, CapSegment, i).stream;
        gint64 from_ns, to_ns;
        if (!g_hash_table_add(names, (char *)name) || json_array_size(streams) >= STREAMS_MAX ||
            !cap_copy_extent(round->folder, name, &from_ns, &to_ns))
            continue;
        json_t *stream = json_object();
        tk_json_set_string(stream, "name", name);
        tk_json_set_time(stream, "from", from_ns);
        tk_json_set_time(stream, "to", to_ns);
        json_array_append_new(streams, stream);
    }
    return offer;
}

// What an answer without success asks for.
static Outcome judge(Round *round, guint status, const GError *error)
{
    round->reached |= status != 0;
    if (status == 401 || status == 403) {
        tk_error("%s: the library does not take this token: %s", round->id, error->message);
        return REFUSED;
    }
    // By the library's own word: a proxy says 404, too.
    if (g_error_matches(error, TK_ERROR, TK_ERROR_NOT_FOUND)) {
        tk_warning("%s: the library does not want it: %s", round->id, error->message);
        return DONE;
    }
    tk_info("%s: not delivered now: %s", round->id, error->message);
    return LATER;
}

static gboolean stretch_time(const json_t *stretch, const char *key, gint64 *ret_ns)
{
    return tk_clock_parse_rfc3339(tk_json_string(stretch, key, ""), ret_ns, NULL);
}

// Uploads one stretch; `parts` gets what to heal with.
static Outcome stretch_send(Round *round, const json_t *stretch, json_t *parts)
{
    const char *stream = tk_json_string(stretch, "stream", "");
    const char *key = tk_json_string(stretch, "key", "");
    g_autofree char *name = g_strdup_printf("%s %s", stream, key);
    g_autoptr(GError) error = NULL;
    gint64 from_ns, to_ns;
    guint status;

    // What is missing still when it was put in its place will be the next time, too.
    if (g_hash_table_contains(round->given, name))
        g_hash_table_add(round->hopeless, g_strdup(name));
    if (g_hash_table_contains(round->hopeless, name) || !stretch_time(stretch, "from", &from_ns) ||
        !stretch_time(stretch, "to", &to_ns))
        return DONE;
    g_autoptr(GArray) slices = cap_copy_cut(round->folder, stream, from_ns, to_ns);
    g_autofree char *sum = slices->len ? cap_slices_sha256(slices) : NULL;
    guint64 bytes = cap_slices_bytes(slices);
    if (!sum || bytes > (guint64)tk_json_int(stretch, "bytes_max", 0)) {
        g_hash_table_add(round->hopeless, g_steal_pointer(&name));
        return DONE;
    }
    g_autofree char *rest = g_strdup_printf("missing/%s/%s", stream, key);
    g_autofree char *url = recording_url(round, rest);
    tk_info("%s: %.1f s of %s are missing: %.1f MB are delivered", round->id,
            (double)(to_ns - from_ns) / 1e9, stream, (double)bytes / 1e6);
    if (!cap_upload_send(round->uploader, url, slices, (guint64)tk_json_int(stretch, "received", 0),
                         &status, &error)) {
        // Other bytes than ours can only be healed away: the sum does not hold, and they go.
        if (status != 409)
            return judge(round, status, error);
    }
    json_t *part = json_object();
    tk_json_set_string(part, "stream", stream);
    tk_json_set_string(part, "key", key);
    tk_json_set_int(part, "bytes", (gint64)bytes);
    tk_json_set_string(part, "sha256", sum);
    json_array_append_new(parts, part);
    return DONE;
}

static Outcome heal(Round *round, json_t *parts)
{
    g_autofree char *url = recording_url(round, "heal");
    g_autoptr(json_t) body = json_object();
    g_autoptr(GError) error = NULL;
    const json_t *one;
    guint status;
    size_t i;

    json_object_set(body, "parts", parts);
    g_autoptr(json_t) answer = cap_upload_ask(round->uploader, "POST", url, body, &status, &error);
    if (!answer)
        return judge(round, status, error);
    json_array_foreach(parts, i, one)
        g_hash_table_add(round->given, g_strdup_printf("%s %s", tk_json_string(one, "stream", ""),
                                                       tk_json_string(one, "key", "")));
    json_array_foreach(json_object_get(answer, "refused"), i, one)
    {
        const char *stream = tk_json_string(one, "stream", ""),
                   *key = tk_json_string(one, "key", "");
        tk_warning("%s: a stretch of %s is not taken: %s", round->id, stream,
                   tk_json_string(one, "why", ""));
        g_hash_table_add(round->hopeless, g_strdup_printf("%s %s", stream, key));
    }
    return AGAIN;
}

static Outcome deliver_once(Round *round)
{
    Outcome outcome = DONE;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) parts = json_array();
    const json_t *stretch;
    guint status;
    size_t i;

    if (!round->library)
        round->library = library_find(round, &outcome);
    if (!round->library)
        return outcome;
    g_autofree char *url = recording_url(round, "missing");
    g_autoptr(json_t) offer = offer_new(round);
    g_autoptr(json_t) answer = cap_upload_ask(round->uploader, "POST", url, offer, &status, &error);
    if (!answer)
        return judge(round, status, error);
    round->reached = TRUE;
    if (strcmp(tk_json_string(answer, "state", ""), "closed") != 0)
        return LATER;
    json_array_foreach(json_object_get(answer, "stretches"), i, stretch)
    {
        outcome = stretch_send(round, stretch, parts);
        if (outcome != DONE)
            return outcome;
    }
    return json_array_size(parts) ? heal(round, parts) : DONE;
}

static gboolean pause_for(const Round *round, guint seconds)
{
    GPollFD fd;
    gint64 left_ns = round->end_ns - tk_clock_monotonic_ns();

    if (left_ns <= 0 || !g_cancellable_make_pollfd(round->cancellable, &fd))
        return FALSE;
    g_poll(&fd, 1, (gint)MIN((gint64)seconds * 1000, left_ns / TK_NS_PER_MS));
    g_cancellable_release_fd(round->cancellable);
    return !g_cancellable_is_cancelled(round->cancellable) &&
           tk_clock_monotonic_ns() < round->end_ns;
}

static gboolean lesson_deliver(Round *round)
{
    guint failures = 0;
    Outcome outcome;

    while ((outcome = deliver_once(round)) == AGAIN || outcome == LATER) {
        if (g_cancellable_is_cancelled(round->cancellable) ||
            (outcome == LATER && !round->reached && round->delivery->at_once) ||
            (outcome == LATER && !pause_for(round, client_backoff_s(failures++, BACKOFF_MAX_S)))) {
            tk_warning("%s: kept here, to be delivered at the next start or by --deliver",
                       round->id);
            return FALSE;
        }
        if (outcome == AGAIN)
            failures = 0;
    }
    if (outcome == DONE) {
        g_autoptr(GError) error = NULL;
        tk_json_set_string(round->lesson, "state", "delivered");
        if (!cap_copy_save(round->folder, round->lesson, &error))
            tk_error("the local copy's state cannot be written: %s", error->message);
        guint hopeless = g_hash_table_size(round->hopeless);
        if (hopeless)
            tk_warning("%s: %u stretches stay missing", round->id, hopeless);
        else
            tk_info("%s: the library has all of it", round->id);
    }
    return outcome == DONE;
}

gboolean cap_deliver(const CapDelivery *delivery, GCancellable *cancellable)
{
    g_autoptr(CapUploader) uploader = cap_uploader_new(delivery->token, cancellable);
    g_auto(GStrv) folders = cap_copy_folders(delivery->folder);
    gint64 end_ns = tk_clock_monotonic_ns() + delivery->for_ns;
    gboolean all = TRUE;

    // The newest first: it is waited for.
    for (guint i = g_strv_length(folders); i > 0; i--) {
        g_autoptr(json_t) lesson = cap_copy_load(folders[i - 1]);
        if (!lesson || strcmp(tk_json_string(lesson, "state", ""), "delivered") == 0)
            continue;
        int fd = cap_copy_lock(folders[i - 1]);
        if (fd >= 0) {
            Round round = {.delivery = delivery,
                           .cancellable = cancellable,
                           .uploader = uploader,
                           .end_ns = end_ns,
                           .folder = folders[i - 1],
                           .id = tk_json_string(lesson, "id", ""),
                           .lesson = lesson};
            g_autofree char *id = g_strdup(round.id);
            round.id = id;
            round.hopeless = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
            round.given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
            all &= lesson_deliver(&round);
            g_hash_table_unref(round.hopeless);
            g_hash_table_unref(round.given);
            g_free(round.library);
            close(fd);
        }
        if (g_cancellable_is_cancelled(cancellable))
            break;
    }
    return all;
}
