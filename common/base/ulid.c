// SPDX-License-Identifier: MIT
#include "common/base/ulid.h"

#include <sodium.h>
#include <string.h>

#include "common/base/clock.h"

#define TIME_CHARACTERS 10

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

char *tk_ulid_new(gint64 wall_ns)
{
    char *text = g_malloc(TK_ULID_LENGTH + 1);
    guint64 ms = wall_ns > 0 ? (guint64)(wall_ns / TK_NS_PER_MS) : 0;
    guint8 random[TK_ULID_LENGTH - TIME_CHARACTERS];

    if (sodium_init() < 0)
        g_error("libsodium cannot start");
    for (int i = TIME_CHARACTERS - 1; i >= 0; i--, ms >>= 5)
        text[i] = alphabet[ms & 31];
    // 16 characters of 5 bits are the 80 random bits.
    randombytes_buf(random, sizeof random);
    for (gsize i = 0; i < sizeof random; i++)
        text[TIME_CHARACTERS + i] = alphabet[random[i] & 31];
    text[TK_ULID_LENGTH] = '\0';
    return text;
}

gboolean tk_ulid_valid(const char *text)
{
    // The first character holds 3 bits: above '7' the time would have more than 48.
    if (!text || strnlen(text, TK_ULID_LENGTH + 1) != TK_ULID_LENGTH || text[0] > '7')
        return FALSE;
    return strspn(text, alphabet) == TK_ULID_LENGTH;
}

gint64 tk_ulid_wall_ns(const char *ulid)
{
    guint64 ms = 0;

    g_return_val_if_fail(tk_ulid_valid(ulid), 0);
    for (int i = 0; i < TIME_CHARACTERS; i++)
        ms = ms << 5 | (guint64)(strchr(alphabet, ulid[i]) - alphabet);
    // Nanoseconds end in 2262, 48 bits of milliseconds in 10889.
    return ms > (guint64)(G_MAXINT64 / TK_NS_PER_MS) ? G_MAXINT64 : (gint64)ms * TK_NS_PER_MS;
}
