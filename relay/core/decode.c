// SPDX-License-Identifier: MIT
#include "relay/core/decode.h"

#define NEWEST RELAY_DECODE_DEPTH_MAX // index in `shown`

void relay_decode_start(RelayDecode *decode, guint depth)
{
    *decode = (RelayDecode){.depth = depth < RELAY_DECODE_DEPTH_MAX ? depth : 0};
}

gint64 relay_decode_lead(const RelayDecode *decode, gint64 usual)
{
    return decode->depth * usual;
}

// As if a steady stream had ended just before.
static void seed(RelayDecode *decode, gint64 presentation, gint64 usual)
{
    for (guint i = 0; i <= NEWEST; i++)
        decode->shown[NEWEST - i] = presentation - usual * (i + 1);
    decode->started = TRUE;
}

// The number of pictures decoded before this one and shown after it.
static guint overtaken(const RelayDecode *decode, gint64 presentation)
{
    guint n = 0;
    while (n <= NEWEST && decode->shown[NEWEST - n] > presentation)
        n++;
    return n;
}

static gboolean jumped(const RelayDecode *decode, gint64 presentation, gboolean key, gint64 usual)
{
    guint places = overtaken(decode, presentation);
    if (!key)
        return places > RELAY_DECODE_DEPTH_MAX;
    return places > 0 || presentation - decode->shown[NEWEST] > (decode->depth + 2) * usual;
}

static void insert(RelayDecode *decode, gint64 presentation, guint places)
{
    guint at = NEWEST - places;
    for (guint i = 0; i < at; i++)
        decode->shown[i] = decode->shown[i + 1];
    decode->shown[at] = presentation;
}

gint64 relay_decode_next(RelayDecode *decode, gint64 presentation, gboolean key, gint64 usual,
                         gint64 least)
{
    if (!decode->started || jumped(decode, presentation, key, usual))
        seed(decode, presentation, usual);
    guint places = overtaken(decode, presentation);
    decode->depth = MAX(decode->depth, places);
    insert(decode, presentation, places);
    return MAX(decode->shown[NEWEST - decode->depth], least);
}
