// SPDX-License-Identifier: MIT
#include <string.h>

#include "common/base/clock.h"
#include "common/base/token.h"
#include "common/base/token_key.h"
#include "tests/fuzz/target.h"

#define NOW G_GINT64_CONSTANT(1795313100)

// Signs the input as header or claims, so that what stands behind the signature is reached too.
static char *signed_as(const TkTokenKey *key, const char *header, gsize header_length,
                       const char *payload, gsize payload_length)
{
    guint8 signature[TK_TOKEN_SIGNATURE_MAX];
    g_autofree char *a = tk_base64url_encode(header, header_length);
    g_autofree char *b = tk_base64url_encode(payload, payload_length);
    g_autofree char *text = g_strdup_printf("%s.%s", a, b);
    gsize length = tk_token_key_sign(key, text, strlen(text), signature, NULL);
    g_autofree char *c = tk_base64url_encode(signature, length);

    return g_strdup_printf("%s.%s", text, c);
}

static void verify(const TkTokenKey *key, const char *token)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, &error);

    g_assert((claims == NULL) == (error != NULL));
    g_assert(!claims || (claims->lesson && tk_claims_left_ns(claims, NOW * TK_NS_PER_S) > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char header[] = "{\"alg\":\"HS256\"}";
    static const char claims[] =
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100}";
    static TkTokenKey *key;
    const char *text = (const char *)data;

    if (!key)
        key = tk_token_key_generate("HS256", NULL);
    g_autofree char *raw = g_strndup(text, size);
    g_autofree char *as_header = signed_as(key, text, size, claims, strlen(claims));
    g_autofree char *as_claims = signed_as(key, header, strlen(header), text, size);
    verify(key, raw);
    verify(key, as_header);
    verify(key, as_claims);
    return 0;
}
