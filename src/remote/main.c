/* nerdctl-remote: see cli.c. */

#include "cli.h"

int
main(int argc, char **argv)
{
    return nd_cli_main(argc, argv);
}
