/*
 * nerdctl-grpcd: from the command line to the first fiber, and its error to an exit code.
 *
 * Exit codes: 0 stopped as asked, 1 could not serve, 2 wrong options.
 */

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "fiber/loop.h"
#include "services/version.h"

#include "daemon.h"

/* Blocks from here on are mapped one by one and go back to the kernel when they are freed: a burst of large
 * messages must not stay with the daemon for ever. glibc would move its own threshold up with each. */
#define MMAP_THRESHOLD_BYTES (256 * 1024)

/* An error for a person at a terminal: the message, then what to do. */
static void
print_error(const struct nd_error *err)
{
    (void)fprintf(stderr, "nerdctl-grpcd: %s\n", nd_error_message(err));
    for (size_t i = 0; i < nd_error_n_hints(err); i++)
        (void)fprintf(stderr, "hint: %s\n", nd_error_get_hint(err, i));
}

/* Log lines go to standard error, each in one write so that they never mix; who starts the daemon keeps
 * them. A line that cannot be written is lost: there is nobody to tell. */
static void
write_log_line(void *arg, enum nd_log_level level, struct nd_str line)
{
    struct iovec parts[] = {{(void *)(uintptr_t)line.ptr, line.len}, {(void *)(uintptr_t) "\n", 1}};
    ssize_t n = writev(STDERR_FILENO, parts, ND_LEN(parts));

    (void)arg;
    (void)level;
    (void)n;
}

#ifdef ND_FAULTS
/*
 * A fault point that is armed from the beginning: what a call cannot reach, the recovery at start.
 */
static struct nd_error *
arm_fault(void)
{
    return nd_fault_arm(nd_str(getenv("ND_FAULT")));
}
#endif

int
main(int argc, char **argv)
{
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_options options;

    (void)umask(022);
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
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
#ifdef ND_FAULTS
    err = arm_fault();
    if (err != NULL) {
        print_error(err);
        return 2;
    }
#endif
    nd_log_set_sink(write_log_line, NULL);
    nd_log_set_level(options.log_level);
    err = nd_loop_run(nd_daemon_run, &options, NULL);
    if (err != NULL) {
        print_error(err);
        return 1;
    }
    return 0;
}
