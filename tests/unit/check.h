#ifndef CHECK_H
#define CHECK_H

/*
 * What every unit test needs: cmocka, and checks of an error result that take and free it and
 * print its message when they fail.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

static inline void
check_code_at(struct nd_error *err, enum nd_code want, const char *what, const char *file, int line)
{
    enum nd_code code = nd_error_code(err);

    if (code != want) {
        print_error("%s: %s (%s), not %s\n", what, nd_code_name(code), nd_error_message(err),
                    nd_code_name(want));
        nd_error_free(err);
        _fail(file, line);
    }
    nd_error_free(err);
}

/* Like check_code, and the message contains `part`. */
static inline void
check_message_at(struct nd_error *err, enum nd_code want, const char *part, const char *what,
                 const char *file, int line)
{
    if (nd_error_code(err) == want && strstr(nd_error_message(err), part) == NULL) {
        print_error("%s: \"%s\" does not say \"%s\"\n", what, nd_error_message(err), part);
        nd_error_free(err);
        _fail(file, line);
    }
    check_code_at(err, want, what, file, line);
}

#define check_ok(call)         check_code_at((call), ND_OK, #call, __FILE__, __LINE__)
#define check_code(call, code) check_code_at((call), (code), #call, __FILE__, __LINE__)
#define check_message(call, code, part) \
    check_message_at((call), (code), (part), #call, __FILE__, __LINE__)

/* For rows of a table: says which row it was. */
#define check_row(i, name, call, code)                                          \
    do {                                                                        \
        char row_[256];                                                         \
        (void)snprintf(row_, sizeof(row_), "row %zu, %s", (size_t)(i), (name)); \
        check_code_at((call), (code), row_, __FILE__, __LINE__);                \
    } while (0)

#endif
