// SPDX-License-Identifier: MIT
#include "relay/net/upstream.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/name.h"
#include "common/base/ulid.h"

#define EVENT_BYTES_MAX (8u << 20)
// City, county, school: what is deeper than this is a mistake.
#define LINEAGE_MAX 16
#define LESSONS_MAX 10000
// Two relays that name each other see the loop at the same moment: each waits before it tries
// again.
#define LOOP_PAUSE_NS (60 * TK_NS_PER_S)

struct _RelayUpstream {
    char *url, *host, *name;
    guint16 rtsp_port;
    const char *own_id;
    const RelayUpstreamHandler *handler;
    gpointer user;
    TkWebTarget target;
    TkWebLink *link;
    RelayUpstreamState state;
    gint64 loop_until_ns;
    json_t *lineage;
    gboolean anew;       // it was started again since what `lessons` tells
    GHashTable *lessons; // id -> json_t
};

const char *relay_upstream_state_word(RelayUpstreamState state)
{
    static const char *const words[] = {"connecting", "connected", "refused", "loop"};
    return words[state];
}

static void set_state(RelayUpstream *u, RelayUpstreamState state, const char *why)
{
    if (u->state == state)
        return;
    u->state = state;
    TkLogFields fields = {.peer = u->url};
    if (state == RELAY_UPSTREAM_CONNECTED)
        tk_log(TK_LOG_INFO, &fields, "lessons come from upstream relay %s", u->name);
    else if (state == RELAY_UPSTREAM_CONNECTING)
        tk_log(TK_LOG_WARNING, &fields, "the upstream relay cannot be reached: %s; trying again",
               why);
    else if (state == RELAY_UPSTREAM_REFUSED)
        tk_log(
            TK_LOG_ERROR, &fields,
            "the upstream relay does not let this one in (%s): upstream.token_file needs a token "
            "of the role recorder; trying again until it does",
            why);
    else
        tk_log(TK_LOG_ERROR, &fields,
               "upstream.relays makes a loop: %s; nothing is fetched from there until one of the "
               "two stops naming the other",
               why);
    u->handler->on_change(u->user, u);
}

// "city, county": who is between us and ourselves. Newly allocated.
static char *names_of(const json_t *lineage)
{
    GString *names = g_string_new(NULL);
    const json_t *relay;
    size_t i;
    json_array_foreach(lineage, i, relay)
        g_string_append_printf(names, "%s%s", i ? ", " : "", tk_json_string(relay, "name", "?"));
    return g_string_free(names, FALSE);
}

// Of its run.
static const char *id_of(const json_t *lineage)
{
    return tk_json_string(json_array_get(lineage, 0), "id", "");
}

static gboolean take_identity(RelayUpstream *u, const json_t *relay)
{
    const json_t *ancestors = json_object_get(relay, "ancestors"), *one;
    g_autoptr(json_t) lineage = json_array();
    gboolean loop = g_str_equal(tk_json_string(relay, "id", ""), u->own_id);
    size_t i;
    gint64 port = tk_json_int(relay, "rtsp_port", 0);
    g_free(u->name);
    u->name = g_strdup(tk_json_string(relay, "name", ""));
    u->rtsp_port = port > 0 && port <= G_MAXUINT16 ? (guint16)port : 0;
    json_array_append_new(
        lineage, json_pack("{s:s, s:s}", "id", tk_json_string(relay, "id", ""), "name", u->name));
    json_array_foreach(ancestors, i, one)
    {
        if (i >= LINEAGE_MAX)
            break;
        const char *id = tk_json_string(one, "id", "");
        loop |= g_str_equal(id, u->own_id);
        json_array_append_new(
            lineage, json_pack("{s:s, s:s}", "id", id, "name", tk_json_string(one, "name", "")));
    }
    gboolean changed = !json_equal(u->lineage, lineage);
    u->anew |= !g_str_equal(id_of(u->lineage), id_of(lineage));
    json_decref(u->lineage);
    u->lineage = g_steal_pointer(&lineage);
    gint64 now_ns = tk_clock_monotonic_ns();
    if (loop) {
        g_autofree char *names = names_of(u->lineage);
        g_autofree char *why =
            g_strdup_printf("%s gets its lessons from here (by way of: %s)", u->url, names);
        u->loop_until_ns = now_ns + LOOP_PAUSE_NS;
        set_state(u, RELAY_UPSTREAM_LOOP, why);
    }
    if (!u->rtsp_port || now_ns < u->loop_until_ns)
        return FALSE;
    if (u->state != RELAY_UPSTREAM_CONNECTED)
        set_state(u, RELAY_UPSTREAM_CONNECTED, NULL);
    else if (changed)
        u->handler->on_change(u->user, u);
    return TRUE;
}

static void forget(RelayUpstream *u, const char *id,
                   void (*tell)(gpointer user, RelayUpstream *upstream, const char *id))
{
    g_autofree char *key = g_strdup(id); // `id` may be the table's own
    if (g_hash_table_remove(u->lessons, key))
        tell(u->user, u, key);
}

static void take_lesson(RelayUpstream *u, const json_t *lesson)
{
    const char *id = tk_json_string(lesson, "id", "");
    if (!tk_ulid_valid(id) || !tk_name_lesson_valid(tk_json_string(lesson, "name", "")))
        return;
    if (g_str_equal(tk_json_string(lesson, "state", ""), "ended")) {
        forget(u, id, u->handler->on_lesson);
        return;
    }
    if (g_hash_table_size(u->lessons) >= LESSONS_MAX && !g_hash_table_contains(u->lessons, id))
        return;
    g_hash_table_replace(u->lessons, g_strdup(id), json_incref((json_t *)lesson));
    u->handler->on_lesson(u->user, u, id);
}

// What is in no snapshot runs no more, but a relay that was started again has forgotten it.
static void take_snapshot(RelayUpstream *u, const json_t *lessons)
{
    g_autoptr(GHashTable) named = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GList) ids = g_hash_table_get_keys(u->lessons);
    const json_t *lesson;
    size_t i;
    json_array_foreach(lessons, i, lesson)
        g_hash_table_add(named, (char *)tk_json_string(lesson, "id", ""));
    for (GList *id = ids; id; id = id->next)
        if (!g_hash_table_contains(named, id->data))
            forget(u, id->data, u->anew ? u->handler->on_lost : u->handler->on_lesson);
    u->anew = FALSE;
    json_array_foreach(lessons, i, lesson) take_lesson(u, lesson);
}

static char *on_path(void *user)
{
    return g_strdup("/api/v1/events");
}

static void on_text(void *user, const char *text, gsize length)
{
    RelayUpstream *u = user;
    g_autoptr(GError) error = NULL;
    g_autoptr(json_t) message = tk_json_parse(text, length, EVENT_BYTES_MAX, &error);
    if (!message) {
        tk_web_link_drop(u->link, error->message);
        return;
    }
    const char *type = tk_json_string(message, "type", "");
    gboolean snapshot = g_str_equal(type, "snapshot"), relay = g_str_equal(type, "relay-changed");
    if ((snapshot || relay) && !take_identity(u, json_object_get(message, "relay")))
        tk_web_link_drop(u->link, "a loop");
    else if (snapshot)
        take_snapshot(u, json_object_get(message, "lessons"));
    else if (g_str_has_prefix(type, "lesson-") && u->state == RELAY_UPSTREAM_CONNECTED)
        take_lesson(u, json_object_get(message, "lesson"));
}

static void on_binary(void *user, GBytes *message) {}

static void on_down(void *user, guint status, guint code, const char *why)
{
    RelayUpstream *u = user;
    gboolean refused = status == 401 || status == 403 || code == 1008;
    if (u->state != RELAY_UPSTREAM_LOOP)
        set_state(u, refused ? RELAY_UPSTREAM_REFUSED : RELAY_UPSTREAM_CONNECTING, why);
}

static const TkWebLinkHandler link_handler = {on_path, on_text, on_binary, on_down};

RelayUpstream *relay_upstream_new(const char *url, const char *token_file, SoupSession *session,
                                  const char *own_id, const RelayUpstreamHandler *handler,
                                  gpointer user, GError **error)
{
    g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
    const char *path = uri ? g_uri_get_path(uri) : "";
    gboolean plain = uri && (g_str_equal(path, "") || g_str_equal(path, "/"));
    gboolean web = uri && (g_str_equal(g_uri_get_scheme(uri), "http") ||
                           g_str_equal(g_uri_get_scheme(uri), "https"));
    if (!plain || !web || !g_uri_get_host(uri) || !*g_uri_get_host(uri) || g_uri_get_query(uri)) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "upstream.relays: %s is no URL of a relay: write http://HOST:PORT", url);
        return NULL;
    }
    RelayUpstream *u = g_new0(RelayUpstream, 1);
    u->url = g_strndup(url, strlen(url) - strlen(path));
    u->host = g_strdup(g_uri_get_host(uri));
    u->name = g_strdup("");
    u->own_id = own_id;
    u->handler = handler;
    u->user = user;
    u->lineage = json_array();
    u->lessons =
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref);
    u->target = (TkWebTarget){session, u->url, token_file};
    u->link = tk_web_link_new(&u->target, &link_handler, u);
    return u;
}

void relay_upstream_free(RelayUpstream *upstream)
{
    if (!upstream)
        return;
    tk_web_link_free(upstream->link);
    g_hash_table_unref(upstream->lessons);
    json_decref(upstream->lineage);
    g_free(upstream->url);
    g_free(upstream->host);
    g_free(upstream->name);
    g_free(upstream);
}

RelayUpstreamState relay_upstream_state(const RelayUpstream *upstream)
{
    return upstream->state;
}

const char *relay_upstream_url(const RelayUpstream *upstream)
{
    return upstream->url;
}

const char *relay_upstream_host(const RelayUpstream *upstream)
{
    return upstream->host;
}

guint16 relay_upstream_rtsp_port(const RelayUpstream *upstream)
{
    return upstream->rtsp_port;
}

const char *relay_upstream_name(const RelayUpstream *upstream)
{
    return upstream->name;
}

const json_t *relay_upstream_lineage(const RelayUpstream *upstream)
{
    return upstream->lineage;
}

const json_t *relay_upstream_lesson(const RelayUpstream *upstream, const char *id)
{
    return g_hash_table_lookup(upstream->lessons, id);
}
