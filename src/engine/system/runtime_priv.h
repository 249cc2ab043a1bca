#ifndef RUNTIME_PRIV_H
#define RUNTIME_PRIV_H

#include "host/host.h"

/* What "runc --version" says. Texts in the arena; "" when it does not say so. */
struct runtime_version {
    const char *version;
    const char *commit;
};

/*
 * Ask the runtime program of the host for its version. Fails: ND_NOT_FOUND (not installed), ND_UNAVAILABLE
 * (it failed, or said something else). Context: fiber; starts a process.
 */
struct nd_error *nd_runtime_version(struct nd_arena *arena,
                                    struct runtime_version *ret) ND_CHECK_RESULT;

/* Take its output apart; exported for tests. Fails: ND_UNAVAILABLE when there is no version in it. */
struct nd_error *nd_runtime_version_parse(struct nd_str output, struct nd_arena *arena,
                                          struct runtime_version *ret) ND_CHECK_RESULT;

#endif
