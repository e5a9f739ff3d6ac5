// SPDX-License-Identifier: MIT
#pragma once

#include "common/base/token.h"

// The inside of a key, for token.c only.

// HMAC-SHA256 gives 32 bytes, Ed25519 64.
#define TK_TOKEN_SIGNATURE_MAX 64

// Writes the signature of `data`; its length, or 0 with `error` when the key cannot sign.
gsize tk_token_key_sign(const TkTokenKey *key, const char *data, gsize length,
                        guint8 ret_signature[TK_TOKEN_SIGNATURE_MAX], GError **error);

// In constant time for a given length.
gboolean tk_token_key_check(const TkTokenKey *key, const char *data, gsize length,
                            const guint8 *signature, gsize signature_length);

// base64url without padding (RFC 7515 section 2). Newly allocated.
char *tk_base64url_encode(const void *data, gsize length);
// NULL unless `text` is exactly that. Newly allocated.
guint8 *tk_base64url_decode(const char *text, gsize length, gsize *ret_length);
