// SPDX-License-Identifier: MIT
#include "relay/net/endpoints.h"

typedef struct {
    RelayAddress said; // key of `said`
    RelayAddress seen; // key of `seen` while it is another one; bytes 0: none
    gpointer owner;
    guint track;
    gboolean rtcp;
    gboolean heard; // something has come
} Entry;

struct _RelayEndpoints {
    GHashTable *said[2]; // Entry, owned; [0] RTP, [1] RTCP
    GHashTable *seen[2]; // Entry, borrowed
    GPtrArray *silent;   // Entry of which nothing has come, oldest first; borrowed
};

RelayEndpoints *relay_endpoints_new(void)
{
    RelayEndpoints *e = g_new0(RelayEndpoints, 1);
    for (guint i = 0; i < 2; i++) {
        e->said[i] = g_hash_table_new_full(relay_address_hash, relay_address_equal, NULL, g_free);
        e->seen[i] = g_hash_table_new(relay_address_hash, relay_address_equal);
    }
    e->silent = g_ptr_array_new();
    return e;
}

void relay_endpoints_free(RelayEndpoints *endpoints)
{
    if (!endpoints)
        return;
    g_ptr_array_unref(endpoints->silent);
    for (guint i = 0; i < 2; i++) {
        g_hash_table_unref(endpoints->seen[i]);
        g_hash_table_unref(endpoints->said[i]);
    }
    g_free(endpoints);
}

static void forget_seen(RelayEndpoints *e, Entry *entry)
{
    if (entry->seen.bytes && g_hash_table_lookup(e->seen[entry->rtcp], &entry->seen) == entry)
        g_hash_table_remove(e->seen[entry->rtcp], &entry->seen);
    entry->seen.bytes = 0;
}

static void let_go(RelayEndpoints *e, Entry *entry)
{
    forget_seen(e, entry);
    g_ptr_array_remove(e->silent, entry);
}

// Of all tracks when `track` is negative.
static void remove_entries(RelayEndpoints *e, gboolean rtcp, gpointer owner, gint track)
{
    GHashTableIter iter;
    Entry *entry;
    g_hash_table_iter_init(&iter, e->said[rtcp]);
    while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&entry)) {
        if (entry->owner != owner || (track >= 0 && entry->track != (guint)track))
            continue;
        let_go(e, entry);
        g_hash_table_iter_remove(&iter);
    }
}

gboolean relay_endpoints_add(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                             gpointer owner, guint track)
{
    const Entry *old = g_hash_table_lookup(endpoints->said[rtcp], address);
    if (old && old->owner != owner)
        return FALSE;
    remove_entries(endpoints, rtcp, owner, (gint)track);
    Entry *entry = g_new(Entry, 1);
    *entry = (Entry){.said = *address, .owner = owner, .track = track, .rtcp = rtcp};
    g_hash_table_replace(endpoints->said[rtcp], &entry->said, entry);
    g_ptr_array_add(endpoints->silent, entry);
    return TRUE;
}

void relay_endpoints_remove(RelayEndpoints *endpoints, gpointer owner)
{
    remove_entries(endpoints, FALSE, owner, -1);
    remove_entries(endpoints, TRUE, owner, -1);
}

// The one that a NAT may have moved to `address`.
static Entry *claim(RelayEndpoints *e, gboolean rtcp, const RelayAddress *address)
{
    if (relay_address_is_loopback(address)) // no NAT on the way
        return NULL;
    for (guint i = 0; i < e->silent->len; i++) {
        Entry *entry = e->silent->pdata[i];
        if (entry->rtcp != rtcp || !relay_address_same_host(&entry->said, address))
            continue;
        entry->seen = *address;
        g_hash_table_replace(e->seen[rtcp], &entry->seen, entry);
        return entry;
    }
    return NULL;
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
        entry = claim(endpoints, rtcp, address);
        moved = TRUE;
    }
    if (!entry)
        return FALSE;
    if (!entry->heard) {
        entry->heard = TRUE;
        g_ptr_array_remove(endpoints->silent, entry);
    }
    *ret = (RelayEndpoint){.owner = entry->owner, .track = entry->track, .moved = moved};
    return TRUE;
}
