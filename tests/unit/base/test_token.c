// SPDX-License-Identifier: MIT
#include <glib/gstdio.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "common/base/token.h"
#include "common/base/token_key.h"

#define NOW G_GINT64_CONSTANT(1795313100)

static TkTokenKey *new_key(const char *algorithm)
{
    g_autoptr(GError) error = NULL;
    TkTokenKey *key = tk_token_key_generate(algorithm, &error);

    assert_non_null(key);
    assert_string_equal(tk_token_key_algorithm(key), algorithm);
    return key;
}

static char *issued(const TkTokenKey *key, TkRole role, const char *lesson)
{
    g_autoptr(GError) error = NULL;
    TkClaims claims = {role, (char *)lesson, (char *)"一中", NOW, 0, NOW + 3600};
    char *token = tk_token_issue(key, &claims, &error);

    assert_non_null(token);
    return token;
}

// Signs whatever header and payload are given: what an attacker, or a sloppy issuer, could send.
static char *signed_as(const TkTokenKey *key, const char *header, const char *payload)
{
    guint8 signature[TK_TOKEN_SIGNATURE_MAX];
    g_autofree char *a = tk_base64url_encode(header, strlen(header));
    g_autofree char *b = tk_base64url_encode(payload, strlen(payload));
    g_autofree char *text = g_strdup_printf("%s.%s", a, b);
    gsize length = tk_token_key_sign(key, text, strlen(text), signature, NULL);
    g_autofree char *c = tk_base64url_encode(signature, length);

    return g_strdup_printf("%s.%s", text, c);
}

static void refused(const TkTokenKey *key, const char *token, const char *why)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, &error);

    if (claims)
        fail_msg("taken, although %s", why);
    assert_null(token && strlen(token) > 8 ? strstr(error->message, token) : NULL);
    check_error(error, TK_ERROR_UNAUTHORIZED);
}

static void refused_claims(const TkTokenKey *key, const char *payload)
{
    g_autofree char *token = signed_as(key, "{\"alg\":\"HS256\"}", payload);

    refused(key, token, payload);
}

static void tokens_carry_their_claims(void **state)
{
    static const char *const algorithms[] = {"HS256", "EdDSA"};

    for (gsize i = 0; i < G_N_ELEMENTS(algorithms); i++) {
        g_autoptr(TkTokenKey) key = new_key(algorithms[i]);
        g_autofree char *token = issued(key, TK_ROLE_SENDER, "math");
        g_autoptr(GError) error = NULL;
        g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, &error);

        assert_non_null(claims);
        assert_int_equal(claims->role, TK_ROLE_SENDER);
        assert_string_equal(claims->lesson, "math");
        assert_string_equal(claims->school, "一中");
        assert_int_equal(claims->issued_s, NOW);
        assert_int_equal(claims->not_before_s, 0);
        assert_int_equal(claims->expires_s, NOW + 3600);
        assert_null(strpbrk(token, "=+/"));
    }
}

static void rfc7515_example_verifies(void **state)
{
    // RFC 7515 appendix A.1: the signature of another's implementation, with its key.
    static const char key_text[] =
        "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJ"
        "QLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}";
    static const char text[] =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJle"
        "HAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    g_autofree char *folder = g_dir_make_tmp("tongke-test-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "key", NULL);
    gsize length;
    g_autofree guint8 *signature =
        tk_base64url_decode("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 43, &length);

    assert_true(g_file_set_contents_full(path, key_text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    g_autoptr(TkTokenKey) key = tk_token_key_load(path, NULL);
    assert_non_null(key);
    assert_true(tk_token_key_check(key, text, strlen(text), signature, length));
    signature[31] ^= 1;
    assert_false(tk_token_key_check(key, text, strlen(text), signature, length));
    g_remove(path);
    g_rmdir(folder);
}

static void alg_is_the_keys_business(void **state)
{
    static const char good[] =
        "{\"aud\":\"tongke\",\"role\":\"admin\",\"lesson\":\"*\",\"exp\":1895313100}";
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"\"}",
        "{}",
        "{\"alg\":\"HS512\"}",
        "{\"alg\":\"EdDSA\"}",
        "{\"alg\":\"hs256\"}",
        "{\"alg\":null}",
        "{\"alg\":[\"HS256\"]}",
        "[]",
        "\"HS256\"",
        "{\"alg\":\"none\",\"alg\":\"HS256\"}",
        "",
        "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}",
    };
    g_autoptr(TkTokenKey) key = new_key("HS256");
    g_autofree char *ok = signed_as(key, "{\"alg\":\"HS256\"}", good);
    g_autoptr(TkClaims) claims = tk_token_verify(key, ok, NOW, NULL);

    assert_non_null(claims);
    for (gsize i = 0; i < G_N_ELEMENTS(headers); i++) {
        g_autofree char *token = signed_as(key, headers[i], good);
        refused(key, token, headers[i]);
    }
    // The unsigned token itself: header.payload. with nothing behind.
    g_autofree char *a = tk_base64url_encode("{\"alg\":\"none\"}", 14);
    g_autofree char *b = tk_base64url_encode(good, strlen(good));
    g_autofree char *unsigned_token = g_strdup_printf("%s.%s.", a, b);
    refused(key, unsigned_token, "alg=none");
}

static void keys_do_not_open_each_others_doors(void **state)
{
    g_autoptr(TkTokenKey) one = new_key("HS256");
    g_autoptr(TkTokenKey) other = new_key("HS256");
    g_autoptr(TkTokenKey) pair = new_key("EdDSA");
    g_autoptr(TkTokenKey) other_pair = new_key("EdDSA");
    g_autofree char *token = issued(one, TK_ROLE_VIEWER, "*");
    g_autofree char *pair_token = issued(pair, TK_ROLE_VIEWER, "*");

    refused(other, token, "another secret signed it");
    refused(pair, token, "another algorithm signed it");
    refused(other_pair, pair_token, "another pair signed it");
    refused(one, pair_token, "another algorithm signed it");
}

static void any_changed_character_is_seen(void **state)
{
    static const char *const algorithms[] = {"HS256", "EdDSA"};

    for (gsize a = 0; a < G_N_ELEMENTS(algorithms); a++) {
        g_autoptr(TkTokenKey) key = new_key(algorithms[a]);
        g_autofree char *token = issued(key, TK_ROLE_VIEWER, "math");
        gsize length = strlen(token);

        for (gsize i = 0; i < length; i++) {
            g_autofree char *changed = g_strdup(token);
            changed[i] = changed[i] == 'A' ? 'B' : 'A';
            refused(key, changed, "a character was changed");
            changed[i] = '\0';
            refused(key, changed, "its end was cut off");
        }
    }
}

static void time_is_kept(void **state)
{
    g_autoptr(TkTokenKey) key = new_key("HS256");
    TkClaims claims = {TK_ROLE_VIEWER, (char *)"*", NULL, NOW, NOW + 100, NOW + 200};
    g_autofree char *token = tk_token_issue(key, &claims, NULL);
    static const struct {
        gint64 at;
        gboolean good;
    } moments[] = {
        {69, FALSE}, {70, TRUE}, {100, TRUE}, {199, TRUE}, {229, TRUE}, {230, FALSE}, {9999, FALSE},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(moments); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(TkClaims) read = tk_token_verify(key, token, NOW + moments[i].at, &error);
        if ((read != NULL) != moments[i].good)
            fail_msg("wrong %d s after issue", (int)moments[i].at);
        assert_true(!error || tk_error_http_status(error) == 401);
    }
}

#define TOKEN_WITH_EXP(exp)                                                                        \
    "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":" exp "}"

// RFC 7519 section 2: any JSON number, also fractions and years that nanoseconds do not reach.
static void times_are_any_numbers(void **state)
{
    static const struct {
        const char *payload;
        gint64 expires_s;
    } right[] = {
        {TOKEN_WITH_EXP("1795313200.75"), NOW + 100},
        {TOKEN_WITH_EXP("1.7953132e9"), NOW + 100},
        {TOKEN_WITH_EXP("1795313200,\"nbf\":1795313100.5,\"iat\":0.5"), NOW + 100},
        {TOKEN_WITH_EXP("253402300799"), 9000000000},
        {TOKEN_WITH_EXP("9223372036854775807"), 9000000000},
        {TOKEN_WITH_EXP("1e300"), 9000000000},
    };
    g_autoptr(TkTokenKey) key = new_key("HS256");

    for (gsize i = 0; i < G_N_ELEMENTS(right); i++) {
        g_autofree char *token = signed_as(key, "{\"alg\":\"HS256\"}", right[i].payload);
        g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, NULL);
        assert_non_null(claims);
        assert_int_equal(claims->expires_s, right[i].expires_s);
        assert_true(tk_claims_left_ns(claims, NOW * TK_NS_PER_S) >= 130 * TK_NS_PER_S);
        assert_true(tk_claims_left_ns(claims, G_MAXINT64) < 0);
    }
    refused_claims(key, TOKEN_WITH_EXP("-1e300"));
    refused_claims(key, TOKEN_WITH_EXP("1795313069.9"));
    refused_claims(key, TOKEN_WITH_EXP("1895313100,\"nbf\":1795313131.5"));
    refused_claims(key, TOKEN_WITH_EXP("1895313100,\"nbf\":1e300"));
    refused_claims(key, TOKEN_WITH_EXP("true"));
}

static void claims_must_all_be_right(void **state)
{
    static const char *const wrong[] = {
        // aud
        "{\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100}",
        "{\"aud\":\"other\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100}",
        "{\"aud\":[\"a\",7],\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100}",
        // exp
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\"}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":\"1895313100\"}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":null}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":-9223372036854775808}",
        // nbf
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100,\"nbf\":"
        "1795399999}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100,\"nbf\":"
        "\"0\"}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100,"
        "\"nbf\":9223372036854775807}",
        // role
        "{\"aud\":\"tongke\",\"lesson\":\"*\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":\"root\",\"lesson\":\"*\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":3,\"lesson\":\"*\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"role\":\"admin\",\"lesson\":\"*\",\"exp\":"
        "1895313100}",
        // lesson
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"../x\",\"exp\":1895313100}",
        "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":[\"*\"],\"exp\":1895313100}",
        // not an object, not JSON, nothing
        "[]",
        "null",
        "{\"aud\":\"tongke\"",
        "",
    };
    g_autoptr(TkTokenKey) key = new_key("HS256");

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++)
        refused_claims(key, wrong[i]);

    g_autofree char *token = signed_as(key, "{\"alg\":\"HS256\"}",
                                       "{\"aud\":[\"a\",\"tongke\"],\"role\":\"viewer\","
                                       "\"lesson\":\"*\",\"exp\":9223372036854775807,\"nbf\":0}");
    g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, NULL);
    assert_non_null(claims);
    assert_null(claims->school);
}

static void hostile_forms_are_refused(void **state)
{
    g_autoptr(TkTokenKey) key = new_key("HS256");
    g_autofree char *huge = g_strnfill(1 << 20, 'A');
    g_autofree char *dots = g_strnfill(4000, '.');
    g_autofree char *deep = g_strnfill(2900, '[');
    g_autofree char *token = issued(key, TK_ROLE_VIEWER, "*");
    g_autofree char *padded = g_strconcat(token, "=", NULL);
    g_autofree char *spaced = g_strconcat(token, " ", NULL);
    g_autofree char *four = g_strconcat(token, ".a", NULL);
    const char *const forms[] = {
        NULL, "",   ".",    "..",   "...", "a", "a.b", "a.b.c", "\xff.\xff.\xff",
        huge, dots, padded, spaced, four};

    for (gsize i = 0; i < G_N_ELEMENTS(forms); i++)
        refused(key, forms[i], "its form is wrong");
    refused_claims(key, deep);
    g_autofree char *header = g_strdup_printf("{\"alg\":\"HS256\",\"x\":\"%.600s\"}", huge);
    g_autofree char *long_header =
        signed_as(key, header,
                  "{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":\"*\",\"exp\":1895313100}");
    refused(key, long_header, "its header is long");
    // Right in everything but its length.
    g_autofree char *claims = g_strdup_printf("{\"aud\":\"tongke\",\"role\":\"viewer\",\"lesson\":"
                                              "\"*\",\"exp\":1895313100,\"x\":\"%.3000s\"}",
                                              huge);
    refused_claims(key, claims);
}

static void only_sound_claims_are_issued(void **state)
{
    g_autoptr(TkTokenKey) key = new_key("HS256");
    g_autofree char *longer = g_strnfill(513, 'a');
    const TkClaims wrong[] = {
        {TK_ROLE_VIEWER, NULL, NULL, NOW, 0, NOW + 1},
        {TK_ROLE_VIEWER, (char *)"a/b", NULL, NOW, 0, NOW + 1},
        {TK_ROLE_VIEWER, (char *)"*", longer, NOW, 0, NOW + 1},
        {TK_ROLE_VIEWER, (char *)"*", (char *)"\xff", NOW, 0, NOW + 1},
        {TK_ROLE_VIEWER, (char *)"*", NULL, NOW, 0, 0},
    };

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_null(tk_token_issue(key, &wrong[i], &error));
        check_error(error, TK_ERROR_INVALID);
    }
}

static void roles_allow_what_they_should(void **state)
{
    TkClaims viewer = {TK_ROLE_VIEWER, (char *)"math", NULL, 0, 0, 1};
    TkClaims sender = {TK_ROLE_SENDER, (char *)"01JD0000000000000000000000", NULL, 0, 0, 1};
    TkClaims recorder = {TK_ROLE_RECORDER, (char *)"*", NULL, 0, 0, 1};
    TkClaims admin = {TK_ROLE_ADMIN, (char *)"x", NULL, 0, 0, 1};

    assert_true(tk_claims_allow(&viewer, TK_ROLE_VIEWER, "math", NULL));
    assert_true(tk_claims_allow(&viewer, TK_ROLE_VIEWER, NULL, NULL));
    assert_false(tk_claims_allow(&viewer, TK_ROLE_VIEWER, "art", "01JD0000000000000000000000"));
    assert_false(tk_claims_allow(&viewer, TK_ROLE_VIEWER, NULL, "01JD0000000000000000000000"));
    assert_false(tk_claims_allow(&viewer, TK_ROLE_SENDER, "math", NULL));
    assert_false(tk_claims_allow(&viewer, TK_ROLE_ADMIN, NULL, NULL));
    assert_true(tk_claims_allow(&sender, TK_ROLE_SENDER, "math", "01JD0000000000000000000000"));
    assert_false(tk_claims_allow(&sender, TK_ROLE_SENDER, "math", NULL));
    assert_false(tk_claims_allow(&sender, TK_ROLE_VIEWER, "math", "01JD0000000000000000000000"));
    assert_true(tk_claims_allow(&recorder, TK_ROLE_VIEWER, "math", NULL));
    assert_true(tk_claims_allow(&recorder, TK_ROLE_RECORDER, "math", NULL));
    assert_false(tk_claims_allow(&recorder, TK_ROLE_SENDER, "math", NULL));
    assert_true(tk_claims_allow(&admin, TK_ROLE_SENDER, "math", NULL));
    assert_true(tk_claims_allow(&admin, TK_ROLE_ADMIN, NULL, NULL));
    assert_false(tk_claims_allow(NULL, TK_ROLE_VIEWER, NULL, NULL));
}

static void role_words(void **state)
{
    TkRole role = TK_ROLE_ADMIN;

    for (TkRole each = TK_ROLE_VIEWER; each <= TK_ROLE_ADMIN; each++) {
        assert_true(tk_role_parse(tk_role_word(each), &role));
        assert_int_equal(role, each);
    }
    assert_false(tk_role_parse("Viewer", &role));
    assert_false(tk_role_parse("", &role));
    assert_false(tk_role_parse(NULL, &role));
    assert_int_equal(role, TK_ROLE_ADMIN);
}

typedef struct {
    char *folder, *path;
} Files;

static int make_files(void **state)
{
    Files *files = g_new0(Files, 1);

    files->folder = g_dir_make_tmp("tongke-test-XXXXXX", NULL);
    files->path = g_build_filename(files->folder, "key.jwk", NULL);
    *state = files;
    return files->folder ? 0 : -1;
}

static int remove_files(void **state)
{
    Files *files = *state;

    g_remove(files->path);
    g_rmdir(files->folder);
    g_free(files->path);
    g_free(files->folder);
    g_free(files);
    return 0;
}

static void key_files_there_and_back(void **state)
{
    static const char *const algorithms[] = {"HS256", "EdDSA"};
    Files *files = *state;

    for (gsize i = 0; i < G_N_ELEMENTS(algorithms); i++) {
        g_autoptr(TkTokenKey) key = new_key(algorithms[i]);
        g_autoptr(GError) error = NULL;
        struct stat st;

        assert_true(tk_token_key_save(key, files->path, FALSE, &error));
        assert_int_equal(stat(files->path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        g_autoptr(TkTokenKey) loaded = tk_token_key_load(files->path, &error);
        assert_non_null(loaded);
        g_autofree char *token = issued(loaded, TK_ROLE_VIEWER, "*");
        g_autoptr(TkClaims) claims = tk_token_verify(key, token, NOW, &error);
        assert_non_null(claims);

        assert_false(tk_token_key_save(key, files->path, FALSE, &error));
        check_error(error, TK_ERROR_CONFLICT);
        g_remove(files->path);
    }
}

static void readable_key_files_are_refused(void **state)
{
    static const int modes[] = {0640, 0604, 0644, 0620, 0666};
    Files *files = *state;
    g_autoptr(TkTokenKey) key = new_key("HS256");

    assert_true(tk_token_key_save(key, files->path, FALSE, NULL));
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(GError) error = NULL;
        assert_int_equal(g_chmod(files->path, modes[i]), 0);
        assert_null(tk_token_key_load(files->path, &error));
        check_contains(error->message, "chmod 600");
        check_error(error, TK_ERROR_CONFIG);
    }
    assert_int_equal(g_chmod(files->path, 0400), 0);
    g_autoptr(TkTokenKey) loaded = tk_token_key_load(files->path, NULL);
    assert_non_null(loaded);
}

static void public_keys_verify_only(void **state)
{
    Files *files = *state;
    g_autoptr(TkTokenKey) pair = new_key("EdDSA");
    g_autoptr(TkTokenKey) secret = new_key("HS256");
    g_autoptr(GError) error = NULL;
    g_autofree char *token = issued(pair, TK_ROLE_VIEWER, "*");
    TkClaims claims = {TK_ROLE_ADMIN, (char *)"*", NULL, NOW, 0, NOW + 1};

    assert_false(tk_token_key_save(secret, files->path, TRUE, &error));
    check_error(error, TK_ERROR_UNSUPPORTED);
    assert_true(tk_token_key_save(pair, files->path, TRUE, &error));
    assert_int_equal(g_chmod(files->path, 0644), 0);
    g_autoptr(TkTokenKey) public = tk_token_key_load(files->path, &error);
    assert_non_null(public);
    g_autoptr(TkClaims) read = tk_token_verify(public, token, NOW, &error);
    assert_non_null(read);
    assert_null(tk_token_issue(public, &claims, &error));
    check_error(error, TK_ERROR_UNSUPPORTED);
}

static void broken_key_files_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"kty\":\"oct\"}",
        "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}",
        "{\"kty\":\"oct\",\"alg\":\"none\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"alg\":\"EdDSA\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+\"}",
        "{\"kty\":\"RSA\",\"n\":\"AAAA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        // A private part that is not the public part's.
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"d\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
    };
    Files *files = *state;

    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        assert_true(g_file_set_contents_full(files->path, wrong[i], -1, G_FILE_SET_CONTENTS_NONE,
                                             0600, NULL));
        if (tk_token_key_load(files->path, &error))
            fail_msg("%s was taken for a key", wrong[i]);
        check_contains(error->message, "tongkectl key new");
        check_error(error, TK_ERROR_CONFIG);
    }
    g_autoptr(GError) error = NULL;
    assert_null(tk_token_key_load("no/such/key", &error));
    check_error(error, TK_ERROR_NOT_FOUND);
    assert_null(tk_token_key_generate("RS256", &error));
    check_error(error, TK_ERROR_UNSUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_carry_their_claims),
        cmocka_unit_test(rfc7515_example_verifies),
        cmocka_unit_test(alg_is_the_keys_business),
        cmocka_unit_test(keys_do_not_open_each_others_doors),
        cmocka_unit_test(any_changed_character_is_seen),
        cmocka_unit_test(time_is_kept),
        cmocka_unit_test(times_are_any_numbers),
        cmocka_unit_test(claims_must_all_be_right),
        cmocka_unit_test(hostile_forms_are_refused),
        cmocka_unit_test(only_sound_claims_are_issued),
        cmocka_unit_test(roles_allow_what_they_should),
        cmocka_unit_test(role_words),
        cmocka_unit_test_setup_teardown(key_files_there_and_back, make_files, remove_files),
        cmocka_unit_test_setup_teardown(readable_key_files_are_refused, make_files, remove_files),
        cmocka_unit_test_setup_teardown(public_keys_verify_only, make_files, remove_files),
        cmocka_unit_test_setup_teardown(broken_key_files_are_refused, make_files, remove_files),
    };

    return cmocka_run_group_tests_name("base-token", tests, NULL, NULL);
}
