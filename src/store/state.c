/*
 * The state directory of a container: its paths, its making and removing. Its files are in
 * state_files.c and state_json.c.
 */

#include "store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "fiber/work.h"

#include "files_priv.h"
#include "state_priv.h"

struct nd_error *
nd_state_new(struct nd_store *store, const char *ns, const char *id, struct nd_state **ret)
{
    struct nd_state *s;

    ND_TRY(nd_store_check_component(nd_str(ns), "namespace"));
    ND_TRY(nd_store_check_component(nd_str(id), "id"));
    s = nd_new(struct nd_state);
    s->store = store;
    s->path = nd_asprintf("%s/containers/%s/%s", nd_store_path(store), ns, id);
    s->hostname_path = nd_asprintf("%s/hostname", s->path);
    s->resolv_conf_path = nd_asprintf("%s/resolv.conf", s->path);
    s->log_path = nd_asprintf("%s/%s-json.log", s->path, id);
    s->logger_lock_path = nd_asprintf("%s/logger-lock", s->path);
    *ret = s;
    return NULL;
}

void
nd_state_free(struct nd_state *state)
{
    if (state == NULL)
        return;
    nd_free(state->path);
    nd_free(state->hostname_path);
    nd_free(state->resolv_conf_path);
    nd_free(state->log_path);
    nd_free(state->logger_lock_path);
    nd_free(state);
}

void
nd_state_freep(struct nd_state **state)
{
    nd_state_free(*state);
}

const char *
nd_state_path(const struct nd_state *state)
{
    return state->path;
}

const char *
nd_state_hostname_path(const struct nd_state *state)
{
    return state->hostname_path;
}

const char *
nd_state_resolv_conf_path(const struct nd_state *state)
{
    return state->resolv_conf_path;
}

const char *
nd_state_log_path(const struct nd_state *state)
{
    return state->log_path;
}

const char *
nd_state_logger_lock_path(const struct nd_state *state)
{
    return state->logger_lock_path;
}

/* --- work on a thread ----------------------------------------------------------------------- */

static void
create_step(void *arg)
{
    struct nd_state_job *job = arg;

    job->errnum = nd_files_mkdirs(job->path, 0700);
}

static void
remove_step(void *arg)
{
    struct nd_state_job *job = arg;

    job->errnum = nd_files_remove_tree(job->path);
}

struct nd_error *
nd_state_run(struct nd_state_job *job, void (*step)(void *job), const char *what)
{
    ND_TRY(nd_work(ND_WORK_SHORT, step, job));
    if (job->errnum != 0)
        return nd_files_error(job->errnum, what, job->path);
    return NULL;
}

/* --- the directory -------------------------------------------------------------------------- */

struct nd_error *
nd_state_create(struct nd_state *state)
{
    struct nd_state_job job = {.path = state->path};

    return nd_state_run(&job, create_step, "create");
}

struct nd_error *
nd_state_remove(struct nd_state *state)
{
    struct nd_state_job job = {.path = state->path};

    return nd_state_run(&job, remove_step, "remove");
}

struct nd_error *
nd_state_lock_operation(struct nd_state *state, struct nd_store_lock **ret)
{
    ND_AUTO(nd_freep) char *path = nd_asprintf("%s/oplock", state->path);
    ND_AUTO(nd_error_freep) struct nd_error *err = NULL;
    struct nd_store_lock *lock = NULL;

    err = nd_store_lock_take(path, ND_STORE_LOCK_SUBDIR, &lock);
    if (err != NULL && nd_error_code(err) != ND_NOT_FOUND)
        return ND_TAKE(err);
    *ret = lock;
    return NULL;
}

struct nd_error *
nd_state_wait_logger(struct nd_state *state)
{
    struct nd_store_lock *lock;

    ND_TRY(nd_store_lock_take(state->logger_lock_path, ND_STORE_LOCK_FILE, &lock));
    nd_store_lock_release(lock);
    return NULL;
}
