/*
 * Instants, wall-clock times and durations, and their text forms.
 *
 * Calendar arithmetic is done here on the proleptic Gregorian calendar, always in UTC: the C
 * library's functions read the time zone, which has no place in a daemon's files, and they stop at
 * some year. Years are counted from March, so that the leap day is the last day of a year:
 *
 *     day number = 365 y + y/4 - y/100 + y/400 + (153 m + 2)/5 + d      m = 0 for March
 *
 * Text is RFC 3339 as containerd and nerdctl write it into their files and labels (nanoseconds,
 * trailing zeros dropped), and Go's duration text, which their options use.
 */

#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define DAY_SECONDS   86400
#define NS_PER_SECOND 1000000000

struct nd_mono
nd_mono_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct nd_mono){(int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec};
}

struct nd_wall
nd_wall_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (struct nd_wall){now.tv_sec, (int32_t)now.tv_nsec};
}

struct date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

#define ERA_DAYS    146097 /* in 400 years */
#define EPOCH_SHIFT 719468 /* days from 0000-03-01 to 1970-01-01 */

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01. */
static int64_t
days_of(struct date d)
{
    int64_t year = d.year - (d.month <= 2);
    int64_t era = floor_div(year, 400);
    int64_t y = year - era * 400;
    int64_t m = (d.month + 9) % 12;
    int64_t in_era = 365 * y + y / 4 - y / 100 + (153 * m + 2) / 5 + d.day - 1;

    return era * ERA_DAYS + in_era - EPOCH_SHIFT;
}

static struct date
date_of(int64_t days)
{
    int64_t era = floor_div(days + EPOCH_SHIFT, ERA_DAYS);
    int64_t in_era = days + EPOCH_SHIFT - era * ERA_DAYS;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100);
    int64_t m = (5 * in_year + 2) / 153;
    struct date d = {
        .year = era * 400 + y,
        .month = (int)(m < 10 ? m + 3 : m - 9),
        .day = (int)(in_year - (153 * m + 2) / 5 + 1),
    };

    d.year += d.month <= 2;
    return d;
}

size_t
nd_wall_format_full(struct nd_wall at, char dst[ND_RFC3339_SIZE])
{
    int64_t days = floor_div(at.sec, DAY_SECONDS);
    int in_day = (int)((at.sec % DAY_SECONDS + DAY_SECONDS) % DAY_SECONDS);
    struct date d = date_of(days);
    int len;

    len = snprintf(dst, ND_RFC3339_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d.%09dZ", (long long)d.year,
                   d.month, d.day, in_day / 3600, in_day / 60 % 60, in_day % 60, at.nsec);
    ND_INVARIANT(len > 0 && len < ND_RFC3339_SIZE);
    return (size_t)len;
}

size_t
nd_wall_format(struct nd_wall at, char dst[ND_RFC3339_SIZE])
{
    size_t len = nd_wall_format_full(at, dst) - 1; /* without the Z */

    while (dst[len - 1] == '0')
        len--;
    if (dst[len - 1] == '.')
        len--;
    else if (dst[len - 1] == ':')
        len += 2;
    dst[len++] = 'Z';
    dst[len] = '\0';
    return len;
}

/* What is left to read. */
struct cursor {
    const char *at;
    const char *end;
};

static struct cursor
cursor_of(struct nd_str text)
{
    const char *start = text.ptr != NULL ? text.ptr : "";

    return (struct cursor){start, start + text.len};
}

static bool
take_char(struct cursor *c, char want)
{
    if (c->at == c->end || *c->at != want)
        return false;
    c->at++;
    return true;
}

static bool
at_digit(const struct cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

/* Exactly `width` digits, at most `max`. */
static bool
take_digits(struct cursor *c, int width, int max, int *ret)
{
    int v = 0;

    for (int i = 0; i < width; i++) {
        if (!at_digit(c))
            return false;
        v = v * 10 + (*c->at++ - '0');
    }
    *ret = v;
    return v <= max;
}

static int
month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool
take_date(struct cursor *c, struct date *ret)
{
    int year, month, day;

    if (!take_digits(c, 4, 9999, &year) || !take_char(c, '-'))
        return false;
    if (!take_digits(c, 2, 12, &month) || month == 0 || !take_char(c, '-'))
        return false;
    if (!take_digits(c, 2, month_days(year, month), &day) || day == 0)
        return false;
    *ret = (struct date){year, month, day};
    return true;
}

/* A '.' and 1 to 9 digits, or nothing. */
static bool
take_fraction(struct cursor *c, int32_t *ret_nsec)
{
    int32_t nsec = 0;
    int32_t unit = NS_PER_SECOND;

    *ret_nsec = 0;
    if (!take_char(c, '.'))
        return true;
    for (; at_digit(c); c->at++) {
        if (unit == 1)
            return false;
        unit /= 10;
        nsec += (*c->at - '0') * unit;
    }
    *ret_nsec = nsec;
    return unit < NS_PER_SECOND;
}

/* Z or an offset, in seconds east of UTC. */
static bool
take_zone(struct cursor *c, int *ret_offset)
{
    int hours, minutes;
    bool west;

    *ret_offset = 0;
    if (take_char(c, 'Z') || take_char(c, 'z'))
        return true;
    west = take_char(c, '-');
    if (!west && !take_char(c, '+'))
        return false;
    if (!take_digits(c, 2, 23, &hours) || !take_char(c, ':') || !take_digits(c, 2, 59, &minutes))
        return false;
    *ret_offset = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static bool
take_clock(struct cursor *c, int *ret_seconds)
{
    int hour, minute, second;

    if (!take_digits(c, 2, 23, &hour) || !take_char(c, ':'))
        return false;
    if (!take_digits(c, 2, 59, &minute) || !take_char(c, ':'))
        return false;
    if (!take_digits(c, 2, 59, &second))
        return false;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    return true;
}

struct nd_error *
nd_wall_parse(struct nd_str text, struct nd_wall *ret)
{
    struct cursor c = cursor_of(text);
    int seconds, offset;
    struct date date;
    int32_t nsec;
    bool ok;

    ok = take_date(&c, &date) && (take_char(&c, 'T') || take_char(&c, 't')) &&
         take_clock(&c, &seconds) && take_fraction(&c, &nsec) && take_zone(&c, &offset) &&
         c.at == c.end;
    if (!ok)
        return nd_error_new(ND_INVALID, "\"%.*s\" is not an RFC 3339 time",
                            ND_STR_ARG(nd_str_sub(text, 0, ND_RFC3339_SIZE)));
    ret->sec = days_of(date) * DAY_SECONDS + seconds - offset;
    ret->nsec = nsec;
    return NULL;
}

int
nd_wall_cmp(struct nd_wall a, struct nd_wall b)
{
    if (a.sec != b.sec)
        return a.sec < b.sec ? -1 : 1;
    return (a.nsec > b.nsec) - (a.nsec < b.nsec);
}

struct nd_wall
nd_wall_add(struct nd_wall at, int64_t duration_ns)
{
    int64_t sec = floor_div(duration_ns, NS_PER_SECOND);
    int64_t rest = (duration_ns % NS_PER_SECOND + NS_PER_SECOND) % NS_PER_SECOND;
    int64_t nsec = rest + at.nsec;

    sec += nsec / NS_PER_SECOND;
    nsec %= NS_PER_SECOND;
    if (__builtin_add_overflow(at.sec, sec, &sec)) /* the end of time is the best answer */
        return duration_ns > 0 ? (struct nd_wall){INT64_MAX, NS_PER_SECOND - 1}
                               : (struct nd_wall){INT64_MIN, 0};
    return (struct nd_wall){sec, (int32_t)nsec};
}

static bool
take_unit(struct cursor *c, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},
        {"us", ND_MICROSECOND},
        {"\xc2\xb5s", ND_MICROSECOND}, /* the micro sign and the Greek letter */
        {"\xce\xbcs", ND_MICROSECOND},
        {"ms", ND_MILLISECOND},
        {"s", ND_SECOND},
        {"m", ND_MINUTE},
        {"h", ND_HOUR},
    };

    for (size_t i = 0; i < ND_LEN(units); i++) {
        struct nd_str name = nd_str(units[i].name);

        if (nd_str_starts(nd_str_n(c->at, (size_t)(c->end - c->at)), name)) {
            c->at += name.len;
            *ret_ns = units[i].ns;
            return true;
        }
    }
    return false;
}

/* One "12.5h", added to *sum. */
static bool
take_part(struct cursor *c, uint64_t *sum)
{
    const char *start = c->at;
    uint64_t whole = 0, fraction = 0, scale = 1, unit;
    size_t digits;
    bool dot;

    for (; at_digit(c); c->at++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*c->at - '0'), &whole))
            return false;
    }
    dot = take_char(c, '.');
    for (; dot && at_digit(c); c->at++) {
        if (scale > UINT64_MAX / 100)
            continue; /* finer than a nanosecond in every unit */
        fraction = fraction * 10 + (uint64_t)(*c->at - '0');
        scale *= 10;
    }
    digits = (size_t)(c->at - start) - (dot ? 1 : 0);
    if (digits == 0 || !take_unit(c, &unit))
        return false;

    fraction = (uint64_t)((unsigned __int128)fraction * unit / scale);
    return !__builtin_mul_overflow(whole, unit, &whole) &&
           !__builtin_add_overflow(whole, fraction, &whole) &&
           !__builtin_add_overflow(*sum, whole, sum);
}

struct nd_error *
nd_duration_parse(struct nd_str text, int64_t *ret_ns)
{
    struct cursor c = cursor_of(text);
    bool negative = take_char(&c, '-');
    uint64_t sum = 0;
    bool ok;

    if (!negative)
        (void)take_char(&c, '+');
    if (c.end - c.at == 1 && *c.at == '0') {
        *ret_ns = 0;
        return NULL;
    }
    ok = c.at < c.end;
    while (ok && c.at < c.end)
        ok = take_part(&c, &sum);
    if (!ok || sum > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return nd_error_new(ND_INVALID, "\"%.*s\" is not a duration such as 1h30m or 1.5s",
                            ND_STR_ARG(nd_str_sub(text, 0, ND_RFC3339_SIZE)));
    *ret_ns = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return NULL;
}
