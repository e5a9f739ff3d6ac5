// SPDX-License-Identifier: MIT
#include "common/base/error.h"

G_DEFINE_QUARK(tk - error - quark, tk_error)

static const struct {
    const char *word;
    unsigned status;
} codes[] = {
    [TK_ERROR_INVALID] = {"invalid", 400},
    [TK_ERROR_CONFIG] = {"config", 400},
    [TK_ERROR_UNAUTHORIZED] = {"unauthorized", 401},
    [TK_ERROR_FORBIDDEN] = {"forbidden", 403},
    [TK_ERROR_NOT_FOUND] = {"not-found", 404},
    [TK_ERROR_CONFLICT] = {"conflict", 409},
    [TK_ERROR_GONE] = {"gone", 410},
    [TK_ERROR_TOO_LARGE] = {"too-large", 413},
    [TK_ERROR_LIMIT] = {"limit", 429},
    [TK_ERROR_TIMEOUT] = {"timeout", 504},
    [TK_ERROR_CLOSED] = {"closed", 502},
    [TK_ERROR_IO] = {"io", 500},
    [TK_ERROR_UNSUPPORTED] = {"unsupported", 415},
    [TK_ERROR_UNAVAILABLE] = {"unavailable", 503},
    [TK_ERROR_INTERNAL] = {"internal", 500},
};

const char *tk_error_word(TkErrorCode code)
{
    if ((gsize)code >= G_N_ELEMENTS(codes))
        return codes[TK_ERROR_INTERNAL].word;
    return codes[code].word;
}

unsigned tk_error_http_status(const GError *error)
{
    if (!error || error->domain != TK_ERROR || error->code < 0 ||
        (gsize)error->code >= G_N_ELEMENTS(codes))
        return 500;
    return codes[error->code].status;
}
