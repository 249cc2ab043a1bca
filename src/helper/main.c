/*
 * nerdctl-grpc-helper: what containerd's shim and runc start beside a container. Which part of it
 * runs is said by the first argument; each is one row of the table.
 */

#include <stdio.h>
#include <string.h>

#include "base/defs.h"
#include "helper/logger.h"

struct mode {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments, *help;
};

static int
run_logger(int argc, char **argv)
{
    return nd_logger_main(argc > 2 ? argv[2] : NULL, true);
}

static int
run_streams(int argc, char **argv)
{
    return nd_logger_main(argc > 2 ? argv[2] : NULL, false);
}

static int
run_relay(int argc, char **argv)
{
    return nd_relay_main(argc, argv);
}

static int
run_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("nerdctl-grpc-helper %s\n", ND_VERSION);
    return 0;
}

static int print_usage(int argc, char **argv);

static const struct mode modes[] = {
    {ND_LOGGER_MODE, run_logger, "<data store>",
     "write a container's output to its log; started by containerd's shim"},
    {ND_STREAMS_MODE, run_streams, "<data store>",
     "pass on the output of a container without a log; started by containerd's shim"},
    {ND_RELAY_MODE, run_relay, "<folder> tty|pipes [<data store> <namespace> <container>]",
     "keep the standard streams of a process; started by the daemon"},
    {"--version", run_version, "", "print the version"},
    {"--help", print_usage, "", "print this"},
};

static int
print_usage(int argc, char **argv)
{
    bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;
    FILE *out = asked ? stdout : stderr;

    fprintf(out, "usage: nerdctl-grpc-helper <mode> ...\n\n");
    for (size_t i = 0; i < ND_LEN(modes); i++)
        fprintf(out, "  %s %s\n      %s\n", modes[i].name, modes[i].arguments, modes[i].help);
    return asked ? 0 : 2;
}

int
main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ND_LEN(modes); i++) {
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run(argc, argv);
    }
    return print_usage(argc, argv);
}
