// SPDX-License-Identifier: MIT
#include "common/base/token_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/file.h"
#include "common/base/json.h"

#define FILE_MAX (8 * 1024)
// RFC 7518 section 3.2: not shorter than the hash; longer than this gains nothing.
#define SECRET_MIN 32
#define SECRET_MAX 512

typedef enum { ALGORITHM_HS256, ALGORITHM_EDDSA } Algorithm;

struct _TkTokenKey {
    Algorithm algorithm;
    guint8 secret[SECRET_MAX]; // HS256
    gsize secret_length;
    guint8 seed[crypto_sign_SEEDBYTES]; // EdDSA
    guint8 public[crypto_sign_PUBLICKEYBYTES];
    guint8 private[crypto_sign_SECRETKEYBYTES];
    gboolean can_sign;
};

static const char *const algorithm_words[] = {"HS256", "EdDSA"};

static TkTokenKey *key_new(Algorithm algorithm)
{
    if (sodium_init() < 0)
        g_error("libsodium cannot start");
    TkTokenKey *key = g_new0(TkTokenKey, 1);
    key->algorithm = algorithm;
    return key;
}

void tk_token_key_free(TkTokenKey *key)
{
    if (!key)
        return;
    sodium_memzero(key, sizeof *key);
    g_free(key);
}

const char *tk_token_key_algorithm(const TkTokenKey *key)
{
    return algorithm_words[key->algorithm];
}

char *tk_base64url_encode(const void *data, gsize length)
{
    gsize size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *text = g_malloc(size);

    return sodium_bin2base64(text, size, data, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

guint8 *tk_base64url_decode(const char *text, gsize length, gsize *ret_length)
{
    gsize size = length / 4 * 3 + 3;
    g_autofree guint8 *data = g_malloc(size);
    const char *end = NULL;

    if (sodium_base642bin(data, size, text, length, NULL, ret_length, &end,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        end != text + length)
        return NULL;
    return g_steal_pointer(&data);
}

TkTokenKey *tk_token_key_generate(const char *algorithm, GError **error)
{
    if (g_strcmp0(algorithm, "HS256") == 0) {
        TkTokenKey *key = key_new(ALGORITHM_HS256);
        key->secret_length = SECRET_MIN;
        randombytes_buf(key->secret, key->secret_length);
        key->can_sign = TRUE;
        return key;
    }
    if (g_strcmp0(algorithm, "EdDSA") == 0) {
        TkTokenKey *key = key_new(ALGORITHM_EDDSA);
        randombytes_buf(key->seed, sizeof key->seed);
        crypto_sign_seed_keypair(key->public, key->private, key->seed);
        key->can_sign = TRUE;
        return key;
    }
    g_set_error_literal(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                        "the algorithm must be HS256 or EdDSA");
    return NULL;
}

// object[name] decoded into `ret`; its length, 0 when missing, wrong, or not min..max long.
static gsize take_bytes(const json_t *object, const char *name, guint8 *ret, gsize min, gsize max)
{
    const char *text = tk_json_string(object, name, "");
    gsize length = 0;
    g_autofree guint8 *data = tk_base64url_decode(text, strlen(text), &length);

    if (!data || length < min || length > max)
        return 0;
    memcpy(ret, data, length);
    sodium_memzero(data, length);
    return length;
}

static gboolean take_oct(TkTokenKey *key, const json_t *object)
{
    key->secret_length = take_bytes(object, "k", key->secret, SECRET_MIN, SECRET_MAX);
    key->can_sign = TRUE;
    return key->secret_length > 0;
}

static gboolean take_okp(TkTokenKey *key, const json_t *object)
{
    guint8 derived[sizeof key->public];

    if (g_strcmp0(tk_json_string(object, "crv", NULL), "Ed25519") != 0 ||
        !take_bytes(object, "x", key->public, sizeof key->public, sizeof key->public))
        return FALSE;
    if (!json_object_get(object, "d"))
        return TRUE;
    if (!take_bytes(object, "d", key->seed, sizeof key->seed, sizeof key->seed))
        return FALSE;
    crypto_sign_seed_keypair(derived, key->private, key->seed);
    key->can_sign = TRUE;
    return memcmp(derived, key->public, sizeof derived) == 0;
}

static TkTokenKey *key_from_json(const json_t *object)
{
    const char *kty = tk_json_string(object, "kty", "");
    Algorithm algorithm = g_str_equal(kty, "oct") ? ALGORITHM_HS256 : ALGORITHM_EDDSA;
    const char *alg = tk_json_string(object, "alg", algorithm_words[algorithm]);

    if ((!g_str_equal(kty, "oct") && !g_str_equal(kty, "OKP")) ||
        !g_str_equal(alg, algorithm_words[algorithm]))
        return NULL;
    g_autoptr(TkTokenKey) key = key_new(algorithm);
    gboolean good = algorithm == ALGORITHM_HS256 ? take_oct(key, object) : take_okp(key, object);
    return good ? g_steal_pointer(&key) : NULL;
}

TkTokenKey *tk_token_key_load(const char *path, GError **error)
{
    gsize length;
    struct stat st;
    g_autofree char *data = tk_file_read_stat(path, FILE_MAX, &length, &st, error);

    if (!data)
        return NULL;
    g_autoptr(json_t) object = tk_json_parse(data, length, FILE_MAX, NULL);
    sodium_memzero(data, length);
    g_autoptr(TkTokenKey) key = json_is_object(object) ? key_from_json(object) : NULL;
    if (!key) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "%s: not a JSON Web Key for HS256 (32 to 512 bytes) or EdDSA (Ed25519); "
                    "make one with: tongkectl key new FILE",
                    path);
        return NULL;
    }
    if (key->can_sign && (st.st_mode & (S_IRWXG | S_IRWXO))) {
        g_set_error(error, TK_ERROR, TK_ERROR_CONFIG,
                    "%s: others than its owner may read the key; do: chmod 600 %s", path, path);
        return NULL;
    }
    return g_steal_pointer(&key);
}

static void set_bytes(json_t *object, const char *name, const guint8 *data, gsize length)
{
    g_autofree char *text = tk_base64url_encode(data, length);

    tk_json_set_string(object, name, text);
    sodium_memzero(text, strlen(text));
}

static char *key_json(const TkTokenKey *key, gboolean public_only)
{
    g_autoptr(json_t) object = json_object();

    tk_json_set_string(object, "kty", key->algorithm == ALGORITHM_HS256 ? "oct" : "OKP");
    tk_json_set_string(object, "alg", tk_token_key_algorithm(key));
    if (key->algorithm == ALGORITHM_HS256) {
        set_bytes(object, "k", key->secret, key->secret_length);
    } else {
        tk_json_set_string(object, "crv", "Ed25519");
        set_bytes(object, "x", key->public, sizeof key->public);
        if (!public_only && key->can_sign)
            set_bytes(object, "d", key->seed, sizeof key->seed);
    }
    return tk_json_dump(object);
}

static gboolean write_all(int fd, const char *text)
{
    gsize length = strlen(text);

    while (length > 0) {
        ssize_t written = write(fd, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return FALSE;
        text += written;
        length -= (gsize)written;
    }
    return fsync(fd) == 0;
}

gboolean tk_token_key_save(const TkTokenKey *key, const char *path, gboolean public_only,
                           GError **error)
{
    if (public_only && key->algorithm != ALGORITHM_EDDSA) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                            "an HS256 key has no public part; make an EdDSA key for that");
        return FALSE;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        int code = errno;
        g_set_error(error, TK_ERROR, code == EEXIST ? TK_ERROR_CONFLICT : TK_ERROR_IO, "%s: %s",
                    path, g_strerror(code));
        return FALSE;
    }
    g_autofree char *json = key_json(key, public_only);
    g_autofree char *text = g_strconcat(json, "\n", NULL);
    gboolean good = write_all(fd, text);
    int code = errno;
    sodium_memzero(json, strlen(json));
    sodium_memzero(text, strlen(text));
    if (close(fd) != 0 && good) {
        code = errno;
        good = FALSE;
    }
    if (!good) {
        unlink(path);
        g_set_error(error, TK_ERROR, TK_ERROR_IO, "%s: %s", path, g_strerror(code));
    }
    return good;
}

static void hmac(const TkTokenKey *key, const char *data, gsize length,
                 guint8 ret[crypto_auth_hmacsha256_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key->secret, key->secret_length);
    crypto_auth_hmacsha256_update(&state, (const guint8 *)data, length);
    crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof state);
}

gsize tk_token_key_sign(const TkTokenKey *key, const char *data, gsize length,
                        guint8 ret_signature[TK_TOKEN_SIGNATURE_MAX], GError **error)
{
    if (!key->can_sign) {
        g_set_error_literal(error, TK_ERROR, TK_ERROR_UNSUPPORTED,
                            "this key has only its public part; tokens need the private one");
        return 0;
    }
    if (key->algorithm == ALGORITHM_HS256) {
        hmac(key, data, length, ret_signature);
        return crypto_auth_hmacsha256_BYTES;
    }
    crypto_sign_detached(ret_signature, NULL, (const guint8 *)data, length, key->private);
    return crypto_sign_BYTES;
}

gboolean tk_token_key_check(const TkTokenKey *key, const char *data, gsize length,
                            const guint8 *signature, gsize signature_length)
{
    guint8 expected[crypto_auth_hmacsha256_BYTES];

    if (key->algorithm == ALGORITHM_EDDSA)
        return signature_length == crypto_sign_BYTES &&
               crypto_sign_verify_detached(signature, (const guint8 *)data, length, key->public) ==
                   0;
    if (signature_length != sizeof expected)
        return FALSE;
    hmac(key, data, length, expected);
    return sodium_memcmp(signature, expected, sizeof expected) == 0;
}
