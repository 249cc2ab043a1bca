/*
 * Help, from the tables of commands and flags.
 *
 * Three pages: the program lists groups and commands, a group its commands, a command its flags.
 * Hidden ones do not appear.
 */

#include <stdlib.h>

#include "codec/json_writer.h"
#include "remote/command.h"

struct entry {
    struct nd_str name;
    const char *help;
};

struct entries {
    struct entry *items;
    size_t n;
    size_t width;
};

static void
add_entry(struct entries *entries, struct nd_str name, const char *help)
{
    entries->items[entries->n++] = (struct entry){name, help};
    entries->width = ND_MAX(entries->width, name.len);
}

static int
compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return nd_str_cmp(left->name, right->name);
}

static void
print_entries(struct entries *entries, const char *title, struct nd_buf *out)
{
    if (entries->n == 0)
        return;
    qsort(entries->items, entries->n, sizeof(entries->items[0]), compare_entries);
    nd_buf_printf(out, "\n%s:\n", title);
    for (size_t i = 0; i < entries->n; i++)
        nd_buf_printf(out, "  %-*.*s  %s\n", (int)entries->width,
                      ND_STR_ARG(entries->items[i].name), entries->items[i].help);
}

static struct entries
new_entries(struct nd_arena *arena, size_t n)
{
    return (struct entries){.items = nd_arena_new_array(arena, n + 1, struct entry)};
}

void
nd_help_root(struct nd_arena *arena, struct nd_buf *out)
{
    struct entries groups = new_entries(arena, nd_n_groups);
    struct entries commands = new_entries(arena, nd_n_commands);

    for (size_t i = 0; i < nd_n_groups; i++)
        add_entry(&groups, nd_str(nd_groups[i].name), nd_groups[i].help);
    for (size_t i = 0; i < nd_n_commands; i++) {
        struct nd_str name = nd_command_name(nd_commands[i]);

        if (nd_str_find(name, ' ') == SIZE_MAX && (nd_commands[i]->marks & ND_COMMAND_HIDDEN) == 0)
            add_entry(&commands, name, nd_commands[i]->help);
    }
    nd_buf_putz(out, "nerdctl over gRPC: containers of the host that nerdctl-grpcd runs on\n\n"
                     "Usage: " ND_PROGRAM " [flags] COMMAND\n");
    print_entries(&groups, "Management commands", out);
    print_entries(&commands, "Commands", out);
    nd_buf_putz(out, "\nFlags:\n");
    nd_flags_help(arena, nd_global_flags, out);
    nd_buf_putz(out, "\nRun '" ND_PROGRAM " COMMAND --help' for more information on a command.\n");
}

void
nd_help_group(struct nd_arena *arena, const struct nd_group *group, struct nd_buf *out)
{
    struct entries commands = new_entries(arena, nd_n_commands);

    for (size_t i = 0; i < nd_n_commands; i++) {
        struct nd_str path = nd_str(nd_commands[i]->path);
        size_t blank = nd_str_find(path, ' ');

        if (blank != SIZE_MAX && nd_str_eqz(nd_str_sub(path, 0, blank), group->name))
            add_entry(&commands, nd_str_from(path, blank + 1), nd_commands[i]->help);
    }
    nd_buf_printf(out, "%s\n\nUsage: " ND_PROGRAM " %s COMMAND\n", group->help, group->name);
    if (group->aliases[0] != '\0')
        nd_buf_printf(out, "\nAliases:\n  %s, %s\n", group->name, group->aliases);
    print_entries(&commands, "Commands", out);
    nd_buf_printf(out,
                  "\nRun '" ND_PROGRAM " %s COMMAND --help' for more information on a command.\n",
                  group->name);
}

static void
print_aliases(const struct nd_command *command, struct nd_buf *out)
{
    struct nd_str rest = nd_str(command->aliases), alias;

    if (rest.len == 0)
        return;
    nd_buf_printf(out, "\nAliases:\n  " ND_PROGRAM " %s", command->path);
    while (nd_str_next(&rest, ',', &alias))
        nd_buf_printf(out, ", " ND_PROGRAM " %.*s", ND_STR_ARG(alias));
    nd_buf_putz(out, "\n");
}

void
nd_help_command(struct nd_arena *arena, const struct nd_command *command, struct nd_buf *out)
{
    nd_buf_printf(out, "%s\n\nUsage: " ND_PROGRAM " %s\n", command->help, command->usage);
    print_aliases(command, out);
    if (command->flags.n > 0) {
        nd_buf_putz(out, "\nFlags:\n");
        nd_flags_help(arena, command->flags, out);
    }
    nd_buf_putz(out, "\nSee also '" ND_PROGRAM " --help' for the global flags such as '--host', "
                     "'--context' and '--namespace'.\n");
}

static void
dump_flags(struct nd_json_writer *w, struct nd_flag_table table)
{
    nd_json_key(w, "flags");
    nd_json_begin_array(w);
    for (size_t i = 0; i < table.n; i++) {
        const struct nd_flag *flag = &table.flags[i];
        char shorthand[] = {flag->shorthand, '\0'};

        nd_json_begin_object(w);
        nd_json_put_text(w, "name", flag->name);
        nd_json_put_text(w, "short", shorthand);
        nd_json_put_text(w, "type",
                         flag->type == ND_FLAG_BOOL ? "bool" : nd_flag_type_name(flag->type));
        nd_json_put_text(w, "default", flag->fallback);
        nd_json_put_text(w, "help", flag->help);
        nd_json_put_bool(w, "hidden", (flag->marks & ND_FLAG_HIDDEN) != 0);
        nd_json_put_bool(w, "supported",
                         (flag->marks & (ND_FLAG_UNSUPPORTED | ND_FLAG_HOST_ONLY)) == 0);
        nd_json_end_object(w);
    }
    nd_json_end_array(w);
}

void
nd_commands_dump(struct nd_buf *out)
{
    struct nd_json_writer w = ND_JSON_WRITER(out);

    nd_json_begin_object(&w);
    nd_json_put_text(&w, "program", ND_PROGRAM);
    dump_flags(&w, nd_global_flags);
    nd_json_key(&w, "groups");
    nd_json_begin_array(&w);
    for (size_t i = 0; i < nd_n_groups; i++) {
        nd_json_begin_object(&w);
        nd_json_put_text(&w, "name", nd_groups[i].name);
        nd_json_put_text(&w, "aliases", nd_groups[i].aliases);
        nd_json_put_text(&w, "help", nd_groups[i].help);
        nd_json_end_object(&w);
    }
    nd_json_end_array(&w);
    nd_json_key(&w, "commands");
    nd_json_begin_array(&w);
    for (size_t i = 0; i < nd_n_commands; i++) {
        const struct nd_command *c = nd_commands[i];

        nd_json_begin_object(&w);
        nd_json_put_text(&w, "path", c->path);
        nd_json_put_text(&w, "aliases", c->aliases);
        nd_json_put_text(&w, "usage", c->usage);
        nd_json_put_text(&w, "help", c->help);
        nd_json_put_bool(&w, "hidden", (c->marks & ND_COMMAND_HIDDEN) != 0);
        nd_json_put_bool(&w, "flagsFirst", (c->marks & ND_COMMAND_FLAGS_FIRST) != 0);
        dump_flags(&w, c->flags);
        nd_json_end_object(&w);
    }
    nd_json_end_array(&w);
    nd_json_end_object(&w);
    nd_buf_putz(out, "\n");
}
