// SPDX-License-Identifier: MIT
#include "relay/net/endpoints.h"

typedef struct _Entry {
    RelayAddress said; // key of `said`
    RelayAddress seen; // key of `seen` while it is another one; bytes 0: none
    gpointer owner;
    RelayEndpointKind kind;
    guint track;
    gboolean rtcp;
    gboolean heard;      // something has come
    GList silent;        // in its host's queue until then
    struct _Entry *next; // of its owner's
} Entry;

// Those of one host of which nothing has come.
typedef struct {
    RelayAddress address; // port 0
    GQueue silent[2];     // Entry, oldest first; [RTCP]
} Host;

struct _RelayEndpoints {
    GHashTable *said[2]; // Entry, owned; [0] RTP, [1] RTCP
    GHashTable *seen[2]; // Entry, borrowed
    GHashTable *owners;  // its first Entry, borrowed
    GHashTable *hosts;   // Host, owned; none is empty
};

RelayEndpoints *relay_endpoints_new(void)
{
    RelayEndpoints *e = g_new0(RelayEndpoints, 1);
    for (guint i = 0; i < 2; i++) {
        e->said[i] = g_hash_table_new_full(relay_address_hash, relay_address_equal, NULL, g_free);
        e->seen[i] = g_hash_table_new(relay_address_hash, relay_address_equal);
    }
    e->owners = g_hash_table_new(NULL, NULL);
    e->hosts = g_hash_table_new_full(relay_address_hash, relay_address_equal, NULL, g_free);
    return e;
}

void relay_endpoints_free(RelayEndpoints *endpoints)
{
    if (!endpoints)
        return;
    g_hash_table_unref(endpoints->hosts);
    g_hash_table_unref(endpoints->owners);
    for (guint i = 0; i < 2; i++) {
        g_hash_table_unref(endpoints->seen[i]);
        g_hash_table_unref(endpoints->said[i]);
    }
    g_free(endpoints);
}

static Host *host_of(const RelayEndpoints *e, const RelayAddress *address)
{
    RelayAddress key = relay_address_with_port(address, 0);
    return g_hash_table_lookup(e->hosts, &key);
}

static void await(RelayEndpoints *e, Entry *entry)
{
    Host *host = host_of(e, &entry->said);
    if (!host) {
        host = g_new0(Host, 1);
        host->address = relay_address_with_port(&entry->said, 0);
        g_hash_table_add(e->hosts, host);
    }
    entry->silent.data = entry;
    g_queue_push_tail_link(&host->silent[entry->rtcp], &entry->silent);
}

static void await_no_more(RelayEndpoints *e, Entry *entry)
{
    if (entry->heard)
        return;
    entry->heard = TRUE;
    Host *host = host_of(e, &entry->said);
    g_queue_unlink(&host->silent[entry->rtcp], &entry->silent);
    if (g_queue_is_empty(&host->silent[0]) && g_queue_is_empty(&host->silent[1]))
        g_hash_table_remove(e->hosts, host);
}

static void forget_seen(RelayEndpoints *e, Entry *entry)
{
    if (entry->seen.bytes && g_hash_table_lookup(e->seen[entry->rtcp], &entry->seen) == entry)
        g_hash_table_remove(e->seen[entry->rtcp], &entry->seen);
    entry->seen.bytes = 0;
}

static void drop(RelayEndpoints *e, Entry *entry)
{
    forget_seen(e, entry);
    await_no_more(e, entry);
    g_hash_table_remove(e->said[entry->rtcp], &entry->said);
}

static void set_first(RelayEndpoints *e, gpointer owner, Entry *first)
{
    if (first)
        g_hash_table_insert(e->owners, owner, first);
    else
        g_hash_table_remove(e->owners, owner);
}

static void drop_one(RelayEndpoints *e, gboolean rtcp, gpointer owner, guint track)
{
    Entry *first = g_hash_table_lookup(e->owners, owner), **at = &first;
    while (*at && ((*at)->rtcp != rtcp || (*at)->track != track))
        at = &(*at)->next;
    if (!*at)
        return;
    Entry *entry = *at;
    *at = entry->next;
    set_first(e, owner, first);
    drop(e, entry);
}

static gboolean is_free(const RelayEndpoints *e, gboolean rtcp, const RelayAddress *address,
                        gconstpointer owner)
{
    const Entry *old = g_hash_table_lookup(e->said[rtcp], address);
    return !old || old->owner == owner;
}

static void put(RelayEndpoints *e, const Entry *spec)
{
    const Entry *old = g_hash_table_lookup(e->said[spec->rtcp], &spec->said);
    if (old)
        drop_one(e, spec->rtcp, spec->owner, old->track);
    drop_one(e, spec->rtcp, spec->owner, spec->track);
    Entry *entry = g_memdup2(spec, sizeof *spec);
    entry->next = g_hash_table_lookup(e->owners, spec->owner);
    g_hash_table_insert(e->said[spec->rtcp], &entry->said, entry);
    set_first(e, spec->owner, entry);
    await(e, entry);
}

gboolean relay_endpoints_add(RelayEndpoints *endpoints, RelayEndpointKind kind, gpointer owner,
                             guint track, const RelayAddress *rtp, const RelayAddress *rtcp)
{
    if (!is_free(endpoints, FALSE, rtp, owner) || !is_free(endpoints, TRUE, rtcp, owner))
        return FALSE;
    put(endpoints, &(Entry){.said = *rtp, .owner = owner, .kind = kind, .track = track});
    put(endpoints,
        &(Entry){.said = *rtcp, .owner = owner, .kind = kind, .track = track, .rtcp = TRUE});
    return TRUE;
}

void relay_endpoints_remove(RelayEndpoints *endpoints, gpointer owner)
{
    Entry *entry = g_hash_table_lookup(endpoints->owners, owner);
    g_hash_table_remove(endpoints->owners, owner);
    while (entry) {
        Entry *next = entry->next;
        drop(endpoints, entry);
        entry = next;
    }
}

static RelayEndpoint face(const Entry *entry, gboolean moved)
{
    return (RelayEndpoint){
        .owner = entry->owner, .kind = entry->kind, .track = entry->track, .moved = moved};
}

gboolean relay_endpoints_find(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                              RelayEndpoint *ret)
{
    gboolean moved = FALSE;
    Entry *entry = g_hash_table_lookup(endpoints->said[rtcp], address);
    if (entry) {
        moved = entry->seen.bytes != 0;
        forget_seen(endpoints, entry);
    } else if (!(entry = g_hash_table_lookup(endpoints->seen[rtcp], address))) {
        return FALSE;
    }
    await_no_more(endpoints, entry);
    *ret = face(entry, moved);
    return TRUE;
}

static GList *silent_at(const RelayEndpoints *e, gboolean rtcp, const RelayAddress *address)
{
    // On loopback there is no NAT.
    const Host *host = relay_address_is_loopback(address) ? NULL : host_of(e, address);
    return host ? host->silent[rtcp].head : NULL;
}

gboolean relay_endpoints_guess(const RelayEndpoints *endpoints, gboolean rtcp,
                               const RelayAddress *address, RelayEndpoint *ret, guint *ret_silent)
{
    const GList *first = silent_at(endpoints, rtcp, address);
    *ret_silent = 0;
    for (const GList *link = first; link; link = link->next) {
        const Entry *entry = link->data;
        if (entry->owner != ((const Entry *)first->data)->owner)
            return FALSE;
        *ret_silent |= 1u << entry->track;
    }
    if (first)
        *ret = face(first->data, FALSE);
    return first != NULL;
}

void relay_endpoints_move(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                          gconstpointer owner, guint track)
{
    for (GList *link = silent_at(endpoints, rtcp, address); link; link = link->next) {
        Entry *entry = link->data;
        if (entry->owner != owner || entry->track != track)
            continue;
        entry->seen = *address;
        g_hash_table_replace(endpoints->seen[rtcp], &entry->seen, entry);
        await_no_more(endpoints, entry);
        return;
    }
}
