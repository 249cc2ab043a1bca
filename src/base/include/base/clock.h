#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * Two kinds of time that do not mix: a monotonic instant for waiting and measuring, a wall-clock
 * time for people and files. Durations are int64_t nanoseconds, their names end in _ns.
 * Context of everything here: any.
 */

#include "base/defs.h"
#include "base/error.h"
#include "base/str.h"

#define ND_MICROSECOND INT64_C(1000)
#define ND_MILLISECOND (1000 * ND_MICROSECOND)
#define ND_SECOND      (1000 * ND_MILLISECOND)
#define ND_MINUTE      (60 * ND_SECOND)
#define ND_HOUR        (60 * ND_MINUTE)
#define ND_FOR_EVER_NS (INT64_MAX / 4) /* a lifetime; times of this length can still be added */

/* CLOCK_MONOTONIC. */
struct nd_mono {
    int64_t ns;
};

/* Since 1970-01-01 UTC. */
struct nd_wall {
    int64_t sec;
    int32_t nsec; /* 0 to 999,999,999 */
};

/* Now, by the kernel's clocks. Under a loop use nd_loop_now(), whose clock may be virtual. */
struct nd_mono nd_mono_now(void);
struct nd_wall nd_wall_now(void);

#define ND_RFC3339_SIZE 40 /* bytes that nd_wall_format() may need, NUL included */

/* "2026-01-02T03:04:05.123456789Z": UTC, trailing zeros of the fraction dropped, NUL behind. */
size_t nd_wall_format(struct nd_wall at, char dst[ND_RFC3339_SIZE]);

/* The same with all nine digits. */
size_t nd_wall_format_full(struct nd_wall at, char dst[ND_RFC3339_SIZE]);

/* RFC 3339 with any offset and 0 to 9 digits of fraction. Fails: ND_INVALID. */
struct nd_error *nd_wall_parse(struct nd_str text, struct nd_wall *ret) ND_CHECK_RESULT;

/* -1, 0, 1. */
int nd_wall_cmp(struct nd_wall a, struct nd_wall b);

/* `at` moved by a duration. */
struct nd_wall nd_wall_add(struct nd_wall at, int64_t duration_ns);

/*
 * Go's duration text: "1h15m30.918273645s", "-1.5h", "300ms", "0". Fails: ND_INVALID.
 */
struct nd_error *nd_duration_parse(struct nd_str text, int64_t *ret_ns) ND_CHECK_RESULT;

#endif
