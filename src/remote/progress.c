/*
 * How far a long call is: one line on standard error that is written over and over, and only when
 * that is a terminal. Elsewhere it would be noise in somebody's log.
 */

#include <stdio.h>
#include <unistd.h>

#include "remote/human.h"
#include "remote/printable.h"

#include "attach.h"

#define CLEAR_LINE   "\r\033[K"
#define ID_WIDTH     60
#define ACTION_WIDTH 40

static bool is_shown; /* there is a line to be cleared */

static const char *
shown(struct nd_arena *arena, const char *text, size_t width)
{
    struct nd_str cut = nd_human_cut(arena, nd_str(text), width);

    return nd_arena_str(arena, nd_printable_str(arena, cut, ""));
}

void
nd_progress_show(const Pb__Progress *progress)
{
    ND_AUTO(nd_arena_freep) struct nd_arena *arena = NULL;
    const char *id, *action;

    if (isatty(STDERR_FILENO) != 1)
        return;
    arena = nd_arena_new(0);
    is_shown = true;
    id = shown(arena, progress->id, ID_WIDTH);
    action = shown(arena, progress->action, ACTION_WIDTH);
    if (progress->total > 0)
        (void)fprintf(stderr, CLEAR_LINE "%s: %s %s / %s", id, action,
                      nd_human_binary(arena, progress->current),
                      nd_human_binary(arena, progress->total));
    else
        (void)fprintf(stderr, CLEAR_LINE "%s: %s", id, action);
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
