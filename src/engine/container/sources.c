/*
 * Sources of bind mounts that may be made, as -v does. They are the user's folders: what was made
 * stays, also when the container does not come to be.
 */

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fiber/work.h"

#include "creation_priv.h"

struct source_job {
    struct creation *c;
    size_t failed;
    int errnum;
};

/* mkdir -p; an errno. Changes `path` meanwhile. */
static int
make_folders(char *path)
{
    for (char *at = path + 1;; at++) {
        char c = *at;

        if (c != '/' && c != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return errno;
        *at = c;
        if (c == '\0')
            return 0;
    }
}

/* On a thread: sources that may be made. What was made stays, it is the user's folder. */
static void
make_sources(void *arg)
{
    struct source_job *job = arg;
    const struct plan *plan = job->c->plan;

    for (size_t i = 0; i < plan->n_mounts && job->errnum == 0; i++) {
        const struct plan_mount *m = &plan->mounts[i];

        if (m->kind != PLAN_BIND || !m->create_source || access(m->source, F_OK) == 0)
            continue;
        job->errnum = make_folders(nd_arena_strdup(job->c->arena, m->source));
        job->failed = i;
    }
}

struct nd_error *
nd_creation_sources(struct creation *c)
{
    struct source_job job = {.c = c};
    bool any = false;

    for (size_t i = 0; i < c->plan->n_mounts; i++)
        any |= c->plan->mounts[i].create_source;
    if (!any)
        return NULL;
    ND_TRY(nd_work(ND_WORK_SHORT, make_sources, &job));
    if (job.errnum == 0)
        return NULL;
    return nd_error_in_field(
        nd_in_element(nd_error_in_field(
                          nd_error_errno(job.errnum, "make %s", c->plan->mounts[job.failed].source),
                          "source"),
                      "mounts", job.failed),
        "config");
}
