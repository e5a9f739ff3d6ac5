// SPDX-License-Identifier: MIT
#include "relay/net/door.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"

struct _RelayDoor {
    TkTokenKey *key; // NULL: open
};

RelayDoor *relay_door_new(const char *key_path, GError **error)
{
    g_autoptr(TkTokenKey) key = NULL;
    if (key_path && *key_path && !(key = tk_token_key_load(key_path, error)))
        return NULL;
    RelayDoor *door = g_new0(RelayDoor, 1);
    door->key = g_steal_pointer(&key);
    return door;
}

void relay_door_free(RelayDoor *door)
{
    if (!door)
        return;
    tk_token_key_free(door->key);
    g_free(door);
}

gboolean relay_door_is_open(const RelayDoor *door)
{
    return door->key == NULL;
}

static char *basic_password(const char *encoded)
{
    gsize size = 0;
    g_autofree guchar *decoded = g_base64_decode(encoded, &size);
    g_autofree char *text = g_strndup((const char *)decoded, size);
    const char *colon = strchr(text, ':');
    return colon ? g_strdup(colon + 1) : NULL;
}

char *relay_door_token(const char *authorization, const char *query)
{
    if (authorization && g_ascii_strncasecmp(authorization, "Bearer ", 7) == 0)
        return g_strstrip(g_strdup(authorization + 7));
    if (authorization && g_ascii_strncasecmp(authorization, "Basic ", 6) == 0)
        return basic_password(authorization + 6);
    g_auto(GStrv) parts = g_strsplit(query ? query : "", "&", 32);
    for (guint i = 0; parts[i]; i++)
        if (g_str_has_prefix(parts[i], "token="))
            return g_uri_unescape_string(parts[i] + strlen("token="), NULL);
    return NULL;
}

gboolean relay_door_admit(const RelayDoor *door, const char *token, TkRole role, const char *name,
                          const char *id, TkClaims **ret_claims, GError **error)
{
    if (ret_claims)
        *ret_claims = NULL;
    if (!door->key)
        return TRUE;
    if (!token || !*token) {
        g_set_error(error, TK_ERROR, TK_ERROR_UNAUTHORIZED,
                    "a token is needed: tongkectl token makes one");
        return FALSE;
    }
    g_autoptr(TkClaims) claims =
        tk_token_verify(door->key, token, tk_clock_wall_ns() / TK_NS_PER_S, error);
    if (!claims)
        return FALSE;
    if (!tk_claims_allow(claims, role, name, id)) {
        g_set_error(error, TK_ERROR, TK_ERROR_FORBIDDEN, "this token does not allow %s here",
                    tk_role_word(role));
        return FALSE;
    }
    if (ret_claims)
        *ret_claims = g_steal_pointer(&claims);
    return TRUE;
}
