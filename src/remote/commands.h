#ifndef REMOTE_COMMANDS_H
#define REMOTE_COMMANDS_H

/* Every command of the program, each defined in its cmd_*.c. */

#include "remote/command.h"

#define COMMAND(name) extern const struct nd_command nd_command_##name;
#include "commands.def"
#undef COMMAND

#endif
