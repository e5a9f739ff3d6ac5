// SPDX-License-Identifier: MIT
#include "common/base/token.h"

#include "client/ctl/command.h"
#include "client/ctl/span.h"
#include "common/base/clock.h"
#include "common/base/error.h"

gboolean ctl_key_new(const CtlOptions *options, GError **error)
{
    const char *path = options->words[0];
    g_autoptr(TkTokenKey) key =
        tk_token_key_generate(options->algorithm ? options->algorithm : "HS256", error);

    if (!key || !tk_token_key_save(key, path, FALSE, error))
        return FALSE;
    if (options->public_path && !tk_token_key_save(key, options->public_path, TRUE, error))
        return FALSE;
    printf("%s: a new %s key, readable by you only\n", path, tk_token_key_algorithm(key));
    if (options->public_path)
        printf("%s: its public part, which checks tokens but cannot make them\n",
               options->public_path);
    return TRUE;
}

static gboolean missing(const char *option, const char *what, GError **error)
{
    g_set_error(error, TK_ERROR, TK_ERROR_INVALID, "%s is needed: %s", option, what);
    return FALSE;
}

gboolean ctl_token_issue(const CtlOptions *options, GError **error)
{
    gint64 now_s = tk_clock_wall_ns() / TK_NS_PER_S, span_s;
    TkClaims claims = {
        .lesson = options->lesson ? options->lesson : (char *)"*",
        .school = options->school,
        .issued_s = now_s,
    };

    if (!options->key_path)
        return missing("--key FILE", "the key that relay and recorder have", error);
    if (!options->role || !tk_role_parse(options->role, &claims.role))
        return missing("--role ROLE", "viewer, sender, recorder or admin", error);
    if (!ctl_span_parse(options->expires ? options->expires : "30d", &span_s, error))
        return FALSE;
    claims.expires_s = now_s + span_s;
    g_autoptr(TkTokenKey) key = tk_token_key_load(options->key_path, error);
    g_autofree char *token = key ? tk_token_issue(key, &claims, error) : NULL;
    if (!token)
        return FALSE;
    printf("%s\n", token);
    return TRUE;
}
