#ifndef REMOTE_CONTAINER_CONFIG_H
#define REMOTE_CONTAINER_CONFIG_H

/* The flags and arguments of `run` and `create` as a ContainerConfig. */

#include "nerdctl/v1/container.pb-c.h"
#include "remote/flags.h"

/* The flags that both have. `run` has more of its own behind them. */
extern const struct nd_flag_table nd_container_flags;

/*
 * Read every flag; files (env, labels, seccomp) are read here and now, bare variables taken from
 * our environment. `args` is the image and what runs in it. Everything is in the arena. Fails:
 * ND_INVALID, naming the flag; errors of reading a file. Context: outside of a loop.
 */
struct nd_error *nd_container_config(struct nd_arena *arena, const struct nd_flags *flags,
                                     const struct nd_texts *args,
                                     Pb__ContainerConfig **ret) ND_CHECK_RESULT;

/* The part of it that --env and --env-file are. */
struct nd_error *nd_container_env(struct nd_arena *arena, const struct nd_flags *flags, char ***ret,
                                  size_t *ret_n) ND_CHECK_RESULT;

/*
 * The daemon's complaint about a field of the configuration, said about the flag:
 * "config.add_hosts[0]: ..." becomes "--add-host: ...". Takes `err` and returns it, or another one
 * in its place.
 */
struct nd_error *nd_container_config_explain(struct nd_error *err) ND_NEW_ERROR;

#endif
