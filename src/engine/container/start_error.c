/*
 * Why a task could not be started.
 *
 * The shim hands runc's words through as one text with the code UNKNOWN. What matters to users, and
 * what docker's exit codes tell, is whether the program was not found (127), could not be executed
 * (126) or something else went wrong (125). This is the one place where the words of a runtime are
 * read; when they are not understood the answer is 125, which is never wrong.
 */

#include <stdio.h>

#include "launch_priv.h"

/* clang-format off */
static const struct {
    const char *about; /* both must occur, this one first */
    const char *why;
    int exit_code;
} table[] = {
    {"exec: \"", "executable file not found", 127},
    {"exec: \"", "no such file or directory", 127},
    {"exec: \"", "permission denied", 126},
    {"exec: \"", "is a directory", 126},
    {"exec: \"", "exec format error", 126},
    {"exec: \"", "not a directory", 126},
    /* crun */
    {"executable file `", "not found", 127},
    {"open executable", "Permission denied", 126},
    {"open executable", "Is a directory", 126},
};
/* clang-format on */

static int
exit_code_of(const char *message)
{
    for (size_t i = 0; i < ND_LEN(table); i++) {
        const char *about = strstr(message, table[i].about);

        if (about != NULL && strstr(about, table[i].why) != NULL)
            return table[i].exit_code;
    }
    return 125;
}

struct nd_error *
nd_start_error(struct nd_error *err)
{
    int code = exit_code_of(nd_error_message(err));
    char text[8];

    (void)snprintf(text, sizeof(text), "%d", code);
    if (nd_error_code(err) == ND_UNKNOWN)
        err = nd_error_recode(err, ND_PRECONDITION);
    err = nd_error_reason(err, code == 127   ? "CONTAINER_COMMAND_NOT_FOUND"
                               : code == 126 ? "CONTAINER_COMMAND_NOT_EXECUTABLE"
                                             : "CONTAINER_START_FAILED");
    return nd_error_meta(err, "exit_code", text);
}
