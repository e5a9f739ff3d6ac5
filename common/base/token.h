// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// JSON Web Tokens (RFC 7519) by one algorithm that the key fixes: HS256 (RFC 7515) or EdDSA with
// Ed25519 (RFC 8037). The key file is a JSON Web Key (RFC 7517), readable by its owner only.
typedef enum {
    TK_ROLE_VIEWER,   // watch: live and library
    TK_ROLE_SENDER,   // publish a lesson, change its metadata, end it
    TK_ROLE_RECORDER, // watch everything, as the recorder does
    TK_ROLE_ADMIN,    // all of it, also deleting
} TkRole;

const char *tk_role_word(TkRole role); // "viewer" …; borrowed, static
gboolean tk_role_parse(const char *word, TkRole *ret_role) G_GNUC_WARN_UNUSED_RESULT;

typedef struct {
    TkRole role;
    char *lesson;        // name or id that the token is for, or "*"
    char *school;        // who it was given to; may be NULL
    gint64 issued_s;     // iat, seconds since 1970
    gint64 not_before_s; // nbf; 0 = none
    gint64 expires_s;    // exp; always there
} TkClaims;              // read of a token, each time fits into nanoseconds since 1970

TkClaims *tk_claims_copy(const TkClaims *claims);
void tk_claims_free(TkClaims *claims);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkClaims, tk_claims_free)

// Whether `claims` allow acting as `role` on `lesson` (NULL: on no lesson in particular, as for a
// list). Admin may everything; a recorder may view. Either of a lesson's names matches: call it
// with name and id. NULL claims: never.
gboolean tk_claims_allow(const TkClaims *claims, TkRole role, const char *name, const char *id);

// How long claims that were read of a token are still good at `wall_ns`, with the leeway of
// tk_token_verify; negative: no longer.
gint64 tk_claims_left_ns(const TkClaims *claims, gint64 wall_ns);

typedef struct _TkTokenKey TkTokenKey;

// `algorithm`: "HS256" or "EdDSA".
TkTokenKey *tk_token_key_generate(const char *algorithm, GError **error);
// Refuses a file that others may read, saying which chmod mends it.
TkTokenKey *tk_token_key_load(const char *path, GError **error);
// Mode 0600; refuses to overwrite. `public_only` leaves the private part out (EdDSA only).
gboolean tk_token_key_save(const TkTokenKey *key, const char *path, gboolean public_only,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *tk_token_key_algorithm(const TkTokenKey *key);
void tk_token_key_free(TkTokenKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TkTokenKey, tk_token_key_free)

// A compact JWS. Newly allocated, or NULL (a public key cannot sign).
char *tk_token_issue(const TkTokenKey *key, const TkClaims *claims, GError **error);

// Checks form, size, algorithm, signature (in constant time), aud ("tongke"), exp and nbf (30 s of
// leeway) at `now_s`. Errors are TK_ERROR_UNAUTHORIZED and never quote the token.
TkClaims *tk_token_verify(const TkTokenKey *key, const char *token, gint64 now_s, GError **error);
