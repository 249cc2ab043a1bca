#ifndef BASE_DEFS_H
#define BASE_DEFS_H

/*
 * The idioms of the house: scope cleanup, giving a value away, invariants, attributes.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Run fn(&variable) when the variable leaves its scope, whatever path leaves it. */
#define ND_AUTO(fn) __attribute__((__cleanup__(fn), __unused__))

/* Give a pointer away: the value moves out, the variable forgets it. */
#define ND_TAKE(ptr)                       \
    __extension__({                        \
        __typeof__(ptr) nd_taken_ = (ptr); \
        (ptr) = NULL;                      \
        nd_taken_;                         \
    })

/* The same for a descriptor: the variable becomes -1. */
#define ND_TAKE_FD(fd)           \
    __extension__({              \
        int nd_taken_fd_ = (fd); \
        (fd) = -1;               \
        nd_taken_fd_;            \
    })

#define ND_LEN(array) (sizeof(array) / sizeof((array)[0]))

#define ND_CHECK_RESULT       __attribute__((__warn_unused_result__))
#define ND_PRINTF(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#define ND_NORETURN           __attribute__((__noreturn__))
#define ND_UNUSED             __attribute__((__unused__))

/* The struct that embeds `ptr` as its member `member`. */
#define ND_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define ND_MIN(a, b)                     \
    __extension__({                      \
        __typeof__(a) nd_a_ = (a);       \
        __typeof__(b) nd_b_ = (b);       \
        (nd_a_ < nd_b_) ? nd_a_ : nd_b_; \
    })
#define ND_MAX(a, b)                     \
    __extension__({                      \
        __typeof__(a) nd_c_ = (a);       \
        __typeof__(b) nd_d_ = (b);       \
        (nd_c_ > nd_d_) ? nd_c_ : nd_d_; \
    })

/*
 * A promise of our own code. When it is broken the process prints the expression, the place and
 * what each reporter says (see nd_invariant_reporter()), and aborts. Stays on in release builds.
 * Input, disks and peers never trigger it.
 */
#define ND_INVARIANT(expr)                                  \
    do {                                                    \
        if (__builtin_expect(!(expr), 0))                   \
            nd_invariant_failed(#expr, __FILE__, __LINE__); \
    } while (0)

/* What ND_INVARIANT() does when the promise is broken. Context: any. */
void nd_invariant_failed(const char *expr, const char *file, int line) ND_NORETURN;

/*
 * Let a room add a line to the report of a broken invariant (the fiber room names the fiber).
 * `report` may only write to descriptor 2. One reporter; the last one set wins. Context: start-up.
 */
void nd_invariant_reporter(void (*report)(void));

/* Cleanup for a descriptor: closes it unless it is -1. Keeps errno. Context: any. */
void nd_closep(int *fd);

#endif
