// SPDX-License-Identifier: MIT
#include "relay/net/endpoints.h"

typedef struct {
    RelayAddress address; // the hash key
    gpointer owner;
    guint track;
    gboolean rtcp;
    gboolean proved; // a packet has come from there
} Entry;

struct _RelayEndpoints {
    GHashTable *by_address[2]; // of Entry; [0] RTP, [1] RTCP
    GPtrArray *unproved;       // Entry, oldest first; borrowed from the tables
};

RelayEndpoints *relay_endpoints_new(void)
{
    RelayEndpoints *e = g_new0(RelayEndpoints, 1);
    for (guint i = 0; i < 2; i++)
        e->by_address[i] =
            g_hash_table_new_full(relay_address_hash, relay_address_equal, NULL, g_free);
    e->unproved = g_ptr_array_new();
    return e;
}

void relay_endpoints_free(RelayEndpoints *endpoints)
{
    if (!endpoints)
        return;
    g_ptr_array_unref(endpoints->unproved);
    for (guint i = 0; i < 2; i++)
        g_hash_table_unref(endpoints->by_address[i]);
    g_free(endpoints);
}

void relay_endpoints_add(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                         gpointer owner, guint track)
{
    // A port can have one owner; the newest holds its RTSP connection for sure.
    Entry *old = g_hash_table_lookup(endpoints->by_address[rtcp], address);
    if (old)
        g_ptr_array_remove(endpoints->unproved, old);
    Entry *entry = g_new(Entry, 1);
    *entry = (Entry){.address = *address, .owner = owner, .track = track, .rtcp = rtcp};
    g_hash_table_replace(endpoints->by_address[rtcp], &entry->address, entry);
    g_ptr_array_add(endpoints->unproved, entry);
}

static gboolean is_of_owner(gpointer key, gpointer value, gpointer owner)
{
    return ((Entry *)value)->owner == owner;
}

void relay_endpoints_remove(RelayEndpoints *endpoints, gpointer owner)
{
    for (guint i = endpoints->unproved->len; i-- > 0;)
        if (((Entry *)endpoints->unproved->pdata[i])->owner == owner)
            g_ptr_array_remove_index(endpoints->unproved, i);
    for (guint i = 0; i < 2; i++)
        g_hash_table_foreach_remove(endpoints->by_address[i], is_of_owner, owner);
}

static Entry *first_unproved(RelayEndpoints *e, gboolean rtcp, const RelayAddress *address)
{
    for (guint i = 0; i < e->unproved->len; i++) {
        Entry *entry = e->unproved->pdata[i];
        if (entry->rtcp == rtcp && relay_address_same_host(&entry->address, address))
            return entry;
    }
    return NULL;
}

static void move(RelayEndpoints *e, Entry *entry, const RelayAddress *address)
{
    GHashTable *table = e->by_address[entry->rtcp];
    g_hash_table_steal(table, &entry->address);
    entry->address = *address;
    g_hash_table_replace(table, &entry->address, entry);
}

gboolean relay_endpoints_find(RelayEndpoints *endpoints, gboolean rtcp, const RelayAddress *address,
                              RelayEndpoint *ret)
{
    Entry *entry = g_hash_table_lookup(endpoints->by_address[rtcp], address);
    gboolean moved = FALSE;
    if (!entry) {
        entry = first_unproved(endpoints, rtcp, address);
        if (!entry)
            return FALSE;
        move(endpoints, entry, address);
        moved = TRUE;
    }
    if (!entry->proved) {
        entry->proved = TRUE;
        g_ptr_array_remove(endpoints->unproved, entry);
    }
    *ret = (RelayEndpoint){.owner = entry->owner, .track = entry->track, .moved = moved};
    return TRUE;
}
