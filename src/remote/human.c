/*
 * Ages, sizes and ids for tables.
 *
 * The thresholds are those of docker's units library, which people know by heart without knowing
 * it: 61 seconds are "About a minute", hours are rounded to the nearest, so 89 minutes are "About
 * an hour" and 90 are "2 hours". Sizes have a fixed number of significant digits, so columns stay
 * narrow.
 */

#include "remote/human.h"

#include <stdio.h>

/* In hours: from here on an age is told in the next unit. */
#define FORTNIGHT  336
#define TWO_MONTHS 1440
#define TWO_YEARS  17520

const char *
nd_human_age(struct nd_arena *arena, int64_t age_ns)
{
    int64_t age = age_ns < 0 ? 0 : age_ns;
    int64_t seconds = age / ND_SECOND;
    int64_t minutes = age / ND_MINUTE;
    int64_t hours = age / ND_HOUR + (age % ND_HOUR >= ND_HOUR / 2); /* to the nearest */

    if (seconds < 1)
        return "Less than a second";
    if (seconds == 1)
        return "1 second";
    if (seconds < 60)
        return nd_arena_printf(arena, "%lld seconds", (long long)seconds);
    if (minutes == 1)
        return "About a minute";
    if (minutes < 60)
        return nd_arena_printf(arena, "%lld minutes", (long long)minutes);
    if (hours == 1)
        return "About an hour";
    if (hours < 48)
        return nd_arena_printf(arena, "%lld hours", (long long)hours);
    if (hours < FORTNIGHT)
        return nd_arena_printf(arena, "%lld days", (long long)(hours / 24));
    if (hours < TWO_MONTHS)
        return nd_arena_printf(arena, "%lld weeks", (long long)(hours / 24 / 7));
    if (hours < TWO_YEARS)
        return nd_arena_printf(arena, "%lld months", (long long)(hours / 24 / 30));
    return nd_arena_printf(arena, "%lld years", (long long)(age / ND_HOUR / 24 / 365));
}

const char *
nd_human_since(struct nd_arena *arena, struct nd_wall at, struct nd_wall now)
{
    int64_t seconds;

    if (__builtin_sub_overflow(now.sec, at.sec, &seconds) || seconds > INT64_MAX / ND_SECOND - 1)
        seconds = INT64_MAX / ND_SECOND - 1;
    if (seconds < -1)
        return nd_human_age(arena, 0);
    return nd_human_age(arena, seconds * ND_SECOND + (now.nsec - at.nsec));
}

static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
static const char *const binary_units[] = {"B",   "KiB", "MiB", "GiB", "TiB",
                                           "PiB", "EiB", "ZiB", "YiB"};

/* Divide until it is below `base`; the index of the unit. */
static size_t
scale(double *size, double base, size_t n_units)
{
    size_t unit = 0;

    while (*size >= base && unit + 1 < n_units) {
        *size /= base;
        unit++;
    }
    return unit;
}

const char *
nd_human_decimal(struct nd_arena *arena, int64_t bytes, int digits)
{
    double size = (double)bytes;
    size_t unit = scale(&size, 1000, ND_LEN(decimal_units));

    return nd_arena_printf(arena, "%.*g%s", digits, size, decimal_units[unit]);
}

const char *
nd_human_binary(struct nd_arena *arena, int64_t bytes)
{
    double size = (double)bytes;
    size_t unit = scale(&size, 1024, ND_LEN(binary_units));

    return nd_arena_printf(arena, "%.4g%s", size, binary_units[unit]);
}

const char *
nd_human_binary_wide(struct nd_arena *arena, int64_t bytes)
{
    double size = (double)bytes;
    size_t unit = scale(&size, 1024, ND_LEN(binary_units));

    return nd_arena_printf(arena, "%.1f %s", size, binary_units[unit]);
}

struct nd_str
nd_human_id(struct nd_str id, bool whole)
{
    size_t colon;

    if (whole)
        return id;
    colon = nd_str_find(id, ':');
    if (colon != SIZE_MAX)
        id = nd_str_from(id, colon + 1);
    return nd_str_sub(id, 0, 12);
}

struct nd_str
nd_human_cut(struct nd_arena *arena, struct nd_str text, size_t width)
{
    size_t characters = 0, end = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (((unsigned char)text.ptr[i] & 0xc0) == 0x80)
            continue;
        if (characters == width - 1)
            end = i;
        characters++;
    }
    if (characters <= width)
        return text;
    return nd_str(nd_arena_printf(arena, "%.*s\xe2\x80\xa6", (int)end, text.ptr));
}
