/*
 * The program: from words to a command, from its error to an exit code.
 *
 *     nerdctl-remote [global flags] [group] command [flags] [arguments]
 *
 * Global flags may stand anywhere; those of one letter only in front. Everything is parsed and
 * checked before the daemon is called. Standard output is collected and written at the end (streams
 * flush as they go); when it is a pipe that nobody reads any more, the program ends as if SIGPIPE
 * had hit it, like every other filter.
 */

#include "cli.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "remote/limits.h"
#include "remote/printable.h"

#include "logline.h"
#include "version.h"
#include "writer.h"

#define EXIT_FAILED      1
#define EXIT_125         125
#define EXIT_INTERRUPTED 130

/*
 * Whether the output is for a person's eyes: on a terminal, and not in a form that the user asked
 * for.
 */
static bool
is_for_eyes(const struct nd_cli *cli)
{
    if (isatty(STDOUT_FILENO) != 1)
        return false;
    return cli->flags == NULL || !nd_flags_has(cli->flags, "format") ||
           !nd_flag_given(cli->flags, "format");
}

struct nd_error *
nd_cli_flush(struct nd_cli *cli)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    struct nd_str rest = nd_buf_str(&cli->out);

    if (is_for_eyes(cli)) {
        arena = nd_arena_new(0);
        rest = nd_printable_str(arena, rest, ND_PRINTABLE_LINES);
    }

    while (rest.len > 0) {
        ssize_t n = write(STDOUT_FILENO, rest.ptr, rest.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            nd_die_of_closed_pipe();
        if (n < 0)
            return nd_error_errno(errno, "write standard output");
        rest = nd_str_from(rest, (size_t)n);
    }
    nd_buf_clear(&cli->out);
    return NULL;
}

const char *
nd_cli_arg(const struct nd_cli *cli, size_t i)
{
    return nd_arena_str(cli->arena, cli->args.items[i]);
}

static struct nd_error *
unknown_command(struct nd_cli *cli, const struct nd_group *group, struct nd_str word)
{
    ND_AUTO(nd_buf_fini) struct nd_buf close = ND_BUF_INIT(64u << 10);
    const char *path = group != NULL
                           ? nd_arena_printf(cli->arena, "%s %.*s", group->name, ND_STR_ARG(word))
                           : nd_arena_str(cli->arena, word);

    if (nd_command_is_planned(nd_str(path)))
        return nd_error_new(ND_UNIMPLEMENTED,
                            "command \"%s\" is not supported by this version of " ND_PROGRAM " yet",
                            path);
    word = nd_str_sub(word, 0, 256);
    nd_command_suggest(group, word, &close);
    return nd_error_new(ND_INVALID, "unknown subcommand \"%.*s\" for \"" ND_PROGRAM "%s%s\"%s%.*s",
                        ND_STR_ARG(word), group != NULL ? " " : "",
                        group != NULL ? group->name : "",
                        close.len > 0 ? "\n\nDid you mean this?\n" : "", (int)close.len,
                        close.len > 0 ? close.ptr : "");
}

/*
 * Global flags up to the next word, which is cut off the front of `*words`; empty when none is
 * left.
 */
static struct nd_error *
next_word(struct nd_cli *cli, struct nd_flag_words *words, struct nd_str *ret)
{
    struct nd_flags *sets[] = {cli->globals};
    struct nd_flag_words next = {.words = words->words, .n = words->n};

    ND_TRY(nd_flags_parse(cli->arena, sets, ND_LEN(sets), &next));
    *ret = next.args.n > 0 ? next.args.items[0] : ND_STR_NONE;
    words->words = next.args.n > 0 ? next.args.items + 1 : NULL;
    words->n = next.args.n > 0 ? next.args.n - 1 : 0;
    words->help = next.help;
    return NULL;
}

/*
 * The command that the words name; what is left of them are its own. NULL when there is nothing to
 * run, because help was asked for: it is in `cli->out` then.
 */
static struct nd_error *
find_command(struct nd_cli *cli, struct nd_flag_words *words)
{
    const struct nd_group *group;
    struct nd_str word, second;

    ND_TRY(next_word(cli, words, &word));
    nd_flags_leave_root(cli->globals);
    if (!words->help && nd_flag_bool(cli->globals, "version")) {
        nd_buf_putz(&cli->out, ND_PROGRAM " version " ND_VERSION "\n");
        return NULL;
    }
    if (words->help || word.len == 0) {
        nd_help_root(cli->arena, &cli->out);
        return NULL;
    }
    cli->command = nd_command_find(word);
    group = nd_group_find(word);
    if (cli->command != NULL || group == NULL)
        return cli->command != NULL ? NULL : unknown_command(cli, NULL, word);
    ND_TRY(next_word(cli, words, &second));
    if (words->help || second.len == 0) {
        nd_help_group(cli->arena, group, &cli->out);
        return NULL;
    }
    cli->command = nd_command_find(
        nd_str(nd_arena_printf(cli->arena, "%s %.*s", group->name, ND_STR_ARG(second))));
    return cli->command != NULL ? NULL : unknown_command(cli, group, second);
}

static void
drop_line(void *arg, enum nd_log_level level, struct nd_str line)
{
    (void)arg;
    (void)level;
    (void)line;
}

/* The rooms below log as a daemon does. A user wants that only when debugging. */
static void
set_up_log(const struct nd_cli *cli)
{
    if (nd_flag_bool(cli->globals, "debug"))
        nd_log_set_level(ND_LOG_DEBUG);
    else
        nd_log_set_sink(drop_line, NULL);
}

/* Flags and arguments of the command itself. False in *ret when there is only help to print. */
static struct nd_error *
read_command_line(struct nd_cli *cli, struct nd_flag_words *words, bool *ret)
{
    const struct nd_command *command = cli->command;
    struct nd_flags *sets[2];

    *ret = false;
    cli->flags = nd_flags_new(cli->arena, command->flags);
    sets[0] = cli->flags;
    sets[1] = cli->globals;
    words->mixed = (command->marks & ND_COMMAND_FLAGS_FIRST) == 0;
    ND_TRY(nd_flags_parse(cli->arena, sets, ND_LEN(sets), words));
    if (words->help) {
        nd_help_command(cli->arena, command, &cli->out);
        return NULL;
    }
    cli->args = words->args;
    ND_TRY(nd_command_check_args(command, &cli->args));
    ND_TRY(nd_flags_check_supported(cli->globals));
    ND_TRY(nd_flags_check_supported(cli->flags));
    *ret = true;
    return NULL;
}

static struct nd_error *
run(struct nd_cli *cli, struct nd_flag_words *words)
{
    struct nd_error *err;
    bool has_work;

    ND_TRY(find_command(cli, words));
    if (cli->command == NULL)
        return NULL;
    err = read_command_line(cli, words, &has_work);
    if (err != NULL)
        return nd_error_hint(err, "see '" ND_PROGRAM " %.*s --help'",
                             ND_STR_ARG(nd_command_name(cli->command)));
    if (!has_work)
        return NULL;
    set_up_log(cli);
    return cli->command->run(cli);
}

/* The exit code after `err`, which is printed and freed. */
static int
finish(struct nd_cli *cli, struct nd_error *err)
{
    struct nd_error *lost = nd_cli_flush(cli);
    bool docker_like = cli->command != NULL && (cli->command->marks & ND_COMMAND_EXIT_125) != 0;

    if (err == NULL)
        err = lost;
    else
        nd_error_free(lost);
    if (err == NULL)
        return cli->exit_code;
    if (cli->interrupted) {
        nd_error_free(err);
        return EXIT_INTERRUPTED;
    }
    nd_line_error(ND_LINE_FATAL, err);
    nd_error_free(err);
    if (cli->exit_code != 0)
        return cli->exit_code;
    return docker_like ? EXIT_125 : EXIT_FAILED;
}

int
nd_cli_main(int argc, char **argv)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = nd_arena_new(0);
    struct nd_cli cli = {
        .arena = arena,
        .out = ND_BUF_INIT(ND_REMOTE_MAX_OUTPUT_BYTES),
        .now = nd_wall_now(),
        .globals = nd_flags_new(arena, nd_global_flags),
    };
    size_t n = argc > 1 ? (size_t)argc - 1 : 0;
    struct nd_flag_words words = {.words = nd_arena_new_array(arena, n + 1, struct nd_str), .n = n};
    int code;

    for (size_t i = 0; i < n; i++)
        words.words[i] = nd_str(argv[i + 1]);
    code = finish(&cli, run(&cli, &words));
    nd_buf_fini(&cli.out);
    return code;
}
