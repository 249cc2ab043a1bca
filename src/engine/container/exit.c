/*
 * A wait for the end of a task, for callers that follow its output meanwhile.
 */

#include "exit_priv.h"

static struct nd_error *
watch(void *arg)
{
    struct exit_watch *w = arg;

    w->err = nd_task_wait(w->cs, w->ns, w->id, w->pid, &w->exit);
    w->ended = true;
    nd_cond_broadcast(&w->cond);
    return NULL; /* whoever joins gets the error */
}

struct nd_error *
nd_exit_watch_begin(struct exit_watch *w, struct nd_group *group)
{
    return nd_group_spawn_now(group, watch, w);
}

struct nd_error *
nd_exit_watch_join(struct exit_watch *w, struct task_exit *ret)
{
    while (!w->ended)
        ND_TRY(nd_cond_wait(&w->cond));
    if (w->err != NULL)
        return ND_TAKE(w->err);
    *ret = w->exit;
    return NULL;
}

void
nd_exit_watch_fini(struct exit_watch *w)
{
    nd_error_free(ND_TAKE(w->err));
}
