/*
 * help, and the dump of all tables, which completion and manual pages are made from
 * (man/make_manual.py).
 */

#include "cli.h"

static const char *
joined_args(const struct nd_cli *cli)
{
    const char *path = "";

    for (size_t i = 0; i < cli->args.n && i < 2; i++)
        path = nd_arena_printf(cli->arena, "%s%s%.*s", path, i > 0 ? " " : "",
                               ND_STR_ARG(cli->args.items[i]));
    return path;
}

static struct nd_error *
help(struct nd_cli *cli)
{
    struct nd_str path = nd_str(joined_args(cli));
    const struct nd_command *command = nd_command_find(path);
    const struct nd_group *group = nd_group_find(path);

    if (path.len == 0)
        nd_help_root(cli->arena, &cli->out);
    else if (command != NULL)
        nd_help_command(cli->arena, command, &cli->out);
    else if (group != NULL)
        nd_help_group(cli->arena, group, &cli->out);
    else
        return nd_error_new(ND_INVALID, "unknown help topic: %.*s", ND_STR_ARG(path));
    return NULL;
}

static struct nd_error *
dump(struct nd_cli *cli)
{
    nd_commands_dump(&cli->out);
    return NULL;
}

const struct nd_command nd_command_help = {
    .path = "help",
    .aliases = "",
    .usage = "help [command]",
    .help = "Show help for a command",
    .max_args = ND_ARGS_ANY,
    .run = help,
};

const struct nd_command nd_command_dump = {
    .path = "__dump-commands",
    .aliases = "",
    .usage = "__dump-commands",
    .help = "Print every command and flag as JSON",
    .marks = ND_COMMAND_HIDDEN,
    .run = dump,
};
