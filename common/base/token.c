// SPDX-License-Identifier: MIT
#include "common/base/token.h"

#include <sodium.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/name.h"
#include "common/base/token_key.h"

#define TOKEN_MAX 4096
#define HEADER_MAX 512
#define SCHOOL_MAX 512
#define LEEWAY_S 30
// Nanoseconds since 1970 end in 2262; what is good for longer is good until 2255.
#define TIME_MAX_S 9000000000.0
#define AUDIENCE "tongke"

static const char *const role_words[] = {"viewer", "sender", "recorder", "admin"};

const char *tk_role_word(TkRole role)
{
    g_return_val_if_fail((gsize)role < G_N_ELEMENTS(role_words), NULL);
    return role_words[role];
}

gboolean tk_role_parse(const char *word, TkRole *ret_role)
{
    for (guint i = 0; word && i < G_N_ELEMENTS(role_words); i++) {
        if (g_str_equal(word, role_words[i])) {
            *ret_role = (TkRole)i;
            return TRUE;
        }
    }
    return FALSE;
}

TkClaims *tk_claims_copy(const TkClaims *claims)
{
    TkClaims *copy = g_new(TkClaims, 1);
    *copy = *claims;
    copy->lesson = g_strdup(claims->lesson);
    copy->school = g_strdup(claims->school);
    return copy;
}

void tk_claims_free(TkClaims *claims)
{
    if (!claims)
        return;
    g_free(claims->lesson);
    g_free(claims->school);
    g_free(claims);
}

gboolean tk_claims_allow(const TkClaims *claims, TkRole role, const char *name, const char *id)
{
    if (!claims)
        return FALSE;
    if (claims->role == TK_ROLE_ADMIN)
        return TRUE;
    if (claims->role != role && !(claims->role == TK_ROLE_RECORDER && role == TK_ROLE_VIEWER))
        return FALSE;
    if (!name && !id)
        return TRUE;
    return g_strcmp0(claims->lesson, "*") == 0 ||
           (claims->lesson &&
            (g_strcmp0(claims->lesson, name) == 0 || g_strcmp0(claims->lesson, id) == 0));
}

gint64 tk_claims_left_ns(const TkClaims *claims, gint64 wall_ns)
{
    return (claims->expires_s + LEEWAY_S) * TK_NS_PER_S - wall_ns;
}

static gboolean lesson_allowed(const char *lesson)
{
    return g_strcmp0(lesson, "*") == 0 || tk_name_lesson_valid(lesson);
}

static gboolean school_allowed(const char *school)
{
    return !school ||
           (strnlen(school, SCHOOL_MAX + 1) <= SCHOOL_MAX && g_utf8_validate(school, -1, NULL));
}

static char *claims_json(const TkClaims *claims)
{
    g_autoptr(json_t) object = json_object();

    tk_json_set_string(object, "aud", AUDIENCE);
    tk_json_set_string(object, "role", tk_role_word(claims->role));
    tk_json_set_string(object, "lesson", claims->lesson);
    tk_json_set_string(object, "school", claims->school);
    tk_json_set_int(object, "iat", claims->issued_s);
    if (claims->not_before_s)
        tk_json_set_int(object, "nbf", claims->not_before_s);
    tk_json_set_int(object, "exp", claims->expires_s);
    return tk_json_dump(object);
}

char *tk_token_issue(const TkTokenKey *key, const TkClaims *claims, GError **error)
{
    guint8 signature[TK_TOKEN_SIGNATURE_MAX];

    if (!lesson_allowed(claims->lesson) || !school_allowed(claims->school)) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID,
                            "a token is for one lesson's name or id or *, and for a school whose "
                            "name has at most 512 bytes of UTF-8");
        return NULL;
    }
    if (claims->expires_s <= 0) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID, "a token needs a time of expiry");
        return NULL;
    }
    g_autofree char *header =
        g_strdup_printf("{\"alg\":\"%s\",\"typ\":\"JWT\"}", tk_token_key_algorithm(key));
    g_autofree char *payload = claims_json(claims);
    g_autofree char *header64 = tk_base64url_encode(header, strlen(header));
    g_autofree char *payload64 = tk_base64url_encode(payload, strlen(payload));
    g_autofree char *signed_part = g_strdup_printf("%s.%s", header64, payload64);

    gsize length = tk_token_key_sign(key, signed_part, strlen(signed_part), signature, error);
    if (length == 0)
        return NULL;
    g_autofree char *signature64 = tk_base64url_encode(signature, length);
    return g_strdup_printf("%s.%s", signed_part, signature64);
}

static TkClaims *refuse(GError **error, const char *why)
{
    g_set_error_literal(error, TK_ERROR, TK_ERROR_UNAUTHORIZED, why);
    return NULL;
}

static gboolean header_fits(const TkTokenKey *key, const char *text, gsize length)
{
    gsize decoded_length;
    g_autofree guint8 *decoded = tk_base64url_decode(text, length, &decoded_length);

    if (!decoded)
        return FALSE;
    g_autoptr(json_t) header =
        tk_json_parse((const char *)decoded, decoded_length, HEADER_MAX, NULL);
    // "crit" (RFC 7515 section 4.1.11) names extensions that must be understood: none is.
    return json_is_object(header) && !json_object_get(header, "crit") &&
           g_strcmp0(tk_json_string(header, "alg", NULL), tk_token_key_algorithm(key)) == 0;
}

static gboolean audience_fits(const json_t *payload)
{
    const json_t *aud = json_object_get(payload, "aud");

    if (json_is_string(aud))
        return g_str_equal(json_string_value(aud), AUDIENCE);
    for (gsize i = 0; i < json_array_size(aud); i++)
        if (g_strcmp0(json_string_value(json_array_get(aud, i)), AUDIENCE) == 0)
            return TRUE;
    return FALSE;
}

// A NumericDate (RFC 7519 section 2), which may have a fraction. FALSE: it is none.
static gboolean read_time(const json_t *payload, const char *name, gint64 *ret_s)
{
    const json_t *value = json_object_get(payload, name);

    if (json_is_number(value))
        *ret_s = (gint64)CLAMP(json_number_value(value), 0, TIME_MAX_S);
    return json_is_number(value);
}

static TkClaims *read_claims(const json_t *payload, gint64 now_s, GError **error)
{
    TkRole role;
    const char *lesson = tk_json_string(payload, "lesson", NULL);
    const char *school = tk_json_string(payload, "school", NULL);
    gint64 issued_s = 0, not_before_s = 0, expires_s;

    if (!audience_fits(payload))
        return refuse(error, "the token is for another audience than " AUDIENCE);
    if (!read_time(payload, "exp", &expires_s))
        return refuse(error, "the token has no time of expiry (exp)");
    if (now_s - LEEWAY_S >= expires_s)
        return refuse(error, "the token has expired; ask for a new one");
    if (!read_time(payload, "nbf", &not_before_s) && json_object_get(payload, "nbf"))
        return refuse(error, "the token's nbf is not a number of seconds");
    if (not_before_s > now_s + LEEWAY_S)
        return refuse(error, "the token is not valid yet; check this machine's clock");
    if (!tk_role_parse(tk_json_string(payload, "role", NULL), &role))
        return refuse(error, "the token names no role that is known here");
    if (!lesson_allowed(lesson) || !school_allowed(school))
        return refuse(error, "the token names no lesson, or has a bad name in it");

    (void)!read_time(payload, "iat", &issued_s);
    TkClaims *claims = g_new0(TkClaims, 1);
    claims->role = role;
    claims->lesson = g_strdup(lesson);
    claims->school = g_strdup(school);
    claims->issued_s = issued_s;
    claims->not_before_s = not_before_s;
    claims->expires_s = expires_s;
    return claims;
}

TkClaims *tk_token_verify(const TkTokenKey *key, const char *token, gint64 now_s, GError **error)
{
    gsize signature_length, payload_length;

    if (!token || !*token)
        return refuse(error, "a token is needed");
    if (strnlen(token, TOKEN_MAX + 1) > TOKEN_MAX)
        return refuse(error, "the token is longer than 4096 bytes");
    const char *payload64 = strchr(token, '.');
    const char *signature64 = payload64 ? strchr(payload64 + 1, '.') : NULL;
    if (!signature64 || strchr(signature64 + 1, '.'))
        return refuse(error, "not a token: three parts with dots between are expected");
    if (!header_fits(key, token, (gsize)(payload64 - token)))
        return refuse(error, "the token is not signed by the algorithm that is in use here");

    g_autofree guint8 *signature =
        tk_base64url_decode(signature64 + 1, strlen(signature64 + 1), &signature_length);
    if (!signature ||
        !tk_token_key_check(key, token, (gsize)(signature64 - token), signature, signature_length))
        return refuse(error, "the token's signature is wrong");

    g_autofree guint8 *payload =
        tk_base64url_decode(payload64 + 1, (gsize)(signature64 - payload64 - 1), &payload_length);
    g_autoptr(json_t) object =
        payload ? tk_json_parse((const char *)payload, payload_length, TOKEN_MAX, NULL) : NULL;
    if (!json_is_object(object))
        return refuse(error, "the token's claims are not a JSON object");
    return read_claims(object, now_s, error);
}
