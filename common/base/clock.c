// SPDX-License-Identifier: MIT
#include "common/base/clock.h"

#include <string.h>
#include <time.h>

#include "common/base/error.h"

// Seconds from 1900-01-01 to 1970-01-01 (RFC 5905 section 6, figure 4).
#define NTP_UNIX_OFFSET G_GUINT64_CONSTANT(2208988800)

// What 64 bits of nanoseconds hold, in whole years.
#define YEAR_MIN 1678
#define YEAR_MAX 2261

static gint64 clock_ns(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0)
        g_error("clock_gettime(%d) failed", (int)id);
    return (gint64)now.tv_sec * TK_NS_PER_S + now.tv_nsec;
}

gint64 tk_clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

gint64 tk_clock_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

static gint64 floor_seconds(gint64 ns)
{
    return ns / TK_NS_PER_S - (ns % TK_NS_PER_S < 0);
}

guint64 tk_clock_ntp_from_wall(gint64 wall_ns)
{
    gint64 seconds = floor_seconds(wall_ns);
    guint64 rest = (guint64)(wall_ns - seconds * TK_NS_PER_S);
    guint32 upper = (guint32)((guint64)seconds + NTP_UNIX_OFFSET);
    // Rounded up, so that the way back, which rounds down, gives the same nanosecond.
    guint64 lower = ((rest << 32) + TK_NS_PER_S - 1) / TK_NS_PER_S;

    return (guint64)upper << 32 | lower;
}

gint64 tk_clock_wall_from_ntp(guint64 ntp)
{
    guint64 seconds = ntp >> 32;

    // Era 1 begins in 2036: a clear top bit means a time after that (RFC 4330 section 3).
    if (!(seconds & 0x80000000u))
        seconds += G_GUINT64_CONSTANT(1) << 32;
    return ((gint64)seconds - (gint64)NTP_UNIX_OFFSET) * TK_NS_PER_S +
           (gint64)(((ntp & 0xffffffffu) * (guint64)TK_NS_PER_S) >> 32);
}

char *tk_clock_format_rfc3339(gint64 wall_ns)
{
    gint64 seconds = floor_seconds(wall_ns);
    int ms = (int)((wall_ns - seconds * TK_NS_PER_S) / TK_NS_PER_MS);
    time_t when = (time_t)seconds;
    struct tm tm;

    // Zones of old times had seconds in their offset, which RFC 3339 cannot say: show UTC then.
    if (!localtime_r(&when, &tm) || tm.tm_gmtoff % 60 != 0)
        gmtime_r(&when, &tm);
    long offset_min = tm.tm_gmtoff / 60;
    long distance = offset_min < 0 ? -offset_min : offset_min;

    return g_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02d.%03d%c%02ld:%02ld", tm.tm_year + 1900,
                           tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, ms,
                           offset_min < 0 ? '-' : '+', distance / 60, distance % 60);
}

// Exactly `digits` decimal digits; moves *p behind them.
static gboolean take_number(const char **p, int digits, int min, int max, int *ret)
{
    int value = 0;

    for (int i = 0; i < digits; i++, (*p)++) {
        if (!g_ascii_isdigit(**p))
            return FALSE;
        value = value * 10 + (**p - '0');
    }
    if (value < min || value > max)
        return FALSE;
    *ret = value;
    return TRUE;
}

static gboolean take_char(const char **p, const char *any_of)
{
    if (!**p || !strchr(any_of, **p))
        return FALSE;
    (*p)++;
    return TRUE;
}

static gboolean take_fraction(const char **p, gint64 *ret_ns)
{
    gint64 ns = 0, scale = TK_NS_PER_S;

    if (!g_ascii_isdigit(**p))
        return FALSE;
    for (; g_ascii_isdigit(**p); (*p)++) {
        scale /= 10;
        ns += (**p - '0') * scale;
    }
    *ret_ns = ns;
    return TRUE;
}

static gboolean take_offset(const char **p, int *ret_seconds)
{
    int hours, minutes;
    char sign = **p;

    if (take_char(p, "Zz")) {
        *ret_seconds = 0;
        return TRUE;
    }
    if (!take_char(p, "+-") || !take_number(p, 2, 0, 23, &hours) || !take_char(p, ":") ||
        !take_number(p, 2, 0, 59, &minutes))
        return FALSE;
    *ret_seconds = (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return TRUE;
}

static gboolean parse(const char *p, gint64 *ret_wall_ns)
{
    struct tm tm = {.tm_isdst = -1};
    int year, month, day, offset_s;
    gint64 fraction_ns = 0;

    if (!take_number(&p, 4, YEAR_MIN, YEAR_MAX, &year) || !take_char(&p, "-") ||
        !take_number(&p, 2, 1, 12, &month) || !take_char(&p, "-") ||
        !take_number(&p, 2, 1, 31, &day) ||
        !g_date_valid_dmy((GDateDay)day, (GDateMonth)month, (GDateYear)year))
        return FALSE;
    tm.tm_year = year - 1900;
    tm.tm_mon = month - 1;
    tm.tm_mday = day;
    if (*p == '\0') {
        *ret_wall_ns = (gint64)mktime(&tm) * TK_NS_PER_S;
        return TRUE;
    }
    // 60 is a leap second; it counts as the next minute's first.
    if (!take_char(&p, "Tt ") || !take_number(&p, 2, 0, 23, &tm.tm_hour) || !take_char(&p, ":") ||
        !take_number(&p, 2, 0, 59, &tm.tm_min) || !take_char(&p, ":") ||
        !take_number(&p, 2, 0, 60, &tm.tm_sec))
        return FALSE;
    if (take_char(&p, ".") && !take_fraction(&p, &fraction_ns))
        return FALSE;
    if (!take_offset(&p, &offset_s) || *p != '\0')
        return FALSE;
    *ret_wall_ns = ((gint64)timegm(&tm) - offset_s) * TK_NS_PER_S + fraction_ns;
    return TRUE;
}

gboolean tk_clock_parse_rfc3339(const char *text, gint64 *ret_wall_ns, GError **error)
{
    if (text && parse(text, ret_wall_ns))
        return TRUE;
    g_set_error_literal(error, TK_ERROR, TK_ERROR_INVALID,
                        "not a time; write 2026-11-22T10:05:00+08:00 or 2026-11-22");
    return FALSE;
}
