/*
 * What stays behind when a promise of our own code is broken, and the cleanup for descriptors.
 *
 * The report goes to descriptor 2 with write() alone: at that moment neither the heap nor the log
 * can be trusted. Then the process aborts, so that a core file shows the place; the program is
 * crash-only, a start after it repairs what was half done.
 */

#include "base/defs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*invariant_report)(void);

void
nd_invariant_reporter(void (*report)(void))
{
    invariant_report = report;
}

void
nd_invariant_failed(const char *expr, const char *file, int line)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "broken invariant: %s (%s:%d)\n", expr, file, line);

    if (len > 0)
        (void)!write(2, text, ND_MIN((size_t)len, sizeof(text) - 1));
    if (invariant_report != NULL)
        invariant_report();
    abort();
}

void
nd_closep(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}
