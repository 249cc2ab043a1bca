#ifndef RUNTIME_PRIV_H
#define RUNTIME_PRIV_H

#include "base/clock.h"
#include "host/host.h"

#define ND_RUNTIME_OUTPUT_BYTES 4096u /* of "runc --version" */
#define ND_RUNTIME_TIMEOUT_NS   (5 * ND_SECOND)
#define ND_RUNTIME_FRESH_NS     (1 * ND_MINUTE) /* then it is asked again: it can be upgraded */

/* What was found out last. Zeroed: nothing. */
struct nd_runtime_cache {
    char *version, *commit;
    struct nd_mono fresh_until;
};

/* As nd_host_runtime(). Context: fiber. */
struct nd_error *nd_runtime_find(struct nd_runtime_cache *cache, struct nd_arena *arena,
                                 struct nd_host_runtime *ret) ND_CHECK_RESULT;
void nd_runtime_cache_fini(struct nd_runtime_cache *cache);

/* Take the program's output apart. Fails: ND_UNAVAILABLE when there is no version in it. */
struct nd_error *nd_runtime_version_parse(struct nd_str output, struct nd_arena *arena,
                                          struct nd_host_runtime *ret) ND_CHECK_RESULT;

#endif
