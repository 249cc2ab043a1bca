/*
 * nerdctl-grpcd: from the command line to the first fiber, and its error to an exit code.
 *
 * Exit codes: 0 stopped as asked, 1 could not serve, 2 wrong options.
 */

#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "fiber/loop.h"
#include "services/version.h"

#include "daemon.h"

/* An error for a person at a terminal: the message, then what to do. */
static void
print_error(const struct nd_error *err)
{
    (void)fprintf(stderr, "nerdctl-grpcd: %s\n", nd_error_message(err));
    for (size_t i = 0; i < nd_error_n_hints(err); i++)
        (void)fprintf(stderr, "hint: %s\n", nd_error_get_hint(err, i));
}

int
main(int argc, char **argv)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_options options;

    (void)umask(022);
    err = nd_options_read(argc, argv, &options);
    if (err != NULL) {
        print_error(err);
        (void)fprintf(stderr, "See 'nerdctl-grpcd --help'.\n");
        return 2;
    }
    if (options.show_help) {
        nd_options_help();
        return 0;
    }
    if (options.show_version) {
        printf("nerdctl-grpcd version %s\n", ND_VERSION);
        return 0;
    }
    if (options.check_only)
        return 0;
    nd_log_set_level(options.log_level);
    err = nd_loop_run(nd_daemon_run, &options, NULL);
    if (err != NULL) {
        print_error(err);
        return 1;
    }
    return 0;
}
