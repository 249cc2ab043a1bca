#ifndef REMOTE_COMMAND_H
#define REMOTE_COMMAND_H

/*
 * Commands as data: what each is called, takes and does. Dispatch, help, completion and manual
 * pages read these tables; nothing about a command is said twice.
 */

#include "remote/flags.h"

struct nd_cli;

typedef struct nd_error *nd_command_fn(struct nd_cli *cli);

enum nd_command_mark {
    ND_COMMAND_PLAIN = 0,
    ND_COMMAND_FLAGS_FIRST = 1, /* flags end at the first argument: what follows is another's */
    ND_COMMAND_HIDDEN = 2,
    ND_COMMAND_EXIT_125 = 4, /* a failure of ours is 125, because other codes are the container's */
    ND_COMMAND_USAGE = 8,    /* a wrong number of arguments is answered with the usage */
};

#define ND_ARGS_ANY (-1)

struct nd_command {
    const char *path;    /* "container run" */
    const char *aliases; /* other paths, comma-separated: "ps,container list"; "" for none */
    const char *usage;   /* behind the program's name: "run [flags] IMAGE [COMMAND] [ARG...]" */
    const char *help;
    int min_args;
    int max_args; /* or ND_ARGS_ANY */
    unsigned marks;
    struct nd_flag_table flags;
    nd_command_fn *run;
};

struct nd_group {
    const char *name;
    const char *aliases;
    const char *help;
};

/* The tables, in the order in which help shows them. */
extern const struct nd_command *const nd_commands[];
extern const size_t nd_n_commands;
extern const struct nd_group nd_groups[];
extern const size_t nd_n_groups;

/* Flags that every command understands. */
extern const struct nd_flag_table nd_global_flags;

/* The command of a path or alias ("ps", "container ls"); NULL when there is none. */
const struct nd_command *nd_command_find(struct nd_str path);

/* What people call it: "ps" rather than "container ls"; the path when there is no shorter name. */
struct nd_str nd_command_name(const struct nd_command *command);

/* The group of a name or alias; NULL when there is none. */
const struct nd_group *nd_group_find(struct nd_str name);

/* Whether nerdctl has a command of this path that this program does not have yet. */
bool nd_command_is_planned(struct nd_str path);

/*
 * Names that are close to `word`, one a line behind a tab; empty when none is. `group` may be NULL.
 */
void nd_command_suggest(const struct nd_group *group, struct nd_str word, struct nd_buf *out);

/* Fails: ND_INVALID in cobra's words. */
struct nd_error *nd_command_check_args(const struct nd_command *command,
                                       const struct nd_texts *args) ND_CHECK_RESULT;

/* Help, for the program, a group or a command. */
void nd_help_root(struct nd_arena *arena, struct nd_buf *out);
void nd_help_group(struct nd_arena *arena, const struct nd_group *group, struct nd_buf *out);
void nd_help_command(struct nd_arena *arena, const struct nd_command *command, struct nd_buf *out);

/* Every table as one JSON object, for completion scripts and manual pages. */
void nd_commands_dump(struct nd_buf *out);

#define ND_PROGRAM "nerdctl-remote"

#endif
