#ifndef TESTS_UNIT_FIBER_IN_LOOP_H
#define TESTS_UNIT_FIBER_IN_LOOP_H

/*
 * Tests whose body is the first fiber of a loop:
 *
 *     IN_LOOP(name_of_the_promise)
 *     {
 *         ...
 *         return NULL;
 *     }
 *
 * runs under the virtual clock, IN_REAL_LOOP under the real one. An error that is returned fails
 * the test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "fiber/fiber.h"

/* Takes `err`; fails the test when its code is another one. */
static inline void
expect_code_at(struct nd_error *err, enum nd_code code, const char *file, int line)
{
    if (nd_error_code(err) != code) {
        print_error("expected %s, got %s: %s\n", nd_code_name(code),
                    nd_code_name(nd_error_code(err)), nd_error_message(err));
        _fail(file, line);
    }
    nd_error_free(err);
}
#define expect_code(err, code) expect_code_at((err), (code), __FILE__, __LINE__)
#define expect_ok(err)         expect_code_at((err), ND_OK, __FILE__, __LINE__)

static inline void
run_loop_test(nd_fiber_fn *fn, bool virtual_clock)
{
    const struct nd_loop_options options = {.virtual_clock = virtual_clock};

    expect_ok(nd_loop_run(fn, NULL, &options));
}

#define ND_LOOP_TEST_(name, virtual_clock)         \
    static struct nd_error *name##_body(void *);   \
    static void name(void **state)                 \
    {                                              \
        (void)state;                               \
        run_loop_test(name##_body, virtual_clock); \
    }                                              \
    static struct nd_error *name##_body(void *arg ND_UNUSED)

#define IN_LOOP(name)      ND_LOOP_TEST_(name, true)
#define IN_REAL_LOOP(name) ND_LOOP_TEST_(name, false)

#endif
