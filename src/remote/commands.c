/*
 * The list of commands, in no order of importance. A command is declared beside its function
 * (cmd_*.c); here is only who takes part.
 */

#include "commands.h"

const struct nd_command *const nd_commands[] = {
#define COMMAND(name) &nd_command_##name,
#include "commands.def"
#undef COMMAND
};
const size_t nd_n_commands = ND_LEN(nd_commands);

const struct nd_group nd_groups[] = {
    {"container", "", "Manage containers"},
    {"context", "", "Manage the daemons that this program knows by name"},
    {"image", "", "Manage images"},
    {"namespace", "ns", "Manage containerd namespaces"},
    {"system", "", "Look at the host and the daemon"},
};
const size_t nd_n_groups = ND_LEN(nd_groups);
