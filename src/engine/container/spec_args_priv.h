#ifndef CONTAINER_SPEC_ARGS_PRIV_H
#define CONTAINER_SPEC_ARGS_PRIV_H

/* The command of a container, out of the text of its spec. Context: any. */

#include "base/arena.h"
#include "base/str.h"

#define ND_SPEC_ARGS_MAX 8192u

/*
 * process.args of a run spec, in the arena; none when the text is not like that. The text is not
 * checked beyond what is passed on the way.
 */
void nd_spec_args(struct nd_str spec, struct nd_arena *arena, char ***ret, size_t *ret_n);

#endif
