#ifndef REMOTE_CLI_H
#define REMOTE_CLI_H

/*
 * One run of the program: what a command gets, and how it talks to the daemon.
 *
 * A command's function runs on the ordinary stack, before there is a loop: it reads its flags and
 * files, parses its format, so that mistakes are reported before anybody is called. Then it makes
 * its calls inside nd_cli_call(), and prints afterwards (streams print while they run).
 */

#include "fiber/loop.h"
#include "grpc/channel.h"
#include "remote/command.h"
#include "remote/target.h"

struct nd_cli {
    struct nd_arena *arena; /* until the end of the program */
    const struct nd_command *command;
    struct nd_flags *flags;
    struct nd_flags *globals;
    struct nd_texts args;
    struct nd_wall now; /* for ages */
    struct nd_buf out;  /* standard output, not written yet */
    int exit_code;      /* when the command succeeds */
    bool interrupted;   /* the user wants out: end with 130 */
    bool is_lost;       /* the connection broke while a call was running */

    /* Set inside of nd_cli_call(). */
    struct nd_target target;
    struct nd_channel *channel;
    struct nd_call_options options;
};

/*
 * Connect to the daemon and run `fn(arg)` as a fiber; `cli->channel` and `cli->options` are for its
 * calls. Fails: what `fn` fails with; ND_UNAVAILABLE and others with hints when there is no
 * connection. Context: not inside a loop.
 */
struct nd_error *nd_cli_call(struct nd_cli *cli, nd_fiber_fn *fn, void *arg) ND_CHECK_RESULT;

/* A unary call on the connection; the reply is in the cli's arena. Context: fiber. */
struct nd_error *nd_cli_unary(struct nd_cli *cli, const struct nd_method_desc *method,
                              const void *request, void *ret) ND_CHECK_RESULT;

/*
 * What a command changes is asked for with an id, so that it can be asked again when the connection
 * breaks before the answer: the daemon does it once. A random one, in the arena.
 */
char *nd_cli_request_id(struct nd_cli *cli);

/*
 * `fn(arg)` makes a call with such an id; as long as the connection breaks under it, and for some
 * seconds, it is made again. Context: fiber.
 */
struct nd_error *nd_cli_repeat(struct nd_cli *cli, nd_fiber_fn *fn, void *arg) ND_CHECK_RESULT;

/* The connection broke under a call that failed with this. Context: any. */
bool nd_cli_was_cut(const struct nd_cli *cli, const struct nd_error *err);

/* A unary call with such an id, which is in the request. */
struct nd_error *nd_cli_mutate(struct nd_cli *cli, const struct nd_method_desc *method,
                               const void *request, void *ret) ND_CHECK_RESULT;

/* Write what is in `cli->out`. Fails when standard output cannot be written. Context: any. */
struct nd_error *nd_cli_flush(struct nd_cli *cli) ND_CHECK_RESULT;

/* An argument as a C string. */
const char *nd_cli_arg(const struct nd_cli *cli, size_t i);

/* The whole program. */
int nd_cli_main(int argc, char **argv);

#endif
