/*
 * Finding a command by its words, and saying what is wrong with the words.
 *
 * A command has one path and any number of aliases, each of one or two words, so "ps", "container
 * ls" and "container list" are found the same way. Texts are cobra's, which people grep for.
 */

#include "remote/command.h"

#define MAX_DISTANCE 2 /* edits between a wrong word and a suggestion */
#define MAX_WORD     32

/*
 * Commands of nerdctl that have no RPC in this version of the API: refused by name, not "unknown".
 */
static const char *const planned[] = {
    "build",
    "builder",
    "checkpoint",
    "commit",
    "completion",
    "compose",
    "cp",
    "diff",
    "export",
    "history",
    "healthcheck",
    "import",
    "ipfs",
    "login",
    "logout",
    "manifest",
    "network",
    "pause",
    "port",
    "pull",
    "push",
    "restart",
    "save",
    "search",
    "stats",
    "top",
    "unpause",
    "update",
    "volume",
    "apparmor",
    "container commit",
    "container cp",
    "container diff",
    "container export",
    "container healthcheck",
    "container pause",
    "container port",
    "container prune",
    "container restart",
    "container stats",
    "container top",
    "container unpause",
    "container update",
    "image build",
    "image convert",
    "image decrypt",
    "image encrypt",
    "image history",
    "image import",
    "image prune",
    "image pull",
    "image push",
    "image save",
    "namespace create",
    "namespace inspect",
    "namespace remove",
    "namespace update",
    "system prune",
    "system df",
};

/* Whether `wanted` is one of the comma-separated names. */
static bool
is_among(const char *names, struct nd_str wanted)
{
    struct nd_str rest = nd_str(names), name;

    while (nd_str_next(&rest, ',', &name)) {
        if (nd_str_eq(name, wanted))
            return true;
    }
    return false;
}

const struct nd_command *
nd_command_find(struct nd_str path)
{
    for (size_t i = 0; i < nd_n_commands; i++) {
        const struct nd_command *c = nd_commands[i];

        if (nd_str_eqz(path, c->path) || is_among(c->aliases, path))
            return c;
    }
    return NULL;
}

struct nd_str
nd_command_name(const struct nd_command *command)
{
    struct nd_str rest = nd_str(command->aliases), alias;

    if (nd_str_find(nd_str(command->path), ' ') == SIZE_MAX)
        return nd_str(command->path);
    while (nd_str_next(&rest, ',', &alias)) {
        if (nd_str_find(alias, ' ') == SIZE_MAX)
            return alias;
    }
    return nd_str(command->path);
}

const struct nd_group *
nd_group_find(struct nd_str name)
{
    for (size_t i = 0; i < nd_n_groups; i++) {
        if (nd_str_eqz(name, nd_groups[i].name) || is_among(nd_groups[i].aliases, name))
            return &nd_groups[i];
    }
    return NULL;
}

bool
nd_command_is_planned(struct nd_str path)
{
    for (size_t i = 0; i < ND_LEN(planned); i++) {
        if (nd_str_eqz(path, planned[i]))
            return true;
    }
    return false;
}

/* One more row of the table of distances: row[j] is that of what was read of `a` to b[0..j]. */
static void
next_row(size_t row[MAX_WORD + 1], char c, struct nd_str b)
{
    size_t diagonal = row[0];

    row[0]++;
    for (size_t j = 1; j <= b.len; j++) {
        size_t replaced = diagonal + (c != b.ptr[j - 1]);
        size_t other = ND_MIN(row[j], row[j - 1]) + 1;

        diagonal = row[j];
        row[j] = ND_MIN(replaced, other);
    }
}

/* Insertions, deletions and replacements that lead from one word to the other. */
static size_t
distance(struct nd_str a, struct nd_str b)
{
    size_t row[MAX_WORD + 1];

    if (a.len > MAX_WORD || b.len > MAX_WORD)
        return MAX_WORD;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 0; i < a.len; i++)
        next_row(row, a.ptr[i], b);
    return row[b.len];
}

/* What of a path or alias is a word of `group`; empty when it is none. */
static struct nd_str
word_in_group(struct nd_str path, const struct nd_group *group)
{
    size_t blank = nd_str_find(path, ' ');

    if (group == NULL)
        return blank == SIZE_MAX ? path : ND_STR_NONE;
    if (blank == SIZE_MAX || !nd_str_eqz(nd_str_sub(path, 0, blank), group->name))
        return ND_STR_NONE;
    return nd_str_from(path, blank + 1);
}

static void
suggest_if_close(struct nd_str candidate, struct nd_str word, struct nd_buf *out)
{
    if (candidate.len == 0 || word.len == 0)
        return;
    if (distance(candidate, word) > MAX_DISTANCE && !nd_str_starts(candidate, word))
        return;
    nd_buf_printf(out, "\t%.*s\n", ND_STR_ARG(candidate));
}

void
nd_command_suggest(const struct nd_group *group, struct nd_str word, struct nd_buf *out)
{
    for (size_t i = 0; i < nd_n_commands; i++) {
        struct nd_str rest = nd_str(nd_commands[i]->aliases), alias;

        if ((nd_commands[i]->marks & ND_COMMAND_HIDDEN) != 0)
            continue;
        suggest_if_close(word_in_group(nd_str(nd_commands[i]->path), group), word, out);
        while (nd_str_next(&rest, ',', &alias))
            suggest_if_close(word_in_group(alias, group), word, out);
    }
    for (size_t i = 0; i < nd_n_groups && group == NULL; i++)
        suggest_if_close(nd_str(nd_groups[i].name), word, out);
}

/* "requires exactly 2 argument(s).", with the usage behind it. */
static struct nd_error *
wrong_count_usage(const struct nd_command *command)
{
    const char *kind = command->max_args == ND_ARGS_ANY ? "at least" : "exactly";
    struct nd_str name = nd_command_name(command);

    return nd_error_new(ND_INVALID,
                        "\"" ND_PROGRAM " %.*s\" requires %s %d argument(s).\nSee '" ND_PROGRAM
                        " %.*s --help'.\n\nUsage:  " ND_PROGRAM " %s\n\n%s",
                        ND_STR_ARG(name), kind, command->min_args, ND_STR_ARG(name), command->usage,
                        command->help);
}

struct nd_error *
nd_command_check_args(const struct nd_command *command, const struct nd_texts *args)
{
    size_t min = (size_t)command->min_args;
    size_t max = command->max_args == ND_ARGS_ANY ? SIZE_MAX : (size_t)command->max_args;

    if (args->n >= min && args->n <= max)
        return NULL;
    if ((command->marks & ND_COMMAND_USAGE) != 0)
        return wrong_count_usage(command);
    if (max == 0)
        return nd_error_new(ND_INVALID, "unknown command \"%.*s\" for \"" ND_PROGRAM " %.*s\"",
                            ND_STR_ARG(args->items[0]), ND_STR_ARG(nd_command_name(command)));
    if (max == SIZE_MAX)
        return nd_error_new(ND_INVALID, "requires at least %zu arg(s), only received %zu", min,
                            args->n);
    if (min == max)
        return nd_error_new(ND_INVALID, "accepts %zu arg(s), received %zu", min, args->n);
    if (min == 0)
        return nd_error_new(ND_INVALID, "accepts at most %zu arg(s), received %zu", max, args->n);
    return nd_error_new(ND_INVALID, "accepts between %zu and %zu arg(s), received %zu", min, max,
                        args->n);
}
