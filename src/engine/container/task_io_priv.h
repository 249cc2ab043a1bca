#ifndef CONTAINER_TASK_IO_PRIV_H
#define CONTAINER_TASK_IO_PRIV_H

/*
 * containerd's calls about one process of a task: its first one, or a command in it. `exec_id` is
 * "" for the first. Context of all: fiber.
 */

#include "containers_priv.h"

/* Fails: ND_NOT_FOUND. */
struct nd_error *nd_process_resize(const struct process_name *p,
                                   const Pb__TerminalSize *size) ND_CHECK_RESULT;

/*
 * Let go of the shim's writing end of the standard input. One that has ended is fine, here and
 * next.
 */
struct nd_error *nd_process_close_input(const struct process_name *p) ND_CHECK_RESULT;
struct nd_error *nd_process_signal(const struct process_name *p, int signo) ND_CHECK_RESULT;

/* Register a command; it does not run yet. `spec` is its OCI process as JSON. */
struct exec_io {
    const char *stdin, *stdout, *stderr; /* paths, or "" */
    bool tty;
    struct nd_str spec;
};
struct nd_error *nd_exec_register(const struct process_name *p,
                                  const struct exec_io *io) ND_CHECK_RESULT;
struct nd_error *nd_exec_start(const struct process_name *p) ND_CHECK_RESULT;

/* What it does; `*ret` is NULL when there is no such process. */
struct nd_error *nd_process_get(const struct process_name *p, struct nd_arena *arena,
                                task **ret) ND_CHECK_RESULT;

/* Waits for its end. Fails: ND_NOT_FOUND. */
struct nd_error *nd_exec_wait(const struct process_name *p, struct task_exit *ret) ND_CHECK_RESULT;

/* Forget one that has ended or was never started; gone already is fine. */
struct nd_error *nd_exec_delete(const struct process_name *p) ND_CHECK_RESULT;

#endif
