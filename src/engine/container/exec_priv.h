#ifndef CONTAINER_EXEC_PRIV_H
#define CONTAINER_EXEC_PRIV_H

/* Commands in containers. Context of all: fiber. */

#include "base/buf.h"
#include "state/intents.h"

#include "containers_priv.h"

#define ND_EXEC_SPEC_MAX ((size_t)4 << 20) /* bytes of a command's OCI process */

/* Whether the options can be meant, as far as they alone tell. Fails: ND_INVALID about a field. */
struct nd_error *nd_exec_check(const Pb__ExecOptions *options) ND_CHECK_RESULT;

/*
 * The OCI process of a command, as JSON: the container's own, changed as the options say, which
 * were checked. `pid` is the container's first process, in whose files users are looked up. Fails:
 * ND_INVALID about a field; ND_NOT_FOUND becomes that, too, for a user that is not there.
 */
struct nd_error *nd_exec_process(struct nd_containers *cs, const Pb__ExecOptions *options,
                                 const record *rec, uint32_t pid, struct nd_arena *arena,
                                 struct nd_buf *ret) ND_CHECK_RESULT;

/* The folder of a command's streams, and of all of a container's; in the arena. */
const char *nd_exec_folder(const char *state_path, const char *exec_id, struct nd_arena *arena);

/*
 * Clean up behind a command, in the background: once it has ended and nobody wants its output any
 * more, it is forgotten. False: there is no background.
 */
bool nd_exec_reap_later(struct nd_containers *cs, const char *ns, const char *id,
                        const char *exec_id, const char *folder);

/* The same for the commands of a daemon that has died. */
struct nd_error *nd_exec_sweep(struct nd_containers *cs) ND_CHECK_RESULT;

/*
 * What is left of one that was being started: all of it goes, unless it runs; then it is left to
 * the reaping. Can be repeated.
 */
struct nd_error *nd_exec_recover(struct nd_containers *cs,
                                 const struct nd_open_intent *intent) ND_CHECK_RESULT;

#endif
