// SPDX-License-Identifier: MIT
#pragma once

#include <glib.h>

// The one error domain. Each code has a word that is the same in the log, in API problem documents
// (RFC 9457, member "code") and in metrics; words never change once released.
typedef enum {
    TK_ERROR_INVALID,      // "invalid": the request or file does not make sense
    TK_ERROR_CONFIG,       // "config": a configuration value is unknown, doubled or out of range
    TK_ERROR_UNAUTHORIZED, // "unauthorized": no token, or one that is not valid
    TK_ERROR_FORBIDDEN,    // "forbidden": the token is valid but does not allow this
    TK_ERROR_NOT_FOUND,    // "not-found"
    TK_ERROR_CONFLICT,     // "conflict": somebody else holds it
    TK_ERROR_GONE,         // "gone": it was, and will not be again
    TK_ERROR_TOO_LARGE,    // "too-large": longer than the stated bound
    TK_ERROR_LIMIT,        // "limit": a count is exhausted; trying later may help
    TK_ERROR_TIMEOUT,      // "timeout"
    TK_ERROR_CLOSED,       // "closed": the peer went away
    TK_ERROR_IO,           // "io": the operating system refused; the message carries its words
    TK_ERROR_UNSUPPORTED,  // "unsupported": understood, but this program cannot do it
    TK_ERROR_UNAVAILABLE,  // "unavailable": not now
    TK_ERROR_INTERNAL,     // "internal": a fault of ours
} TkErrorCode;

#define TK_ERROR (tk_error_quark())
GQuark tk_error_quark(void);

// The stable word of a code. Borrowed, static.
const char *tk_error_word(TkErrorCode code);

// The HTTP status (RFC 9110) that answers `error`; 500 for errors of other domains.
// RTSP (RFC 2326 section 7.1.1) uses the same numbers.
unsigned tk_error_http_status(const GError *error);
