/*
 * How far a long call is: one line on standard error that is written over and over, and only when that
 * is a terminal. Elsewhere it would be noise in somebody's log.
 */

#include <stdio.h>
#include <unistd.h>

#include "remote/human.h"

#include "attach.h"

#define CLEAR_LINE "\r\033[K"

static bool is_shown; /* there is a line to be cleared */

void
nd_progress_show(const Pb__Progress *progress)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;

    if (isatty(STDERR_FILENO) != 1)
        return;
    arena = nd_arena_new(0);
    is_shown = true;
    if (progress->total > 0)
        (void)fprintf(stderr, CLEAR_LINE "%.60s: %.40s %s / %s", progress->id, progress->action,
                      nd_human_binary(arena, progress->current),
                      nd_human_binary(arena, progress->total));
    else
        (void)fprintf(stderr, CLEAR_LINE "%.60s: %.40s", progress->id, progress->action);
    (void)fflush(stderr);
}

void
nd_progress_clear(void)
{
    if (!is_shown)
        return;
    is_shown = false;
    (void)fputs(CLEAR_LINE, stderr);
    (void)fflush(stderr);
}
